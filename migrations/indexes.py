"""Indexes on tables that are in use: built while people work, which PostgreSQL does outside a transaction only."""

from collections.abc import Sequence

from alembic import op


def build(name: str, table: str, columns: Sequence[str], **options: object) -> None:
    """Add an index. Broken off, it is invalid and in the way: it is dropped before the next try."""
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, columns, **options)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def drop(name: str, table: str) -> None:
    """Take an index away."""
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index(name, table)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)

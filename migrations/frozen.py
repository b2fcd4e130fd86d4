"""Columns that never change again once a row has come to a point: the database itself refuses."""

from collections.abc import Sequence

from alembic import op


def freeze(table: str, columns: Sequence[str], once: str) -> None:
    """Add the trigger; `once` is the condition on OLD. On SQLite it is lost when batch mode re-creates the table."""
    message = f"{table}: what was approved is what is sent"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OF {', '.join(columns)} ON {table} WHEN {once} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    op.execute(
        f"CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({once} AND ({changed})) "
        f"EXECUTE FUNCTION refuse_{table}()"
    )


def thaw(table: str) -> None:
    """Take the trigger away."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {table}_frozen")
    else:
        op.execute(f"DROP TRIGGER {table}_frozen ON {table}")
        op.execute(f"DROP FUNCTION refuse_{table}()")

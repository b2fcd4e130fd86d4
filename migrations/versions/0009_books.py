"""Months that are closed, to the books and in the database, and audit entries that are sealed one to the next."""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op

from migrations import append_only, closed_months

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FIRST = "0" * 64
CHUNK = 1000
ENTRIES = sa.table(
    "audit_entries",
    sa.column("id", ID),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("actor_id", ID),
    sa.column("actor_name"),
    sa.column("action"),
    sa.column("subject"),
    sa.column("subject_id", ID),
    sa.column("label"),
    sa.column("before", sa.JSON()),
    sa.column("after", sa.JSON()),
    sa.column("address"),
    sa.column("request_id"),
    sa.column("previous_hash"),
    sa.column("hash"),
)
SEALED = [column for column in ENTRIES.c if column.name not in ("id", "previous_hash", "hash")]


def upgrade():
    op.create_table(
        "closed_months",
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["closed_by_id"], ["users.id"], name=op.f("fk_closed_months_closed_by_id")),
        sa.PrimaryKeyConstraint("ends_on", name=op.f("pk_closed_months")),
    )
    closed_months.guard()
    op.create_index(op.f("ix_transfers_posted_on_id"), "transfers", ["posted_on", "id"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", ID, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    append_only.release("audit_entries")
    with op.batch_alter_table("audit_entries") as entries:
        entries.add_column(sa.Column("previous_hash", sa.String(64)))
        entries.add_column(sa.Column("hash", sa.String(64)))
    _chain()
    with op.batch_alter_table("audit_entries") as entries:
        entries.alter_column("previous_hash", existing_type=sa.String(64), nullable=False)
        entries.alter_column("hash", existing_type=sa.String(64), nullable=False)
        entries.create_unique_constraint(op.f("uq_audit_entries_previous_hash"), ["previous_hash"])
    append_only.protect("audit_entries")


def _chain():
    """Seal the entries that there are, as core.audit seals new ones."""
    connection = op.get_bind()
    count, last_id, last = 0, 0, FIRST
    seal = (
        ENTRIES.update()
        .where(ENTRIES.c.id == sa.bindparam("of"))
        .values(previous_hash=sa.bindparam("previous"), hash=sa.bindparam("sealed"))
    )
    while True:
        chunk = connection.execute(
            sa.select(ENTRIES.c.id, *SEALED).where(ENTRIES.c.id > last_id).order_by(ENTRIES.c.id).limit(CHUNK)
        ).all()
        if not chunk:
            break
        sealed = []
        for row in chunk:
            said = {column.name: row._mapping[column.name] for column in SEALED}
            at = said["at"] if said["at"].tzinfo else said["at"].replace(tzinfo=UTC)
            said["at"] = at.astimezone(UTC).isoformat(timespec="microseconds")
            written = json.dumps([last, said], sort_keys=True, separators=(",", ":"))
            previous, last = last, hashlib.sha256(written.encode()).hexdigest()
            sealed.append({"of": row.id, "previous": previous, "sealed": last})
        connection.execute(seal, sealed)
        count, last_id = count + len(chunk), chunk[-1].id
    if count:
        head = sa.table("audit_head", sa.column("id"), sa.column("count"), sa.column("hash"))
        connection.execute(head.insert().values(id=1, count=count, hash=last))


def downgrade():
    append_only.release("audit_entries")
    with op.batch_alter_table("audit_entries") as entries:
        entries.drop_constraint(op.f("uq_audit_entries_previous_hash"), type_="unique")
        entries.drop_column("hash")
        entries.drop_column("previous_hash")
    append_only.protect("audit_entries")
    op.drop_table("audit_head")
    op.drop_index(op.f("ix_transfers_posted_on_id"), "transfers")
    closed_months.leave()
    op.drop_table("closed_months")

"""Privacy: requests to erase a person, files whose time is over, reviews of who has access, and what was cleared when."""

import sqlalchemy as sa
from alembic import op

from migrations.append_only import protect

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITING = sa.text("status = 'requested'")


def upgrade():
    op.add_column("customers", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("customers", sa.Column("keep_until", sa.Date(), nullable=True))
    op.add_column("outbox", sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gateway_events", sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "deleted_files",
        sa.Column("file_id", ID, autoincrement=False, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_deleted_files_file_id")),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_deleted_files")),
    )
    op.create_table(
        "erasures",
        sa.Column("id", ID, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by_id", ID, nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", ID, nullable=True),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('requested', 'done', 'declined')", name=op.f("ck_erasures_erasurestatus")),
        sa.CheckConstraint(
            "status <> 'done' OR requested_by_id IS NULL OR decided_by_id <> requested_by_id",
            name=op.f("ck_erasures_maker_not_checker"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_erasures_customer_id")),
        sa.ForeignKeyConstraint(["requested_by_id"], ["users.id"], name=op.f("fk_erasures_requested_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["users.id"], name=op.f("fk_erasures_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(
        op.f("uq_erasures_waiting"),
        "erasures",
        ["customer_id"],
        unique=True,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index(op.f("ix_erasures_requested_at_id"), "erasures", ["requested_at", "id"])
    op.create_table(
        "access_reviews",
        sa.Column("id", ID, nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_by_id", ID, nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Integer(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["reviewed_by_id"], ["users.id"], name=op.f("fk_access_reviews_reviewed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_reviews")),
    )
    protect("access_reviews")


def downgrade():
    for table in ("access_reviews", "erasures", "deleted_files"):
        op.drop_table(table)
    op.drop_column("gateway_events", "cleared_at")
    op.drop_column("outbox", "cleared_at")
    op.drop_column("customers", "keep_until")
    op.drop_column("customers", "erased_at")

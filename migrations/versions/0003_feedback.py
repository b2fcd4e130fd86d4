"""Feedback from any page, and what the usage figures by week are looked up by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEXES = [
    ("sign_in_sessions", "created_at"),
    ("sign_in_sessions", "seen_at"),
    ("policies", "created_at"),
    ("policies", "bound_at"),
    ("claims", "notified_on"),
]
"""What the weeks are counted by."""

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "feedback",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("address", sa.String(length=60), nullable=False),
        sa.Column("page", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("idea", "problem", "praise", "question", name="feedbackkind", native_enum=False, create_constraint=True, length=30),
            nullable=False,
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("file_id", BigId, nullable=True),
        sa.Column(
            "status",
            sa.Enum("new", "open", "answered", "closed", name="feedbackstatus", native_enum=False, create_constraint=True, length=30),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handled_by_id", BigId, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status <> 'answered' OR answered_at IS NOT NULL", name=op.f("ck_feedback_answer_dated")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_feedback_user_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_feedback_file_id")),
        sa.ForeignKeyConstraint(["handled_by_id"], ["users.id"], name=op.f("fk_feedback_handled_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("file_id", name=op.f("uq_feedback_file_id")),
    )
    op.create_index(op.f("ix_feedback_user_id"), "feedback", ["user_id"])
    op.create_index(op.f("ix_feedback_handled_by_id"), "feedback", ["handled_by_id"])
    op.create_index(op.f("ix_feedback_status_id"), "feedback", ["status", "id"])
    op.create_index(op.f("ix_feedback_created_at_id"), "feedback", ["created_at", "id"])
    op.create_index(op.f("ix_feedback_address_created_at"), "feedback", ["address", "created_at"])
    for table, column in INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade():
    for table, column in INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table)
    op.drop_table("feedback")

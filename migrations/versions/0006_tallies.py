"""What dashboards show of a whole book at once: policies by status, open invoices by the day they are due."""

import sqlalchemy as sa
from alembic import op

from migrations import tallies

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "policy_tallies",
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("count", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_policy_tallies")),
    )
    op.create_table(
        "open_invoice_tallies",
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("count", COUNT, nullable=False),
        sa.Column("open_minor", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("due_on", "currency", name=op.f("pk_open_invoice_tallies")),
    )
    for tally in (tallies.POLICIES, tallies.OPEN_INVOICES):
        tallies.count_again(tally)
        tallies.keep(tally)
    for column in ("quote_valid_until", "cancelled_on"):
        op.create_index(op.f(f"ix_policies_status_{column}_id"), "policies", ["status", column, "id"])


def downgrade():
    for column in ("cancelled_on", "quote_valid_until"):
        op.drop_index(op.f(f"ix_policies_status_{column}_id"), "policies")
    for tally in (tallies.POLICIES, tallies.OPEN_INVOICES):
        tallies.leave(tally)
    op.drop_table("open_invoice_tallies")
    op.drop_table("policy_tallies")

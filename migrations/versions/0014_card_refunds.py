"""Refunds that go back to a card through the gateway."""

import sqlalchemy as sa
from alembic import op

from migrations import frozen

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FROZEN = (
    "kind", "customer_id", "account_id", "replaces_id", "payee_name", "account_number", "bic", "reason",
    "amount_minor", "currency", "limit_minor", "maker_id", "checker_id", "approved_at",
)  # fmt: skip


def upgrade():
    op.add_column("disbursements", sa.Column("by_gateway", sa.Boolean(), nullable=False, server_default=sa.false()))
    frozen.thaw("disbursements")
    frozen.freeze("disbursements", (*FROZEN, "by_gateway"), "OLD.checker_id IS NOT NULL")


def downgrade():
    frozen.thaw("disbursements")
    op.drop_column("disbursements", "by_gateway")
    frozen.freeze("disbursements", FROZEN, "OLD.checker_id IS NOT NULL")

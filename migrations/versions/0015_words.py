"""Why an amount is what it is, kept with what was worked out; who holds cash; which charge was announced."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    with op.batch_alter_table("payments") as payments:
        payments.add_column(sa.Column("cash_holder_id", ID, nullable=True))
        payments.create_foreign_key(op.f("fk_payments_cash_holder_id"), "users", ["cash_holder_id"], ["id"])  # safe: no release ran on 0013 yet
    op.create_index(op.f("ix_payments_cash_holder_id"), "payments", ["cash_holder_id"])  # safe: no release ran on 0013 yet
    # Cash that was taken before stays on the company's own account, unless the ledger knows better.
    op.execute(  # safe: no release ran on 0013 yet
        "UPDATE payments SET cash_holder_id = (SELECT debit_subject FROM transfers WHERE event = 'payment' "
        "AND event_id = payments.id AND debit_account = 'agent_cash' AND debit_subject <> 0) WHERE method = 'cash'"
    )
    op.add_column("disbursements", sa.Column("worksheet", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("billing_items", sa.Column("basis", sa.String(200), nullable=False, server_default=""))
    op.add_column("invoices", sa.Column("autopay_told_on", sa.Date(), nullable=True))


def downgrade():
    op.drop_column("invoices", "autopay_told_on")
    op.drop_column("billing_items", "basis")
    op.drop_column("disbursements", "worksheet")
    op.drop_index(op.f("ix_payments_cash_holder_id"), "payments")
    with op.batch_alter_table("payments") as payments:
        payments.drop_constraint(op.f("fk_payments_cash_holder_id"), type_="foreignkey")
        payments.drop_column("cash_holder_id")

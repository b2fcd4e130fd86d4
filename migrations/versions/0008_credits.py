"""Credit notes, refunds and credit that no payment brought: what invoices, payments and the books need for them."""

import sqlalchemy as sa
from alembic import op

from migrations import append_only, tallies

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MINOR = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ACCOUNTS_0001 = (
    "unbilled_receivable", "billed_receivable", "written_premium", "tax_payable", "fee_income", "customer_credit",
    "bank", "cheques", "agent_cash", "gateway_clearing", "claims_incurred", "case_reserves", "claims_payable",
)  # fmt: skip
ACCOUNTS = (
    *ACCOUNTS_0001, "suspense", "refunds_payable", "gateway_charges", "bad_debt", "change_in_unearned",
    "unearned_premium_reserve", "commission_expense", "commission_payable", "recoveries",
)  # fmt: skip
EVENTS_0001 = ("bind", "invoice_issued", "payment", "allocation", "reserve", "claim_approved", "claim_paid")
EVENTS = (
    *EVENTS_0001, "endorsement", "cancellation", "lapse", "credit_note", "invoice_voided", "write_off",
    "write_off_reversed", "deallocation", "payment_returned", "charge_back", "charge_back_won", "suspense",
    "suspense_matched", "cleared", "gateway_charge", "refund_ordered", "refund_cancelled", "refund_sent",
    "refund_returned", "unearned", "commission", "commission_clawback", "commission_paid", "payout_returned",
    "recovery",
)  # fmt: skip


def _words(accounts, events):
    append_only.release("transfers")
    with op.batch_alter_table("transfers") as transfers:
        for column, allowed in (("debit_account", accounts), ("credit_account", accounts), ("event", events)):
            name = op.f(f"ck_transfers_{column}")
            transfers.drop_constraint(name, type_="check")
            transfers.create_check_constraint(name, sa.column(column).in_(allowed))
    append_only.protect("transfers")


def upgrade():
    _words(ACCOUNTS, EVENTS)
    tallies.leave(tallies.OPEN_INVOICES)
    with op.batch_alter_table("invoices") as invoices:
        invoices.add_column(sa.Column("credited_minor", MINOR, nullable=False, server_default="0"))
        invoices.drop_constraint(op.f("uq_invoices_account_id_due_on_instalment"), type_="unique")
        invoices.drop_constraint(op.f("ck_invoices_paid_within_total"), type_="check")
        invoices.create_check_constraint(
            op.f("ck_invoices_uses_not_negative"), sa.text("paid_minor >= 0 AND credited_minor >= 0")
        )
        invoices.create_check_constraint(
            op.f("ck_invoices_paid_within_total"), sa.text("paid_minor + credited_minor <= total_minor")
        )
    tallies.keep(tallies.OPEN_LESS_CREDITS)
    with op.batch_alter_table("payments") as payments:
        payments.add_column(sa.Column("refunded_minor", MINOR, nullable=False, server_default="0"))
        payments.drop_constraint(op.f("ck_payments_allocated_within_amount"), type_="check")
        payments.create_check_constraint(
            op.f("ck_payments_uses_not_negative"), sa.text("allocated_minor >= 0 AND refunded_minor >= 0")
        )
        payments.create_check_constraint(
            op.f("ck_payments_allocated_within_amount"), sa.text("allocated_minor + refunded_minor <= amount_minor")
        )
    for table, column in (("allocations", "payment_id"), ("invoice_lines", "invoice_id")):
        append_only.release(table)
        with op.batch_alter_table(table) as batch:
            batch.alter_column(column, existing_type=MINOR, nullable=True)
        append_only.protect(table)


def downgrade():
    for table, column in (("invoice_lines", "invoice_id"), ("allocations", "payment_id")):
        append_only.release(table)
        with op.batch_alter_table(table) as batch:
            batch.alter_column(column, existing_type=MINOR, nullable=False)
        append_only.protect(table)
    with op.batch_alter_table("payments") as payments:
        payments.drop_constraint(op.f("ck_payments_allocated_within_amount"), type_="check")
        payments.drop_constraint(op.f("ck_payments_uses_not_negative"), type_="check")
        payments.create_check_constraint(
            op.f("ck_payments_allocated_within_amount"),
            sa.text("allocated_minor >= 0 AND allocated_minor <= amount_minor"),
        )
        payments.drop_column("refunded_minor")
    tallies.leave(tallies.OPEN_LESS_CREDITS)
    with op.batch_alter_table("invoices") as invoices:
        invoices.drop_constraint(op.f("ck_invoices_paid_within_total"), type_="check")
        invoices.drop_constraint(op.f("ck_invoices_uses_not_negative"), type_="check")
        invoices.create_check_constraint(
            op.f("ck_invoices_paid_within_total"), sa.text("paid_minor >= 0 AND paid_minor <= total_minor")
        )
        invoices.create_unique_constraint(
            op.f("uq_invoices_account_id_due_on_instalment"), ["account_id", "due_on", "instalment"]
        )
        invoices.drop_column("credited_minor")
    tallies.keep(tallies.OPEN_INVOICES)
    _words(ACCOUNTS_0001, EVENTS_0001)

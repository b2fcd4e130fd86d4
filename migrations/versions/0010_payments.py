"""Gateways and their events, clearing, suspense, autopay."""

import sqlalchemy as sa
from alembic import op

from migrations import append_only

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ACCOUNTS = (
    "unbilled_receivable", "billed_receivable", "written_premium", "tax_payable", "fee_income", "customer_credit",
    "bank", "cheques", "agent_cash", "gateway_clearing", "suspense", "refunds_payable", "gateway_charges", "bad_debt",
    "change_in_unearned", "unearned_premium_reserve", "commission_expense", "commission_payable", "recoveries",
    "claims_incurred", "case_reserves", "claims_payable",
)  # fmt: skip
WRITTEN_ONCE = ("clearings", "autopay_attempts")


def _id(name, key=None, **options):
    return sa.Column(name, ID, *([sa.ForeignKey(key)] if key else []), **{"nullable": False} | options)


def upgrade():
    op.create_table(
        "clearings",
        _id("id"),
        sa.Column("source", sa.String(30), nullable=False),
        sa.Column("amount_minor", ID, nullable=False),
        sa.Column("charge_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("cleared_on", sa.Date(), nullable=False),
        _id("cleared_by_id", "users.id", nullable=True),
        sa.CheckConstraint("amount_minor > 0 AND charge_minor >= 0", name=op.f("ck_clearings_amounts")),
        sa.CheckConstraint(sa.column("source").in_(ACCOUNTS), name=op.f("ck_clearings_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clearings")),
    )
    op.create_index(op.f("ix_clearings_cleared_by_id"), "clearings", ["cleared_by_id"])
    with op.batch_alter_table("payments") as payments:
        payments.add_column(sa.Column("checkout_id", sa.String(200), nullable=True))
        payments.add_column(sa.Column("charge_id", sa.String(100), nullable=True))
        payments.add_column(sa.Column("asked_at", INSTANT, nullable=True))
        payments.add_column(sa.Column("clearing_id", ID, nullable=True))
        payments.create_foreign_key(op.f("fk_payments_clearing_id"), "clearings", ["clearing_id"], ["id"])
        payments.create_unique_constraint(op.f("uq_payments_checkout_id"), ["checkout_id"])
        payments.create_unique_constraint(op.f("uq_payments_charge_id"), ["charge_id"])
    op.create_index(op.f("ix_payments_clearing_id"), "payments", ["clearing_id"])
    op.create_table(
        "suspense_items",
        _id("id"),
        sa.Column("amount_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("payer", sa.String(200), nullable=False),
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        _id("payment_id", "payments.id", nullable=True),
        _id("recorded_by_id", "users.id", nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_suspense_items_amount_positive")),
        sa.CheckConstraint(
            sa.column("status").in_(("open", "matched", "returned")), name=op.f("ck_suspense_items_suspensestatus")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspense_items")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_suspense_items_payment_id")),
    )
    op.create_index(op.f("ix_suspense_items_recorded_by_id"), "suspense_items", ["recorded_by_id"])
    op.create_index(op.f("ix_suspense_items_status_id"), "suspense_items", ["status", "id"])
    op.create_table(
        "gateway_events",
        _id("id"),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("type", sa.String(60), nullable=False),
        sa.Column("charge_id", sa.String(100), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("handled_at", INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_gateway_events_event_id")),
    )
    op.create_index(op.f("ix_gateway_events_handled_at_id"), "gateway_events", ["handled_at", "id"])
    op.create_index(op.f("ix_gateway_events_charge_id"), "gateway_events", ["charge_id"])
    op.create_table(
        "autopays",
        _id("id"),
        _id("account_id", "billing_accounts.id"),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("payer_id", sa.String(100), nullable=False),
        sa.Column("method_id", sa.String(100), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("ended_because", sa.String(200), nullable=False),
        _id("ordered_by_id", "users.id"),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_autopays")),
        sa.UniqueConstraint("account_id", name=op.f("uq_autopays_account_id")),
        sa.UniqueConstraint("token", name=op.f("uq_autopays_token")),
    )
    op.create_index(op.f("ix_autopays_ordered_by_id"), "autopays", ["ordered_by_id"])
    op.create_table(
        "autopay_attempts",
        _id("id"),
        _id("invoice_id", "invoices.id"),
        sa.Column("number", sa.Integer(), nullable=False),
        _id("payment_id", "payments.id"),
        sa.Column("tried_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_autopay_attempts")),
        sa.UniqueConstraint("invoice_id", "number", name=op.f("uq_autopay_attempts_invoice_id_number")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_autopay_attempts_payment_id")),
    )
    for table in WRITTEN_ONCE:
        append_only.protect(table)


def downgrade():
    for table in WRITTEN_ONCE:
        append_only.release(table)
    for table in ("autopay_attempts", "autopays", "gateway_events", "suspense_items"):
        op.drop_table(table)
    op.drop_index(op.f("ix_payments_clearing_id"), "payments")
    with op.batch_alter_table("payments") as payments:
        payments.drop_constraint(op.f("uq_payments_charge_id"), type_="unique")
        payments.drop_constraint(op.f("uq_payments_checkout_id"), type_="unique")
        payments.drop_constraint(op.f("fk_payments_clearing_id"), type_="foreignkey")
        for column in ("clearing_id", "asked_at", "charge_id", "checkout_id"):
            payments.drop_column(column)
    op.drop_table("clearings")

"""Refunds, and orders to pay money out that nobody can change once they are approved; mandates, batches, statements."""

import sqlalchemy as sa
from alembic import op

from migrations import append_only, frozen

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FROZEN = (
    "kind", "customer_id", "account_id", "replaces_id", "payee_name", "account_number", "bic", "reason",
    "amount_minor", "currency", "limit_minor", "maker_id", "checker_id", "approved_at",
)  # fmt: skip
INDEXES = [
    ("bank_batches", ["created_by_id"]),
    ("bank_statements", ["uploaded_by_id"]),
    ("bank_lines", ["statement_id"]),
    ("bank_lines", ["payment_id"]),
    ("bank_lines", ["disbursement_id"]),
    ("bank_lines", ["decided_by_id"]),
    ("bank_lines", ["status", "id"]),
    ("bank_lines", ["booked_on", "id"]),
]


def _id(name, key=None, **options):
    return sa.Column(name, ID, *([sa.ForeignKey(key)] if key else []), **{"nullable": False} | options)


def upgrade():
    with op.batch_alter_table("disbursements") as orders:
        orders.add_column(sa.Column("kind", sa.String(30), nullable=False, server_default="claim"))
        for name, length in (("account_number", 34), ("bic", 11), ("batch_number", 20), ("end_reason", 200)):
            orders.add_column(sa.Column(name, sa.String(length), nullable=False, server_default=""))
        for name in ("account_id", "replaces_id", "sender_id"):
            orders.add_column(sa.Column(name, ID, nullable=True))
        for name in ("sent_on", "ended_on"):
            orders.add_column(sa.Column(name, sa.Date(), nullable=True))
        for name, table in (("account_id", "billing_accounts"), ("replaces_id", "disbursements"), ("sender_id", "users")):
            orders.create_foreign_key(op.f(f"fk_disbursements_{name}"), table, [name], ["id"])
        orders.create_unique_constraint(op.f("uq_disbursements_replaces_id"), ["replaces_id"])
        orders.create_check_constraint(
            op.f("ck_disbursements_disbursementkind"), sa.column("kind").in_(("refund", "claim"))
        )
        orders.create_check_constraint(
            op.f("ck_disbursements_refund_of_an_account"), sa.text("kind <> 'refund' OR account_id IS NOT NULL")
        )
    for name in ("account_id", "batch_number", "sender_id"):
        op.create_index(op.f(f"ix_disbursements_{name}"), "disbursements", [name])
    op.execute("UPDATE disbursements SET sent_on = settled_on WHERE settled_on IS NOT NULL")
    frozen.freeze("disbursements", FROZEN, "OLD.checker_id IS NOT NULL")
    op.create_table(
        "refund_parts",
        _id("disbursement_id", "disbursements.id"),
        _id("payment_id", "payments.id"),
        sa.Column("amount_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_parts_amount_positive")),
        sa.PrimaryKeyConstraint("disbursement_id", "payment_id", name=op.f("pk_refund_parts")),
    )
    op.create_index(op.f("ix_refund_parts_payment_id"), "refund_parts", ["payment_id"])
    append_only.protect("refund_parts")
    op.create_table(
        "bank_batches",
        _id("id"),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _id("created_by_id", "users.id"),
        sa.Column("sent_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            sa.column("status").in_(("made", "sent", "discarded")), name=op.f("ck_bank_batches_batchstatus")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_batches")),
        sa.UniqueConstraint("number", name=op.f("uq_bank_batches_number")),
    )
    op.create_table(
        "bank_statements",
        _id("id"),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        _id("uploaded_by_id", "users.id"),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statements")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bank_statements_sha256")),
    )
    op.create_table(
        "bank_lines",
        _id("id"),
        _id("statement_id", "bank_statements.id"),
        sa.Column("account_number", sa.String(34), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reference", sa.String(500), nullable=False),
        sa.Column("party", sa.String(200), nullable=False),
        sa.Column("status", sa.String(30), nullable=False),
        _id("payment_id", "payments.id", nullable=True),
        _id("disbursement_id", "disbursements.id", nullable=True),
        _id("decided_by_id", "users.id", nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_bank_lines_moves_something")),
        sa.CheckConstraint(
            "status <> 'confirmed' OR payment_id IS NOT NULL OR disbursement_id IS NOT NULL",
            name=op.f("ck_bank_lines_confirmed_as_something"),
        ),
        sa.CheckConstraint(
            sa.column("status").in_(("open", "confirmed", "ignored")), name=op.f("ck_bank_lines_linestatus")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_lines")),
        sa.UniqueConstraint("account_number", "key", name=op.f("uq_bank_lines_account_number_key")),
    )
    for table, columns in INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)


def downgrade():
    for table in ("bank_lines", "bank_statements", "bank_batches"):
        op.drop_table(table)
    append_only.release("refund_parts")
    op.drop_table("refund_parts")
    frozen.thaw("disbursements")
    for name in ("account_id", "batch_number", "sender_id"):
        op.drop_index(op.f(f"ix_disbursements_{name}"), "disbursements")
    with op.batch_alter_table("disbursements") as orders:
        orders.drop_constraint(op.f("ck_disbursements_refund_of_an_account"), type_="check")
        orders.drop_constraint(op.f("ck_disbursements_disbursementkind"), type_="check")
        orders.drop_constraint(op.f("uq_disbursements_replaces_id"), type_="unique")
        for name in ("account_id", "replaces_id", "sender_id"):
            orders.drop_constraint(op.f(f"fk_disbursements_{name}"), type_="foreignkey")
        for name in (
            "kind", "account_number", "bic", "batch_number", "end_reason", "account_id", "replaces_id", "sender_id", "sent_on",
            "ended_on",
        ):  # fmt: skip
            orders.drop_column(name)

"""Mandates, what is collected under them, lines that wait in suspense, and the product that an account is for."""

import sqlalchemy as sa
from alembic import op

from migrations import frozen

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SIGNED = ("number", "account_id", "holder_name", "account_number", "bic", "signed_on", "given_by_id", "created_at")
CONFIRMED = "status <> 'confirmed' OR payment_id IS NOT NULL OR disbursement_id IS NOT NULL"
CONFIRMED_NOW = f"{CONFIRMED} OR batch_id IS NOT NULL OR suspense_id IS NOT NULL"


def _id(name, key=None, **options):
    return sa.Column(name, ID, *([sa.ForeignKey(key)] if key else []), **{"nullable": False} | options)


def upgrade():
    op.add_column("billing_accounts", sa.Column("product_code", sa.String(40), nullable=False, server_default=""))
    op.execute(  # safe: no release ran on 0013 yet
        "UPDATE billing_accounts SET product_code = (SELECT products.code FROM policies "
        "JOIN product_versions ON product_versions.id = policies.product_version_id "
        "JOIN products ON products.id = product_versions.product_id WHERE policies.account_id = billing_accounts.id) "
        "WHERE EXISTS (SELECT 1 FROM policies WHERE policies.account_id = billing_accounts.id)"
    )
    op.create_table(
        "mandates",
        _id("id"),
        sa.Column("number", sa.String(20), nullable=False),
        _id("account_id", "billing_accounts.id"),
        sa.Column("holder_name", sa.String(70), nullable=False),
        sa.Column("account_number", sa.String(34), nullable=False),
        sa.Column("bic", sa.String(11), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        _id("given_by_id", "users.id"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandates")),
        sa.UniqueConstraint("number", name=op.f("uq_mandates_number")),
    )
    for column in ("account_id", "given_by_id"):
        op.create_index(op.f(f"ix_mandates_{column}"), "mandates", [column])
    active = sa.text("revoked_on IS NULL")
    op.create_index(
        "uq_mandates_active", "mandates", ["account_id"], unique=True, sqlite_where=active, postgresql_where=active
    )
    frozen.freeze("mandates", SIGNED, "OLD.id IS NOT NULL")
    op.create_table(
        "collections",
        _id("payment_id", "payments.id"),
        _id("invoice_id", "invoices.id"),
        _id("mandate_id", "mandates.id"),
        sa.Column("collect_on", sa.Date(), nullable=False),
        sa.Column("batch_number", sa.String(20), nullable=False),
        sa.Column("returned_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_collections")),
        sa.UniqueConstraint("invoice_id", "mandate_id", name=op.f("uq_collections_invoice_id_mandate_id")),
    )
    for column in ("mandate_id", "collect_on", "batch_number"):
        op.create_index(op.f(f"ix_collections_{column}"), "collections", [column])
    op.add_column("bank_batches", sa.Column("collect_on", sa.Date(), nullable=True))
    with op.batch_alter_table("bank_lines") as lines:
        for name, table in (("batch_id", "bank_batches"), ("suspense_id", "suspense_items")):
            lines.add_column(sa.Column(name, ID, nullable=True))
            lines.create_foreign_key(op.f(f"fk_bank_lines_{name}"), table, [name], ["id"])  # safe: no release ran on 0013 yet
        lines.create_unique_constraint(op.f("uq_bank_lines_suspense_id"), ["suspense_id"])  # safe: no release ran on 0013 yet
        lines.drop_constraint(op.f("ck_bank_lines_confirmed_as_something"), type_="check")
        lines.create_check_constraint(op.f("ck_bank_lines_confirmed_as_something"), sa.text(CONFIRMED_NOW))  # safe: no release ran on 0013 yet
    op.create_index(op.f("ix_bank_lines_batch_id"), "bank_lines", ["batch_id"])  # safe: no release ran on 0013 yet


def downgrade():
    # What these lines were confirmed as is no more: they wait for somebody again.
    op.execute(
        "UPDATE bank_lines SET status = 'open', decided_by_id = NULL, decided_at = NULL "
        "WHERE batch_id IS NOT NULL OR suspense_id IS NOT NULL"
    )
    op.drop_index(op.f("ix_bank_lines_batch_id"), "bank_lines")
    with op.batch_alter_table("bank_lines") as lines:
        lines.drop_constraint(op.f("ck_bank_lines_confirmed_as_something"), type_="check")
        lines.create_check_constraint(op.f("ck_bank_lines_confirmed_as_something"), sa.text(CONFIRMED))
        lines.drop_constraint(op.f("uq_bank_lines_suspense_id"), type_="unique")
        for name in ("batch_id", "suspense_id"):
            lines.drop_constraint(op.f(f"fk_bank_lines_{name}"), type_="foreignkey")
            lines.drop_column(name)
    op.drop_column("bank_batches", "collect_on")
    op.drop_table("collections")
    frozen.thaw("mandates")
    op.drop_table("mandates")
    op.drop_column("billing_accounts", "product_code")

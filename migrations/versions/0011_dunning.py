"""Credit notes, notices about unpaid invoices, and accounts that can be held."""

import sqlalchemy as sa
from alembic import op

from migrations import append_only, tallies

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id(name, key=None, **options):
    return sa.Column(name, ID, *([sa.ForeignKey(key)] if key else []), **{"nullable": False} | options)


def _kinds(kinds):
    append_only.release("documents")
    with op.batch_alter_table("documents") as documents:
        documents.drop_constraint(op.f("ck_documents_documentkind"), type_="check")
        documents.create_check_constraint(op.f("ck_documents_documentkind"), sa.column("kind").in_(kinds))
    append_only.protect("documents")


def _premium(condition):
    tallies.leave(tallies.POLICIES)
    with op.batch_alter_table("policies") as policies:
        policies.drop_constraint(op.f("ck_policies_premium_positive"), type_="check")
        policies.create_check_constraint(op.f("ck_policies_premium_positive"), sa.text(condition))
    tallies.keep(tallies.POLICIES)


def upgrade():
    _kinds(("invoice", "receipt", "credit_note", "notice"))
    _premium("premium_minor > 0 OR premium_minor = 0 AND status IN ('cancelled', 'lapsed')")
    with op.batch_alter_table("billing_accounts") as accounts:
        accounts.add_column(sa.Column("due_day", sa.Integer(), nullable=True))
        accounts.add_column(sa.Column("hold_until", sa.Date(), nullable=True))
        accounts.add_column(sa.Column("hold_reason", sa.String(200), nullable=False, server_default=""))
        accounts.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "credit_notes",
        _id("id"),
        sa.Column("number", sa.String(20), nullable=False),
        _id("account_id", "billing_accounts.id"),
        sa.Column("premium_minor", ID, nullable=False),
        sa.Column("tax_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        _id("document_id", "documents.id"),
        sa.CheckConstraint("premium_minor + tax_minor > 0", name=op.f("ck_credit_notes_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_notes")),
        sa.UniqueConstraint("number", name=op.f("uq_credit_notes_number")),
    )
    op.create_index(op.f("ix_credit_notes_account_id"), "credit_notes", ["account_id"])
    op.create_table(
        "credit_note_parts",
        _id("id"),
        _id("credit_note_id", "credit_notes.id"),
        _id("invoice_id", "invoices.id", nullable=True),
        sa.Column("amount_minor", ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_note_parts_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note_parts")),
    )
    for column in ("credit_note_id", "invoice_id"):
        op.create_index(op.f(f"ix_credit_note_parts_{column}"), "credit_note_parts", [column])
    op.create_table(
        "dunning_notices",
        _id("id"),
        sa.Column("number", sa.String(20), nullable=False),
        _id("invoice_id", "invoices.id"),
        sa.Column("step", sa.String(30), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("lapse_on", sa.Date(), nullable=True),
        _id("document_id", "documents.id"),
        sa.Column("posted_on", sa.Date(), nullable=True),
        _id("posted_by_id", "users.id", nullable=True),
        sa.CheckConstraint(
            sa.column("step").in_(("reminder", "overdue", "second", "cancellation")), name=op.f("ck_dunning_notices_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_notices")),
        sa.UniqueConstraint("invoice_id", "step", name=op.f("uq_dunning_notices_invoice_id_step")),
        sa.UniqueConstraint("number", name=op.f("uq_dunning_notices_number")),
        sa.UniqueConstraint("document_id", name=op.f("uq_dunning_notices_document_id")),
    )
    op.create_index(op.f("ix_dunning_notices_lapse_on"), "dunning_notices", ["lapse_on"])
    for table in ("credit_notes", "credit_note_parts"):
        append_only.protect(table)


def downgrade():
    op.drop_table("dunning_notices")
    for table in ("credit_note_parts", "credit_notes"):
        append_only.release(table)
        op.drop_table(table)
    with op.batch_alter_table("billing_accounts") as accounts:
        for column in ("version", "hold_reason", "hold_until", "due_day"):
            accounts.drop_column(column)
    _premium("premium_minor > 0")
    _kinds(("invoice", "receipt"))

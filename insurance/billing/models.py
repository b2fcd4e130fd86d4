"""Billing accounts with their items and invoices, and the orders to pay money out."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, aliased, column_property, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from ..core.person_keys import PersonKey, key_of, opened
from ..core.worksheet import Worksheet
from .domain import DisbursementKind, DisbursementStatus, InvoiceStatus, ItemKind, PaymentPlan, Step


class BillingAccount(Base):
    """What one policy owes and has paid. It names policy, product and holder as plain text."""

    __tablename__ = "billing_accounts"
    __table_args__ = (CheckConstraint("credit_minor >= 0", name="credit_not_negative"),)

    id: Mapped[int] = identity()
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"), index=True)
    policy_number: Mapped[str] = mapped_column(String(20), unique=True)
    product_name: Mapped[str] = mapped_column(String(100))
    product_code: Mapped[str] = mapped_column(String(40))
    holder_name: Mapped[str] = mapped_column(String(200))
    currency: Mapped[str] = mapped_column(String(3))
    plan: Mapped[PaymentPlan] = mapped_column(words(PaymentPlan))
    due_day: Mapped[int | None]
    credit_minor: Mapped[int] = mapped_column(BigId, default=0)
    hold_until: Mapped[date | None]
    hold_reason: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    credit = money_of("credit_minor")


def _key_of_account(account_id: Any) -> Any:
    """The key of the customer whose billing account a column names; aliased, for queries join the same table."""
    owner = aliased(BillingAccount)
    of_owner = select(PersonKey.sealed).join(owner, owner.customer_id == PersonKey.customer_id)
    return of_owner.where(owner.id == account_id).scalar_subquery()


class Mandate(Base):
    """A payer's leave to collect an account's invoices by SEPA direct debit: one at a time, until it is revoked.

    The database refuses to change what was signed. The payer's account is sealed under the customer's key.
    """

    __tablename__ = "mandates"
    __table_args__ = (
        Index(
            "uq_mandates_active",
            "account_id",
            unique=True,
            sqlite_where=text("revoked_on IS NULL"),
            postgresql_where=text("revoked_on IS NULL"),
        ),
    )

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"), index=True)
    holder_name: Mapped[str] = mapped_column(String(70))
    sealed_account: Mapped[str] = mapped_column("account_number", String(200))
    bic: Mapped[str] = mapped_column(String(11), default="")
    signed_on: Mapped[date]
    given_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    revoked_on: Mapped[date | None]
    end_reason: Mapped[str] = mapped_column(String(200), default="")

    PLACE: ClassVar = "mandates.account_number"
    account_number: Mapped[str] = column_property(opened(sealed_account, PLACE, _key_of_account(account_id)))


@append_only
class BillingItem(Base):
    """An amount that an account is to pay: one part of an instalment. Written once; `basis` says how it came about."""

    __tablename__ = "billing_items"
    __table_args__ = (Index(None, "account_id", "bills_on"), Index(None, "bills_on"))

    id: Mapped[int] = identity()
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"))
    kind: Mapped[ItemKind] = mapped_column(words(ItemKind))
    instalment: Mapped[int]
    instalments: Mapped[int]
    period_start: Mapped[date]
    period_end: Mapped[date]
    bills_on: Mapped[date]
    due_on: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    basis: Mapped[str] = mapped_column(String(200), default="")

    amount = money_of("amount_minor")


class Invoice(Base):
    """A demand for the items on it. Its items never change; its status and what is paid do."""

    __tablename__ = "invoices"
    __table_args__ = (
        CheckConstraint("total_minor > 0", name="total_positive"),
        CheckConstraint("paid_minor >= 0 AND credited_minor >= 0", name="uses_not_negative"),
        CheckConstraint("paid_minor + credited_minor <= total_minor", name="paid_within_total"),
        Index(None, "status", "due_on", "id"),
        Index(None, "due_on", "id"),
        Index(None, "total_minor", "id"),
        Index(None, "account_id", "id"),
    )

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"))
    instalment: Mapped[int]
    instalments: Mapped[int]
    issued_on: Mapped[date]
    due_on: Mapped[date]
    total_minor: Mapped[int] = mapped_column(BigId)
    paid_minor: Mapped[int] = mapped_column(BigId, default=0)
    credited_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[InvoiceStatus] = mapped_column(words(InvoiceStatus), default=InvoiceStatus.ISSUED)
    document_id: Mapped[int] = mapped_column(BigId, ForeignKey("documents.id"))
    autopay_told_on: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)

    total = money_of("total_minor")
    paid = money_of("paid_minor")

    @property
    def open_minor(self) -> int:
        """What is still to be paid, in minor units."""
        return self.total_minor - self.paid_minor - self.credited_minor if self.status in OPEN else 0

    open = money_of("open_minor")


OPEN = (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID)
"""Statuses of an invoice on which money is still open."""
OPEN_MINOR = Invoice.total_minor - Invoice.paid_minor - Invoice.credited_minor
"""`Invoice.open_minor` for queries, of an invoice with one of these statuses."""


@append_only
class InvoiceLine(Base):
    """An item on the one invoice that demands it; on none, where items of an instalment came to nothing."""

    __tablename__ = "invoice_lines"

    item_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_items.id"), primary_key=True)
    invoice_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("invoices.id"), index=True)


@append_only
class CreditNote(Base):
    """What is taken off what an account owes: unpaid invoices first, the rest becomes credit."""

    __tablename__ = "credit_notes"
    __table_args__ = (CheckConstraint("premium_minor + tax_minor > 0", name="amount_positive"),)

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"), index=True)
    premium_minor: Mapped[int] = mapped_column(BigId)
    tax_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(String(200))
    issued_on: Mapped[date]
    document_id: Mapped[int] = mapped_column(BigId, ForeignKey("documents.id"))

    premium = money_of("premium_minor")
    tax = money_of("tax_minor")

    @property
    def amount_minor(self) -> int:
        """Premium and tax together, in minor units."""
        return self.premium_minor + self.tax_minor

    amount = money_of("amount_minor")


@append_only
class CreditNotePart(Base):
    """What a credit note takes off an invoice; without one, what it adds to the account's credit."""

    __tablename__ = "credit_note_parts"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    id: Mapped[int] = identity()
    credit_note_id: Mapped[int] = mapped_column(BigId, ForeignKey("credit_notes.id"), index=True)
    invoice_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))

    amount = money_of("amount_minor")


class DunningNotice(Base):
    """A notice about an unpaid invoice. Without an e-mail address it is a letter, handed over once it is posted."""

    __tablename__ = "dunning_notices"
    __table_args__ = (UniqueConstraint("invoice_id", "step"),)

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    invoice_id: Mapped[int] = mapped_column(BigId, ForeignKey("invoices.id"))
    step: Mapped[Step] = mapped_column(words(Step))
    decided_on: Mapped[date]
    lapse_on: Mapped[date | None] = mapped_column(index=True)
    document_id: Mapped[int] = mapped_column(BigId, ForeignKey("documents.id"), unique=True)
    posted_on: Mapped[date | None]
    posted_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))


class Disbursement(Base):
    """An order to pay money out. Above the limit, the one who approves it is never the one who ordered it.

    Once it is approved, the database refuses to change whom it pays, what, and why. `batch_number` is the file for the
    bank that it is in, as plain text: at most one. `by_gateway` pays a card payment back to its card; `worksheet` says
    why it is this amount. The payee's account is sealed under the customer's key.
    """

    __tablename__ = "disbursements"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("status IN ('requested', 'cancelled') OR checker_id IS NOT NULL", name="approved_by_somebody"),
        CheckConstraint(
            "amount_minor <= limit_minor OR checker_id IS NULL OR checker_id <> maker_id", name="maker_not_checker"
        ),
        CheckConstraint("kind <> 'refund' OR account_id IS NOT NULL", name="refund_of_an_account"),
        Index(None, "status", "id"),
    )

    id: Mapped[int] = identity()
    kind: Mapped[DisbursementKind] = mapped_column(words(DisbursementKind))
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("billing_accounts.id"), index=True)
    replaces_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("disbursements.id"), unique=True)
    payee_name: Mapped[str] = mapped_column(String(200))
    sealed_account: Mapped[str] = mapped_column("account_number", String(200), default="")
    bic: Mapped[str] = mapped_column(String(11), default="")
    by_gateway: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(String(200))
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    limit_minor: Mapped[int] = mapped_column(BigId)
    status: Mapped[DisbursementStatus] = mapped_column(words(DisbursementStatus), default=DisbursementStatus.REQUESTED)
    maker_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    checker_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    reference: Mapped[str] = mapped_column(String(100), default="")
    batch_number: Mapped[str] = mapped_column(String(20), default="", index=True)
    requested_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    sender_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    sent_on: Mapped[date | None]
    settled_on: Mapped[date | None]
    ended_on: Mapped[date | None]
    end_reason: Mapped[str] = mapped_column(String(200), default="")
    worksheet: Mapped[Worksheet] = mapped_column(JSON, default=list)

    PLACE: ClassVar = "disbursements.account_number"
    account_number: Mapped[str] = column_property(opened(sealed_account, PLACE, key_of(customer_id)))
    amount = money_of("amount_minor")

    @property
    def may_be_replaced(self) -> bool:
        """Whether the money is still owed though this order has ended: a cancelled refund is credit again."""
        owed = self.status is DisbursementStatus.CANCELLED and self.kind is DisbursementKind.CLAIM
        return owed or self.status is DisbursementStatus.RETURNED


class OpenInvoiceTally(Base):
    """What is open on the invoices due on a day. Kept by the database (migrations/tallies.py), never written here."""

    __tablename__ = "open_invoice_tallies"

    due_on: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    count: Mapped[int] = mapped_column(BigId)
    open_minor: Mapped[int] = mapped_column(BigId)

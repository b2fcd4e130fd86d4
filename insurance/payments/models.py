"""Money that came in, what it paid, the receipt for it, and what a gateway said about it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from ..ledger.domain import Account
from .domain import LIVE, PaymentMethod, PaymentStatus, SuspenseStatus


class Payment(Base):
    """A payment on a billing account.

    `token` is our unguessable name for it at the gateway; `checkout_id` and `charge_id` are the gateway's own names for
    its page and for the charge, once we know them. `cash_holder_id` is who took cash, and owes it until it is remitted.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("allocated_minor >= 0 AND refunded_minor >= 0", name="uses_not_negative"),
        CheckConstraint("allocated_minor + refunded_minor <= amount_minor", name="allocated_within_amount"),
        Index(None, "account_id", "id"),
        Index(None, "paid_on", "id"),
        Index(None, "amount_minor", "id"),
        Index(None, "status", "id"),
    )

    id: Mapped[int] = identity()
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"))
    invoice_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int] = mapped_column(BigId)
    allocated_minor: Mapped[int] = mapped_column(BigId, default=0)
    refunded_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    method: Mapped[PaymentMethod] = mapped_column(words(PaymentMethod))
    status: Mapped[PaymentStatus] = mapped_column(words(PaymentStatus), default=PaymentStatus.CREATED)
    paid_on: Mapped[date]
    reference: Mapped[str] = mapped_column(String(100), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    token: Mapped[str | None] = mapped_column(String(64), unique=True)
    checkout_id: Mapped[str | None] = mapped_column(String(200), unique=True)
    charge_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    asked_at: Mapped[datetime | None]
    clearing_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("clearings.id"), index=True)
    recorded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    cash_holder_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    amount = money_of("amount_minor")

    @property
    def kept_minor(self) -> int:
        """What was not paid back, in minor units."""
        return self.amount_minor - self.refunded_minor

    kept = money_of("kept_minor")

    @property
    def left_minor(self) -> int:
        """What pays no invoice and was not paid back, in minor units: credit on the account."""
        return self.kept_minor - self.allocated_minor if self.status in LIVE else 0

    left = money_of("left_minor")


@append_only
class Allocation(Base):
    """A part of a payment that pays an invoice. Negative where it was taken back.

    Without a payment, it is account credit of another source (a credit note) that pays.
    """

    __tablename__ = "allocations"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="moves_something"),)

    id: Mapped[int] = identity()
    payment_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("payments.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(BigId, ForeignKey("invoices.id"), index=True)
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    allocated_on: Mapped[date]

    amount = money_of("amount_minor")


@append_only
class RefundPart(Base):
    """A part of a payment that a refund pays back. What no part names is credit that no payment brought."""

    __tablename__ = "refund_parts"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    disbursement_id: Mapped[int] = mapped_column(BigId, ForeignKey("disbursements.id"), primary_key=True)
    payment_id: Mapped[int] = mapped_column(BigId, ForeignKey("payments.id"), primary_key=True, index=True)
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))


@append_only
class Receipt(Base):
    """The one receipt of a processed payment."""

    __tablename__ = "receipts"

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    payment_id: Mapped[int] = mapped_column(BigId, ForeignKey("payments.id"), unique=True)
    document_id: Mapped[int] = mapped_column(BigId, ForeignKey("documents.id"), unique=True)
    issued_on: Mapped[date]


@append_only
class Clearing(Base):
    """Money that was moved to the bank from where it lay: cheques, cash with agents, or the gateway.

    `amount` is what arrived; the gateway kept `charge` of what it had.
    """

    __tablename__ = "clearings"
    __table_args__ = (CheckConstraint("amount_minor > 0 AND charge_minor >= 0", name="amounts"),)

    id: Mapped[int] = identity()
    source: Mapped[Account] = mapped_column(words(Account))
    amount_minor: Mapped[int] = mapped_column(BigId)
    charge_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    reference: Mapped[str] = mapped_column(String(100))
    cleared_on: Mapped[date]
    cleared_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)

    amount = money_of("amount_minor")
    charge = money_of("charge_minor")


class SuspenseItem(Base):
    """Money in the bank of which nobody knows yet whose it is."""

    __tablename__ = "suspense_items"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"), Index(None, "status", "id"))

    id: Mapped[int] = identity()
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    received_on: Mapped[date]
    reference: Mapped[str] = mapped_column(String(100))
    payer: Mapped[str] = mapped_column(String(200))
    status: Mapped[SuspenseStatus] = mapped_column(words(SuspenseStatus), default=SuspenseStatus.OPEN)
    reason: Mapped[str] = mapped_column(String(200), default="")
    payment_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("payments.id"), unique=True)
    recorded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]

    amount = money_of("amount_minor")


class GatewayEvent(Base):
    """Something that the gateway told us, kept as it came. It has its effect once, when `handled_at` is set.

    Long afterwards its payload is cleared, but for the status of what it was about.
    """

    __tablename__ = "gateway_events"
    __table_args__ = (Index(None, "handled_at", "id"), Index(None, "charge_id"))

    id: Mapped[int] = identity()
    event_id: Mapped[str] = mapped_column(String(100), unique=True)
    type: Mapped[str] = mapped_column(String(60))
    charge_id: Mapped[str] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    cleared_at: Mapped[datetime | None]


class Autopay(Base):
    """A customer's standing order to charge a saved method when an invoice of the account is due.

    The method itself lies with the gateway: here are its names there, and words that its owner knows it by.
    """

    __tablename__ = "autopays"

    id: Mapped[int] = identity()
    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("billing_accounts.id"), unique=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    active: Mapped[bool] = mapped_column(default=False)
    payer_id: Mapped[str] = mapped_column(String(100), default="")
    method_id: Mapped[str] = mapped_column(String(100), default="")
    label: Mapped[str] = mapped_column(String(100), default="")
    ended_because: Mapped[str] = mapped_column(String(200), default="")
    ordered_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    changed_at: Mapped[datetime]


class Collection(Base):
    """An invoice that is collected under a mandate, once, with the payment that this makes.

    `batch_number` is the file for the bank that it is in, as plain text: at most one. The bank may send it back.
    """

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("invoice_id", "mandate_id"), Index(None, "collect_on"))

    payment_id: Mapped[int] = mapped_column(BigId, ForeignKey("payments.id"), primary_key=True)
    invoice_id: Mapped[int] = mapped_column(BigId, ForeignKey("invoices.id"))
    mandate_id: Mapped[int] = mapped_column(BigId, ForeignKey("mandates.id"), index=True)
    collect_on: Mapped[date]
    batch_number: Mapped[str] = mapped_column(String(20), default="", index=True)
    returned_on: Mapped[date | None]


@append_only
class AutopayAttempt(Base):
    """One try to charge an invoice by autopay, with the payment that it made."""

    __tablename__ = "autopay_attempts"
    __table_args__ = (UniqueConstraint("invoice_id", "number"),)

    id: Mapped[int] = identity()
    invoice_id: Mapped[int] = mapped_column(BigId, ForeignKey("invoices.id"))
    number: Mapped[int]
    payment_id: Mapped[int] = mapped_column(BigId, ForeignKey("payments.id"), unique=True)
    tried_on: Mapped[date]

"""Money that came in, what it paid, and the receipt for it."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from .domain import PaymentMethod, PaymentStatus


class Payment(Base):
    """A payment on a billing account. `token` is its unguessable name at the gateway."""

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
    recorded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    amount = money_of("amount_minor")

    @property
    def left_minor(self) -> int:
        """What has paid no invoice and was not paid back, in minor units: credit, once the payment is processed."""
        return self.amount_minor - self.allocated_minor - self.refunded_minor

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

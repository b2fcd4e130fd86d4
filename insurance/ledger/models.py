"""Transfers, and the months that take no more of them."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from .domain import Account, Event


@append_only
class Transfer(Base):
    """An amount moved from the credited account to the debited one; corrected only by a reversal."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("debit_account <> credit_account OR debit_subject <> credit_subject", name="two_accounts"),
        Index(None, "debit_account", "debit_subject"),
        Index(None, "credit_account", "credit_subject"),
        Index(None, "event", "event_id"),
        Index(None, "posted_on", "id"),
    )

    id: Mapped[int] = identity()
    debit_account: Mapped[Account] = mapped_column(words(Account, "debit_account"))
    debit_subject: Mapped[int] = mapped_column(BigId)
    credit_account: Mapped[Account] = mapped_column(words(Account, "credit_account"))
    credit_subject: Mapped[int] = mapped_column(BigId)
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    posted_on: Mapped[date]
    event: Mapped[Event] = mapped_column(words(Event))
    event_id: Mapped[int] = mapped_column(BigId)
    reverses_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("transfers.id"), unique=True)
    recorded_at: Mapped[datetime]

    amount = money_of("amount_minor")


class ClosedMonth(Base):
    """A month into which nothing is posted any more; nor into any before it."""

    __tablename__ = "closed_months"

    ends_on: Mapped[date] = mapped_column(primary_key=True)
    closed_at: Mapped[datetime]
    closed_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"))

    @property
    def id(self) -> int:
        """By what the audit trail knows it: 202611 for November 2026."""
        return self.ends_on.year * 100 + self.ends_on.month

"""Files that went to the bank, statements that came from it, and their lines."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, deferred, mapped_column

from ...core.db import Base, BigId, identity, words
from ...core.db import money as money_of
from ...core.encryption import Sealed
from .domain import BatchStatus, LineStatus


class BankBatch(Base):
    """A file that lets the bank pay some disbursements, or collect some direct debits on one day.

    Its bytes are kept as they were made, and sealed.
    """

    __tablename__ = "bank_batches"

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    status: Mapped[BatchStatus] = mapped_column(words(BatchStatus), default=BatchStatus.MADE)
    count: Mapped[int]
    total_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    content: Mapped[bytes] = deferred(mapped_column(Sealed("bank_batches.content"), nullable=False))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    created_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    sent_on: Mapped[date | None]
    collect_on: Mapped[date | None]

    total = money_of("total_minor")

    @property
    def collects(self) -> bool:
        """Whether it takes money in."""
        return self.collect_on is not None


class BankStatement(Base):
    """A statement's file, sealed. `mapping` says how its columns were read, for the next one from the same bank."""

    __tablename__ = "bank_statements"

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(String(120))
    content: Mapped[bytes] = deferred(mapped_column(Sealed("bank_statements.content"), nullable=False))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    mapping: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    uploaded_at: Mapped[datetime]
    uploaded_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    imported_at: Mapped[datetime | None]


class BankLine(Base):
    """Money that came (above zero) or went, once however often its statement is imported."""

    __tablename__ = "bank_lines"
    __table_args__ = (
        UniqueConstraint("account_number", "key"),
        CheckConstraint("amount_minor <> 0", name="moves_something"),
        CheckConstraint(
            "status <> 'confirmed' OR payment_id IS NOT NULL OR disbursement_id IS NOT NULL OR batch_id IS NOT NULL "
            "OR suspense_id IS NOT NULL",
            name="confirmed_as_something",
        ),
        Index(None, "status", "id"),
        Index(None, "booked_on", "id"),
    )

    id: Mapped[int] = identity()
    statement_id: Mapped[int] = mapped_column(BigId, ForeignKey("bank_statements.id"), index=True)
    account_number: Mapped[str] = mapped_column(String(34))
    key: Mapped[str] = mapped_column(String(64))
    booked_on: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    reference: Mapped[str] = mapped_column(String(500))
    party: Mapped[str] = mapped_column(String(200))
    status: Mapped[LineStatus] = mapped_column(words(LineStatus), default=LineStatus.OPEN)
    payment_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("payments.id"), index=True)
    disbursement_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("disbursements.id"), index=True)
    batch_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("bank_batches.id"), index=True)
    suspense_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("suspense_items.id"), unique=True)
    decided_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    decided_at: Mapped[datetime | None]

    amount = money_of("amount_minor")

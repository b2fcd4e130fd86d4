"""Claims with their amounts by coverage, reserves, history and attachments."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from .domain import ClaimStatus


class CostType(StrEnum):
    """What a reserve is for."""

    INDEMNITY = "indemnity"
    EXPENSE = "expense"


class Claim(Base):
    """A claim, from the draft of its notice to its end. A draft has no number yet."""

    __tablename__ = "claims"
    __table_args__ = (
        CheckConstraint("claimed_minor >= 0 AND approved_minor >= 0", name="amounts_not_negative"),
        CheckConstraint("status = 'draft' OR status = 'withdrawn' OR number IS NOT NULL", name="numbered_once_filed"),
        CheckConstraint(
            "status NOT IN ('pending', 'under_review', 'approved', 'paid') OR loss_on IS NOT NULL", name="loss_dated"
        ),
        Index(None, "policy_id", "loss_on"),
        Index(None, "status", "id"),
        Index(None, "claimed_minor", "id"),
        Index(None, "customer_id", "id"),
    )

    id: Mapped[int] = identity()
    number: Mapped[str | None] = mapped_column(String(20), unique=True)
    policy_id: Mapped[int] = mapped_column(BigId, ForeignKey("policies.id"))
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"))
    loss_on: Mapped[date | None]
    cause: Mapped[str] = mapped_column(String(30), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    claimed_minor: Mapped[int] = mapped_column(BigId, default=0)
    approved_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    payee_name: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[ClaimStatus] = mapped_column(words(ClaimStatus), default=ClaimStatus.DRAFT)
    notes: Mapped[str] = mapped_column(Text, default="")
    notified_on: Mapped[date | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    handler_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    decided_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    version: Mapped[int] = mapped_column(default=1)

    claimed = money_of("claimed_minor")
    approved = money_of("approved_minor")


class ClaimCoverage(Base):
    """What a claim asks of one coverage of its policy, and what came of it."""

    __tablename__ = "claim_coverages"
    __table_args__ = (
        UniqueConstraint("claim_id", "coverage"),
        CheckConstraint(
            "claimed_minor >= 0 AND deductible_minor >= 0 AND payable_minor >= 0 AND payable_minor <= limit_minor",
            name="amounts_in_bounds",
        ),
    )

    id: Mapped[int] = identity()
    claim_id: Mapped[int] = mapped_column(BigId, ForeignKey("claims.id"))
    coverage: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    limit_minor: Mapped[int] = mapped_column(BigId)
    claimed_minor: Mapped[int] = mapped_column(BigId)
    deductible_minor: Mapped[int] = mapped_column(BigId, default=0)
    payable_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))


@append_only
class ReserveChange(Base):
    """A change to what a claim is still expected to cost, with its reason. The sum is what is outstanding."""

    __tablename__ = "reserve_changes"
    __table_args__ = (CheckConstraint("change_minor <> 0", name="changes_something"), Index(None, "claim_id", "id"))

    id: Mapped[int] = identity()
    claim_id: Mapped[int] = mapped_column(BigId, ForeignKey("claims.id"))
    coverage: Mapped[str] = mapped_column(String(40))
    cost_type: Mapped[CostType] = mapped_column(words(CostType), default=CostType.INDEMNITY)
    change_minor: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(String(200))
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))

    change = money_of("change_minor")


@append_only
class ClaimEvent(Base):
    """One step in a claim's history; `note` is for staff, `message` is what the customer was told."""

    __tablename__ = "claim_events"
    __table_args__ = (Index(None, "claim_id", "id"),)

    id: Mapped[int] = identity()
    claim_id: Mapped[int] = mapped_column(BigId, ForeignKey("claims.id"))
    action: Mapped[str] = mapped_column(String(30))
    status: Mapped[ClaimStatus] = mapped_column(words(ClaimStatus))
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    actor_name: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(Text, default="")
    message: Mapped[str] = mapped_column(Text, default="")


class Attachment(Base):
    """A photo or document on a claim."""

    __tablename__ = "attachments"

    id: Mapped[int] = identity()
    claim_id: Mapped[int] = mapped_column(BigId, ForeignKey("claims.id"), index=True)
    file_id: Mapped[int] = mapped_column(BigId, ForeignKey("stored_files.id"), unique=True)


class Payout(Base):
    """The order that pays a claim out."""

    __tablename__ = "payouts"

    id: Mapped[int] = identity()
    claim_id: Mapped[int] = mapped_column(BigId, ForeignKey("claims.id"), index=True)
    disbursement_id: Mapped[int] = mapped_column(BigId, ForeignKey("disbursements.id"), unique=True)

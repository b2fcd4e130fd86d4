"""Policies, from quote to history: one record with a stack of transactions."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    and_,
    case,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped, mapped_column

from ..billing.domain import PaymentPlan
from ..core.db import Base, BigId, append_only, identity, words
from ..core.db import money as money_of
from .domain import BY_CALENDAR, PolicyStatus, TransactionKind, calendar_status


class Policy(Base):
    """A quote until it is bound, a policy from then on. Cover is [start_on, end_on)."""

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("end_on > start_on", name="term_runs_forward"),
        CheckConstraint("coverage_minor > 0", name="coverage_positive"),
        CheckConstraint(
            "premium_minor > 0 OR premium_minor = 0 AND status IN ('cancelled', 'lapsed')", name="premium_positive"
        ),
        Index(None, "customer_id", "id"),
        Index(None, "status", "start_on", "id"),
        Index(None, "status", "end_on", "id"),
        Index(None, "status", "quote_valid_until", "id"),
        Index(None, "status", "cancelled_on", "id"),
        Index(None, "end_on", "id"),
        Index(None, "start_on", "id"),
        Index(None, "premium_minor", "id"),
    )

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"))
    product_version_id: Mapped[int] = mapped_column(BigId, ForeignKey("product_versions.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("billing_accounts.id"), unique=True)
    policy_type: Mapped[str] = mapped_column(String(60))
    coverage_minor: Mapped[int] = mapped_column(BigId)
    premium_minor: Mapped[int] = mapped_column(BigId)
    tax_minor: Mapped[int] = mapped_column(BigId, default=0)
    fee_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    start_on: Mapped[date]
    end_on: Mapped[date]
    cancelled_on: Mapped[date | None]
    status: Mapped[PolicyStatus] = mapped_column(words(PolicyStatus), default=PolicyStatus.QUOTED)
    plan: Mapped[PaymentPlan] = mapped_column(words(PaymentPlan), default=PaymentPlan.ANNUAL)
    answers: Mapped[dict[str, Any]] = mapped_column(JSON)
    worksheet: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    quote_valid_until: Mapped[date]
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    bound_at: Mapped[datetime | None] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=1)

    coverage = money_of("coverage_minor")
    premium = money_of("premium_minor")
    tax = money_of("tax_minor")
    fee = money_of("fee_minor")

    @property
    def total_minor(self) -> int:
        """What the term costs with tax and fees, in minor units."""
        return self.premium_minor + self.tax_minor + self.fee_minor

    total = money_of("total_minor")

    def status_on(self, day: date) -> PolicyStatus:
        """The status on a day, right even if no job has run since it changed."""
        return calendar_status(self.status, self.start_on, self.end_on, day, self.quote_valid_until, self.cancelled_on)


def status_on(day: date) -> ColumnElement[PolicyStatus]:
    """`Policy.status_on` for queries: the same rule in SQL, proven the same by a test over every case."""
    runs = _runs(day)
    status = Policy.__table__.c.status.type
    return case(
        (
            and_(Policy.status == PolicyStatus.QUOTED, Policy.quote_valid_until < day),
            literal(PolicyStatus.QUOTE_EXPIRED, status),
        ),
        (and_(runs, Policy.start_on > day), literal(PolicyStatus.PENDING, status)),
        (and_(runs, Policy.end_on <= day), literal(PolicyStatus.EXPIRED, status)),
        (runs, literal(PolicyStatus.ACTIVE, status)),
        else_=Policy.status,
    )


def has_status(status: PolicyStatus, day: date) -> ColumnElement[bool]:
    """Whether a policy has a status on a day, said of columns alone.

    So an index finds what few have, and a planner can guess how many have it, as of a CASE it cannot.
    """
    stored = Policy.status == status
    match status:
        case PolicyStatus.PENDING:
            return (Policy.start_on > day) & _runs(day)
        case PolicyStatus.ACTIVE:
            return (Policy.start_on <= day) & (Policy.end_on > day) & _runs(day)
        case PolicyStatus.EXPIRED:
            return (Policy.end_on <= day) & _runs(day)
        case PolicyStatus.CANCELLED | PolicyStatus.LAPSED:
            return stored & (Policy.cancelled_on.is_(None) | (Policy.cancelled_on <= day))
        case PolicyStatus.QUOTED:
            return stored & (Policy.quote_valid_until >= day)
        case PolicyStatus.QUOTE_EXPIRED:
            return stored | ((Policy.status == PolicyStatus.QUOTED) & (Policy.quote_valid_until < day))
    return stored


def _runs(day: date) -> ColumnElement[bool]:
    """Whether the calendar says what a policy is: it was bound, and its cover has not been ended by a day."""
    ended_later = Policy.status.in_((PolicyStatus.CANCELLED, PolicyStatus.LAPSED)) & (Policy.cancelled_on > day)
    return Policy.status.in_(BY_CALENDAR) | ended_later


def overtaken(day: date) -> ColumnElement[bool]:
    """Whether the calendar has made something else of the stored status by a day.

    Each case is looked up by an index of its own: left to one "or", the planner reads the whole book.
    """
    cases = (
        (Policy.status == PolicyStatus.PENDING) & (Policy.start_on <= day),
        (Policy.status == PolicyStatus.ACTIVE) & (Policy.end_on <= day),
        (Policy.status == PolicyStatus.QUOTED) & (Policy.quote_valid_until < day),
        Policy.status.in_((PolicyStatus.CANCELLED, PolicyStatus.LAPSED)) & (Policy.cancelled_on > day),
    )
    return Policy.id.in_(union_all(*(select(Policy.id).where(case_) for case_ in cases))) & or_(*cases)


@append_only
class PolicyTransaction(Base):
    """One change to a policy, written once: what is insured from then on, and what the premium changes by."""

    __tablename__ = "policy_transactions"
    __table_args__ = (
        UniqueConstraint("policy_id", "number"),
        CheckConstraint("term_end > term_start", name="term_runs_forward"),
    )

    id: Mapped[int] = identity()
    policy_id: Mapped[int] = mapped_column(BigId, ForeignKey("policies.id"))
    number: Mapped[int]
    kind: Mapped[TransactionKind] = mapped_column(words(TransactionKind))
    effective_on: Mapped[date]
    term_start: Mapped[date]
    term_end: Mapped[date]
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    reason: Mapped[str] = mapped_column(String(500), default="")
    product_version_id: Mapped[int] = mapped_column(BigId, ForeignKey("product_versions.id"))
    answers: Mapped[dict[str, Any]] = mapped_column(JSON)
    coverages: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    worksheet: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    premium_minor: Mapped[int] = mapped_column(BigId)
    tax_minor: Mapped[int] = mapped_column(BigId)
    fee_minor: Mapped[int] = mapped_column(BigId)
    commission_minor: Mapped[int] = mapped_column(BigId, default=0)
    currency: Mapped[str] = mapped_column(String(3))

    premium = money_of("premium_minor")


class PolicyTally(Base):
    """How many policies have a stored status. Kept by the database (migrations/tallies.py), never written here."""

    __tablename__ = "policy_tallies"

    status: Mapped[str] = mapped_column(String(30), primary_key=True)
    count: Mapped[int] = mapped_column(BigId)

"""The audit trail, what the overview counts, and how much the system is used."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select, union, union_all

from ..accounts.models import SignInSession, User
from ..billing.domain import DisbursementKind, DisbursementStatus
from ..billing.models import BillingAccount, Disbursement, Invoice
from ..claims.models import Claim
from ..core import clock
from ..core.audit import AuditEntry
from ..core.db import db
from ..core.errors import NotFound
from ..core.permissions import Actor
from ..core.settings import Setting
from ..customers import queries as customers
from ..customers.models import Customer
from ..documents.models import Document
from ..feedback.domain import FeedbackStatus
from ..feedback.models import Feedback
from ..jobs.models import JobRun
from ..payments.domain import PaymentStatus
from ..payments.models import Collection, Payment
from ..policies.models import Policy
from ..privacy.domain import ErasureStatus
from ..privacy.models import Erasure

SUBJECTS = {
    "users": "User",
    "customers": "Customer",
    "policies": "Policy",
    "invoices": "Invoice",
    "payments": "Payment",
    "clearings": "Clearing",
    "suspense_items": "Suspense item",
    "autopays": "Autopay",
    "claims": "Claim",
    "disbursements": "Disbursement",
    "feedback": "Feedback",
    "bank_batches": "Batch for the bank",
    "bank_statements": "Statement",
    "bank_lines": "Line of a statement",
    "billing_accounts": "Billing account",
    "outbox": "Mail",
    "product_versions": "Product",
    "settings": "Setting",
    "closed_months": "Books",
    "api_keys": "API key",
    "erasures": "Erasure",
    "access_reviews": "Access review",
}


def act(subject: str, action: str) -> str:
    """An act in words: "Policy: bind"."""
    return f"{SUBJECTS.get(subject, subject.replace('_', ' ').capitalize())}: {action.replace('_', ' ')}"


def event_rows(actor: Actor) -> Select:
    """What happened to policies, invoices, payments and claims in the actor's sight."""
    own = select(Customer.id).where(customers.sight(actor))
    accounts = select(BillingAccount.id).where(BillingAccount.customer_id.in_(own))
    in_sight = {
        "policies": select(Policy.id).where(Policy.customer_id.in_(own)),
        "invoices": select(Invoice.id).where(Invoice.account_id.in_(accounts)),
        "payments": select(Payment.id).where(Payment.account_id.in_(accounts)),
        "claims": select(Claim.id).where(Claim.customer_id.in_(own)),
    }
    statement = select(
        AuditEntry.id,
        AuditEntry.at,
        AuditEntry.actor_id,
        AuditEntry.action,
        AuditEntry.subject,
        AuditEntry.subject_id,
        AuditEntry.label,
    ).where(AuditEntry.subject.in_(in_sight))
    if actor.wide_sight:
        return statement
    # Each kind by the index on its subjects: a customer's few events are found in however long a trail.
    found = union_all(
        *(
            select(AuditEntry.id).where(AuditEntry.subject == subject, AuditEntry.subject_id.in_(ids))
            for subject, ids in in_sight.items()
        )
    )
    return statement.where(AuditEntry.id.in_(found))


WHO = case((AuditEntry.actor_name == "", func.coalesce(User.name, "")), else_=AuditEntry.actor_name)
"""Who did it: a customer's name is not in the trail, where it could not be erased, but with the user alone."""


def audit_rows(*, q: str = "", subject: str = "", subject_id: int | None = None) -> Select:
    """Audit entries for the list: all, those on one kind of record, or those on one record."""
    statement = select(
        AuditEntry.id,
        AuditEntry.at,
        WHO.label("actor_name"),
        AuditEntry.action,
        AuditEntry.subject,
        AuditEntry.label,
        AuditEntry.address,
    ).outerjoin(User, User.id == AuditEntry.actor_id)
    if q:
        columns = (func.lower(column) for column in (AuditEntry.label, WHO))
        statement = statement.where(or_(*(column.contains(q.lower(), autoescape=True) for column in columns)))
    if subject:
        statement = statement.where(AuditEntry.subject == subject)
    if subject_id is not None:
        statement = statement.where(AuditEntry.subject_id == subject_id)
    return statement


def get_entry(id: int) -> tuple[AuditEntry, str]:
    """One audit entry, and who did it."""
    found = db.session.execute(
        select(AuditEntry, WHO).outerjoin(User, User.id == AuditEntry.actor_id).where(AuditEntry.id == id)
    ).one_or_none()
    if found is None:
        raise NotFound("We cannot find that entry.")
    return found[0], found[1]


def audit_of(subject: str, subject_id: int, most: int = 20) -> list[Row]:
    """The latest acts on one record."""
    return list(
        db.session.execute(
            select(AuditEntry.id, AuditEntry.at, AuditEntry.action, WHO.label("actor_name"))
            .outerjoin(User, User.id == AuditEntry.actor_id)
            .where(AuditEntry.subject == subject, AuditEntry.subject_id == subject_id)
            .order_by(AuditEntry.id.desc())
            .limit(most)
        )
    )


def settings() -> dict[str, Setting]:
    """Every setting that was ever changed, by name: as it is now, not as this process has kept it."""
    return {setting.name: setting for setting in db.session.scalars(select(Setting))}


def hanging_on(customer: Customer) -> dict[str, int]:
    """What hangs on a customer, by what it is called: as long as there is anything, they are not deleted."""
    accounts = select(BillingAccount.id).where(BillingAccount.customer_id == customer.id)
    counted = {
        "policies and quotes": select(func.count()).where(Policy.customer_id == customer.id),
        "invoices": select(func.count()).where(Invoice.account_id.in_(accounts)),
        "payments": select(func.count()).where(Payment.account_id.in_(accounts)),
        "claims": select(func.count()).where(Claim.customer_id == customer.id),
        "documents": select(func.count()).where(Document.customer_id == customer.id),
    }
    row = db.session.execute(select(*(count.scalar_subquery() for count in counted.values()))).one()
    found = dict(zip(counted, row, strict=True)) | {"portal account": int(customer.user_id is not None)}
    return {what: count for what, count in found.items() if count}


def waiting() -> Row:
    """How much waits for somebody: customers without agent, feedback, refunds, debits, erasures; a failed backup."""
    unassigned = select(func.count()).where(Customer.agent_id.is_(None), Customer.active)
    unread = select(func.count()).where(Feedback.status == FeedbackStatus.NEW)
    refunds = select(func.count()).where(
        Disbursement.status == DisbursementStatus.REQUESTED, Disbursement.kind == DisbursementKind.REFUND
    )
    debits = (
        select(func.count())
        .select_from(Collection)
        .join(Payment, Payment.id == Collection.payment_id)
        .where(Collection.batch_number == "", Payment.status == PaymentStatus.PENDING)
    )
    last = select(func.max(JobRun.id)).where(JobRun.name == "backup").scalar_subquery()
    failed = select(JobRun.result).where(JobRun.id == last, JobRun.finished_at.is_(None))
    erasures = select(func.count()).where(Erasure.status == ErasureStatus.REQUESTED)
    return db.session.execute(
        select(
            unassigned.scalar_subquery().label("unassigned"),
            unread.scalar_subquery().label("feedback"),
            refunds.scalar_subquery().label("refunds"),
            debits.scalar_subquery().label("debits"),
            failed.scalar_subquery().label("failed_backup"),
            erasures.scalar_subquery().label("erasures"),
        )
    ).one()


# How much the system is used, by week

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Week:
    """What was done from a Monday to the Sunday after it. `converted` are those of its quotes that are bound by now."""

    monday: date
    active_users: int
    quotes: int
    converted: int
    bound: int
    claims: int
    feedback: int

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + WEEK - timedelta(days=1)

    @property
    def conversion(self) -> int | None:
        """How many percent of its quotes are bound by now; none where there were no quotes."""
        return round(100 * self.converted / self.quotes) if self.quotes else None


def usage(today: date, weeks: int = 12) -> list[Week]:
    """The weeks where the business is, up to the one that has today in it."""
    this_monday = today - timedelta(days=today.weekday())
    mondays = [this_monday - WEEK * back for back in range(weeks)][::-1]
    days = [*mondays, this_monday + WEEK]
    instants = [datetime.combine(day, time.min, clock.zone()) for day in days]
    active = _active_users(instants)
    quotes = _by_week(Policy.created_at, instants)
    converted = _by_week(Policy.created_at, instants, Policy.bound_at.is_not(None))
    bound = _by_week(Policy.bound_at, instants)
    claims = _by_week(Claim.notified_on, days)
    feedback = _by_week(Feedback.created_at, instants)
    return [
        Week(monday, active[n], quotes[n], converted[n], bound[n], claims[n], feedback[n])
        for n, monday in enumerate(mondays)
    ]


def _active_users(edges: Sequence[datetime]) -> Counter[int]:
    """How many users were signed in in each week. A session counts where it began and where it was last in use: it
    lasts half a day, so there is no week between.
    """
    weeks = union(
        *(
            select(SignInSession.user_id, _week(column, edges).label("week")).where(_within(column, edges))
            for column in (SignInSession.created_at, SignInSession.seen_at)
        )
    ).subquery()
    return Counter(dict(db.session.execute(select(weeks.c.week, func.count()).group_by(weeks.c.week)).all()))


def _by_week(column: Any, edges: Sequence[date], *conditions: ColumnElement[bool]) -> Counter[int]:
    """How many rows have their day or instant in each week; weeks are known by their place."""
    week = _week(column, edges)
    rows = db.session.execute(select(week, func.count()).where(_within(column, edges), *conditions).group_by(week))
    return Counter(dict(rows.all()))


def _within(column: Any, edges: Sequence[date]) -> ColumnElement[bool]:
    return and_(column >= edges[0], column < edges[-1])


def _week(column: Any, edges: Sequence[date]) -> ColumnElement[int]:
    """The place of the week in SQL. `edges` are where the weeks begin, and where the last one ends."""
    return case(*((column < end, place) for place, end in enumerate(edges[1:])))

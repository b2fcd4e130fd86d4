"""Requests to erase a person, what hinders one, and what it would touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Date, Row, Select, String, cast, func, literal, null, or_, select, union_all
from sqlalchemy.orm import aliased

from ...accounts.models import ApiKey, Passkey, SignInSession, User
from ...billing.domain import DisbursementKind, DisbursementStatus
from ...billing.models import OPEN, BillingAccount, Disbursement, Invoice
from ...claims.domain import UNDECIDED, ClaimStatus
from ...claims.models import Attachment, Claim
from ...core.db import db
from ...core.errors import NotFound
from ...core.outbox import Mail
from ...core.permissions import Role
from ...customers.models import Customer
from ...documents.models import Document
from ...feedback.models import Feedback
from ...payments.domain import WAITING
from ...payments.models import Payment
from ...policies.domain import PolicyStatus
from ...policies.models import Policy, PolicyTransaction, status_on
from ..domain import ErasureStatus, Hindrance, hindrance
from ..models import Erasure

NOBODY = 0
OPEN_CLAIMS = (ClaimStatus.DRAFT, *UNDECIDED, ClaimStatus.APPROVED)
ON_ITS_WAY = (DisbursementStatus.REQUESTED, DisbursementStatus.APPROVED, DisbursementStatus.SENT)


def accounts_of(customer: Customer) -> Select[Any]:
    """The billing accounts of a customer."""
    return select(BillingAccount.id).where(BillingAccount.customer_id == customer.id)


@dataclass(frozen=True)
class Person:
    """A customer with the user that they sign in as, and the addresses that are theirs alone.

    Two in a family may share one: what was sent there cannot be told apart, and is neither's.
    """

    customer: Customer
    user: User | None
    addresses: Sequence[str]

    @property
    def user_id(self) -> int:
        """The user's id; one that nobody has where there is none, so that no condition finds others' records."""
        return self.customer.user_id or NOBODY


def person(customer: Customer) -> Person:
    """The person that a customer is."""
    user = db.session.get(User, customer.user_id) if customer.user_id else None
    addresses = {address for address in (customer.email, user and user.email) if address}
    others = select(Customer.email).where(Customer.email.in_(addresses), Customer.id != customer.id)
    shared = set(db.session.scalars(others)) if addresses else set()
    return Person(customer, user, sorted(addresses - shared))


def mails_of(person: Person) -> Any:
    """The condition for mails to a person or with documents of theirs."""
    documents = select(Document.id).where(Document.customer_id == person.customer.id)
    return or_(Mail.recipient.in_(person.addresses), Mail.document_id.in_(documents))


def feedback_of(person: Person) -> Any:
    """The condition for what a person said about pages, signed in or not."""
    return or_(Feedback.user_id == person.user_id, Feedback.email.in_(person.addresses))


def hindrances(customer: Customer, today: date) -> list[str]:
    """What keeps a person from being erased, in words: cover, open claims, a balance, money on its way."""
    accounts = accounts_of(customer)
    later = aliased(Disbursement)
    owed = or_(
        Disbursement.status == DisbursementStatus.RETURNED,
        (Disbursement.status == DisbursementStatus.CANCELLED) & (Disbursement.kind == DisbursementKind.CLAIM),
    )
    not_replaced = ~select(later.id).where(later.replaces_id == Disbursement.id).exists()
    policy_of_payment = select(BillingAccount.policy_number).where(BillingAccount.id == Payment.account_id)
    found = union_all(
        _of(Hindrance.COVER, Policy.number, Policy.end_on).where(
            Policy.customer_id == customer.id, status_on(today).in_((PolicyStatus.PENDING, PolicyStatus.ACTIVE))
        ),
        _of(Hindrance.CLAIM, func.coalesce(Claim.number, "")).where(
            Claim.customer_id == customer.id, Claim.status.in_(OPEN_CLAIMS)
        ),
        _of(Hindrance.INVOICE, Invoice.number).where(Invoice.account_id.in_(accounts), Invoice.status.in_(OPEN)),
        _of(Hindrance.CREDIT, BillingAccount.policy_number).where(
            BillingAccount.customer_id == customer.id, BillingAccount.credit_minor > 0
        ),
        _of(Hindrance.PAYMENT, policy_of_payment.scalar_subquery()).where(
            Payment.account_id.in_(accounts), Payment.status.in_(WAITING)
        ),
        _of(Hindrance.PAYOUT, Disbursement.reason).where(
            Disbursement.customer_id == customer.id, or_(Disbursement.status.in_(ON_ITS_WAY), owed & not_replaced)
        ),
        _of(Hindrance.STAFF, User.name).where(User.id == customer.user_id, User.role != Role.CUSTOMER),
    )
    rows = db.session.execute(found).all()
    return [hindrance(Hindrance(kind), name, until) for kind, name, until in rows]


def _of(kind: Hindrance, name: Any, until: Any = None) -> Select[Any]:
    day = cast(null(), Date) if until is None else until
    return select(literal(kind.value, String), name, day)


def last_business(customer: Customer) -> date:
    """The last day on which anything happened that must be kept: cover, a document, a payment, a claim."""
    accounts = accounts_of(customer)
    days: Any = union_all(
        select(func.max(Policy.end_on)).where(Policy.customer_id == customer.id, Policy.bound_at.is_not(None)),
        select(func.max(PolicyTransaction.effective_on))
        .join(Policy, Policy.id == PolicyTransaction.policy_id)
        .where(Policy.customer_id == customer.id),
        select(func.max(Document.issued_on)).where(Document.customer_id == customer.id),
        select(func.max(Payment.paid_on)).where(Payment.account_id.in_(accounts)),
        select(func.max(Disbursement.settled_on)).where(Disbursement.customer_id == customer.id),
        select(func.max(Claim.notified_on)).where(Claim.customer_id == customer.id),
    )
    return max((day for day in db.session.scalars(days) if day), default=customer.created_at.date())


def touched(person: Person) -> Row:
    """How much an erasure would destroy, and how much it would keep."""
    customer, user_id = person.customer, person.user_id
    counted = {
        "quotes": select(func.count()).where(Policy.customer_id == customer.id, Policy.bound_at.is_(None)),
        "mails": select(func.count()).where(mails_of(person), Mail.cleared_at.is_(None)),
        "feedback": select(func.count()).where(feedback_of(person)),
        "sessions": select(func.count()).where(SignInSession.user_id == user_id),
        "keys": select(func.count()).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)),
        "passkeys": select(func.count()).where(Passkey.user_id == user_id),
        "policies": select(func.count()).where(Policy.customer_id == customer.id, Policy.bound_at.is_not(None)),
        "documents": select(func.count()).where(Document.customer_id == customer.id),
        "claims": select(func.count()).where(Claim.customer_id == customer.id),
        "files": select(func.count())
        .select_from(Attachment)
        .join(Claim, Claim.id == Attachment.claim_id)
        .where(Claim.customer_id == customer.id),
    }
    return db.session.execute(select(*(count.scalar_subquery().label(name) for name, count in counted.items()))).one()


def erasure_rows(*, q: str = "", status: str = "") -> Select:
    """Requests for the list."""
    asked, decided = aliased(User), aliased(User)
    statement = (
        select(
            Erasure.id,
            Erasure.status,
            Erasure.requested_at,
            Erasure.decided_at,
            Customer.name,
            Customer.number,
            asked.name.label("requested_by"),
            decided.name.label("decided_by"),
        )
        .join(Customer, Customer.id == Erasure.customer_id)
        .outerjoin(asked, asked.id == Erasure.requested_by_id)
        .outerjoin(decided, decided.id == Erasure.decided_by_id)
    )
    if q:
        statement = statement.where(Customer.number == q.upper())
    if status:
        statement = statement.where(Erasure.status == ErasureStatus(status))
    return statement


def get_erasure(id: int) -> tuple[Erasure, Customer, str, str]:
    """One request, whom it is about, and the names of who asked and who decided."""
    asked, decided = aliased(User), aliased(User)
    row = db.session.execute(
        select(Erasure, Customer, func.coalesce(asked.name, "System"), func.coalesce(decided.name, ""))
        .join(Customer, Customer.id == Erasure.customer_id)
        .outerjoin(asked, asked.id == Erasure.requested_by_id)
        .outerjoin(decided, decided.id == Erasure.decided_by_id)
        .where(Erasure.id == id)
    ).first()
    if row is None:
        raise NotFound("We cannot find that request.")
    return row[0], row[1], row[2], row[3]


def find_waiting(customer_id: int) -> Erasure | None:
    """The request about a customer that waits for a decision."""
    waiting = select(Erasure).where(Erasure.customer_id == customer_id, Erasure.status == ErasureStatus.REQUESTED)
    return db.session.scalar(waiting)


def find_by_number(number: str) -> Customer:
    """The customer with a number, for commands."""
    customer = db.session.scalar(select(Customer).where(Customer.number == number.upper()))
    if customer is None:
        raise NotFound(f"There is no customer {number}.")
    return customer

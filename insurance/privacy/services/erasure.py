"""Erasing a person: asked for by them or by staff, approved by somebody else, done at once.

Who they were is cleared or pseudonymised; money, contracts and claims stay for as long as the law asks, without a name.
"""

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ...accounts import services as accounts
from ...accounts.models import (
    ApiKey,
    AuthenticatorApp,
    KeptForm,
    Link,
    Passkey,
    RecoveryCode,
    SignInSession,
    SignInTry,
    User,
)
from ...api.models import KeptAnswer
from ...billing.models import BillingAccount, Mandate
from ...core import audit, clock, person_keys
from ...core.db import add, db, lock, transactional
from ...core.errors import Conflict, NotAllowed, NotFound, RuleBroken
from ...core.outbox import Mail, MailStatus
from ...core.permissions import Actor, Role, check_may
from ...customers import queries as customer_queries
from ...customers import services as customers
from ...customers.models import Customer
from ...documents import services as documents
from ...feedback.models import Feedback
from ...payments.models import Autopay, GatewayEvent, Payment
from ...policies.models import Policy
from ..domain import ERASURE_LIFECYCLE, keep_until
from ..models import Erasure
from ..queries import erasure as queries
from ..queries.erasure import Person
from .retention import clear_payloads, delete_quotes, forget

ERASED = "Erased at the person's request."


@transactional
def request(*, customer_id: int, reason: str = "", actor: Actor) -> Erasure:
    """Ask for a person to be erased; somebody else decides. Refused while anything hinders it."""
    check_may(actor, "privacy:ask_erasure" if actor.role is Role.CUSTOMER else "privacy:request_erasure")
    customer = lock(Customer, customer_queries.get_customer(customer_id, actor).id)
    _check_can_be_erased(customer)
    try:
        erasure = add(
            Erasure(
                customer_id=customer.id,
                status=ERASURE_LIFECYCLE.initial,
                reason=reason,
                requested_at=clock.now(),
                requested_by_id=actor.id,
            )
        )
    except IntegrityError:
        raise Conflict("A request to erase this person waits for a decision already.") from None
    audit.record("request", erasure, label=customer.number, actor=actor)
    return erasure


def approve(*, erasure_id: int, version: int | None = None, actor: Actor) -> Erasure:
    """Erase the person of a request."""
    erasure = _approve(erasure_id, version, actor)
    documents.remove_deleted()
    return erasure


@transactional
def _approve(erasure_id: int, version: int | None, actor: Actor) -> Erasure:
    erasure, customer = _decide(erasure_id, "approve", version, actor)
    if erasure.requested_by_id == actor.id:
        raise NotAllowed("You asked for this erasure. Somebody else must approve it.")
    _check_can_be_erased(customer)
    person = queries.person(customer)
    customers.erase(customer, keep_until=keep_until(queries.last_business(customer)))
    _end_collection(customer)
    person_keys.destroy(customer.id)
    _forget_words(person)
    if person.user:
        _forget_user(person.user, customer.name)
    audit.record("erase", customer, label=customer.number, actor=actor, keep_until=customer.keep_until)
    return erasure


@transactional
def decline(*, erasure_id: int, note: str, version: int | None = None, actor: Actor) -> Erasure:
    """Leave a person as they are, and say why."""
    if not note:
        raise RuleBroken("Say why.", "note")
    erasure, _ = _decide(erasure_id, "decline", version, actor)
    erasure.note = note
    return erasure


def _decide(erasure_id: int, action: str, version: int | None, actor: Actor) -> tuple[Erasure, Customer]:
    """The one place that moves a status."""
    check_may(actor, "privacy:erase")
    found = db.session.get(Erasure, erasure_id)
    if found is None:
        raise NotFound("We cannot find that request.")
    customer = lock(Customer, found.customer_id)
    erasure = lock(Erasure, erasure_id)
    if version is not None and erasure.version != version:
        raise Conflict("Somebody else has decided about this request meanwhile.")
    before, erasure.status = erasure.status, ERASURE_LIFECYCLE.next(erasure.status, action)
    erasure.decided_at, erasure.decided_by_id = clock.now(), actor.id
    erasure.version += 1
    audit.record(action, erasure, label=customer.number, actor=actor, before={"status": before}, status=erasure.status)
    return erasure, customer


def _check_can_be_erased(customer: Customer) -> None:
    if customer.erased_at:
        raise Conflict("This person is erased already.")
    if hindrances := queries.hindrances(customer, clock.today()):
        raise Conflict(f"This cannot be erased yet. {' '.join(hindrances)}")


def _end_collection(customer: Customer) -> None:
    """Nothing is collected any more by autopay or under a mandate."""
    accounts = queries.accounts_of(customer)
    db.session.execute(
        update(Autopay)
        .where(Autopay.account_id.in_(accounts))
        .values(active=False, payer_id="", method_id="", label="", ended_because=ERASED)
    )
    db.session.execute(
        update(Mandate)
        .where(Mandate.account_id.in_(accounts), Mandate.revoked_on.is_(None))
        .values(revoked_on=clock.today(), end_reason=ERASED)
    )


def _forget_words(person: Person) -> None:
    """Clear what was said to, by and about a person, and quotes that came to nothing."""
    customer, now = person.customer, clock.now()
    delete_quotes(
        db.session.scalars(select(Policy.id).where(Policy.customer_id == customer.id, Policy.bound_at.is_(None))).all()
    )
    db.session.execute(update(Policy).where(Policy.customer_id == customer.id).values(note=""))
    accounts = queries.accounts_of(customer)
    db.session.execute(
        update(BillingAccount).where(BillingAccount.customer_id == customer.id).values(holder_name=customer.name)
    )
    charges = select(Payment.charge_id).where(Payment.account_id.in_(accounts))
    clear_payloads(db.session.scalars(select(GatewayEvent.id).where(GatewayEvent.charge_id.in_(charges))).all())
    db.session.execute(update(Payment).where(Payment.account_id.in_(accounts)).values(note=""))
    mails = queries.mails_of(person)
    db.session.execute(
        update(Mail)
        .where(mails, Mail.status == MailStatus.DUE)
        .values(status=MailStatus.DEAD, leased_until=None, last_error=ERASED)
    )
    db.session.execute(update(Mail).where(mails).values(data={}, recipient="", cleared_at=now))
    feedback = queries.feedback_of(person)
    screenshots: Any = select(Feedback.file_id).where(feedback, Feedback.file_id.is_not(None))
    documents.delete_files(db.session.scalars(screenshots).all())
    db.session.execute(
        update(Feedback).where(feedback).values(text=ERASED, answer="", name="", email="", address="", file_id=None)
    )
    db.session.execute(delete(SignInTry).where(SignInTry.email.in_(person.addresses)))


def _forget_user(user: User, name: str) -> None:
    """End everything that a person signs in with, and forget who they were."""
    accounts.end_sessions(user.id)
    now = clock.now()
    own: list[Any] = [AuthenticatorApp, KeptAnswer, KeptForm, Link, Passkey, RecoveryCode]
    for model in own:
        db.session.execute(delete(model).where(model.user_id == user.id))
    db.session.execute(update(SignInSession).where(SignInSession.user_id == user.id).values(address="", browser=""))
    db.session.execute(
        update(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    )
    forget(user, name)


def erase_by_command(*, number: str, email: str, actor: Actor) -> Erasure:
    """For commands: approve the request that waits, or make one, in the name of an administrator."""
    customer = queries.find_by_number(number)
    approver = db.session.scalar(select(User).where(User.email == email.lower(), User.active))
    if approver is None or approver.role is not Role.ADMIN:
        raise RuleBroken(f"{email} is no administrator who can sign in.")
    waiting = queries.find_waiting(customer.id) or request(customer_id=customer.id, actor=actor)
    return approve(erasure_id=waiting.id, actor=approver.actor())

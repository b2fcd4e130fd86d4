"""Entering customers, keeping them up to date, inviting them, and linking them to their user."""

from datetime import date
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ..accounts import services as accounts
from ..accounts.models import LinkPurpose, User
from ..core import audit, clock, numbering, person_keys
from ..core.db import add, check_version, db, lock, transactional
from ..core.errors import Conflict, NotAllowed, RuleBroken
from ..core.idempotency import once
from ..core.permissions import Actor, Role, check_may
from . import queries
from .domain import search_form, words
from .models import Customer, CustomerKind, CustomerWord

CONTACT = ("email", "phone", "address")


@transactional
@once(Customer)
def create(
    *,
    name: str,
    kind: CustomerKind = CustomerKind.PERSON,
    email: str = "",
    phone: str = "",
    address: str = "",
    birth_on: date | None = None,
    actor: Actor,
) -> Customer:
    """Enter a customer; an agent's go into their own book."""
    check_may(actor, "customer:create")
    _check_birth(birth_on)
    customer = add(
        Customer(
            number=numbering.take("CUS"),
            kind=kind,
            name=name,
            search_name=search_form(name),
            email=email.lower(),
            phone=phone,
            address=address,
            birth_on=birth_on,
            agent_id=actor.id if actor.role is Role.AGENT else None,
            created_at=clock.now(),
        )
    )
    _index(customer)
    audit.record("create", customer, label=customer.number, actor=actor, person=customer.id, name=name)
    return customer


@transactional
def edit(*, customer_id: int, version: int | None = None, actor: Actor, **facts: Any) -> Customer:
    """Change facts about a customer. A customer changes their own contact facts only."""
    check_may(actor, "customer:edit_contact" if actor.role is Role.CUSTOMER else "customer:edit")
    if actor.role is Role.CUSTOMER and not set(facts) <= set(CONTACT):
        raise NotAllowed("You can change how we reach you. For anything else, call us.")
    customer = _lock_person(customer_id, actor)
    check_version(customer, version)
    _check_birth(facts.get("birth_on"))
    facts |= {"email": facts["email"].lower()} if "email" in facts else {}
    before = {key: getattr(customer, key) for key in facts}
    for key, value in facts.items():
        setattr(customer, key, value)
    customer.search_name = search_form(customer.name)
    _index(customer)
    customer.version += 1
    audit.record("edit", customer, label=customer.number, actor=actor, person=customer.id, before=before, **facts)
    return customer


@transactional
def transfer(*, customer_id: int, agent_id: int | None, actor: Actor) -> Customer:
    """Give a customer to another agent's book, or to none."""
    check_may(actor, "customer:transfer")
    customer = lock(Customer, queries.get_customer(customer_id, actor).id)
    agent = lock(User, agent_id) if agent_id else None
    if agent and (agent.role is not Role.AGENT or not agent.active):
        raise RuleBroken("Choose an agent who can sign in.", "agent_id")
    before = {"agent_id": customer.agent_id}
    customer.agent_id = agent_id
    customer.version += 1
    audit.record("transfer", customer, label=customer.number, actor=actor, before=before, agent_id=agent_id)
    return customer


@transactional
def set_active(*, customer_id: int, active: bool, actor: Actor) -> Customer:
    """Deactivate a customer, or take them back. What hangs on them stays."""
    check_may(actor, "customer:deactivate")
    customer = _lock_person(customer_id, actor)
    before, customer.active = {"active": customer.active}, active
    customer.version += 1
    audit.record("activate" if active else "deactivate", customer, label=customer.number, actor=actor, before=before)
    return customer


@transactional
def delete(*, customer_id: int, actor: Actor) -> None:
    """Delete a customer on whom nothing hangs, also from the trail; the database refuses one with a history."""
    check_may(actor, "customer:delete")
    customer = lock(Customer, queries.get_customer(customer_id, actor).id)
    if customer.user_id:
        raise Conflict("This customer has a portal account, which would lead nowhere. Deactivate the customer instead.")
    audit.record("delete", customer, label=customer.number, actor=actor)
    person_keys.destroy(customer.id)
    db.session.execute(delete_rows(CustomerWord).where(CustomerWord.customer_id == customer.id))
    db.session.delete(customer)
    try:
        db.session.flush()
    except IntegrityError:
        raise Conflict("This customer has a history, which must be kept. Deactivate the customer instead.") from None


@transactional
def invite(*, customer_id: int, actor: Actor) -> User:
    """Mail a customer the invitation to the portal."""
    check_may(actor, "customer:invite")
    customer = _lock_person(customer_id, actor)
    if not customer.email:
        raise RuleBroken("Enter the customer's e-mail address first.", "email")
    if customer.user_id:
        raise Conflict("This customer has an account already.")
    user = accounts.invite(email=customer.email, name=customer.name, role=Role.CUSTOMER, actor=actor)
    customer.user_id = user.id
    audit.record("invite", customer, label=customer.number, actor=actor)
    return user


def confirm(*, link_id: int, browser: str = "", password: str = "") -> User:
    """Follow the link that confirms an address, in the browser that registered it or with the password chosen then.

    The user is then the customer whom staff have entered with that address, if there is exactly one, else a new one.
    """
    accounts.check_registered_here(link_id, browser=browser, password=password)
    return _confirm(link_id)


@transactional
def _confirm(link_id: int) -> User:
    user = accounts.confirm(link_id=link_id)
    _link(user)
    return user


def accept_invitation(*, link_id: int, password: str) -> User:
    """Set the first password with a mailed invitation."""
    return _accept(link_id, accounts.hash_chosen(password, link_id, LinkPurpose.INVITATION))


@transactional
def _accept(link_id: int, password_hash: str) -> User:
    user = accounts.set_password(link_id, LinkPurpose.INVITATION, password_hash)
    _link(user)
    return user


def _link(user: User) -> None:
    """Let a user in the customers' role be a customer: the one entered with their address, else a new one."""
    actor = user.actor()
    if user.role is not Role.CUSTOMER or queries.find_own(actor):
        return
    entered = db.session.scalars(select(Customer).where(Customer.email == user.email, Customer.user_id.is_(None))).all()
    customer = (
        entered[0]
        if len(entered) == 1
        else add(
            Customer(
                number=numbering.take("CUS"),
                name=user.name,
                search_name=search_form(user.name),
                email=user.email,
                created_at=clock.now(),
            )
        )
    )
    customer.user_id = user.id
    _index(customer)
    audit.record("link", customer, label=customer.number, actor=actor, user_id=user.id)


def _lock_person(customer_id: int, actor: Actor) -> Customer:
    """A customer to be changed, kept from others; whoever was erased stays so."""
    customer = lock(Customer, queries.get_customer(customer_id, actor).id)
    if customer.erased_at:
        raise Conflict("This person was erased. What the law asks for is kept as it is, and nothing is added.")
    return customer


@transactional
def erase(customer: Customer, *, keep_until: date) -> None:
    """Forget who a customer is, as a part of their erasure: the number stands for them from now on."""
    customer.name = f"Erased person {customer.number}"
    customer.email = customer.phone = customer.address = ""
    customer.birth_on = None
    customer.active = False
    customer.erased_at, customer.keep_until = clock.now(), keep_until
    customer.search_name = search_form(customer.name)
    customer.version += 1
    _index(customer)


def _index(customer: Customer) -> None:
    """Let a customer be found by the words of their name and by their address."""
    db.session.execute(delete_rows(CustomerWord).where(CustomerWord.customer_id == customer.id))
    db.session.add_all(
        CustomerWord(word=word, customer_id=customer.id) for word in words(customer.name, customer.email)
    )


def _check_birth(birth_on: date | None) -> None:
    if birth_on and birth_on > clock.today():
        raise RuleBroken("The date of birth must be in the past.", "birth_on")

"""What tests need to exist: made by the services, with no more said than the test is about."""

from datetime import date
from itertools import count
from typing import Any

from flask import current_app
from flask.testing import FlaskClient

from insurance.accounts import services as accounts
from insurance.accounts.models import User
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import Invoice
from insurance.core import clock
from insurance.core.db import add, db, transaction
from insurance.core.money import Money
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.customers import services as customers
from insurance.customers.models import Customer
from insurance.policies import services as policies
from insurance.policies.models import Policy

_next = count(1)

SYSTEM_ACTOR = SYSTEM


def user(role: Role | str = Role.AGENT, *, password_hash: str | None = None, **facts: Any) -> Actor:
    """A user who can sign in, as an actor. Passwords are not hashed, which would take longer than the test."""
    number = next(_next)
    facts = {
        "email": f"{role}{number}@example.com",
        "name": f"{str(role).capitalize()} {number}",
        "authority_minor": 0 if role == Role.CUSTOMER else 10_000_00,
        **facts,
    }
    with transaction():
        row = add(
            User(
                role=Role(role),
                password_hash=password_hash,
                confirmed_at=clock.now(),
                created_at=clock.now(),
                **facts,
            )
        )
        return row.actor()


def signed_in(client: FlaskClient, actor: Actor) -> FlaskClient:
    """The browser with a session of the actor, made without a password."""
    assert actor.id is not None
    token = accounts.open_session(user_id=actor.id, address="127.0.0.1", browser="test")
    client.set_cookie(current_app.config["SIGN_IN_COOKIE_NAME"], token)
    return client


def browser(actor: Actor) -> FlaskClient:
    """A browser of its own, signed in as the actor."""
    return signed_in(current_app.test_client(), actor)


def customer(*, agent: Actor | None = None, user: Actor | None = None, **facts: Any) -> Customer:
    """A person of 40 in an agent's book, with an e-mail address."""
    number = next(_next)
    facts = {
        "name": f"Customer {number}",
        "email": user.email if user else f"customer{number}@example.com",
        "birth_on": date(1986, 1, 1),
        **facts,
    }
    made = customers.create(**facts, actor=agent or SYSTEM)
    with transaction():
        made = db.session.get_one(Customer, made.id)
        made.agent_id = agent.id if agent else None
        made.user_id = user.id if user else None
    return made


def quote(
    *,
    customer: Customer | None = None,
    coverage: str = "100000.00",
    policy_type: str = "comprehensive",
    start_on: date | None = None,
    last_day_on: date | None = None,
    actor: Actor = SYSTEM,
) -> Policy:
    """A quote of the standard product: 2,400.00 a year for a person of 40."""
    customer = customer or globals()["customer"]()
    return policies.quote(
        customer_id=customer.id,
        policy_type=policy_type,
        coverage=Money.parse(coverage, "USD"),
        start_on=start_on or clock.today(),
        last_day_on=last_day_on,
        actor=actor,
    )


def bound_policy(*, plan: PaymentPlan = PaymentPlan.ANNUAL, actor: Actor = SYSTEM, **facts: Any) -> Policy:
    """A policy that is bound today; cover starts today unless said otherwise."""
    return policies.bind(policy_id=quote(actor=actor, **facts).id, plan=plan, actor=actor)


def first_invoice(policy: Policy) -> Invoice:
    """The invoice issued when the policy was bound."""
    return db.session.query(Invoice).filter_by(account_id=policy.account_id).order_by(Invoice.id).first()  # type: ignore[return-value]

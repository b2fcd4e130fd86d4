"""Policies, as far as the actor may see them."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, Select, String, bindparam, case, cast, func, select, union_all

from ..core import clock
from ..core.db import db, fetch
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from ..products.models import Product, ProductVersion
from .domain import PolicyStatus
from .models import Policy, PolicyTally, PolicyTransaction, has_status, overtaken, status_on


def policy_rows(
    actor: Actor, day: date, *, q: str = "", status: str = "", customer_id: int | None = None, ending_within: int = 0
) -> Select:
    """Policies for lists, with their status on a day."""
    statement = (
        select(
            Policy.id,
            Policy.number,
            Policy.customer_id,
            Customer.name.label("customer_name"),
            Customer.search_name,
            Product.name.label("product_name"),
            Policy.policy_type,
            Policy.start_on,
            Policy.end_on,
            Policy.premium_minor,
            Policy.coverage_minor,
            Policy.currency,
            status_on(day).label("status"),
        )
        .join(Customer, Customer.id == Policy.customer_id)
        .join(ProductVersion, ProductVersion.id == Policy.product_version_id)
        .join(Product, Product.id == ProductVersion.product_id)
        .where(customers.sight(actor))
    )
    if q:
        of_customer = select(Policy.id).join(Customer, Customer.id == Policy.customer_id)
        numbered = (select(Policy.id), Policy.number), (of_customer, Customer.number)
        statement = statement.where(customers.matches(q, Policy.id, *numbered))
    if status:
        statement = statement.where(has_status(PolicyStatus(status), day))
    if customer_id:
        statement = statement.where(Policy.customer_id == customer_id)
    if ending_within:
        statement = statement.where(
            has_status(PolicyStatus.ACTIVE, day), Policy.end_on <= day + timedelta(days=ending_within)
        )
    return statement


def get_policy(id: int, actor: Actor) -> Policy:
    """One policy in sight."""
    policy = db.session.scalar(_in_sight(actor, Policy).where(Policy.id == id))
    if policy is None:
        raise NotFound("We cannot find that policy.")
    return policy


def find_some(q: str, actor: Actor, day: date, most: int = 20) -> list[Row]:
    """The first few policies that a search finds, the newest first."""
    return list(db.session.execute(policy_rows(actor, day, q=q).order_by(Policy.id.desc()).limit(most)))


def cards(actor: Actor, day: date, limit: int) -> list[Row]:
    """The actor's own policies for the portal: what runs or starts comes first, then the latest."""
    status = status_on(day)
    rows = db.session.execute(
        policy_rows(actor, day)
        .order_by(case((status.in_((PolicyStatus.ACTIVE, PolicyStatus.PENDING)), 0), else_=1), Policy.id.desc())
        .limit(limit)
    )
    return list(rows)


def transactions(policy_id: int) -> list[PolicyTransaction]:
    """A policy's transactions, the oldest first."""
    return list(
        db.session.scalars(
            select(PolicyTransaction).where(PolicyTransaction.policy_id == policy_id).order_by(PolicyTransaction.number)
        )
    )


def id_of_account(account_id: int) -> int | None:
    """The policy that a billing account is for."""
    return db.session.scalar(select(Policy.id).where(Policy.account_id == account_id))


def notice_days(account_ids: Sequence[int], day: date) -> dict[int, int]:
    """Of some billing accounts, those whose policy is in force, and the days its notice of cancellation must run."""
    rows = db.session.execute(
        select(Policy.account_id, ProductVersion.definition)
        .join(ProductVersion, ProductVersion.id == Policy.product_version_id)
        .where(Policy.account_id.in_(account_ids), has_status(PolicyStatus.ACTIVE, day))
    )
    return {account_id: definition["notice_days"] for account_id, definition in rows if account_id is not None}


_TERM = PolicyTransaction.policy_id, PolicyTransaction.term_start, PolicyTransaction.term_end
_TERMS = (
    select(*_TERM, PolicyTransaction.currency, func.sum(PolicyTransaction.premium_minor).label("premium_minor"))
    .where(PolicyTransaction.policy_id.in_(bindparam("policy_ids", expanding=True)))
    .group_by(*_TERM, PolicyTransaction.currency)
    .order_by(*_TERM)
)


def terms(policy_ids: Sequence[int]) -> Sequence[Row]:
    """The terms of some policies that are in sight already, in order, with what their transactions come to."""
    if not policy_ids:
        return []
    return fetch(_TERMS, policy_ids=policy_ids)


def counts(actor: Actor, day: date) -> Counter[PolicyStatus]:
    """How many policies in sight have each status on a day."""
    status = status_on(day)
    if not actor.wide_sight:
        return Counter(dict(db.session.execute(_in_sight(actor, status, func.count()).group_by(status)).all()))
    # Of the whole book: as stored, less those whose day has come since, which now are something else.
    stored = select(PolicyTally.status, PolicyTally.count)
    moved = select(cast(Policy.status, String), -func.count()).where(overtaken(day)).group_by(Policy.status)
    became = select(cast(status, String), func.count()).where(overtaken(day)).group_by(status)
    counted: Counter[PolicyStatus] = Counter()
    for word, count in db.session.execute(union_all(stored, moved, became)):
        counted[PolicyStatus(word)] += count
    return counted


def count_ending(actor: Actor, day: date, days: int) -> int:
    """How many policies in sight are in force on a day and end within so many days."""
    ending = has_status(PolicyStatus.ACTIVE, day) & (Policy.end_on <= day + timedelta(days=days))
    return db.session.scalar(_in_sight(actor, func.count()).where(ending)) or 0


def _in_sight(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(Policy)
        .join(Customer, Customer.id == Policy.customer_id)
        .where(customers.sight(actor))
    )


def written_by_month(actor: Actor, first: date, currency: str) -> dict[str, Money]:
    """The premium of the transactions recorded in each month since `first`, by "2026-11"."""
    rows = db.session.execute(
        select(PolicyTransaction.recorded_at, PolicyTransaction.premium_minor)
        .join(Policy, Policy.id == PolicyTransaction.policy_id)
        .join(Customer, Customer.id == Policy.customer_id)
        .where(
            customers.sight(actor),
            PolicyTransaction.currency == currency,
            PolicyTransaction.recorded_at >= datetime.combine(first, time.min, clock.zone()),
        )
    )
    written: dict[str, Money] = {}
    for recorded_at, minor in rows:
        month = recorded_at.astimezone(clock.zone()).strftime("%Y-%m")
        written[month] = written.get(month, Money.zero(currency)) + Money(minor, currency)
    return written

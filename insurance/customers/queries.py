"""Customers, as far as the actor may see them."""

from datetime import date

from sqlalchemy import ColumnElement, Select, or_, select, true

from ..accounts.models import User
from ..core.db import db
from ..core.errors import NotFound
from ..core.permissions import Actor, Role
from .domain import search_form, similar
from .models import Customer


def sight(actor: Actor) -> ColumnElement[bool]:
    """The condition on Customer under which records are in the actor's sight: every query of every feature has it."""
    if actor.role is Role.CUSTOMER:
        return Customer.user_id == actor.id
    return true() if actor.wide_sight else Customer.agent_id == actor.id


def matches(q: str) -> ColumnElement[bool]:
    """The condition for a search by number, name or e-mail."""
    plain = search_form(q)
    return or_(
        Customer.number == q.upper(),
        Customer.search_name.like(f"%{_literal(plain)}%", escape="\\"),
        Customer.email.like(f"{_literal(q.lower())}%", escape="\\"),
    )


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def customer_rows(actor: Actor, *, q: str = "", status: str = "") -> Select:
    """Customers for the list."""
    statement = (
        select(
            Customer.id,
            Customer.number,
            Customer.name,
            Customer.search_name,
            Customer.email,
            Customer.phone,
            Customer.active,
            Customer.created_at,
            User.name.label("agent_name"),
        )
        .outerjoin(User, User.id == Customer.agent_id)
        .where(sight(actor))
    )
    if q:
        statement = statement.where(matches(q))
    if status:
        statement = statement.where(Customer.active if status == "active" else ~Customer.active)
    return statement


def find_some(q: str, actor: Actor, most: int = 20) -> list[Customer]:
    """The first few customers that a search finds."""
    return list(
        db.session.scalars(select(Customer).where(sight(actor), matches(q)).order_by(Customer.search_name).limit(most))
    )


def get_customer(id: int, actor: Actor) -> Customer:
    """One customer in sight."""
    customer = db.session.scalar(select(Customer).where(Customer.id == id, sight(actor)))
    if customer is None:
        raise NotFound("We cannot find that customer.")
    return customer


def find_own(actor: Actor) -> Customer | None:
    """The customer that the actor is, if they are one."""
    return db.session.scalar(select(Customer).where(Customer.user_id == actor.id))


def duplicates(*, name: str, email: str, birth_on: date | None, but: int | None = None) -> list[Customer]:
    """Customers who may be the same: the same e-mail, or the same birth date and a similar name. Whoever owns them."""
    same = [Customer.email == email] if email else []
    if birth_on:
        same.append(Customer.birth_on == birth_on)
    if not same:
        return []
    found = db.session.scalars(select(Customer).where(or_(*same), Customer.id != (but or 0)).limit(50))
    return [other for other in found if (email and other.email == email) or similar(name, other.name)]

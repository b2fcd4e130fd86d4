"""Customers, as far as the actor may see them."""

import re
import sys
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, true, union_all

from ..accounts.models import User
from ..core.db import db
from ..core.errors import NotFound
from ..core.permissions import Actor, Role
from .domain import search_form, similar
from .models import Customer, CustomerWord

NUMBER = re.compile("[A-Za-z]{3}-[0-9]{4}-[0-9]{6,}")
"""How the numbers of all records look."""


def sight(actor: Actor) -> ColumnElement[bool]:
    """The condition on Customer under which records are in the actor's sight: every query of every feature has it."""
    if actor.role is Role.CUSTOMER:
        return Customer.user_id == actor.id
    return true() if actor.wide_sight else Customer.agent_id == actor.id


Numbered = tuple[Select[Any], Any]
"""The ids of some records with the column of the number that they are found by."""


def matches(q: str, key: Any, *numbered: Numbered) -> ColumnElement[bool]:
    """The condition for a search: by a number, in one of several columns, or else by name or e-mail.

    Each word that is searched for begins one of the customer's. Numbers are looked up one by one: a condition with
    "or" over several tables would read all of them.
    """
    if NUMBER.fullmatch(q):
        return key.in_(union_all(*(ids.where(column == q.upper()) for ids, column in numbered)))
    return and_(*(Customer.id.in_(_beginning(word)) for word in search_form(q).split()))


def _beginning(word: str) -> Select[Any]:
    return select(CustomerWord.customer_id).where(
        CustomerWord.word >= word, CustomerWord.word < word + chr(sys.maxunicode)
    )


def _own_number(q: str) -> ColumnElement[bool]:
    return matches(q, Customer.id, (select(Customer.id), Customer.number))


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
        statement = statement.where(_own_number(q))
    if status:
        statement = statement.where(Customer.active if status == "active" else ~Customer.active)
    return statement


def find_some(q: str, actor: Actor, most: int = 20) -> list[Customer]:
    """The first few customers that a search finds."""
    return list(
        db.session.scalars(
            select(Customer).where(sight(actor), _own_number(q)).order_by(Customer.search_name).limit(most)
        )
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

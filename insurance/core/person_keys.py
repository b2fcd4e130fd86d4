"""A key for each customer, itself sealed under the ring: what is personal and cannot be changed is sealed with it.

Rotating the ring seals the keys anew and touches nothing that they seal, not even rows that the database has frozen.
Whoever destroys a key erases all that hangs on it, also where it was written once and in every copy of it.
"""

import hashlib
import os
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Dialect, ForeignKey, String, Text, delete, func, select, type_coerce
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from . import encryption
from .db import INSERT, Base, BigId, db, transactional
from .encryption import seal_with, unseal_with

ERASED = "erased"
"""What is read where the key was destroyed."""
PURPOSE = "person key"


class PersonKey(Base):
    """What a customer's data are sealed with. A customer has one from the first time on that something is sealed."""

    __tablename__ = "person_keys"

    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"), primary_key=True, autoincrement=False)
    sealed: Mapped[str] = mapped_column(String(200))


def new() -> str:
    """A fresh key, sealed under the ring."""
    return encryption.seal(os.urandom(32).hex(), PURPOSE)


def seal(customer_id: int, plain: str, place: str) -> str:
    """A text sealed for a place under a customer's key, which is made if there is none; nothing stays nothing."""
    if not plain:
        return ""
    key = load([customer_id]).get(customer_id)
    if key is None:
        made: Any = INSERT[db.engine.dialect.name](PersonKey).values(customer_id=customer_id, sealed=new())
        db.session.execute(made.on_conflict_do_nothing())  # of two who make one at once, one is first
        key = load([customer_id])[customer_id]
    return sealed_under(key, plain, place)


def sealed_under(key: str, plain: str, place: str) -> str:
    """A text sealed for a place under a person's key as it is stored."""
    return seal_with(_named(key), plain.encode(), place)


def unseal(key: str | None, sealed: str, place: str) -> str:
    """The text that was sealed under a person's key as it is stored; ERASED, if the key that it was is no more."""
    if not sealed:
        return ""
    keys = _named(key) if key else {}
    if sealed.partition(":")[0] not in keys:
        return ERASED
    return unseal_with(keys, sealed, place).decode()


def load(customer_ids: Collection[int]) -> Mapping[int, str]:
    """The keys of some customers as they are stored, in one query."""
    if not customer_ids:
        return {}
    rows = db.session.execute(
        select(PersonKey.customer_id, PersonKey.sealed).where(PersonKey.customer_id.in_(customer_ids))
    )
    return {row.customer_id: row.sealed for row in rows}


@transactional
def destroy(customer_id: int) -> None:
    """Make unreadable, for good, what is sealed under a customer's key. What comes later gets a key of its own."""
    db.session.execute(delete(PersonKey).where(PersonKey.customer_id == customer_id))


def _named(key: str) -> dict[str, bytes]:
    """A key by its name, which is made of it: a text tells whether it hangs on this key or on one that is no more."""
    raw = bytes.fromhex(encryption.unseal(key, PURPOSE))
    return {hashlib.sha256(raw).hexdigest()[:12]: raw}


def of_user(user_id: int) -> int | None:
    """The customer who is a user, if one is: what is noted of the user hangs on their key."""
    customers = Base.metadata.tables["customers"]
    return db.session.scalar(select(customers.c.id).where(customers.c.user_id == user_id))


# Columns


class _Opened(TypeDecorator):
    """Reads a person's key and what it seals, one after the other, as the plain text."""

    impl = Text
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Open it."""
        if value is None:
            return None
        key, _, sealed = value.partition("|")
        return unseal(key, sealed, self.place)


def opened(sealed: Any, place: str, key: Any) -> ColumnElement[str]:
    """A sealed column as it is read: it brings its key along, so that a list needs no query for each row.

    `key` is the scalar subquery that finds the person's key.
    """
    return type_coerce(func.coalesce(key, "").concat("|").concat(sealed), _Opened(place))


def key_of(customer_id: Any) -> Any:
    """The key of the customer that a column names, for `opened`."""
    return select(PersonKey.sealed).where(PersonKey.customer_id == customer_id).scalar_subquery()

"""Customers: persons and organisations."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity, words


class CustomerKind(StrEnum):
    """What a customer is."""

    PERSON = "person"
    ORGANISATION = "organisation"


WITH_USER = text("user_id IS NOT NULL")


class Customer(Base):
    """A policyholder, or somebody who may become one.

    Of a person who was erased, records that the law asks for are kept until the last day in `keep_until`.
    """

    __tablename__ = "customers"
    __table_args__ = (
        Index(None, "search_name", "id"),
        Index(None, "agent_id", "id"),
        # Without the many who have no user, the planner sees that a user's customer is found at once.
        Index(None, "user_id", unique=True, sqlite_where=WITH_USER, postgresql_where=WITH_USER),
    )

    id: Mapped[int] = identity()
    number: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[CustomerKind] = mapped_column(words(CustomerKind), default=CustomerKind.PERSON)
    name: Mapped[str] = mapped_column(String(200))
    search_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254), default="", index=True)
    phone: Mapped[str] = mapped_column(String(40), default="")
    address: Mapped[str] = mapped_column(Text, default="")
    birth_on: Mapped[date | None]
    agent_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    user_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    active: Mapped[bool] = mapped_column(Boolean(name="active"), default=True)
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    keep_until: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)


class CustomerWord(Base):
    """A word by whose beginning a customer is found."""

    __tablename__ = "customer_words"

    word: Mapped[str] = mapped_column(
        String(254).with_variant(String(254, collation="C"), "postgresql"), primary_key=True
    )
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"), primary_key=True, index=True)

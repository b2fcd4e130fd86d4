"""Customers: persons and organisations."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity, words


class CustomerKind(StrEnum):
    """What a customer is."""

    PERSON = "person"
    ORGANISATION = "organisation"


class Customer(Base):
    """A policyholder, or somebody who may become one."""

    __tablename__ = "customers"
    __table_args__ = (Index(None, "search_name", "id"), Index(None, "agent_id", "id"))

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
    user_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), unique=True)
    active: Mapped[bool] = mapped_column(Boolean(name="active"), default=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

"""Requests to erase a person, and reviews of who has access."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words
from .domain import ErasureStatus

WAITING = text("status = 'requested'")


class Erasure(Base):
    """A request to erase a person; one waits at a time. Whoever asked for it never approves it."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint(
            "status <> 'done' OR requested_by_id IS NULL OR decided_by_id <> requested_by_id", name="maker_not_checker"
        ),
        Index("uq_erasures_waiting", "customer_id", unique=True, sqlite_where=WAITING, postgresql_where=WAITING),
        Index(None, "requested_at", "id"),
    )

    id: Mapped[int] = identity()
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"))
    status: Mapped[ErasureStatus] = mapped_column(words(ErasureStatus), default=ErasureStatus.REQUESTED)
    reason: Mapped[str] = mapped_column(String(500), default="")
    requested_at: Mapped[datetime]
    requested_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    note: Mapped[str] = mapped_column(String(500), default="")
    version: Mapped[int] = mapped_column(default=1)


@append_only
class AccessReview(Base):
    """That somebody went through who has access, and what they noted."""

    __tablename__ = "access_reviews"

    id: Mapped[int] = identity()
    reviewed_at: Mapped[datetime]
    reviewed_by_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"))
    users: Mapped[int]
    flagged: Mapped[int]
    notes: Mapped[str] = mapped_column(Text)

"""Feedback from users and visitors."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity, words
from .domain import FeedbackKind, FeedbackStatus


class Feedback(Base):
    """What somebody said about a page. Name and e-mail are as they were then; a visitor may leave them empty.

    `address` is where a visitor's request came from, for counting; users are known by `user_id`.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("status <> 'answered' OR answered_at IS NOT NULL", name="answer_dated"),
        Index(None, "status", "id"),
        Index(None, "created_at", "id"),
        Index(None, "address", "created_at"),
    )

    id: Mapped[int] = identity()
    user_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(60))
    page: Mapped[str] = mapped_column(String(200))
    kind: Mapped[FeedbackKind] = mapped_column(words(FeedbackKind))
    text: Mapped[str] = mapped_column(Text)
    file_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("stored_files.id"), unique=True)
    status: Mapped[FeedbackStatus] = mapped_column(words(FeedbackStatus), default=FeedbackStatus.NEW)
    created_at: Mapped[datetime]
    answer: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime | None]
    handled_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    version: Mapped[int] = mapped_column(default=1)

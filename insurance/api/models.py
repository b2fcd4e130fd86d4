"""Answers that were given to requests with an Idempotency-Key."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity


class KeptAnswer(Base):
    """What a request with a key was answered, to be answered again. `key` is hashed, with user and path."""

    __tablename__ = "kept_answers"

    id: Mapped[int] = identity()
    key: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    location: Mapped[str] = mapped_column(String(200), default="")
    version: Mapped[int | None]
    body: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(index=True)

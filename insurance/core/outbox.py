"""Mails to send: rows written by the transaction that causes them, delivered afterwards by the worker."""

from datetime import datetime
from email.utils import make_msgid
from enum import StrEnum
from typing import Any

from flask import current_app
from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .db import Base, BigId, db, identity, words


class MailStatus(StrEnum):
    """Where a mail stands."""

    DUE = "due"
    SENT = "sent"
    KEPT = "kept"
    DEAD = "dead"


class Mail(Base):
    """One mail to one recipient: a template's name and its data, until its words are cleared away."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "due_at", sqlite_where=text("status = 'due'"), postgresql_where=text("status = 'due'")),
        Index(None, "document_id"),
        Index(None, "created_at", "id"),
        Index(None, "status", "id"),
    )

    id: Mapped[int] = identity()
    created_at: Mapped[datetime]
    template: Mapped[str] = mapped_column(String(60))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    recipient: Mapped[str] = mapped_column(String(254))
    document_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("documents.id"))
    message_id: Mapped[str] = mapped_column(String(200), unique=True)
    status: Mapped[MailStatus] = mapped_column(words(MailStatus), default=MailStatus.DUE)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    cleared_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


def enqueue(template: str, *, to: str, document_id: int | None = None, **data: Any) -> Mail:
    """Order a mail within the transaction that causes it; its PDF is attached if it carries a document.

    It has its id with the transaction's next flush.
    """
    mail = written(template, to=to, document_id=document_id, **data)
    db.session.add(mail)
    return mail


def written(template: str, *, to: str, document_id: int | None = None, **data: Any) -> Mail:
    """A mail that is ordered as soon as it is inserted."""
    sent_from = current_app.config["MAIL_DEFAULT_SENDER"].rpartition("@")[2].strip("> ")
    return Mail(
        created_at=clock.now(),
        template=template,
        data=data,
        recipient=to,
        document_id=document_id,
        message_id=make_msgid(domain=sent_from),
        due_at=clock.now(),
    )

"""Feedback, for admins."""

from datetime import datetime

from sqlalchemy import Row, Select, func, or_, select

from ..accounts.models import User
from ..core.db import db
from ..core.errors import NotFound
from ..documents.models import StoredFile
from .domain import FeedbackKind, FeedbackStatus
from .models import Feedback


def feedback_rows(*, q: str = "", status: str = "", kind: str = "") -> Select:
    """Feedback for the list; `q` is a part of its text, its sender or its page."""
    statement = select(
        Feedback.id,
        Feedback.kind,
        Feedback.text,
        Feedback.name,
        Feedback.email,
        Feedback.page,
        Feedback.created_at,
        Feedback.status,
    )
    if q:
        columns = (Feedback.text, Feedback.name, Feedback.email, Feedback.page)
        found = (func.lower(column).contains(q.lower(), autoescape=True) for column in columns)
        statement = statement.where(or_(*found))
    if status:
        statement = statement.where(Feedback.status == FeedbackStatus(status))
    if kind:
        statement = statement.where(Feedback.kind == FeedbackKind(kind))
    return statement


def get_feedback(id: int) -> Feedback:
    """One piece of feedback."""
    feedback = db.session.get(Feedback, id)
    if feedback is None:
        raise NotFound("We cannot find that feedback.")
    return feedback


def get_record(id: int) -> Row:
    """One piece of feedback with its screenshot and the name of who handled it, if any."""
    row = db.session.execute(
        select(Feedback, StoredFile, User.name)
        .outerjoin(StoredFile, StoredFile.id == Feedback.file_id)
        .outerjoin(User, User.id == Feedback.handled_by_id)
        .where(Feedback.id == id)
    ).first()
    if row is None:
        raise NotFound("We cannot find that feedback.")
    return row


def count_from(address: str, since: datetime) -> int:
    """How much feedback visitors have sent from an address since then."""
    sent = select(func.count()).where(
        Feedback.address == address, Feedback.created_at > since, Feedback.user_id.is_(None)
    )
    return db.session.scalar(sent) or 0

"""The outbox: what was written to whom, and what became of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, or_, select

from ..core.db import db
from ..core.errors import NotFound
from ..core.outbox import Mail, MailStatus

TITLES = {
    "confirm": "Confirm e-mail address",
    "reset": "Set a new password",
    "invitation": "Invitation",
    "already_registered": "Has an account already",
    "invoice_issued": "Invoice",
    "receipt": "Receipt",
    "claim_received": "Claim received",
    "claim_question": "Question about a claim",
    "claim_approved": "Claim approved",
    "claim_rejected": "Claim rejected",
    "claim_paid": "Claim paid",
}
"""What each template is called."""


def mail_rows(*, q: str = "", status: str = "") -> Select:
    """Mails for the list; `q` is how the recipient's address begins."""
    statement = select(
        Mail.id, Mail.template, Mail.recipient, Mail.created_at, Mail.status, Mail.attempts, Mail.last_error
    )
    if q:
        statement = statement.where(func.lower(Mail.recipient).startswith(q.lower(), autoescape=True))
    if status:
        statement = statement.where(Mail.status == MailStatus(status))
    return statement


def get_mail(id: int) -> Mail:
    """One mail."""
    mail = db.session.get(Mail, id)
    if mail is None:
        raise NotFound("We cannot find that mail.")
    return mail


def count(status: MailStatus) -> int:
    """How many mails have a status."""
    return db.session.scalar(select(func.count()).select_from(Mail).where(Mail.status == status)) or 0


def is_due(now: datetime) -> ColumnElement[bool]:
    """The condition on Mail under which it is to be sent and no worker has it in hand."""
    free = or_(Mail.leased_until.is_(None), Mail.leased_until < now)
    return (Mail.status == MailStatus.DUE) & (Mail.due_at <= now) & free


def due(now: datetime, limit: int) -> Sequence[int]:
    """The mails to send first."""
    return db.session.scalars(select(Mail.id).where(is_due(now)).order_by(Mail.due_at, Mail.id).limit(limit)).all()

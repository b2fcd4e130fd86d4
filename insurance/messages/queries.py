"""The outbox: what was written to whom, and what became of it."""

from collections import Counter
from datetime import datetime

from sqlalchemy import Select, func, or_, select

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


def counts() -> Counter[MailStatus]:
    """How many mails have each status."""
    return Counter(dict(db.session.execute(select(Mail.status, func.count()).group_by(Mail.status)).all()))


def due(now: datetime, limit: int) -> Select:
    """The mails to send first: due, and in no worker's hand."""
    free = or_(Mail.leased_until.is_(None), Mail.leased_until < now)
    due = select(Mail.id).where(Mail.status == MailStatus.DUE, Mail.due_at <= now, free)
    return due.order_by(Mail.due_at, Mail.id).limit(limit)

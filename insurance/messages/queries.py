"""The outbox: what was written to whom, and what became of it."""

from datetime import datetime

from sqlalchemy import Select, func, or_, select

from ..core.db import db
from ..core.errors import NotFound
from ..core.outbox import Mail, MailStatus
from ..customers.models import Customer

TITLES = {
    "confirm": "Confirm e-mail address",
    "reset": "Set a new password",
    "invitation": "Invitation",
    "already_registered": "Has an account already",
    "two_step_changed": "Second step changed",
    "recovery_code_used": "Recovery code used",
    "invoice_issued": "Invoice",
    "invoice_collected": "Invoice, collected by direct debit",
    "notice_reminder": "Payment reminder",
    "notice_overdue": "Overdue notice",
    "notice_second": "Second overdue notice",
    "notice_cancellation": "Notice of cancellation",
    "policy_lapsed": "Policy lapsed",
    "receipt": "Receipt",
    "payment_returned": "Payment returned",
    "payment_charged_back": "Payment charged back",
    "autopay_on": "Autopay is on",
    "autopay_soon": "Autopay will charge",
    "autopay_failed": "Autopay failed",
    "autopay_off": "Autopay is off",
    "mandate_given": "Mandate given",
    "mandate_revoked": "Mandate revoked",
    "mandate_stopped": "Mandate ended after returns",
    "collection_announced": "Direct debit announced",
    "collection_returned": "Direct debit returned",
    "claim_received": "Claim received",
    "claim_question": "Question about a claim",
    "claim_approved": "Claim approved",
    "claim_rejected": "Claim rejected",
    "claim_paid": "Claim paid",
    "refund_sent": "Refund sent",
    "feedback_answer": "Answer to feedback",
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


def counts(most: int) -> dict[MailStatus, int]:
    """How many mails have each status that asks for something, each counted to at most so many."""
    some = {
        status: select(Mail.id).where(Mail.status == status).limit(most).subquery()
        for status in (MailStatus.DUE, MailStatus.KEPT, MailStatus.DEAD)
    }
    counted = select(*(select(func.count()).select_from(rows).scalar_subquery() for rows in some.values()))
    return dict(zip(some, db.session.execute(counted).one(), strict=True))


def due(now: datetime, limit: int) -> Select:
    """The mails to send first: due, and in no worker's hand."""
    free = or_(Mail.leased_until.is_(None), Mail.leased_until < now)
    due = select(Mail.id, Mail.leased_until).where(Mail.status == MailStatus.DUE, Mail.due_at <= now, free)
    return due.order_by(Mail.due_at, Mail.id).limit(limit)


def find_customer(*addresses: str) -> int | None:
    """The first customer with one of some addresses."""
    return db.session.scalar(select(Customer.id).where(Customer.email.in_(addresses)).order_by(Customer.id).limit(1))

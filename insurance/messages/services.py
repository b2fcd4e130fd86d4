"""Delivering mails: each at least once, never lost, and what keeps one from being sent said in words."""

import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from flask import current_app
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from ..core import audit, clock
from ..core.db import db, lock, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.outbox import Mail, MailStatus
from ..core.permissions import Actor, check_may
from . import queries, rendering
from .rendering import Rendered

LEASE = timedelta(minutes=10)
RETRY_AFTER = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 2 * 60, 12 * 60)]
CLEARED = "What this mail said was cleared away when its time was over."
NO_SERVER = "not sent: no mail server"


def preview(mail: Mail) -> Rendered:
    """What a mail says, without the link that lets its reader in: that is for the recipient alone."""
    if mail.cleared_at:
        return Rendered(CLEARED, CLEARED, CLEARED)
    return rendering.render(mail, url="(a link that only the recipient sees)")


def deliver_due(limit: int = 20) -> int:
    """Send the mails that are due; how many were tried. Nothing is written where nothing is due."""
    if db.session.scalar(queries.due(clock.now(), 1)) is None:
        return 0
    leased = _lease(limit)
    for mail_id in leased:
        _record(mail_id, **_deliver(mail_id))
    return len(leased)


@transactional
def _lease(limit: int) -> list[int]:
    """Take mails in hand, so that no other worker sends them; if this one dies, they are free again after a while.

    One that was in the hand of a worker that died goes alone: should it be what kills workers, it takes no other along.
    After as many tries as any mail has it is given up.
    """
    now = clock.now()
    due = db.session.execute(queries.due(now, limit).with_for_update(skip_locked=True)).all()
    ids = [mail_id for mail_id, leased_until in due if leased_until is None]
    if due and due[0].leased_until:
        ids = [due[0].id]
        mail = lock(Mail, due[0].id)
        if mail.attempts > len(RETRY_AFTER):
            mail.status, mail.leased_until, mail.last_error = MailStatus.DEAD, None, "the worker died of it each time"
            return _lease(limit)
    db.session.execute(
        update(Mail).where(Mail.id.in_(ids)).values(leased_until=now + LEASE, attempts=Mail.attempts + 1)
    )
    return ids


def _deliver(mail_id: int) -> dict[str, Any]:
    """Try to send a mail, outside any transaction; what is to be noted of the try."""
    mail = queries.get_mail(mail_id)
    recipient, attempts = mail.recipient, mail.attempts
    file_name = f"{mail.created_at:%Y%m%dT%H%M%S}-{mail_id}.eml"
    try:
        message = rendering.message(mail)
    except (OSError, DBAPIError) as error:  # the disk or the database failed, not the mail
        return _after_fault(error, attempts)
    except Exception as error:
        current_app.logger.exception("mail %s could not be written", mail_id)
        return {"status": MailStatus.DEAD, "last_error": f"could not be written: {error}"}
    db.session.rollback()  # ends the reading: a slow server keeps nobody else waiting
    if not current_app.config["MAIL_SERVER"]:
        _keep(message, file_name)
        return {"status": MailStatus.KEPT, "last_error": NO_SERVER}
    try:
        _send(message, recipient)
    except (OSError, ValueError) as error:  # smtplib's own faults are OSErrors; what no server could take is the other
        return _after_fault(error, attempts)
    return {"status": MailStatus.SENT, "sent_at": clock.now(), "last_error": ""}


def _send(message: EmailMessage, recipient: str) -> None:
    config = current_app.config
    with smtplib.SMTP(config["MAIL_SERVER"], config["MAIL_PORT"], timeout=config["MAIL_TIMEOUT"]) as server:
        if config["MAIL_USE_TLS"]:
            server.starttls(context=ssl.create_default_context())
        if config["MAIL_USERNAME"]:
            server.login(config["MAIL_USERNAME"], config["MAIL_PASSWORD"])
        server.send_message(message, to_addrs=[recipient])


def _after_fault(error: Exception, attempts: int) -> dict[str, Any]:
    """Try again later, unless this mail is refused for good or was tried often enough."""
    code, reason = None, str(error) or type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        reason = f"{code} {_readable(answer)}"
    elif isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code if isinstance(error, smtplib.SMTPDataError) else None  # the others blame the set-up
        reason = f"{error.smtp_code} {_readable(error.smtp_error)}"
    if (code and code >= 500) or attempts > len(RETRY_AFTER):
        return {"status": MailStatus.DEAD, "last_error": reason}
    return {"due_at": clock.now() + RETRY_AFTER[attempts - 1], "last_error": reason}


def _readable(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _keep(message: EmailMessage, file_name: str) -> None:
    folder = current_app.config["DATA_DIR"] / "mail"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file_name).write_bytes(bytes(message))


@transactional
def _record(mail_id: int, **facts: Any) -> None:
    mail = lock(Mail, mail_id)
    for name, value in facts.items():
        setattr(mail, name, value)
    mail.leased_until = None
    mail.version += 1


@transactional
def resend(*, mail_id: int, recipient: str, actor: Actor) -> Mail:
    """Send a mail (again), to a corrected address if it has not reached anybody yet."""
    check_may(actor, "outbox:resend")
    mail = lock(Mail, mail_id)
    if mail.cleared_at:
        raise Conflict(CLEARED)
    now = clock.now()
    if mail.leased_until and mail.leased_until > now:
        raise Conflict("This mail is being sent just now. Look again in a few minutes.")
    if mail.sent_at and recipient != mail.recipient:
        raise RuleBroken("This mail was sent already. It can be sent again, but to the same address only.", "recipient")
    before = {"recipient": mail.recipient, "status": mail.status}
    mail.recipient = recipient
    mail.status, mail.attempts, mail.due_at, mail.last_error = MailStatus.DUE, 0, now, ""
    mail.version += 1
    audit.record(
        "resend", mail, label=f"Mail {mail.id}", actor=actor,
        person=queries.find_customer(before["recipient"], recipient), before=before, recipient=recipient,
        status=mail.status,
    )  # fmt: skip
    return mail

"""Clearing away what is over by the retention table, chunk by chunk; broken off, it is simply run again."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Select, delete, select, update

from ...accounts.models import KeptForm, Link, SignInSession, SignInTry, User
from ...claims.models import Claim
from ...core import audit, clock
from ...core.db import db, transactional
from ...core.outbox import Mail
from ...core.permissions import SYSTEM
from ...documents import services as documents
from ...feedback.models import Feedback
from ...payments.models import GatewayEvent
from ...policies.models import Policy
from ..queries import retention as queries

CHUNK = 200
Ids = Sequence[int]


def run(on: date) -> int:
    """Clear away what is over on a day; how much it was."""
    cleared = 0
    for rule, due in queries.due(on).items():
        while count := _clear(rule, due):
            cleared += count
    documents.remove_deleted()
    return cleared


@transactional
def _clear(rule: str, due: Select[Any]) -> int:
    """Clear some of what a rule finds. What another worker has in hand is left to it."""
    ids = db.session.scalars(due.limit(CHUNK).with_for_update(skip_locked=True)).all()
    if ids:
        ACTS[rule](ids)
    return len(ids)


def _delete(model: Any) -> Callable[[Ids], None]:
    def act(ids: Ids) -> None:
        db.session.execute(delete(model).where(model.id.in_(ids)))

    return act


def _set(model: Any, **values: Any) -> Callable[[Ids], None]:
    def act(ids: Ids) -> None:
        db.session.execute(update(model).where(model.id.in_(ids)).values(values))

    return act


def delete_quotes(ids: Ids) -> None:
    """Delete what was never bound; the audit trail keeps the numbers."""
    for quote in db.session.scalars(select(Policy).where(Policy.id.in_(ids), Policy.bound_at.is_(None))):
        audit.record("delete", quote, label=quote.number, actor=SYSTEM, before={"premium": quote.premium})
        db.session.delete(quote)
    db.session.flush()


def _forget_registrations(ids: Ids) -> None:
    """The row stays, since the audit trail names it: without a name, and with an address that nobody has."""
    db.session.execute(delete(Link).where(Link.user_id.in_(ids)))
    for user in db.session.scalars(select(User).where(User.id.in_(ids))):
        forget(user, "Registration never confirmed")


def forget(user: User, name: str) -> None:
    """Let nothing of a user's row say who they were; nobody signs in as them."""
    user.name, user.email = name, f"user-{user.id}@{queries.ERASED_HOST}"
    user.password_hash = user.openid_subject = user.two_step_since = None
    user.active = False
    user.version += 1


def _delete_screenshots(ids: Ids) -> None:
    screenshots: Any = select(Feedback.file_id).where(Feedback.id.in_(ids))
    documents.delete_files(db.session.scalars(screenshots).all())
    _set(Feedback, file_id=None)(ids)


def _clear_mails(ids: Ids) -> None:
    _set(Mail, data={}, cleared_at=clock.now())(ids)


def clear_payloads(ids: Ids) -> None:
    """Keep of what the gateway told us no more than how it ended: whether a dispute was won is asked later."""
    for event in db.session.scalars(select(GatewayEvent).where(GatewayEvent.id.in_(ids))):
        status = event.payload.get("data", {}).get("object", {}).get("status")
        event.payload = {"data": {"object": {"status": status}}}
        event.cleared_at = clock.now()


ACTS: dict[str, Callable[[Ids], None]] = {
    "quotes": delete_quotes,
    "registrations": _forget_registrations,
    "links": _delete(Link),
    "sessions": _delete(SignInSession),
    "tries": _delete(SignInTry),
    "kept_forms": _delete(KeptForm),
    "screenshots": _delete_screenshots,
    "visitors": _set(Feedback, address=""),
    "mails": _clear_mails,
    "webhooks": clear_payloads,
    "files": documents.delete_files,
    "claims": _set(Claim, description="", notes="", payee_name=""),
    "documents": documents.delete_files,
}
"""What each rule of the table does with what it finds."""

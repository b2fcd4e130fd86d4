"""Sending feedback, and what admins do with it, each act as one transaction."""

from datetime import timedelta
from typing import Any

from ..core import audit, clock, outbox
from ..core.db import add, check_version, lock, transactional
from ..core.errors import TooMany
from ..core.idempotency import once
from ..core.permissions import Actor, Role, check_may
from ..documents import services as documents
from . import queries
from .domain import FEEDBACK_LIFECYCLE, FeedbackKind
from .models import Feedback

VISITOR = Actor(id=None, role=Role.CUSTOMER, name="Visitor")
"""Somebody who is not signed in."""
MOST_FROM_ADDRESS = 10
"""How often visitors may send from one address within the window."""
WINDOW = timedelta(hours=1)


@transactional
@once(Feedback)
def send(
    *,
    kind: FeedbackKind,
    text: str,
    page: str = "",
    name: str = "",
    email: str = "",
    screenshot: documents.File | None = None,
    address: str = "",
    actor: Actor,
) -> Feedback:
    """Keep what a user or visitor says. `page` is a path of this site, `address` where a visitor's request is from."""
    if actor.id is None and queries.count_from(address, clock.now() - WINDOW) >= MOST_FROM_ADDRESS:
        raise TooMany("There was much feedback from your address within an hour. Send yours later, or call us.")
    stored = documents.store(screenshot, actor=actor) if screenshot else None
    feedback = add(
        Feedback(
            user_id=actor.id,
            name=name,
            email=email,
            address=address if actor.id is None else "",
            page=page,
            kind=kind,
            text=text,
            file_id=stored.id if stored else None,
            created_at=clock.now(),
        )
    )
    audit.record("send", feedback, label=_label(feedback), actor=actor, kind=kind, page=page)
    return feedback


@transactional
def read(*, feedback_id: int, actor: Actor) -> Feedback:
    """Mark feedback as read: somebody looks after it."""
    return _move(feedback_id, "read", actor)


@transactional
def answer(*, feedback_id: int, answer: str, version: int | None = None, actor: Actor) -> Feedback:
    """Answer feedback; the sender gets the answer by mail if there is an address."""
    feedback = _move(feedback_id, "answer", actor, version=version, answer=answer)
    if feedback.email:
        outbox.enqueue(
            "feedback_answer",
            to=feedback.email,
            name=feedback.name or "there",
            number=feedback.id,
            question=feedback.text,
            answer=answer,
        )
    return feedback


@transactional
def close(*, feedback_id: int, actor: Actor) -> Feedback:
    """Close feedback: nothing more is to be done about it."""
    return _move(feedback_id, "close", actor)


@transactional
def reopen(*, feedback_id: int, actor: Actor) -> Feedback:
    """Take up feedback again that was answered or closed."""
    return _move(feedback_id, "reopen", actor)


def _move(feedback_id: int, action: str, actor: Actor, *, version: int | None = None, **facts: Any) -> Feedback:
    """The one place that moves a status."""
    check_may(actor, f"feedback:{action}")
    feedback = lock(Feedback, feedback_id)
    check_version(feedback, version)
    before, feedback.status = feedback.status, FEEDBACK_LIFECYCLE.next(feedback.status, action)
    if action == "answer":
        feedback.answer, feedback.answered_at = facts["answer"], clock.now()
    feedback.handled_by_id = actor.id
    feedback.version += 1
    audit.record(
        action,
        feedback,
        label=_label(feedback),
        actor=actor,
        before={"status": before},
        status=feedback.status,
        **facts,
    )
    return feedback


def _label(feedback: Feedback) -> str:
    return f"Feedback {feedback.id}"

"""The same request again, told by its Idempotency-Key, gets the same answer; the act is done once."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select

from ..core import clock
from ..core.db import INSERT, db, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.permissions import Actor
from .answers import Answer
from .models import KeptAnswer

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: there the second request waits for the first, and gets its answer
    flock = None  # type: ignore[assignment]

KEPT_FOR = timedelta(days=7)
"""How long an answer is given again. After that, the key is as good as new."""


RUNNING = "The first request with this key is still at work. Send it again in a moment."


def once(key: str, actor: Actor, path: str, content: Any, act: Callable[[], Answer]) -> tuple[Answer, bool]:
    """The answer of the act, and whether it was given before; refused while the first request is at work.

    What tells is a lock of the kernel or the server, which ends with its process however that ends.
    """
    scoped = hashlib.sha256(f"{actor.id}\n{path}\n{key}".encode()).hexdigest()
    fingerprint = hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()
    with _file_locked(scoped):
        return _once(scoped, fingerprint, actor, act)


@contextmanager
def _file_locked(scoped: str) -> Iterator[None]:
    """On SQLite a lock in the database would wait for whoever writes, the first request among them."""
    if db.engine.dialect.name != "sqlite" or flock is None or not db.engine.url.database:
        yield
        return
    path = Path(f"{db.engine.url.database}.{scoped[:16]}.lock")
    with path.open("a") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise Conflict(RUNNING) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock_on_server(scoped: str) -> None:
    if db.engine.dialect.name == "postgresql":
        number = int(scoped[:16], 16) - 2**63
        if not db.session.scalar(select(func.pg_try_advisory_xact_lock(number))):
            raise Conflict(RUNNING)


@transactional
def _once(scoped: str, fingerprint: str, actor: Actor, act: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Act and answer are kept in one transaction."""
    _lock_on_server(scoped)
    kept: Any = INSERT[db.engine.dialect.name](KeptAnswer).values(
        key=scoped, user_id=actor.id, fingerprint=fingerprint, status=0, location="", body="", at=clock.now()
    )
    if db.session.scalar(kept.on_conflict_do_nothing().returning(KeptAnswer.id)) is None:
        earlier = db.session.scalars(select(KeptAnswer).filter_by(key=scoped)).one()
        if earlier.fingerprint != fingerprint:
            raise RuleBroken("This key was sent before with other content. Make a new one.", "Idempotency-Key")
        return Answer(earlier.status, earlier.body.encode(), earlier.location, earlier.version), True
    answer = act()
    row = db.session.scalars(select(KeptAnswer).filter_by(key=scoped)).one()
    row.status, row.body, row.location = answer.status, answer.body.decode(), answer.location
    row.version = answer.version
    return answer, False


@transactional
def forget() -> int:
    """Delete the answers that were kept for long enough; how many."""
    old = delete(KeptAnswer).where(KeptAnswer.at < clock.now() - KEPT_FOR)
    return db.session.execute(old).rowcount  # type: ignore[attr-defined]

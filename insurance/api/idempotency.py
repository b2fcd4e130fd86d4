"""The same request again, told by its Idempotency-Key, gets the same answer; the act is done once."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from ..core import clock
from ..core.db import INSERT, db, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.permissions import Actor
from .answers import Answer
from .models import KeptAnswer


@transactional
def once(key: str, actor: Actor, path: str, content: Any, act: Callable[[], Answer]) -> tuple[Answer, bool]:
    """The answer of the act, and whether it was given before. Act and answer are kept in one transaction."""
    scoped = hashlib.sha256(f"{actor.id}\n{path}\n{key}".encode()).hexdigest()
    fingerprint = hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()
    _check_not_running(scoped)
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


def _check_not_running(scoped: str) -> None:
    """Refuse while the first request is at work. On SQLite, where one at a time writes, its answer is waited for."""
    if db.engine.dialect.name == "postgresql":
        number = int(scoped[:16], 16) - 2**63
        if not db.session.scalar(select(func.pg_try_advisory_xact_lock(number))):
            raise Conflict("The first request with this key is still at work. Send it again in a moment.")

"""The same request again gets the record that the first one made."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .db import INSERT, Base, BigId, db, identity
from .errors import Conflict, RuleBroken

M = TypeVar("M")


class IdempotencyKey(Base):
    """One request that was carried out, and the record it led to."""

    __tablename__ = "idempotency_keys"

    id: Mapped[int] = identity()
    scope: Mapped[str] = mapped_column(String(120))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    result_id: Mapped[int | None] = mapped_column(BigId)
    at: Mapped[datetime]


def once(model: type[M]) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Carry out a service that makes a `model` row once per `key`; without a key, as often as it is called.

    Goes under `@transactional`. The same key with other content is refused.
    """

    def wrap(service: Callable[..., M]) -> Callable[..., M]:
        @wraps(service)
        def run(*args: Any, key: str | None = None, **kwargs: Any) -> M:
            if key is None:
                return service(*args, **kwargs)
            actor = kwargs["actor"]
            print_ = _fingerprint(args, {name: value for name, value in kwargs.items() if name != "actor"})
            scoped = hashlib.sha256(f"{actor.id}:{service.__qualname__}:{key}".encode()).hexdigest()
            claim: Any = INSERT[db.engine.dialect.name](IdempotencyKey).values(
                scope=service.__qualname__, key=scoped, fingerprint=print_, at=clock.now()
            )
            # A second request with the key waits here until the first one has committed.
            if db.session.scalar(claim.on_conflict_do_nothing().returning(IdempotencyKey.id)) is None:
                earlier = db.session.scalars(select(IdempotencyKey).filter_by(key=scoped)).one()
                if earlier.fingerprint != print_:
                    raise RuleBroken("This form was already sent with other values. Open it again to make another one.")
                made = db.session.get(model, earlier.result_id)
                if made is None:
                    raise Conflict("What this form made was deleted since. Open it again to make another one.")
                return made
            row = service(*args, **kwargs)
            db.session.execute(
                update(IdempotencyKey).where(IdempotencyKey.key == scoped).values(result_id=row.id)  # type: ignore[attr-defined]
            )
            return row

        return run

    return wrap


def _fingerprint(args: tuple, kwargs: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([args, kwargs], default=str, sort_keys=True).encode()).hexdigest()

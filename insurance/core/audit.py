"""Who did what to which record, before and after: written with the change, never changed."""

from datetime import datetime
from typing import Any

from flask import g, has_request_context, request
from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .db import Base, BigId, append_only, db, identity
from .permissions import Actor


@append_only
class AuditEntry(Base):
    """One act on one record."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "subject", "subject_id"),)

    id: Mapped[int] = identity()
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    actor_name: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    label: Mapped[str] = mapped_column(String(200))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(String(60))
    request_id: Mapped[str] = mapped_column(String(64))


def record(
    action: str, row: Any, *, label: str, actor: Actor, before: dict[str, Any] | None = None, **after: Any
) -> None:
    """Note an act on a row that has its id. Only plain values go into `before` and the rest."""
    inside = has_request_context()
    db.session.add(
        AuditEntry(
            at=clock.now(),
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            subject=row.__tablename__,
            subject_id=row.id,
            label=label[:200],
            before={key: _plain(value) for key, value in (before or {}).items()},
            after={key: _plain(value) for key, value in after.items()},
            address=(request.remote_addr or "")[:60] if inside else "",
            request_id=g.get("request_id", "") if inside else "",
        )
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, bool, list, dict)) else str(value)

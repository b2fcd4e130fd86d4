"""The feed of events by the API: what happened, for programs that poll."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.collections import Collection
from ..api.records import InstantText
from ..core.audit import AuditEntry
from . import queries


class EventRecord(TypedDict):
    """One act on a policy, an invoice, a payment or a claim; `subject_id` is the record's id in its collection."""

    id: int
    at: InstantText
    action: Annotated[str, Field(examples=["bind"])]
    subject: Annotated[str, Field(examples=["policies"])]
    subject_id: int
    label: Annotated[str, Field(examples=["POL-2026-000042"])]
    actor_id: int | None


def _shown(rows: Sequence[Row[Any]]) -> list[EventRecord]:
    return [
        {
            "id": row.id,
            "at": row.at.isoformat(),
            "action": row.action,
            "subject": row.subject,
            "subject_id": row.subject_id,
            "label": row.label,
            "actor_id": row.actor_id,
        }
        for row in rows
    ]


EVENTS = Collection(
    "events",
    "event",
    EventRecord,
    rows=queries.event_rows,
    key=AuditEntry.id,
    shown=_shown,
    filters={
        "action": collections.text(AuditEntry.action),
        "subject": collections.text(AuditEntry.subject),
        "subject_id": collections.whole(AuditEntry.subject_id),
    },
    oldest_first=True,
    alone=False,
)
api.collection("policy:read", EVENTS)

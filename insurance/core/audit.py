"""Who did what to which record, before and after: written with the change, never changed, each sealed with the last.

What it says of a customer as a person is sealed with their key, so that it can be erased from a trail that stays whole.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context, request
from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, event, select, true
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import clock, person_keys
from .db import INSERT, Base, BigId, append_only, db, identity, in_hand, insert_all
from .permissions import Actor, Role

FIRST = "0" * 64
"""What the first entry has for the hash of the one before it."""
CHUNK = 1000
PERSONAL = frozenset(
    "name email phone address birth_on payee_name account recipient browser description note".split()  # noqa: SIM905
)
"""Facts that are sealed with a customer's key where the entry says whose they are."""
PLACE = "audit_entries"


@append_only
class AuditEntry(Base):
    """One act on one record. `hash` seals what it says together with the hash of the entry before it."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "subject", "subject_id"),)

    id: Mapped[int] = identity()
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    actor_name: Mapped[str] = mapped_column(String(200))  # empty if a customer did it: their name is the user's alone
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    label: Mapped[str] = mapped_column(String(200))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(String(60))
    request_id: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """How many entries there are, and the hash of the last: without it nobody would miss those at the end."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigId, default=0)
    hash: Mapped[str] = mapped_column(String(64), default=FIRST)


SEALED = tuple(
    column.name for column in AuditEntry.__table__.columns if column.name not in ("id", "previous_hash", "hash")
)
"""The columns that an entry's hash covers. A new column needs a hash of its own: those there are cannot be redone."""


def record(
    action: str,
    row: Any,
    *,
    label: str,
    actor: Actor,
    person: int | None = None,
    before: dict[str, Any] | None = None,
    **after: Any,
) -> None:
    """Note an act on a row that has its id. Only plain values go into `before` and the rest.

    `person` is the customer whose facts the PERSONAL ones are. It is written when the transaction commits.
    """
    inside = has_request_context()
    entry = AuditEntry(
        at=clock.now(),
        actor_id=actor.id,
        actor_name="" if actor.id and actor.role is Role.CUSTOMER else actor.name,
        action=action,
        subject=row.__tablename__,
        subject_id=row.id,
        label=label[:200],
        before=_kept(before or {}, person),
        after=_kept(after, person),
        address=(request.remote_addr or "")[:60] if inside else "",
        request_id=g.get("request_id", "") if inside else "",
    )
    in_hand().setdefault("acts", []).append(entry)


def _kept(facts: Mapping[str, Any], person: int | None) -> dict[str, Any]:
    """The facts as they are written."""
    kept = {key: _plain(value) for key, value in facts.items()}
    for key in PERSONAL & kept.keys():
        if person and kept[key]:
            kept[key] = {"person": person, "sealed": person_keys.seal(person, kept[key], PLACE)}
    return kept


def opened(entry: AuditEntry) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an entry says of before and after, as it can be read: what was erased says so."""
    both = (entry.before, entry.after)
    keys = person_keys.load({value["person"] for facts in both for value in facts.values() if _is_personal(value)})
    before, after = ({name: read(value, keys) for name, value in facts.items()} for facts in both)
    return before, after


def read(value: Any, keys: Mapping[int, str]) -> Any:
    """A value of an entry as it can be read with the keys of some customers."""
    return person_keys.unseal(keys.get(value["person"]), value["sealed"], PLACE) if _is_personal(value) else value


def _is_personal(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"person", "sealed"}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, bool, list, dict)) else str(value)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Chain the acts of the transaction to those before it.

    The head is locked last, and only for the commit: whoever holds it makes every other writer wait.
    """
    entries: list[AuditEntry] = session.info.get("in_hand", {}).pop("acts", [])
    if not entries:
        return
    session.flush()
    head = _lock_head(session)
    for entry in entries:
        entry.previous_hash = head.hash
        entry.hash = head.hash = seal(head.hash, vars(entry))
        head.count += 1
    insert_all(entries)


def _lock_head(session: Session) -> AuditHead:
    locked = select(AuditHead).with_for_update().execution_options(populate_existing=True)
    head = session.scalar(locked)
    if head is None:  # the very first entry
        new: Any = INSERT[db.engine.dialect.name](AuditHead).values(id=1)
        session.execute(new.on_conflict_do_nothing())
        head = session.scalars(locked).one()
    return head


def seal(previous_hash: str, entry: Mapping[Any, Any]) -> str:
    """The hash of an entry's columns and of the entry before it; the same on every database."""
    said = {name: entry[name] for name in SEALED} | {
        "at": entry["at"].astimezone(UTC).isoformat(timespec="microseconds")
    }
    written = json.dumps([previous_hash, said], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def is_sealed(entry: AuditEntry) -> bool:
    """Whether an entry says what it said when it was written."""
    return entry.hash == seal(entry.previous_hash, {name: getattr(entry, name) for name in SEALED})


def head() -> AuditHead:
    """The end of the chain."""
    return db.session.get(AuditHead, 1) or AuditHead(count=0, hash=FIRST)


def breaks() -> Iterator[str]:
    """Where the chain is broken, the first place first: an entry that was changed, or one that is missing before it."""
    columns = [AuditEntry.__table__.c[name] for name in ("id", "previous_hash", "hash", *SEALED)]
    # One statement reads entries and head as they were at one moment, whoever writes meanwhile.
    statement = select(*columns, AuditHead.count.label("head_count"), AuditHead.hash.label("head_hash"))
    statement = statement.outerjoin(AuditHead, true()).order_by(AuditEntry.id).execution_options(yield_per=CHUNK)
    count, last, end = 0, FIRST, (head().count, head().hash)
    with db.session.execute(statement) as rows:  # who asks for the first break alone leaves the others unread
        for row in rows.mappings():
            if row["previous_hash"] != last:
                yield f"entry {row['id']} does not follow on the one before it"
            if row["hash"] != seal(row["previous_hash"], row):
                yield f"entry {row['id']} was changed"
            count, last, end = count + 1, row["hash"], (row["head_count"], row["head_hash"])
    if (count, last) != end:
        yield f"{end[0] or 0} entries were written, {count} are there"

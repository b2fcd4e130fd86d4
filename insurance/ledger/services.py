"""Posting to the ledger, and closing its months."""

from datetime import date

from sqlalchemy import text

from ..core import audit, clock
from ..core.dates import in_words
from ..core.db import add, db, in_hand, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.money import Money
from ..core.permissions import Actor, check_may
from . import queries
from .domain import Account, Event, to_close
from .models import ClosedMonth, Transfer

Side = tuple[Account, int]
"""An account and whose it is."""


def post(event: Event, event_id: int, *, debit: Side, credit: Side, amount: Money, on: date) -> None:
    """Move an amount, within the transaction in hand. Nothing posts nothing; below zero is a bug: swap the sides.

    A day in a closed month is refused: what belongs there is posted on a day that is still open.
    """
    if amount:
        db.session.add(written(event, event_id, debit=debit, credit=credit, amount=amount, on=on))


def written(event: Event, event_id: int, *, debit: Side, credit: Side, amount: Money, on: date) -> Transfer:
    """A transfer that is posted as soon as it is inserted, within the transaction in hand."""
    closed_through = _closed_through()
    if closed_through and on <= closed_through:
        raise RuleBroken(
            f"The books are closed through {in_words(closed_through)}, so nothing can be posted on {in_words(on)}. "
            "An administrator can reopen the last closed month."
        )
    transfer = Transfer(
        event=event,
        event_id=event_id,
        debit_account=debit[0],
        debit_subject=debit[1],
        credit_account=credit[0],
        credit_subject=credit[1],
        amount_minor=amount.minor,
        currency=amount.currency,
        posted_on=on,
        recorded_at=clock.now(),
    )
    in_hand().setdefault("posted", []).append(transfer)
    return transfer


def posted() -> list[Transfer]:
    """What the transaction in hand has posted so far."""
    return in_hand().get("posted", [])


def _closed_through() -> date | None:
    """The last day that is closed. It is read once in a transaction, and no month closes until that ends."""
    known = in_hand()
    if "closed_through" not in known:
        _lock_months("ROW SHARE")
        known["closed_through"] = queries.closed_through()
    return known["closed_through"]


def _lock_months(mode: str) -> None:
    """Those who post share the closed months; who closes or reopens one has them alone. SQLite has one writer anyway.

    The mode that closes is not the strictest: a backup that reads the table stops nobody.
    """
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text(f"LOCK TABLE closed_months IN {mode} MODE"))


@transactional
def close_month(*, ends_on: date, actor: Actor) -> ClosedMonth:
    """Let nothing more be posted in a month: the one after the last closed one, once it is over."""
    check_may(actor, "ledger:close")
    _lock_months("EXCLUSIVE")
    due = to_close(queries.closed_through(), queries.first_posting(), clock.today())
    if ends_on != due:
        can = f"The month to close is that through {in_words(due)}." if due else "No month is over that is still open."
        raise Conflict(f"{ends_on:%B %Y} cannot be closed now. {can}")
    month = add(ClosedMonth(ends_on=ends_on, closed_at=clock.now(), closed_by_id=actor.id))
    audit.record("close", month, label=f"{ends_on:%B %Y}", actor=actor)
    return month


@transactional
def reopen_month(*, ends_on: date, reason: str, actor: Actor) -> None:
    """Let the last closed month be posted in again."""
    check_may(actor, "ledger:close")
    _lock_months("EXCLUSIVE")
    if ends_on != queries.closed_through():
        raise Conflict(f"Only the month that was closed last can be reopened, and {ends_on:%B %Y} is not.")
    month = db.session.get_one(ClosedMonth, ends_on)
    audit.record("reopen", month, label=f"{ends_on:%B %Y}", actor=actor, reason=reason)
    db.session.delete(month)

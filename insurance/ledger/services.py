"""Posting to the ledger."""

from datetime import date

from ..core import clock
from ..core.db import db
from ..core.money import Money
from .domain import Account, Event
from .models import Transfer

Side = tuple[Account, int]
"""An account and whose it is."""


def post(event: Event, event_id: int, *, debit: Side, credit: Side, amount: Money, on: date) -> None:
    """Move an amount, within the transaction in hand. Nothing posts nothing; below zero is a bug: swap the sides."""
    if not amount:
        return
    db.session.add(
        Transfer(
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
    )

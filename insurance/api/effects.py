"""What a dry run shows: the money that the act would move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from typing_extensions import TypedDict

from ..core.db import db
from ..ledger.models import Transfer
from .records import AmountText, CurrencyText


class Movement(TypedDict):
    """An amount that would move in the ledger, from the credited account to the debited one."""

    event: str
    debit: str
    credit: str
    amount: AmountText
    currency: CurrencyText


@contextmanager
def effects() -> Iterator[Callable[[], list[Movement]]]:
    """Watch the ledger while an act is tried; what is yielded says what was posted."""
    posted: list[Transfer] = []

    def note(_session: Any, row: Any) -> None:
        if isinstance(row, Transfer):
            posted.append(row)

    def said() -> list[Movement]:
        db.session.flush()
        return [
            {
                "event": row.event,
                "debit": row.debit_account,
                "credit": row.credit_account,
                "amount": str(row.amount),
                "currency": row.currency,
            }
            for row in posted
        ]

    session = db.session()
    event.listen(session, "pending_to_persistent", note)
    try:
        yield said
    finally:
        event.remove(session, "pending_to_persistent", note)

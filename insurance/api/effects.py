"""What a dry run shows: the money that the act would move."""

from typing_extensions import TypedDict

from ..ledger import services as ledger
from .records import AmountText, CurrencyText


class Movement(TypedDict):
    """An amount that would move in the ledger, from the credited account to the debited one."""

    event: str
    debit: str
    credit: str
    amount: AmountText
    currency: CurrencyText


def movements() -> list[Movement]:
    """What the transaction in hand has posted so far."""
    return [
        {
            "event": transfer.event,
            "debit": transfer.debit_account,
            "credit": transfer.credit_account,
            "amount": str(transfer.amount),
            "currency": transfer.currency,
        }
        for transfer in ledger.posted()
    ]

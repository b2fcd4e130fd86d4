"""What a payer must be told before a direct debit: how much is collected when, under which mandate, and by whom."""

from datetime import date

from ...core.dates import in_words
from ...core.money import Money
from .. import queries
from ..domain import masked
from ..models import Mandate


def announcement(mandate: Mandate, amount: Money, on: date) -> dict[str, str] | None:
    """The facts of a direct debit in words; none while the company has no creditor identifier to collect with."""
    creditor = queries.creditor()
    return creditor and {
        "amount": amount.in_words,
        "collect_on": in_words(on),
        "account": masked(mandate.account_number),
        "mandate": mandate.number,
        "creditor": creditor["name"],
        "creditor_id": creditor["creditor_id"],
    }

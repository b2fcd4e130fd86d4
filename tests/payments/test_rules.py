"""A payment moves as its table says, and nothing that failed is charged again."""

from itertools import product
from typing import Any

import pytest

from insurance.core.errors import IllegalTransition
from insurance.core.money import Money
from insurance.core.worksheet import Worksheet
from insurance.payments.domain import (
    METHOD_WORDS,
    PAYMENT_LIFECYCLE,
    STATUS_WORDS,
    CreditSource,
    PaymentMethod,
    PaymentStatus,
    receipt_worksheet,
    refund_worksheet,
)

MOVES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("created", "submit"): ("pending",),
    ("created", "process"): ("processed",),
    ("created", "fail"): ("failed",),
    ("created", "cancel"): ("cancelled",),
    ("pending", "process"): ("processed",),
    ("pending", "fail"): ("failed",),
    ("pending", "lose_sight"): ("unknown",),
    ("unknown", "process"): ("processed",),
    ("unknown", "fail"): ("failed",),
    ("failed", "process"): ("processed",),
    ("cancelled", "process"): ("processed",),
    ("processed", "refund"): ("partly_refunded", "refunded"),
    ("processed", "return"): ("returned",),
    ("processed", "charge_back"): ("charged_back",),
    ("partly_refunded", "refund"): ("partly_refunded", "refunded"),
    ("partly_refunded", "charge_back"): ("charged_back",),
    ("charged_back", "win"): ("processed", "partly_refunded", "refunded"),
}


@pytest.mark.parametrize(("status", "action"), list(product(PaymentStatus, sorted({action for _, action in MOVES}))))
def test_every_status_and_action_is_as_the_table_says(status, action):
    targets = MOVES.get((status, action), ())
    assert PAYMENT_LIFECYCLE.allows(status, action) == bool(targets)
    for to in targets:
        assert PAYMENT_LIFECYCLE.next(status, action, to=to) == to
    if not targets:
        with pytest.raises(IllegalTransition, match=r"^A .*payment.* can't be .+\.$"):
            PAYMENT_LIFECYCLE.next(status, action)


def test_what_has_ended_stays_as_it_is():
    """But that money came after all, which a gateway may say late."""
    ended = {status for status in PaymentStatus if not PAYMENT_LIFECYCLE.actions(status)}
    assert ended == {"refunded", "returned"}


def test_every_status_and_method_has_words():
    assert set(STATUS_WORDS) == set(PaymentStatus)
    assert set(METHOD_WORDS) == set(PaymentMethod)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def test_a_receipt_says_how_what_was_received_was_used() -> None:
    paid = [("INV-1", usd("50"), usd("0")), ("INV-2", usd("30"), usd("70"))]
    assert steps(receipt_worksheet(usd("100"), "Cash, 1 Jun 2026", paid)) == [
        ("Received", "Cash, 1 Jun 2026", "$100.00"),
        ("To invoice INV-1", "$50.00 open before, $0.00 after", "−$50.00"),
        ("To invoice INV-2", "$100.00 open before, $70.00 after", "−$30.00"),
        ("Left as credit", "pays your next invoice by itself", "$20.00"),
    ]
    assert steps(receipt_worksheet(usd("80"), "", paid))[-1] == ("Left as credit", "nothing is left", "$0.00")


def test_a_refund_says_where_the_credit_came_from_and_what_stays() -> None:
    sources = [CreditSource("Receipt RCT-1", "too much", usd("20")), CreditSource("Credit notes", "CRN-1", usd("5"))]
    assert steps(refund_worksheet(usd("40"), sources, usd("25"))) == [
        ("Credit before", "on your account, paid or credited but not needed", "$40.00"),
        ("Receipt RCT-1", "too much", "−$20.00"),
        ("Credit notes", "CRN-1", "−$5.00"),
        ("Credit that stays", "pays your next invoice by itself", "$15.00"),
    ]


def steps(worksheet: Worksheet) -> list[tuple[str, str, str]]:
    return [(step["label"], step["text"], step["amount"]) for step in worksheet]

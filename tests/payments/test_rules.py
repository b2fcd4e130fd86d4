"""A payment moves as its table says, and nothing that failed is charged again."""

from itertools import product
from typing import Any

import pytest

from insurance.core.errors import IllegalTransition
from insurance.payments.domain import METHOD_WORDS, PAYMENT_LIFECYCLE, STATUS_WORDS, PaymentMethod, PaymentStatus

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
    ("charged_back", "win"): ("processed", "partly_refunded"),
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

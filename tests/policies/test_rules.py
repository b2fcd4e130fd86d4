"""A policy moves as its table says, and the calendar decides what only the calendar can."""

from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.core.errors import IllegalTransition, RuleBroken
from insurance.core.money import Money
from insurance.policies.domain import (
    BY_CALENDAR,
    POLICY_LIFECYCLE,
    STATUS_WORDS,
    UNBOUND,
    CancellationMethod,
    MinimumEarned,
    PolicyStatus,
    PremiumPart,
    calendar_status,
    cancellation,
    check_term,
    earn,
    prorate,
)

START, END = date(2026, 1, 1), date(2027, 1, 1)
MOVES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("quoted", "bind"): ("pending", "active"),
    ("quoted", "refer"): ("referred",),
    ("quoted", "withdraw"): ("withdrawn",),
    ("quoted", "expire"): ("quote_expired",),
    ("referred", "approve"): ("quoted",),
    ("referred", "decline"): ("declined",),
    ("pending", "start"): ("active",),
    ("pending", "endorse"): ("pending",),
    ("pending", "cancel"): ("cancelled",),
    ("active", "endorse"): ("active",),
    ("active", "renew"): ("active",),
    ("active", "cancel"): ("cancelled",),
    ("active", "lapse"): ("lapsed",),
    ("active", "expire"): ("expired",),
    ("expired", "renew"): ("active",),
    ("expired", "endorse"): ("expired",),
    ("expired", "cancel"): ("cancelled",),
    ("cancelled", "reinstate"): ("pending", "active", "expired"),
    ("lapsed", "reinstate"): ("pending", "active", "expired"),
}


@pytest.mark.parametrize(("status", "action"), list(product(PolicyStatus, sorted({action for _, action in MOVES}))))
def test_every_status_and_action_is_as_the_table_says(status, action):
    targets = MOVES.get((status, action), ())
    assert POLICY_LIFECYCLE.allows(status, action) == bool(targets)
    for to in targets:
        assert POLICY_LIFECYCLE.next(status, action, to=to) == to
    if not targets:
        with pytest.raises(IllegalTransition, match=r"^An? .+ can't be .+ed\.$|bound\.$|withdrawn\.$"):
            POLICY_LIFECYCLE.next(status, action)


def test_a_refusal_speaks_of_quotes_and_policies():
    for status, action, words in (
        (PolicyStatus.QUOTE_EXPIRED, "bind", "An expired quote can't be bound."),
        (PolicyStatus.ACTIVE, "withdraw", "An active policy can't be withdrawn."),
        (PolicyStatus.CANCELLED, "renew", "A cancelled policy can't be renewed."),
    ):
        with pytest.raises(IllegalTransition) as refusal:
            POLICY_LIFECYCLE.next(status, action)
        assert refusal.value.message == words


def test_every_status_has_words():
    assert set(STATUS_WORDS) == set(PolicyStatus)


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (date(2025, 12, 31), "pending"),
        (date(2026, 1, 1), "active"),
        (date(2026, 12, 31), "active"),
        (date(2027, 1, 1), "expired"),
    ],
)
@pytest.mark.parametrize("stored", BY_CALENDAR)
def test_the_calendar_decides_whatever_was_stored(stored, day, status):
    assert calendar_status(stored, START, END, day) == status


@given(st.sampled_from(PolicyStatus), st.dates())
def test_every_other_status_is_as_stored(stored, day):
    if stored not in BY_CALENDAR:
        assert calendar_status(stored, START, END, day) is stored


def test_a_quote_is_good_through_its_last_day():
    until = date(2026, 2, 1)
    assert calendar_status(PolicyStatus.QUOTED, START, END, until, until) == "quoted"
    assert calendar_status(PolicyStatus.QUOTED, START, END, until + timedelta(days=1), until) == "quote_expired"
    assert calendar_status(PolicyStatus.REFERRED, START, END, until + timedelta(days=1), until) == "referred"
    assert calendar_status(PolicyStatus.ACTIVE, START, END, until + timedelta(days=1), until) == "active"


@pytest.mark.parametrize("stored", [PolicyStatus.CANCELLED, PolicyStatus.LAPSED])
def test_a_policy_that_ends_early_is_active_until_then(stored):
    cancelled_on = date(2026, 6, 1)
    assert calendar_status(stored, START, END, date(2025, 12, 31), cancelled_on=cancelled_on) == "pending"
    assert calendar_status(stored, START, END, date(2026, 5, 31), cancelled_on=cancelled_on) == "active"
    assert calendar_status(stored, START, END, cancelled_on, cancelled_on=cancelled_on) == stored
    assert calendar_status(stored, START, END, END, cancelled_on=cancelled_on) == stored


def test_only_statuses_before_bind_never_gave_cover():
    assert {"quoted", "referred", "declined", "withdrawn", "quote_expired"} == UNBOUND


def test_a_term_runs_forward():
    check_term(START, START + timedelta(days=1))
    for end in (START, START - timedelta(days=1)):
        with pytest.raises(RuleBroken) as refusal:
            check_term(START, end)
        assert refusal.value.field == "end_date"


@given(st.integers(-(10**12), 10**12), st.integers(1, 800), st.data())
def test_the_two_sides_of_a_day_are_worth_the_whole_give_or_take_one_unit(minor, length, data):
    amount, end = Money(minor, "USD"), START + timedelta(days=length)
    middle = START + timedelta(days=data.draw(st.integers(0, length)))
    parts = prorate(amount, START, end, START, middle) + prorate(amount, START, end, middle, end)
    assert abs(parts - amount) <= Money(1, "USD")
    assert prorate(amount, START, end, START, end) == amount


WHOLE_TERM = [(1, 731, 50)]


@given(
    premium=st.integers(1, 10**9),
    days=st.integers(0, 365),
    method=st.sampled_from(CancellationMethod),
    fees=st.integers(0, 10**5),
    paid=st.integers(0, 2 * 10**9),
    least=st.integers(0, 10**9),
)
def test_a_cancellation_never_keeps_more_than_the_price_and_every_cent_is_somewhere(
    premium: int, days: int, method: CancellationMethod, fees: int, paid: int, least: int
):
    start = END - timedelta(365)
    on = start if method is CancellationMethod.FLAT else start + timedelta(days)
    usd = [Money(minor, "USD") for minor in (premium, fees, paid, least)]
    result = cancellation(
        usd[0], start, END, on, method, table=WHOLE_TERM, minimum=MinimumEarned(amount=usd[3]), fees=usd[1], paid=usd[2]
    )
    assert 0 <= result.earned.minor <= premium
    assert result.earned.minor >= min(least, premium) or method is CancellationMethod.FLAT
    assert result.earned + result.fees_kept == usd[2] - result.refund + result.due
    assert not (result.refund and result.due)
    assert result.worksheet[-1]["amount"] == (result.due or result.refund).in_words


@given(minors=st.lists(st.integers(-(10**9), 10**9), max_size=4), day=st.integers(-10, 400))
def test_what_is_earned_and_what_is_not_add_up_to_the_premium(minors: list[int], day: int):
    parts = [PremiumPart(Money(minor, "USD"), START, END) for minor in minors]
    earned, unearned = earn(parts, START + timedelta(day), "USD")
    assert (earned + unearned).minor == sum(minors)
    assert day >= 0 or not earned
    assert day < 364 or not unearned

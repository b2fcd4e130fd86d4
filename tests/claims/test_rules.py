"""A claim moves as its table says; cover is judged on the date of loss; nobody decides above their limit."""

from datetime import date
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.billing.domain import needs_second_person
from insurance.claims.domain import (
    CAUSES,
    CLAIM_LIFECYCLE,
    STATUS_WORDS,
    ClaimStatus,
    Cover,
    check_authority,
    check_cover,
    coverage_left,
    less_approved,
    payable,
    stages,
    what_next,
)
from insurance.core.dates import add_working_days
from insurance.core.errors import IllegalTransition, NotAllowed
from insurance.core.money import Money
from insurance.policies.domain import UNBOUND, PolicyStatus

START, END = date(2026, 1, 1), date(2027, 1, 1)
MOVES = {
    ("draft", "submit"): "pending",
    ("draft", "withdraw"): "withdrawn",
    ("pending", "review"): "under_review",
    ("pending", "approve"): "approved",
    ("pending", "reject"): "rejected",
    ("pending", "withdraw"): "withdrawn",
    ("under_review", "approve"): "approved",
    ("under_review", "reject"): "rejected",
    ("under_review", "ask"): "waiting_customer",
    ("under_review", "withdraw"): "withdrawn",
    ("under_review", "close"): "closed",
    ("waiting_customer", "answer"): "under_review",
    ("waiting_customer", "reject"): "rejected",
    ("waiting_customer", "withdraw"): "withdrawn",
    ("approved", "settle"): "paid",
    ("rejected", "appeal"): "under_review",
    ("rejected", "close"): "closed",
    ("paid", "close"): "closed",
    ("paid", "return_payout"): "approved",
    ("paid", "reopen"): "under_review",
    ("closed", "reopen"): "under_review",
}


def usd(minor):
    return Money(minor, "USD")


@pytest.mark.parametrize(("status", "action"), list(product(ClaimStatus, sorted({action for _, action in MOVES}))))
def test_every_status_and_action_is_as_the_table_says(status, action):
    assert CLAIM_LIFECYCLE.allows(status, action) == ((status, action) in MOVES)
    if (status, action) in MOVES:
        assert CLAIM_LIFECYCLE.next(status, action) == MOVES[status, action]
    else:
        with pytest.raises(IllegalTransition, match=r"^An? .*claim.* can't be .+\.$"):
            CLAIM_LIFECYCLE.next(status, action)


def test_a_refusal_is_said_as_people_say_it():
    for status, action, words in (
        (ClaimStatus.PAID, "withdraw", "A paid claim can't be withdrawn."),
        (ClaimStatus.UNDER_REVIEW, "settle", "A claim under review can't be paid."),
        (ClaimStatus.APPROVED, "approve", "An approved claim can't be approved."),
    ):
        with pytest.raises(IllegalTransition) as refusal:
            CLAIM_LIFECYCLE.next(status, action)
        assert refusal.value.message == words


def test_every_status_has_words_and_every_cause_a_label():
    assert set(STATUS_WORDS) == set(ClaimStatus)
    assert all(CAUSES.values())
    assert "other" in CAUSES


@pytest.mark.parametrize(
    ("loss_on", "covered"),
    [
        (date(2025, 12, 31), False),
        (date(2026, 1, 1), True),
        (date(2026, 12, 31), True),
        (date(2027, 1, 1), False),
    ],
)
def test_cover_runs_from_the_first_through_the_last_day(loss_on, covered):
    assert check_cover(PolicyStatus.ACTIVE, [Cover(START, END)], loss_on).covered is covered


@pytest.mark.parametrize("status", PolicyStatus)
def test_a_policy_that_has_ended_still_covers_what_happened_before(status):
    covered = check_cover(status, [Cover(START, END)], date(2026, 5, 3)).covered
    assert covered is (status not in UNBOUND)


def test_a_cancelled_policy_covers_until_the_day_of_cancellation():
    covers = [Cover(START, END, date(2026, 6, 1))]
    assert check_cover(PolicyStatus.CANCELLED, covers, date(2026, 5, 31)).covered
    refused = check_cover(PolicyStatus.CANCELLED, covers, date(2026, 6, 1))
    assert not refused.covered
    assert refused.reason == "Cover was cancelled; its last day was 31 May 2026, before the loss on 1 Jun 2026."


def test_a_gap_between_stretches_is_not_covered():
    covers = [Cover(date(2026, 7, 1), END), Cover(START, END, date(2026, 6, 1))]
    assert check_cover(PolicyStatus.ACTIVE, covers, date(2026, 7, 1)).covered
    assert not check_cover(PolicyStatus.ACTIVE, covers, date(2026, 6, 15)).covered


def test_cancelled_from_the_start_there_was_no_cover():
    assert not check_cover(PolicyStatus.CANCELLED, [Cover(START, END, START)], START).covered
    assert not check_cover(PolicyStatus.ACTIVE, [], START).covered


def test_the_reason_is_said_in_words():
    assert check_cover(PolicyStatus.ACTIVE, [Cover(START, END)], date(2026, 5, 3)).reason == (
        "The policy gave cover on 3 May 2026: it ran from 1 Jan 2026 through 31 Dec 2026."
    )
    assert check_cover(PolicyStatus.ACTIVE, [Cover(START, END)], date(2025, 5, 3)).reason == (
        "Cover began on 1 Jan 2026, after the loss on 3 May 2025."
    )


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**8), max_size=10))
def test_approved_amounts_use_up_coverage_but_never_more_than_there_is(limit, approved):
    left = coverage_left(usd(limit), [usd(minor) for minor in approved])
    assert left == usd(max(0, limit - sum(approved)))


def test_a_handler_decides_up_to_their_limit():
    check_authority(usd(500_00), 500_00)
    with pytest.raises(NotAllowed, match=r"up to \$500\.00"):
        check_authority(usd(500_01), 500_00)


def test_a_limit_of_nothing_leaves_every_decision_to_somebody_else():
    with pytest.raises(NotAllowed):
        check_authority(usd(1), 0)
    assert needs_second_person(usd(1), usd(0))


def test_a_payout_above_the_limit_needs_a_second_person():
    assert not needs_second_person(usd(1000_00), usd(1000_00))
    assert needs_second_person(usd(1000_01), usd(1000_00))


@pytest.mark.parametrize("status", ClaimStatus)
def test_the_tracker_goes_forward_with_one_stage_at_most_being_now(status):
    states = [stage.state for stage in stages(status)]
    assert states == sorted(states, key=["done", "now", "todo"].index)
    assert states.count("now") <= 1
    assert ("todo" in states or "now" in states) == (status not in ("paid", "closed", "rejected", "withdrawn"))


def test_the_tracker_tells_what_comes_next():
    assert [(stage.title, stage.state) for stage in stages(ClaimStatus.UNDER_REVIEW)] == [
        ("Reported", "done"),
        ("Being reviewed", "now"),
        ("Decision", "todo"),
        ("Paid", "todo"),
    ]
    assert [stage.title for stage in stages(ClaimStatus.WITHDRAWN)] == ["Reported", "Withdrawn"]


@pytest.mark.parametrize(
    ("loss", "terms", "amount"),
    [
        ("9000.00", {"deductible": "500.00", "limit": "8000.00", "left": "6000.00"}, "6000.00"),
        ("400.00", {"deductible": "500.00", "limit": "8000.00"}, "0.00"),
        ("1234.56", {}, "1234.56"),
        ("93629.58", {"deductible": "751.08", "limit": "52638.10", "left": "49772.36"}, "49772.36"),
        (
            "100000.00",
            {"deductible": "1000.00", "value": "300000.00", "carried": "180000.00", "rate": "0.80"},
            "74000.00",
        ),
        ("100.00", {"value": "100.00", "carried": "500.00", "rate": "0.80"}, "100.00"),
    ],
)
def test_a_loss_is_cut_by_penalty_deductible_limit_and_what_is_left_in_that_order(loss, terms, amount):
    given = {name: Money.parse(text, "USD") for name, text in terms.items() if name != "rate"}
    found = payable(Money.parse(loss, "USD"), **given, coinsurance_rate=Fraction(terms.get("rate", 0)))
    assert str(found.amount) == amount
    assert found.worksheet[-1]["amount"] == found.amount.in_words


@given(*[st.integers(0, 10**9)] * 4, st.integers(0, 10**9))
def test_what_is_payable_is_never_negative_nor_above_limit_loss_or_what_is_left(loss, deductible, limit, left, before):
    found = payable(usd(loss), deductible=usd(deductible), limit=usd(limit), left=usd(left)).amount
    assert usd(0) <= found <= min(usd(loss), usd(limit), usd(left))
    assert usd(0) <= less_approved(payable(usd(loss), limit=usd(limit)), usd(before)).amount <= usd(limit)


def test_working_days_leave_out_the_weekend():
    friday = date(2026, 5, 29)
    assert add_working_days(friday, 1) == date(2026, 6, 1)
    assert add_working_days(friday, 10) == date(2026, 6, 12)
    assert add_working_days(friday, 0) == friday


@pytest.mark.parametrize("status", ClaimStatus)
def test_every_status_says_what_comes_next(status):
    assert what_next(status, date(2026, 6, 1), date(2026, 6, 1)).endswith(".")

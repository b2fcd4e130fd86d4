"""Instalments add up, payments go to the oldest, and an invoice moves only as its table says."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.billing.domain import (
    DISBURSEMENT_LIFECYCLE,
    DISBURSEMENT_WORDS,
    INVOICE_LIFECYCLE,
    INVOICE_WORDS,
    PLAN_MONTHS,
    PLAN_WORDS,
    DisbursementStatus,
    InvoiceStatus,
    OpenInvoice,
    PaymentPlan,
    PlanTerms,
    allocate,
    is_overdue,
    schedule,
    split,
)
from insurance.core.dates import add_months
from insurance.core.errors import IllegalTransition, RuleBroken
from insurance.core.money import Money
from insurance.products.domain import PLANS


def usd(minor):
    return Money(minor, "USD")


START, END = date(2026, 1, 31), date(2027, 1, 31)
INVOICE_MOVES = {
    ("issued", "pay"): ("part_paid", "paid"),
    ("issued", "credit"): ("credited",),
    ("issued", "void"): ("void",),
    ("issued", "write_off"): ("written_off",),
    ("part_paid", "pay"): ("part_paid", "paid"),
    ("part_paid", "deallocate"): ("issued", "part_paid"),
    ("part_paid", "credit"): ("credited",),
    ("part_paid", "write_off"): ("written_off",),
    ("paid", "deallocate"): ("issued", "part_paid"),
    ("credited", "deallocate"): ("issued", "part_paid"),
    ("written_off", "restore"): ("issued", "part_paid"),
}
DISBURSEMENT_MOVES = {
    ("requested", "approve"): ("approved",),
    ("requested", "cancel"): ("cancelled",),
    ("approved", "send"): ("sent",),
    ("approved", "cancel"): ("cancelled",),
    ("sent", "settle"): ("settled",),
    ("sent", "return"): ("returned",),
}


@pytest.mark.parametrize(
    ("lifecycle", "statuses", "moves"),
    [
        (INVOICE_LIFECYCLE, InvoiceStatus, INVOICE_MOVES),
        (DISBURSEMENT_LIFECYCLE, DisbursementStatus, DISBURSEMENT_MOVES),
    ],
)
def test_every_status_and_action_is_as_the_table_says(lifecycle, statuses, moves):
    for status, action in product(statuses, {action for _, action in moves}):
        targets = moves.get((status, action), ())
        assert lifecycle.allows(status, action) == bool(targets)
        for to in targets:
            assert lifecycle.next(status, action, to=to) == to
        if not targets:
            with pytest.raises(IllegalTransition, match=r"^An? .+ can't be .+\.$"):
                lifecycle.next(status, action)


def test_every_status_and_plan_has_words():
    assert set(INVOICE_WORDS) == set(InvoiceStatus)
    assert set(DISBURSEMENT_WORDS) == set(DisbursementStatus)
    assert set(PLAN_WORDS) == set(PLAN_MONTHS) == set(PaymentPlan)


def test_products_offer_the_plans_that_billing_knows():
    assert tuple(PaymentPlan) == PLANS


def test_a_down_payment_comes_first_and_is_not_counted_in_parts():
    assert split(usd(100_00), 3, "first", Fraction("0.2")) == (usd(20_00), usd(26_67), usd(26_67), usd(26_66))
    assert split(usd(100_00), 3, "last", Fraction("0.2")) == (usd(20_00), usd(26_66), usd(26_66), usd(26_68))
    assert split(usd(5), 2, "first", Fraction("0.1")) == (usd(1), usd(2), usd(2))
    assert split(usd(100_00), 2, "first", 0) == (usd(50_00), usd(50_00))


@given(st.integers(0, 10**12), st.integers(1, 60), st.sampled_from(["first", "last"]), st.fractions(0, 1))
def test_down_payment_and_parts_add_up(minor, parts, remainder, rate):
    amounts = split(usd(minor), parts, remainder, rate)
    assert len(amounts) == parts + (rate > 0)
    assert sum(amounts, usd(0)) == usd(minor)


@pytest.mark.parametrize("rate", [Fraction(-1, 10), Fraction(11, 10)])
def test_a_down_payment_is_a_share(rate):
    with pytest.raises(RuleBroken):
        split(usd(100_00), 3, "first", rate)


@pytest.mark.parametrize(
    ("plan", "count"),
    [(PaymentPlan.ANNUAL, 1), (PaymentPlan.TWO_PAY, 2), (PaymentPlan.QUARTERLY, 4), (PaymentPlan.MONTHLY, 12)],
)
def test_a_year_has_the_instalments_of_its_plan(plan, count):
    assert len(schedule(plan, usd(2400_00), usd(0), usd(0), START, END, START)) == count


@pytest.mark.parametrize(
    ("plan", "end", "count"),
    [
        (PaymentPlan.ANNUAL, date(2026, 7, 31), 1),
        (PaymentPlan.TWO_PAY, date(2026, 7, 31), 1),
        (PaymentPlan.QUARTERLY, date(2026, 8, 1), 3),
        (PaymentPlan.MONTHLY, date(2026, 2, 28), 1),
        (PaymentPlan.MONTHLY, date(2026, 3, 1), 2),
        (PaymentPlan.ANNUAL, date(2028, 1, 31), 2),
    ],
)
def test_another_term_has_an_instalment_for_each_period_begun(plan, end, count):
    instalments = schedule(plan, usd(100_00), usd(0), usd(0), START, end, START)
    assert len(instalments) == count
    assert instalments[-1].period_end == end


def test_the_first_bills_at_bind_and_the_others_two_weeks_before_they_are_due():
    first, second, third, *_ = schedule(
        PaymentPlan.MONTHLY, usd(1000_01), usd(60_00), usd(5_00), START, END, date(2026, 1, 10)
    )
    assert (first.number, first.bills_on, first.due_on) == (1, date(2026, 1, 10), START)
    assert (first.premium, first.tax, first.fee, first.total) == (usd(83_34), usd(5_00), usd(5_00), usd(93_34))
    assert (second.bills_on, second.due_on) == (date(2026, 2, 14), date(2026, 2, 28))
    assert (second.fee, third.due_on) == (usd(0), date(2026, 3, 31))


def test_bound_after_the_start_nothing_is_due_before_bind():
    instalments = schedule(PaymentPlan.MONTHLY, usd(1200_00), usd(0), usd(0), START, END, date(2026, 3, 20))
    assert [(row.bills_on, row.due_on) for row in instalments[:4]] == [
        (date(2026, 3, 20), date(2026, 3, 20)),
        (date(2026, 3, 20), date(2026, 3, 20)),
        (date(2026, 3, 20), date(2026, 3, 31)),
        (date(2026, 4, 16), date(2026, 4, 30)),
    ]


def test_a_due_day_moves_all_but_the_first_and_31_is_the_last_day():
    due_days = [
        row.due_on
        for row in schedule(
            PaymentPlan.QUARTERLY,
            usd(100),
            usd(0),
            usd(0),
            date(2025, 11, 5),
            date(2026, 11, 5),
            START,
            PlanTerms(due_day=31),
        )
    ]
    assert due_days == [START, date(2026, 2, 28), date(2026, 5, 31), date(2026, 8, 31)]


@given(
    st.sampled_from(PaymentPlan),
    st.integers(1, 10**12),
    st.integers(0, 10**10),
    st.integers(0, 10**6),
    st.dates(date(2000, 1, 1), date(2060, 1, 1)),
    st.integers(1, 36),
    st.integers(-60, 60),
    st.none() | st.integers(1, 31),
)
def test_a_schedule_adds_up_and_covers_the_term(plan, premium, tax, fee, start, months, bound_after, due_day):
    end, bound_on = add_months(start, months), start + timedelta(days=bound_after)
    rows = schedule(plan, usd(premium), usd(tax), usd(fee), start, end, bound_on, PlanTerms(due_day=due_day))
    assert sum((row.total for row in rows), usd(0)) == usd(premium + tax + fee)
    assert sum((row.premium for row in rows), usd(0)) == usd(premium)
    assert (rows[0].period_start, rows[-1].period_end) == (start, end)
    assert all(before.period_end == after.period_start for before, after in pairwise(rows))
    assert [row.due_on for row in rows] == sorted(row.due_on for row in rows)
    assert all(bound_on <= row.bills_on <= row.due_on for row in rows)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))


def test_a_schedule_needs_a_term_and_a_day_of_the_month():
    with pytest.raises(RuleBroken):
        schedule(PaymentPlan.ANNUAL, usd(1), usd(0), usd(0), START, START, START)
    for due_day in (0, 32):
        with pytest.raises(RuleBroken):
            schedule(PaymentPlan.ANNUAL, usd(1), usd(0), usd(0), START, END, START, PlanTerms(due_day=due_day))


def test_the_first_instalment_carries_the_fee_and_each_its_share_of_premium_and_tax():
    rows = schedule(PaymentPlan.TWO_PAY, usd(100_00), usd(6_01), usd(2_00), START, END, START)
    assert [(row.premium, row.tax, row.fee) for row in rows] == [
        (usd(50_00), usd(3_01), usd(2_00)),
        (usd(50_00), usd(3_00), usd(0)),
    ]


def test_a_plan_can_ask_for_a_share_down_a_fee_each_and_leave_the_remainder_to_the_last():
    terms = PlanTerms(instalment_fee=usd(1_50), down_payment_rate=Fraction("0.4"), remainder="last")
    rows = schedule(PaymentPlan.QUARTERLY, usd(100_01), usd(0), usd(2_00), START, END, START, terms)
    assert [row.premium for row in rows] == [usd(40_00), usd(20_00), usd(20_00), usd(20_01)]
    assert [row.fee for row in rows] == [usd(3_50), usd(1_50), usd(1_50), usd(1_50)]


def test_a_share_down_means_nothing_where_all_is_paid_at_once():
    terms = PlanTerms(down_payment_rate=Fraction("0.4"))
    assert [
        row.premium for row in schedule(PaymentPlan.ANNUAL, usd(100), usd(0), usd(0), START, END, START, terms)
    ] == [usd(100)]


def test_the_terms_of_a_plan_are_read_from_the_product():
    definition = {
        "currency": "USD",
        "plan_terms": {"monthly": {"fee": "1.50", "due_day": 31, "down_payment_rate": "0.2"}},
    }
    assert PlanTerms.of(definition, PaymentPlan.MONTHLY) == PlanTerms(usd(1_50), Fraction(1, 5), 31)
    assert PlanTerms.of(definition, PaymentPlan.ANNUAL) == PlanTerms()


def test_a_plan_that_changes_in_mid_term_bills_its_first_instalment_like_the_others():
    [row] = schedule(
        PaymentPlan.ANNUAL, usd(100), usd(0), usd(0), START, END, START - timedelta(days=60), at_once=False
    )
    assert (row.bills_on, row.due_on) == (START - timedelta(days=14), START)


invoices = st.lists(
    st.builds(
        OpenInvoice,
        st.uuids().map(str),
        st.sampled_from([START, END, date(2025, 1, 1)]),
        st.builds(usd, st.integers(0, 500)),
    ),
    max_size=8,
)


@given(invoices, st.integers(0, 3000))
def test_a_payment_is_spent_or_left_and_no_invoice_gets_more_than_is_open(open_invoices, paid):
    allocations, credit = allocate(open_invoices, usd(paid))
    open_by_number = {invoice.number: invoice for invoice in open_invoices}
    assert sum((amount for _, amount in allocations), credit) == usd(paid)
    assert all(usd(0) < amount <= open_by_number[number].open for number, amount in allocations)
    dues = [open_by_number[number].due_on for number, _ in allocations]
    assert dues == sorted(dues)
    if credit:
        assert all(dict(allocations)[invoice.number] == invoice.open for invoice in open_invoices if invoice.open)


def test_the_named_invoice_is_paid_before_older_ones():
    open_invoices = [
        OpenInvoice("A", date(2026, 1, 1), usd(10_00)),
        OpenInvoice("B", date(2026, 2, 1), usd(10_00)),
        OpenInvoice("C", date(2026, 3, 1), usd(10_00)),
    ]
    assert allocate(open_invoices, usd(15_00), first="C") == ((("C", usd(10_00)), ("A", usd(5_00))), usd(0))


def test_equal_due_dates_are_paid_as_listed():
    open_invoices = [OpenInvoice("B", START, usd(10_00)), OpenInvoice("A", START, usd(10_00))]
    assert allocate(open_invoices, usd(12_00)) == ((("B", usd(10_00)), ("A", usd(2_00))), usd(0))


def test_an_unknown_invoice_and_a_negative_payment_are_refused():
    with pytest.raises(RuleBroken):
        allocate([], usd(1), first="X")
    with pytest.raises(RuleBroken):
        allocate([], usd(-1))


def test_an_invoice_in_another_currency_is_refused():
    with pytest.raises(RuleBroken):
        allocate([OpenInvoice("A", START, Money(1, "EUR"))], usd(1))


@pytest.mark.parametrize("status", InvoiceStatus)
def test_overdue_is_what_is_still_open_after_its_due_day(status):
    assert not is_overdue(status, START, START)
    assert is_overdue(status, START, START + timedelta(days=1)) == (status in ("issued", "part_paid"))


def test_a_fee_says_which_terms_it_comes_from() -> None:
    start, end = date(2026, 1, 1), date(2027, 1, 1)
    terms = PlanTerms(instalment_fee=usd(1_50))
    first, *_, last = schedule(PaymentPlan.QUARTERLY, usd(400_00), usd(0), usd(10_00), start, end, start, terms)
    each = "$1.50 for each instalment of the plan “Every three months”: $1.50 × 4 = $6.00 for the term"
    assert (first.fee, first.fee_basis) == (usd(11_50), f"$10.00 charged once for the term; {each}")
    assert (last.fee, last.fee_basis) == (usd(1_50), each)
    [only] = schedule(PaymentPlan.ANNUAL, usd(400_00), usd(0), usd(0), start, end, start)
    assert only.fee_basis == ""

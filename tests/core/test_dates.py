"""Civil dates: months come back to their day, ages change on birthdays, shares are exact."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.core.dates import (
    Basis,
    add_months,
    age_on,
    day_after,
    day_of_month,
    days_between,
    in_words,
    last_day,
    parse_date,
    periods,
    share_of_period,
)
from insurance.core.errors import RuleBroken

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))


def test_the_31st_comes_back_after_shorter_months():
    anchor = date(2026, 1, 31)
    assert [add_months(anchor, n) for n in range(4)] == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
    ]
    assert add_months(anchor, -2) == date(2025, 11, 30)


def test_29_february_comes_back_in_leap_years():
    assert add_months(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert add_months(date(2024, 2, 29), 48) == date(2028, 2, 29)


@given(days, st.integers(-1200, 1200))
def test_months_land_in_the_right_month_and_never_after_the_day(start, months):
    later = add_months(start, months)
    assert (later.year - start.year) * 12 + later.month - start.month == months
    assert later.day == start.day or (later.day < start.day and day_after(later).day == 1)


def test_the_calendar_ends_in_words():
    for act in (lambda: add_months(date(9999, 12, 1), 1), lambda: day_after(date.max)):
        with pytest.raises(RuleBroken):
            act()


@given(days, st.integers(1, 24), st.integers(0, 30))
def test_periods_follow_each_other_without_gap(start, months, count):
    rows = periods(start, months, count)
    assert len(rows) == count
    assert all(first <= last for first, last in rows)
    assert all(day_after(last) == first for (_, last), (first, _) in pairwise(rows))
    assert [first for first, _ in rows] == [add_months(start, months * n) for n in range(count)]


def test_periods_from_the_31st_are_counted_from_the_anchor():
    assert periods(date(2014, 1, 31), 1, 3) == [
        (date(2014, 1, 31), date(2014, 2, 27)),
        (date(2014, 2, 28), date(2014, 3, 30)),
        (date(2014, 3, 31), date(2014, 4, 29)),
    ]


def test_a_period_without_months_is_refused():
    for months, count in ((0, 1), (-1, 1), (1, -1)):
        with pytest.raises(RuleBroken):
            periods(date(2026, 1, 1), months, count)


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        (date(1986, 6, 1), date(2026, 5, 31), 39),
        (date(1986, 6, 1), date(2026, 6, 1), 40),
        (date(2004, 2, 29), date(2026, 2, 28), 21),
        (date(2004, 2, 29), date(2026, 3, 1), 22),
        (date(2004, 2, 29), date(2028, 2, 28), 23),
        (date(2004, 2, 29), date(2028, 2, 29), 24),
        (date(2026, 1, 1), date(2026, 1, 1), 0),
    ],
)
def test_age_is_completed_years(birth, day, age):
    assert age_on(birth, day) == age


def test_nobody_is_insured_before_birth():
    with pytest.raises(RuleBroken) as refusal:
        age_on(date(2026, 1, 2), date(2026, 1, 1))
    assert refusal.value.field == "birth_date"


def test_a_period_ends_the_day_before_its_end():
    assert last_day(date(2027, 1, 1)) == date(2026, 12, 31)
    assert day_after(date(2026, 12, 31)) == date(2027, 1, 1)
    assert days_between(date(2026, 1, 1), date(2027, 1, 1)) == 365


def test_day_31_means_the_last_day():
    assert day_of_month(date(2026, 2, 5), 31) == date(2026, 2, 28)
    assert day_of_month(date(2026, 4, 5), 31) == date(2026, 4, 30)
    assert day_of_month(date(2026, 4, 5), 1) == date(2026, 4, 1)


def test_sentences_say_a_day_without_stamps():
    assert in_words(date(2026, 11, 4)) == "4 Nov 2026"


@pytest.mark.parametrize(
    "text",
    ["", "2026-02-30", "20260101", "2026-W01-1", "2026-1-1", "01.02.2026", " 2026-01-01", "2026-01-01\n", "٢٠٢٦-01-01"],
)
def test_only_year_month_day_is_read_as_a_date(text):
    with pytest.raises(RuleBroken) as refusal:
        parse_date(text, field="start_date")
    assert refusal.value.field == "start_date"


def test_a_date_is_read():
    assert parse_date("2028-02-29") == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("basis", "start", "end", "from_", "to", "share"),
    [
        ("days", "2012-05-01", "2012-06-01", "2012-05-03", "2012-06-01", Fraction(29, 31)),
        ("days", "2028-01-01", "2029-01-01", "2028-01-01", "2028-03-01", Fraction(60, 366)),
        ("thirty_day_months", "2023-04-23", "2023-05-23", "2023-05-15", "2023-05-23", Fraction(8, 30)),
        ("thirty_day_months", "2026-01-01", "2027-01-01", "2026-01-31", "2026-03-31", Fraction(60, 360)),
        ("thirty_day_months", "2026-01-01", "2027-01-01", "2026-02-28", "2026-03-01", Fraction(3, 360)),
        ("months", "2021-01-01", "2022-01-01", "2021-01-01", "2021-07-01", Fraction(1, 2)),
        ("months", "2021-01-01", "2022-01-01", "2021-03-10", "2021-05-15", (2 + Fraction(5, 31)) / 12),
        ("months", "2021-01-01", "2022-01-01", "2021-01-15", "2021-03-10", (1 + Fraction(23, 28)) / 12),
        ("months", "2021-01-31", "2022-01-31", "2021-01-31", "2021-02-28", Fraction(1, 12)),
        ("months", "2021-01-31", "2022-01-31", "2021-01-31", "2021-03-30", (1 + Fraction(30, 31)) / 12),
    ],
)
def test_a_share_is_counted_by_its_basis(basis, start, end, from_, to, share):
    start, end, from_, to = map(date.fromisoformat, (start, end, from_, to))
    assert share_of_period(start, end, from_, to, basis) == share


@given(days, st.integers(40, 1500), st.data(), st.sampled_from(list(Basis)))
def test_a_share_lies_between_nothing_and_all(start, length, data, basis):
    end = start + timedelta(days=length)
    first = data.draw(st.integers(0, length))
    second = data.draw(st.integers(first, length))
    from_, to = start + timedelta(days=first), start + timedelta(days=second)
    assert 0 <= share_of_period(start, end, from_, to, basis) <= 1 + Fraction(2, 30)  # short months count 30
    assert share_of_period(start, end, start, end, basis) == 1
    assert share_of_period(start, end, start, start, basis) == 0


@given(days, st.integers(1, 1500), st.data())
def test_shares_by_days_add_up(start, length, data):
    end = start + timedelta(days=length)
    middle = start + timedelta(days=data.draw(st.integers(0, length)))
    assert share_of_period(start, end, start, middle) + share_of_period(start, end, middle, end) == 1


@pytest.mark.parametrize(
    ("start", "end", "from_", "to"),
    [
        ("2026-01-01", "2027-01-01", "2025-12-31", "2026-02-01"),
        ("2026-01-01", "2027-01-01", "2026-02-01", "2027-01-02"),
        ("2026-01-01", "2027-01-01", "2026-02-02", "2026-02-01"),
        ("2026-01-01", "2026-01-01", "2026-01-01", "2026-01-01"),
    ],
)
def test_a_part_outside_its_period_is_refused(start, end, from_, to):
    start, end, from_, to = map(date.fromisoformat, (start, end, from_, to))
    with pytest.raises(RuleBroken):
        share_of_period(start, end, from_, to)


def test_an_unknown_basis_and_a_period_that_counts_nothing_are_refused():
    with pytest.raises(RuleBroken):
        share_of_period(date(2026, 1, 1), date(2027, 1, 1), date(2026, 1, 1), date(2026, 2, 1), "weeks")
    with pytest.raises(RuleBroken):
        share_of_period(date(2026, 1, 30), date(2026, 1, 31), date(2026, 1, 30), date(2026, 1, 31), "thirty_day_months")

"""Money adds up to the last unit, rounds once, and reads nothing but plain figures."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.core.errors import RuleBroken
from insurance.core.money import CURRENCIES, LIMIT_MINOR, Money, exact, half_up

minors = st.integers(-LIMIT_MINOR, LIMIT_MINOR)
currencies = st.sampled_from(["USD", "JPY", "BHD"])
moneys = st.builds(Money, minors, currencies)


@given(moneys)
def test_what_is_written_is_read_back(amount):
    assert Money.parse(str(amount), amount.currency) == amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("2400.00", "USD", 240000),
        ("2400", "USD", 240000),
        ("0.5", "USD", 50),
        ("-0.05", "USD", -5),
        ("-0", "USD", 0),
        ("007.10", "USD", 710),
        ("93555502", "JPY", 93555502),
        ("56978.101", "BHD", 56978101),
        ("10000000000000.00", "USD", LIMIT_MINOR),
    ],
)
def test_plain_figures_are_read(text, currency, minor):
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NaN",
        "nan",
        "inf",
        "1e30",
        "1E2",
        "1_000",
        "1,000.00",
        "1 000",
        "+5",
        "--5",
        "- 5",
        ".5",
        "5.",
        "1.2.3",
        "0x10",
        "$5",
        "5\n",
        "\n5",
        "5\x00",
        "٣٤",  # Arabic digits
        "1２",  # a full-width digit
        "²",
        "\ud800",
        "5.005",
        "5.000",
        "10000000000000.01",
        "-10000000000000.01",
        "9" * 5000,
    ],
)
def test_whatever_else_looks_like_a_number_is_refused(text):
    with pytest.raises(RuleBroken):
        Money.parse(text, "USD")


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("USD", 2), ("EUR", 2), ("BHD", 3)])
def test_a_currency_has_the_decimals_of_iso_4217(currency, digits):
    assert Money(1, currency).digits == digits
    assert Money(1, currency).decimal == Decimal(1).scaleb(-digits)
    with pytest.raises(RuleBroken):
        Money.parse(f"1.{'0' * (digits + 1)}", currency)


def test_an_unknown_currency_is_refused():
    assert "USD" in CURRENCIES
    for currency in ("XYZ", "usd", "", "US"):
        with pytest.raises(RuleBroken):
            Money(1, currency)


@pytest.mark.parametrize("minor", [1.0, True, "1", Decimal(1), None])
def test_minor_units_are_whole_numbers(minor):
    with pytest.raises(TypeError):
        Money(minor, "USD")


def test_money_is_written_with_all_its_decimals():
    assert str(Money(240000, "USD")) == "2400.00"
    assert str(Money(-5, "USD")) == "-0.05"
    assert str(Money(0, "BHD")) == "0.000"
    assert str(Money(7, "JPY")) == "7"


def test_money_reckons_in_its_own_currency():
    five, three = Money(500, "USD"), Money(300, "USD")
    assert (five + three, five - three, -five, abs(-five)) == (
        Money(800, "USD"),
        Money(200, "USD"),
        Money(-500, "USD"),
        five,
    )
    assert three < five <= five < Money(501, "USD")
    assert max(three, five) is five
    assert five
    assert not Money.zero("USD")
    assert Money(0, "USD") != Money(0, "EUR")


@pytest.mark.parametrize(
    "reckon",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
    ],
)
def test_mixed_currencies_are_refused(reckon):
    with pytest.raises(RuleBroken):
        reckon(Money(1, "USD"), Money(1, "EUR"))
    with pytest.raises(TypeError):
        reckon(Money(1, "USD"), 1)


@pytest.mark.parametrize(
    ("value", "nearest"),
    [("0.5", 1), ("-0.5", -1), ("1.5", 2), ("2.5", 3), ("-2.5", -3), ("0.49", 0), ("-0.49", 0), ("2.51", 3), ("7", 7)],
)
def test_halves_go_away_from_zero(value, nearest):
    assert half_up(Fraction(value)) == half_up(Decimal(value)) == nearest


@given(st.fractions())
def test_rounding_is_never_off_by_more_than_half(value):
    assert abs(half_up(value) - value) <= Fraction(1, 2)
    assert half_up(-value) == -half_up(value)


def test_a_float_is_refused_wherever_a_factor_is_taken():
    tenth: Any = 0.1
    for take in (half_up, exact, Money(1, "USD").times, lambda factor: Money.rounded(factor, "USD")):
        with pytest.raises(TypeError):
            take(tenth)


def test_times_rounds_once():
    # 1/3 of a cent three times would be nothing, if each were rounded by itself
    assert Money(1, "USD").times(Fraction(1, 3) * 3) == Money(1, "USD")
    assert Money(1, "USD").times(Decimal("0.5")) == Money(1, "USD")
    assert Money(-1, "USD").times(Fraction(1, 2)) == Money(-1, "USD")
    assert Money(24995, "USD").share(27, 30) == Money(22496, "USD")


def test_an_exact_amount_in_whole_units_becomes_the_nearest_money():
    assert Money.rounded(Fraction("2444.444244"), "USD") == Money(244444, "USD")
    assert Money.rounded(Fraction(5, 1000), "USD") == Money(1, "USD")
    assert Money.rounded(Fraction(1, 2), "JPY") == Money(1, "JPY")


@given(moneys, st.integers(1, 400), st.sampled_from(["first", "last"]))
def test_parts_add_up_to_the_whole(total, parts, remainder):
    amounts = total.split(parts, remainder)
    assert len(amounts) == parts
    assert sum(amounts, Money.zero(total.currency)) == total


@given(moneys, st.integers(1, 400))
def test_parts_differ_by_one_unit_at_most_and_the_first_get_more(total, parts):
    sizes = [abs(part).minor for part in total.split(parts)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


@given(moneys, st.integers(2, 400))
def test_the_last_part_takes_all_that_is_left_over_if_asked(total, parts):
    *equal, last = (abs(part).minor for part in total.split(parts, "last"))
    assert len(set(equal)) == 1
    assert 0 <= last - equal[0] < parts


def test_a_split_needs_a_part_and_a_known_remainder():
    for parts in (0, -1):
        with pytest.raises(RuleBroken):
            Money(1, "USD").split(parts)
    with pytest.raises(RuleBroken):
        Money(1, "USD").split(2, "middle")  # type: ignore[arg-type]

"""Amounts, numbers and days by locale: written as babel writes them, read only where they can mean one amount."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from flask import Flask

from insurance.core import formats
from insurance.core.dates import in_words
from insurance.core.money import Money
from insurance.web.forms import Form, MoneyField
from tests import factories


@pytest.mark.parametrize(
    ("locale", "minor", "currency", "written"),
    [
        ("en_US", 123456789, "USD", "$1,234,567.89"),
        ("en_US", -500, "USD", "−$5.00"),
        ("en_US", 1234, "JPY", "¥1,234"),
        ("en_US", 1234567, "BHD", "BHD\xa01,234.567"),
        ("de_DE", 123456789, "EUR", "1.234.567,89\xa0€"),
        ("de_DE", -500, "EUR", "−5,00\xa0€"),
        ("de_DE", 1234567, "BHD", "1.234,567\xa0BHD"),
        ("de_DE", 1234, "JPY", "1.234\xa0¥"),
        ("en_IN", 123456789, "INR", "₹12,34,567.89"),
        ("ar", 123456789, "USD", "1,234,567.89\xa0US$"),
        ("ar", -1234567, "BHD", "−1,234.567\xa0د.ب."),
    ],
)
def test_money_is_written_by_its_locale(locale: str, minor: int, currency: str, written: str) -> None:
    amount = Money(minor, currency)
    assert formats.money(amount.decimal, currency, amount.digits, locale).replace("BHD1", "BHD\xa01") == written


@pytest.mark.parametrize(
    ("locale", "day", "number"),
    [
        ("en_US", "24 Nov 2026", "1,234,567"),
        ("en_IN", "24 Nov 2026", "12,34,567"),
        ("de_DE", "24.11.2026", "1.234.567"),
        ("ar", "24/11/2026", "1,234,567"),
    ],
)
def test_days_and_numbers_are_written_by_their_locale(locale: str, day: str, number: str) -> None:
    assert formats.day(date(2026, 11, 24), locale) == day
    assert formats.number(1234567, locale) == number


@pytest.mark.parametrize(
    ("locale", "typed", "digits", "read"),
    [
        ("en_US", "1,234.50", 2, "1234.50"),
        ("en_US", "1.234", 2, "1.234"),  # and then refused: too many decimals
        ("en_US", "1.234,50", 2, None),
        ("en_US", "1,23,456", 2, None),
        ("de_DE", "1.234,50", 2, "1234.50"),
        ("de_DE", "1234,5", 2, "1234.5"),
        ("de_DE", "1234.50", 2, "1234.50"),
        ("de_DE", "1.234", 2, "1234"),
        ("de_DE", "1.234", 3, None),
        ("de_DE", "1.234,000", 3, "1234.000"),
        ("de_DE", "1.234", 0, "1234"),
        ("de_DE", "1,234", 2, "1.234"),  # too many decimals, never 1234
        ("de_DE", "1,234.50", 2, None),
        ("de_DE", "1.23.456", 2, None),
        ("en_IN", "12,34,567.89", 2, "1234567.89"),
        ("en_IN", "1,234,567", 2, "1234567"),
        ("de_CH", "1'234.50", 2, "1234.50"),
        ("fr_FR", "1 234,50", 2, "1234.50"),
        ("ar", "1,234.500", 3, "1234.500"),
        ("ar", "١٢٣", 2, None),
    ],
)
def test_typed_amounts_are_read_only_where_they_can_mean_one(
    locale: str, typed: str, digits: int, read: str | None
) -> None:
    assert formats.plain(typed, digits, locale) == read


@pytest.fixture
def german(app: Flask) -> Iterator[None]:
    admin = factories.browser(factories.user("admin"))
    saved = admin.post("/admin/settings/formats", data={"locale": "de_DE", "version": "0"})
    assert saved.status_code == 303
    return


@pytest.mark.sqlite_only
def test_admins_choose_how_everything_is_written(app: Flask, german: None) -> None:
    admin = factories.browser(factories.user("admin"))
    shown = admin.get("/admin/settings/formats").text
    assert "1.234.567,89" in shown
    assert "12,34,567" in shown  # the others are shown to choose from
    assert "1.234.567,89" in admin.get("/admin/settings").text
    assert admin.post("/admin/settings/formats", data={"locale": "xx", "version": "1"}).status_code == 422
    policy = factories.bound_policy()
    assert "2.400,00" in admin.get(f"/invoices/{factories.first_invoice(policy).id}").text
    assert in_words(date(2026, 6, 1)) == "1.6.2026"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("currency", "minor"), [("EUR", 123456789), ("JPY", 1234), ("BHD", 1234567), ("BHD", 1234000)])
def test_what_a_form_shows_it_reads_again(app: Flask, german: None, currency: str, minor: int) -> None:
    class Paid(Form):
        amount = MoneyField("Amount", currency=currency)

    with app.test_request_context():
        shown = Paid(amount=Money(minor, currency)).amount._value()
    with app.test_request_context(method="POST", data={"amount": shown}):
        form = Paid()
        assert form.validate(), form.errors
        assert form.amount.data == Money(minor, currency)


def test_decimals_keep_their_digits() -> None:
    assert formats.number(Decimal("1204.00"), "de_DE") == "1.204,00"

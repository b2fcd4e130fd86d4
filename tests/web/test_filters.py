"""Values on pages: in words, and never "None"."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel.numbers import format_currency
from flask import Flask
from jinja2 import StrictUndefined

from insurance.core import clock
from insurance.core.money import Money
from insurance.web import filters


@pytest.fixture
def app(tmp_path):
    (tmp_path / "site.css").write_text("a{}")
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    app.config.update(BUSINESS_TIMEZONE=ZoneInfo("America/New_York"), BUSINESS_DATE=date(2026, 11, 24))
    app.jinja_env.undefined = StrictUndefined
    filters.register(app)
    with app.test_request_context():
        yield app


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
            "Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
            "Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        ("python-requests/2.34.0", "python-requests"),
        ("", "Unknown program"),
    ],
)
def test_a_browser_is_called_what_people_call_it(agent: str, shown: str) -> None:
    assert filters.browser(agent) == shown


LATE = datetime(2026, 11, 24, 2, 42, tzinfo=UTC)  # still 23 November in New York


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ x|money }}", "$1,204.00"),
        ("{{ day|date }}", "24 Nov 2026"),
        ("{{ day|long_date }}", "Tuesday 24 November 2026"),
        ("{{ late|date }}", "23 Nov 2026"),
        ("{{ late|long_date }}", "Monday 23 November 2026"),
        ("{{ late|time }}", "21:42"),
        ("{{ late|datetime }}", "23 Nov 2026, 21:42 EST"),
        ("{{ plural(1, 'policy', 'policies') }}", "1 policy"),
        ("{{ 0|plural('policy', 'policies') }}", "0 policies"),
        ("{{ 1204|plural('policy', 'policies') }}", "1,204 policies"),
        ("{{ today()|date }}", "24 Nov 2026"),
    ],
)
def test_values_are_written_as_the_reader_says_them(app, template, text):
    values = {"x": Money(120400, "USD"), "day": date(2026, 11, 24), "late": LATE}
    assert app.jinja_env.from_string(template).render(values) == text


@pytest.mark.parametrize("name", ["money", "date", "long_date", "time", "datetime", "plural('policy', 'policies')"])
def test_what_is_missing_is_a_dash(app, name):
    assert app.jinja_env.from_string(f"{{{{ nothing|{name} }}}}").render(nothing=None) == "–"


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP", "JPY", "KWD", "CHF", "INR"])
@pytest.mark.parametrize("minor", [0, 1, 5, 99, 100, 120400, 10**15])
def test_money_is_written_as_babel_writes_it(currency, minor):
    amount = Money(minor, currency)
    assert filters.money(amount) == format_currency(amount.decimal, currency, locale="en_US")


def test_money_below_zero_has_a_true_minus():
    assert filters.money(Money(-500, "USD")) == "−$5.00"
    assert Money(-500, "USD").decimal == Decimal("-5.00")


def test_an_icon_is_drawn_in_the_page_and_hidden_from_readers_of_the_screen(app):
    drawn = filters.icon("shield-check")
    assert drawn.startswith('<svg class="i" ')
    assert 'aria-hidden="true"' in drawn
    assert drawn.count("<path") == 2
    assert "style=" not in drawn
    with pytest.raises(LookupError):
        filters.icon("no-such-icon")


def test_the_address_of_an_asset_changes_with_its_content(app, tmp_path):
    first = filters.asset("site.css")
    assert first.startswith("/static/site.css?v=")
    assert filters.asset("site.css") == first
    (tmp_path / "site.css").write_text("b{color:red}")
    assert filters.asset("site.css") != first
    with pytest.raises(FileNotFoundError):
        filters.asset("nowhere.css")


def test_today_is_the_day_that_the_clock_is_set_to(app):
    with clock.at(date(2028, 2, 29)):
        assert app.jinja_env.from_string("{{ today()|date }}").render() == "29 Feb 2028"

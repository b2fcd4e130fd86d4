"""The rules of privacy: spans, what stays how long, what is odd about access, and the table in the documentation."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from insurance.privacy.domain import RULES, Access, Key, Span, keep_until, retention_table
from insurance.privacy.queries import retention
from insurance.privacy.services.retention import ACTS

TODAY = date(2026, 6, 1)
ADA = Access(
    id=1, name="Ada", email="ada@example.com", role="admin", active=True, authority_minor=0, wide_sight=True,
    two_step=True, approves_own=False, created_on=date(2020, 1, 1), created_by="", signed_in_on=TODAY,
    role_changed_on=None, customers=0, sessions=1, keys=(),
)  # fmt: skip
KEY = Key("Ledger", ["claims:read"], date(2026, 9, 1), None)


@pytest.mark.parametrize(
    ("span", "day", "before"),
    [
        (Span(years=2), date(2026, 6, 1), date(2024, 6, 1)),
        (Span(years=1), date(2028, 2, 29), date(2027, 2, 28)),
        (Span(days=30), date(2026, 3, 1), date(2026, 1, 30)),
        (Span(), date(2026, 3, 1), date(2026, 3, 1)),
    ],
)
def test_a_span_reaches_back_by_the_calendar(span: Span, day: date, before: date) -> None:
    assert span.before(day) == before


def test_records_are_kept_to_the_end_of_the_tenth_year() -> None:
    assert keep_until(date(2026, 1, 1)) == keep_until(date(2026, 12, 31)) == date(2036, 12, 31)


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({}, []),
        ({"signed_in_on": date(2026, 3, 3)}, []),
        ({"signed_in_on": date(2026, 3, 2)}, ["not signed in for 90 days"]),
        ({"signed_in_on": date(2025, 12, 2)}, ["dormant", "not signed in for 90 days"]),
        ({"signed_in_on": None}, ["dormant", "never signed in"]),
        ({"signed_in_on": None, "created_on": TODAY}, []),
        ({"two_step": False, "approves_own": True}, ["no second step", "can approve own payouts up to the limit"]),
        ({"keys": [KEY, replace(KEY, used_on=TODAY)]}, ["key never used: Ledger"]),
        ({"active": False, "two_step": False}, []),
        ({"active": False, "keys": [KEY]}, ["deactivated, but has keys"]),
    ],
)
def test_what_a_review_should_look_at(changed: dict, flags: list[str]) -> None:
    assert replace(ADA, **changed).flags(TODAY) == flags


def test_each_rule_of_the_table_finds_something_and_does_something(app) -> None:
    assert set(RULES) == set(ACTS) == set(retention.due(TODAY))


def test_the_printed_table_is_the_one_that_the_night_goes_by() -> None:
    assert retention_table() in (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()

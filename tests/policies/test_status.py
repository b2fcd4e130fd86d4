"""The status by the calendar is one rule, whether SQL or Python asks for it."""

from datetime import date, timedelta

from flask import Flask
from sqlalchemy import select

from insurance.core.db import db, transaction
from insurance.policies.domain import PolicyStatus
from insurance.policies.models import Policy, has_status, status_on
from tests import factories

START = date(2026, 6, 10)


def test_sql_and_python_agree_for_every_stored_status_and_every_kind_of_day(app: Flask) -> None:
    policy = factories.quote(start_on=START, last_day_on=date(2026, 7, 9))
    asked = 0
    for stored in PolicyStatus:
        for cancelled_on in (None, date(2026, 6, 20)):
            with transaction():
                row = db.session.get_one(Policy, policy.id)
                row.status, row.cancelled_on = stored, cancelled_on
            row = db.session.get_one(Policy, policy.id)
            for day in (START - timedelta(1), START, date(2026, 6, 19), date(2026, 6, 20), row.quote_valid_until,
                        row.quote_valid_until + timedelta(1), date(2026, 7, 9), date(2026, 7, 10)):  # fmt: skip
                assert db.session.scalar(select(status_on(day))) is row.status_on(day), (stored, cancelled_on, day)
                assert [status for status in PolicyStatus if db.session.scalar(select(has_status(status, day)))] == [
                    row.status_on(day)
                ]
                asked += 1
    assert asked == len(PolicyStatus) * 2 * 8

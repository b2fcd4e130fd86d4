"""Days on which clocks go wrong elsewhere: 29 February, the hours that summer time skips and repeats, and 2038."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from insurance.billing.domain import PaymentPlan
from insurance.billing.models import BillingItem, Invoice
from insurance.core import clock
from insurance.core.db import db
from insurance.core.money import Money
from insurance.core.permissions import SYSTEM
from insurance.jobs import services as jobs
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from insurance.policies.domain import PolicyStatus
from insurance.policies.models import Policy
from tests import factories
from tests.faults.experiment import violations

pytestmark = pytest.mark.fault

DAY = timedelta(days=1)


@pytest.mark.parametrize("start", [date(2028, 2, 29), date(2038, 1, 19), date(2100, 2, 28)])
def test_a_year_of_cover_is_bound_billed_paid_and_ends(app: Flask, start: date) -> None:
    """2038-01-19 is when seconds since 1970 leave 32 bits; 2100 is no leap year."""
    with clock.at(start):
        policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, start_on=start)
        payments.record(
            account_id=policy.account_id, amount=Money(2400_00, "USD"), method=PaymentMethod.CASH, actor=SYSTEM
        )
    policy_id, days = policy.id, (policy.end_on - policy.start_on).days
    assert days in (365, 366)
    for on in (start + 180 * DAY, start + 366 * DAY):
        with clock.at(on):
            jobs.run_nightly(on, lambda _line: None)
            assert violations() == []
    due = [item.due_on for item in db.session.query(BillingItem).order_by(BillingItem.instalment)]
    assert due == sorted(due)
    assert len(due) == len({(day.year, day.month) for day in due}) == db.session.query(Invoice).count() == 12
    assert db.session.get_one(Policy, policy_id, populate_existing=True).status is PolicyStatus.EXPIRED
    [payment] = db.session.query(Payment)
    assert payment.created_at.date() == payment.paid_on == start


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC), date(2027, 3, 28)),  # 01:59:59, and then it is 3 o’clock
        (datetime(2027, 3, 28, 21, 59, 59, tzinfo=UTC), date(2027, 3, 28)),  # the day has 23 hours
        (datetime(2027, 3, 28, 22, 0, tzinfo=UTC), date(2027, 3, 29)),
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), date(2027, 10, 31)),  # 02:30 for the first time
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), date(2027, 10, 31)),  # and for the second
        (datetime(2027, 10, 31, 22, 59, 59, tzinfo=UTC), date(2027, 10, 31)),  # the day has 25 hours
        (datetime(2027, 10, 31, 23, 0, tzinfo=UTC), date(2027, 11, 1)),
    ],
)
@pytest.mark.sqlite_only
def test_days_begin_where_the_business_is_when_clocks_are_put_on_and_back(
    app: Flask, monkeypatch: pytest.MonkeyPatch, instant: datetime, day: date
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return instant

    monkeypatch.setattr(clock, "datetime", Clock)
    monkeypatch.setitem(app.config, "BUSINESS_TIMEZONE", ZoneInfo("Europe/Berlin"))
    monkeypatch.setitem(app.config, "BUSINESS_DATE", None)
    assert (clock.now(), clock.today()) == (instant, day)
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    assert policy.start_on == day
    jobs.run_night(day, lambda _line: None)
    jobs.run_night(day, lambda _line: None)
    payments.record(account_id=policy.account_id, amount=Money(100, "USD"), method=PaymentMethod.CASH, actor=SYSTEM)
    assert db.session.query(Payment).one().created_at == instant
    assert violations() == []

"""The nightly run: what a new day brings, once, however often and however brokenly it runs."""

from datetime import date, timedelta

import pytest

from insurance.billing import queries as billing
from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import Invoice
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM
from insurance.jobs import queries, services, worker
from insurance.jobs.models import JobRun
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.policies.models import Policy
from tests import factories
from tests.conftest import TODAY
from tests.races import together

DAY = timedelta(days=1)


def night(on: date) -> list[str]:
    """Run the night of a day; what it reports."""
    lines: list[str] = []
    with clock.at(on):
        services.run_nightly(on, lines.append)
    return lines


def figures(on: date) -> list[int]:
    """What a night did to policies, invoices and credit; its notices and lapses have tests of their own."""
    return [int(line.split()[0]) for line in night(on)][:3]


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def test_a_night_issues_the_invoices_that_bill_by_then(app) -> None:
    policies = [factories.bound_policy(plan=PaymentPlan.MONTHLY) for _ in range(2)]
    july = date(2026, 7, 1)
    assert figures(july - 15 * DAY) == [0, 0, 0]
    assert figures(july - 14 * DAY) == [0, 2, 0]
    for policy in policies:
        latest, first = billing.invoices_of(policy.account_id)
        assert (latest.due_on, latest.instalment, first.instalment) == (july, 2, 1)
    assert db.session.query(Mail).filter_by(template="invoice_issued").count() == 4
    check_books()


def test_a_night_stores_what_the_calendar_has_made_of_policies_and_quotes(app) -> None:
    starts = factories.bound_policy(start_on=TODAY + DAY)
    ends = factories.bound_policy(start_on=TODAY - 30 * DAY, last_day_on=TODAY)
    later = factories.bound_policy(start_on=TODAY + 2 * DAY)
    withdrawn, open_quote = factories.quote(), factories.quote()
    with transaction():
        db.session.get_one(Policy, withdrawn.id).quote_valid_until = TODAY
    assert figures(TODAY + DAY)[0] == 3
    stored = {row.id: row.status for row in db.session.query(Policy)}
    assert [stored[policy.id] for policy in (starts, ends, later, withdrawn, open_quote)] == [
        "active",
        "expired",
        "pending",
        "quote_expired",
        "quoted",
    ]


def test_a_night_uses_the_credit_of_customers_for_what_is_due(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    payments.record(
        account_id=policy.account_id,
        amount=Money.parse("400.00", "USD"),
        method=PaymentMethod.CASH,
        paid_on=TODAY,
        actor=SYSTEM,
    )
    assert figures(date(2026, 6, 17)) == [0, 1, 1]
    assert [row.status for row in db.session.query(Invoice)] == [InvoiceStatus.PAID] * 2
    check_books()


def test_a_second_run_of_the_same_night_changes_nothing(app) -> None:
    factories.bound_policy(plan=PaymentPlan.MONTHLY)
    factories.bound_policy(start_on=TODAY + DAY)
    day = date(2026, 6, 20)
    assert figures(day) == [1, 1, 0]
    before = [(row.id, row.status, row.version) for row in db.session.query(Policy).order_by(Policy.id)]
    invoices = db.session.query(Invoice).count()
    assert figures(day) == [0, 0, 0]
    assert [(row.id, row.status, row.version) for row in db.session.query(Policy).order_by(Policy.id)] == before
    assert db.session.query(Invoice).count() == invoices
    check_books()


def test_after_nights_that_were_missed_one_run_does_all_of_them(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    assert figures(date(2026, 10, 20)) == [0, 5, 0]
    assert len(billing.invoices_of(policy.account_id)) == 6
    check_books()


def test_every_run_is_noted_with_its_result(app) -> None:
    lines = night(TODAY)
    [run] = db.session.query(JobRun)
    assert (run.name, run.for_day, run.result) == ("nightly", TODAY, "; ".join(lines))
    assert run.started_at <= run.finished_at
    assert queries.has_run("nightly", TODAY)
    assert not queries.has_run("nightly", TODAY + DAY)
    assert queries.last_run("nightly").id == run.id


def test_a_run_that_broke_off_is_run_again(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    day = date(2026, 6, 20)

    def break_off(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), clock.at(day):
        services.run_nightly(day, break_off)
    assert [row.finished_at for row in db.session.query(JobRun)] == [None]
    assert not queries.has_run("nightly", day)
    assert queries.last_run("nightly") is None
    with clock.at(day):
        worker.round_of_work(app)
    assert queries.has_run("nightly", day)
    assert db.session.query(JobRun).count() == 2
    assert len(billing.invoices_of(policy.account_id)) == 2
    check_books()


def test_the_worker_runs_the_night_once_a_day(app) -> None:
    for day in (TODAY, TODAY, TODAY + DAY):
        with clock.at(day):
            worker.round_of_work(app)
    assert [row.for_day for row in db.session.query(JobRun).order_by(JobRun.id)] == [TODAY, TODAY + DAY]


def test_nights_that_run_at_the_same_time_do_everything_once(app) -> None:
    accounts = [factories.bound_policy(plan=PaymentPlan.MONTHLY).account_id for _ in range(2)]
    starts = factories.bound_policy(start_on=TODAY + DAY)
    starts_id = starts.id
    day = date(2026, 6, 20)
    together(app, [lambda: services.run_nightly(day, lambda line: None)] * 3)
    assert all(len(billing.invoices_of(account_id)) == 2 for account_id in accounts)
    assert db.session.get_one(Policy, starts_id, populate_existing=True).status == "active"
    check_books()

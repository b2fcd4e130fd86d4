"""Closing a month: nothing is posted into it any more, by nobody, at the same moment neither."""

from datetime import date
from threading import Event as Signal
from time import sleep
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, NotAllowed, RuleBroken
from insurance.core.money import Money
from insurance.core.permissions import Actor
from insurance.ledger import queries, services
from insurance.ledger.domain import COMPANY, Account, Event, to_close
from insurance.ledger.models import Transfer
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from tests import factories
from tests.races import together

MARCH, APRIL, MAY, JUNE = date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31), date(2026, 6, 30)
USD = Money(10_00, "USD")


def post(on: date) -> None:
    with transaction():
        _post(on)


def _post(on: date) -> None:
    services.post(
        Event.PAYMENT,
        1,
        debit=(Account.BANK, COMPANY),
        credit=(Account.CUSTOMER_CREDIT, 7),
        amount=USD,
        on=on,
    )


@pytest.fixture
def admin(app: Flask) -> Actor:
    """An admin of books that began in April."""
    post(date(2026, 4, 10))
    return factories.user("admin")


@pytest.mark.parametrize(
    ("closed", "first", "today", "due"),
    [
        (None, None, date(2026, 6, 1), None),
        (None, date(2026, 4, 10), date(2026, 6, 1), APRIL),
        (APRIL, date(2026, 4, 10), date(2026, 6, 1), MAY),
        (APRIL, date(2026, 4, 10), MAY, None),
        (MAY, date(2026, 4, 10), JUNE, None),
        (date(2028, 1, 31), date(2026, 4, 10), date(2028, 3, 1), date(2028, 2, 29)),
    ],
)
def test_the_month_to_close_is_the_next_one_once_it_is_over(
    closed: date | None, first: date | None, today: date, due: date | None
) -> None:
    assert to_close(closed, first, today) == due


def test_nothing_is_posted_into_a_closed_month_nor_into_one_before_it(admin: Actor) -> None:
    services.close_month(ends_on=APRIL, actor=admin)
    for day in (MARCH, date(2026, 4, 1), APRIL):
        with pytest.raises(RuleBroken, match="closed through 30 Apr 2026, so nothing can be posted on"):
            post(day)
    post(date(2026, 5, 1))
    assert db.session.query(Transfer).count() == 2


def test_the_database_itself_refuses_too(admin: Actor) -> None:
    services.close_month(ends_on=APRIL, actor=admin)
    row: dict[str, Any] = {
        "debit_account": Account.BANK,
        "debit_subject": 0,
        "credit_account": Account.SUSPENSE,
        "credit_subject": 0,
        "amount_minor": 5,
        "currency": "USD",
        "event": Event.SUSPENSE,
        "event_id": 1,
        "recorded_at": clock.now(),
    }
    insert = Transfer.__table__.insert()  # type: ignore[attr-defined]
    with pytest.raises(DBAPIError, match="the month is closed"), transaction() as session:
        session.execute(insert, [row | {"posted_on": date(2026, 5, 1)}, row | {"posted_on": APRIL}])
    with transaction() as session:
        session.execute(insert, [row | {"posted_on": date(2026, 5, 1)}])


def test_a_payment_on_a_day_that_is_closed_is_refused_whole(admin: Actor) -> None:
    account_id = factories.bound_policy().account_id
    services.close_month(ends_on=APRIL, actor=admin)
    with clock.at(date(2026, 4, 20)), pytest.raises(RuleBroken, match="closed through"):
        payments.record(account_id=account_id, amount=USD, method=PaymentMethod.CASH, actor=factories.SYSTEM_ACTOR)
    assert db.session.query(Payment).count() == 0


@pytest.mark.parametrize("ends_on", [MARCH, MAY, JUNE, date(2026, 4, 29)])
def test_months_are_closed_in_order_and_only_when_they_are_over(admin: Actor, ends_on: date) -> None:
    with pytest.raises(Conflict, match="The month to close is that through 30 Apr 2026"):
        services.close_month(ends_on=ends_on, actor=admin)
    services.close_month(ends_on=APRIL, actor=admin)
    services.close_month(ends_on=MAY, actor=admin)
    with pytest.raises(Conflict, match="June 2026 cannot be closed now"):
        services.close_month(ends_on=JUNE, actor=admin)


def test_the_last_closed_month_is_reopened_with_a_reason(admin: Actor) -> None:
    services.close_month(ends_on=APRIL, actor=admin)
    services.close_month(ends_on=MAY, actor=admin)
    with pytest.raises(Conflict, match="Only the month that was closed last"):
        services.reopen_month(ends_on=APRIL, reason="Late invoice", actor=admin)
    services.reopen_month(ends_on=MAY, reason="Late invoice", actor=admin)
    post(MAY)
    assert queries.closed_through() == APRIL
    entry = db.session.query(AuditEntry).filter_by(subject="closed_months", action="reopen").one()
    assert (entry.label, entry.after) == ("May 2026", {"reason": "Late invoice"})


def test_only_admins_close_and_reopen(admin: Actor) -> None:
    agent = factories.user("agent")
    with pytest.raises(NotAllowed):
        services.close_month(ends_on=APRIL, actor=agent)
    with pytest.raises(NotAllowed):
        services.reopen_month(ends_on=APRIL, reason="No", actor=agent)


def test_a_month_closes_only_when_nobody_is_amid_posting_in_it(app: Flask, admin: Actor) -> None:
    posting = Signal()

    def post_slowly() -> None:
        with transaction() as session:
            _post(APRIL)
            session.flush()
            posting.set()
            sleep(0.4)

    def close() -> int:
        posting.wait(10)
        services.close_month(ends_on=APRIL, actor=admin)
        return db.session.query(Transfer).count()

    assert together(app, [post_slowly, close]) == [None, 2]


def test_whoever_posts_while_a_month_closes_is_in_it_or_refused(app: Flask, admin: Actor) -> None:
    def close() -> str:
        services.close_month(ends_on=APRIL, actor=admin)
        return f"closed with {db.session.query(Transfer).count()}"

    outcomes = together(app, [lambda: post(APRIL)] * 4 + [close] + [lambda: post(APRIL)] * 3)
    posted = 1 + outcomes.count(None)
    assert f"closed with {posted}" in outcomes
    assert db.session.query(Transfer).count() == posted
    assert sum(isinstance(outcome, RuleBroken) for outcome in outcomes) == 8 - posted


def test_of_two_who_close_a_month_at_once_one_does(app: Flask, admin: Actor) -> None:
    outcomes = together(app, [lambda: services.close_month(ends_on=APRIL, actor=admin).ends_on] * 2)
    assert APRIL in outcomes
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1

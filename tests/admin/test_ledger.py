"""The pages of the books: figures that lead to what is behind them, months that close, files to take away."""

from datetime import date
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from insurance.books.queries import ABOUT
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.ledger import queries, services
from insurance.ledger.domain import COMPANY, Account, Event
from insurance.ledger.models import Transfer
from insurance.payments import money_out
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment, Receipt
from insurance.payments.services import clearing, suspense
from insurance.policies.models import Policy
from tests import factories

APRIL = date(2026, 4, 30)


@pytest.fixture
def policy(app: Flask) -> Policy:
    """A policy bound and paid for in April."""
    with clock.at(date(2026, 4, 20)):
        policy = factories.bound_policy()
        payments.record(
            account_id=policy.account_id,
            amount=Money(500_00, "USD"),
            method=PaymentMethod.CHEQUE,
            actor=factories.SYSTEM_ACTOR,
        )
    return policy


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    """The browser of an admin."""
    return factories.browser(factories.user("admin"))


def page(browser: FlaskClient, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def post(amount: str, currency: str, on: date = date(2026, 5, 5)) -> None:
    with transaction():
        services.post(
            Event.SUSPENSE,
            1,
            debit=(Account.BANK, COMPANY),
            credit=(Account.SUSPENSE, COMPANY),
            amount=Money.parse(amount, currency),
            on=on,
        )


def test_the_trial_balance_is_that_of_the_day_asked_for(policy: Policy, admin: FlaskClient) -> None:
    shown = page(admin, "/admin/ledger?on=2026-04-30")
    assert shown.count("$2,400.00") == 3  # written premium, and both sums
    assert "$1,900.00" in shown
    assert "Nothing was posted by then" in page(admin, "/admin/ledger?on=2026-04-19")
    assert admin.get("/admin/ledger?on=2026-02-30").status_code == 422


def test_each_figure_leads_to_the_postings_behind_it(policy: Policy, admin: FlaskClient) -> None:
    shown = page(admin, "/admin/ledger?on=2026-04-30")
    behind = "/admin/ledger/journal?account=billed_receivable&currency=USD&until=2026-04-30"
    assert f'href="{behind}"' in shown
    journal = page(admin, behind)
    assert "2 postings" in journal
    assert "$2,400.00" in journal
    assert "$500.00" in journal


@pytest.mark.parametrize(
    ("q", "events"),
    [
        ("policy", {Event.BIND, Event.INVOICE_ISSUED, Event.PAYMENT, Event.ALLOCATION}),
        ("invoice", {Event.INVOICE_ISSUED}),
        ("receipt", {Event.PAYMENT, Event.ALLOCATION}),
        ("nothing", set()),
    ],
)
def test_the_journal_finds_by_number(policy: Policy, admin: FlaskClient, q: str, events: set[Event]) -> None:
    factories.bound_policy()
    numbers = {
        "policy": policy.number,
        "invoice": factories.first_invoice(policy).number.lower(),
        "receipt": db.session.query(Receipt.number).scalar(),
        "nothing": "XYZ-2026-000001",
    }
    lines = page(admin, f"/admin/ledger/journal.csv?q={numbers[q]}").splitlines()[1:]
    assert {line.partition(",")[0] for line in lines} == {event.label for event in events}


def test_each_posting_leads_to_its_record_and_document(policy: Policy, admin: FlaskClient) -> None:
    invoice = factories.first_invoice(policy)
    receipt = db.session.query(Receipt).one()
    with clock.at(date(2026, 5, 2)):
        draft = claims.start(policy_id=policy.id, actor=factories.SYSTEM_ACTOR)
        facts: dict[str, Any] = {"cause": "theft", "description": "Gone.", "payee_name": "Ana"}
        claims.save(
            claim_id=draft.id,
            loss_on=date(2026, 5, 1),
            claimed=Money(900_00, "USD"),
            **facts,
            actor=factories.SYSTEM_ACTOR,
        )
        claims.submit(claim_id=draft.id, actor=factories.SYSTEM_ACTOR)
    shown = page(admin, "/admin/ledger/journal")
    for path in (
        f"/policies/{policy.id}",
        f"/invoices/{invoice.id}",
        f"/documents/{invoice.document_id}.pdf",
        f"/payments/{receipt.payment_id}",
        f"/documents/{receipt.document_id}.pdf",
        f"/claims/{draft.id}",
    ):
        assert f'href="{path}"' in shown, path


def test_money_that_moves_about_leads_to_its_record_too(policy: Policy, admin: FlaskClient) -> None:
    """Refunds, moves to the bank and money in suspense: what is paid out has its advice as document."""
    payer = factories.user("admin", authority_minor=10_000_00)
    for amount, method in ((2000_00, PaymentMethod.CHEQUE), (50_00, PaymentMethod.CASH)):
        payments.record(account_id=policy.account_id, amount=Money(amount, "USD"), method=method, actor=payer)
    cash = db.session.query(Payment).filter_by(method=PaymentMethod.CASH).one()
    facts: dict[str, Any] = {"charge": Money(0, "USD"), "reference": "R", "actor": payer}
    moved = clearing.clear(method=PaymentMethod.CASH, payment_ids=[cash.id], **facts)
    facts = {"payee_name": "Ana", "account_number": "12345678", "actor": payer}
    order = money_out.request_refund(account_id=policy.account_id, amount=Money(80_00, "USD"), **facts)
    facts = {"received_on": clock.today(), "reference": "?", "payer": "?", "actor": payer}
    item = suspense.record(amount=Money(5_00, "USD"), **facts)
    shown = page(admin, "/admin/ledger/journal")
    for path in (
        f"/admin/disbursements/{order.id}",
        f"/payouts/{order.id}.pdf",
        f"/payments/clearings/{moved.id}",
        f"/payments/suspense/{item.id}",
    ):
        assert f'href="{path}"' in shown, path
        assert admin.get(path).status_code == 200, path
    unlinked = set(Event) - {event for events in ABOUT.values() for event in events}
    not_posted_yet = {Event.UNEARNED, Event.COMMISSION, Event.COMMISSION_CLAWBACK, Event.COMMISSION_PAID}
    assert unlinked == not_posted_yet


def test_the_journal_is_filtered_by_event_and_days_and_turns_pages(policy: Policy, admin: FlaskClient) -> None:
    for day in range(1, 29):
        post("1.00", "USD", date(2026, 5, day))
    assert "28 postings" in page(admin, "/admin/ledger/journal?event=suspense")
    shown = page(admin, "/admin/ledger/journal?since=2026-05-03&until=2026-05-04")
    assert "2 postings" in shown
    assert 'value="2026-05-03"' in shown
    first = page(admin, "/admin/ledger/journal?event=suspense")
    following = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert page(admin, following).count('<th scope="row">') == 3
    assert admin.get("/admin/ledger/journal?since=yesterday").status_code == 422
    assert admin.get("/admin/ledger/journal?account=piggy_bank").status_code == 400


def test_an_account_shows_its_months_and_a_month_its_days(policy: Policy, admin: FlaskClient) -> None:
    for day, amount in ((5, "100.00"), (5, "20.00"), (7, "3.00")):
        post(amount, "USD", date(2026, 5, day))
    post("40.00", "USD", date(2026, 3, 31))
    shown = page(admin, "/admin/ledger/accounts/bank")
    assert shown.index("$163.00") < shown.index("$40.00")
    days = page(admin, "/admin/ledger/accounts/bank?month=2026-05-19")
    assert days.index("$163.00") < days.index("$160.00") < days.index("By 30 Apr 2026") < days.rindex("$40.00")
    assert admin.get("/admin/ledger/accounts/piggy_bank").status_code == 404
    assert "Nothing has moved this account" in page(admin, "/admin/ledger/accounts/bad_debt")


def test_each_currency_has_its_own_balance_and_decimals(admin: FlaskClient) -> None:
    for amount, currency in (("12345", "JPY"), ("1.500", "BHD"), ("7.05", "USD")):
        post(amount, currency)
    for path in ("/admin/ledger", "/admin/ledger/accounts/bank", "/admin/ledger/journal"):
        shown = page(admin, path)
        for words in ("¥12,345<", "BHD1.500<", "$7.05<"):
            assert words in shown.replace("\xa0", ""), (path, words)
    written = page(admin, "/admin/ledger/journal.csv")
    assert all(f",{amount}," in written for amount in ("12345", "1.500", "7.05"))


def test_an_admin_closes_the_month_that_is_over_and_reopens_it(policy: Policy, admin: FlaskClient) -> None:
    asked = page(admin, "/admin/ledger/months/close")
    assert "Close April 2026?" in asked
    assert "Every control account equals its records" in asked
    assert "$1,900.00" in asked
    assert admin.post("/admin/ledger/months/close", data={"month": "2026-05-31"}).status_code == 409
    assert admin.post("/admin/ledger/months/close", data={"month": "2026-04-30"}).status_code == 303
    assert queries.closed_through() == APRIL
    assert "Close May 2026" in page(admin, "/admin/ledger")
    assert "Reopen April 2026?" in page(admin, "/admin/ledger/months/reopen")
    assert admin.post("/admin/ledger/months/reopen", data={"month": "2026-04-30"}).status_code == 422
    reopened = {"month": "2026-04-30", "reason": "A late cheque"}
    assert admin.post("/admin/ledger/months/reopen", data=reopened).status_code == 303
    assert queries.closed_through() is None
    assert admin.post("/admin/ledger/months/reopen", data=reopened).status_code == 409


def test_differences_are_shown_before_a_month_is_closed(policy: Policy, admin: FlaskClient) -> None:
    with transaction():
        services.post(
            Event.WRITE_OFF,
            1,
            debit=(Account.BAD_DEBT, policy.account_id or 0),
            credit=(Account.BILLED, policy.account_id or 0),
            amount=Money(5, "USD"),
            on=APRIL,
        )
    shown = page(admin, "/admin/ledger/months/close")
    assert "The ledger and the records differ" in shown
    assert f"Open invoices of account {policy.account_id}: ledger 189995, records 190000" in shown


def test_without_a_month_that_is_over_there_is_nothing_to_close(admin: FlaskClient) -> None:
    factories.bound_policy()
    assert "No month can be closed now" in page(admin, "/admin/ledger/months/close")
    assert "No month is closed" in page(admin, "/admin/ledger/months/reopen")


def test_the_books_are_taken_away_as_files(policy: Policy, admin: FlaskClient) -> None:
    beancount = admin.get("/admin/ledger/books.beancount?on=2026-04-30")
    assert "balance Assets:Cheques  500.00 ~ 0 USD" in beancount.text
    assert beancount.headers["Content-Disposition"] == 'attachment; filename="books-2026-04-30.beancount"'
    csv = admin.get("/admin/ledger/books.csv")
    assert csv.mimetype == "text/csv"
    assert csv.text.count("\n") == 1 + db.session.query(Transfer).count()

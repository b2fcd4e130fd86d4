"""The statement of an account: what was owed, what happened, what is owed, and who may see it."""

import io
from datetime import date
from html import unescape

import pytest
from flask import Flask
from pypdf import PdfReader

from insurance.billing.models import BillingAccount, CreditNote, Invoice
from insurance.billing.services import credit
from insurance.books import queries
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.core.permissions import Actor
from insurance.customers.models import Customer
from insurance.ledger import services as ledger
from insurance.ledger.domain import COMPANY, Account, Event
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.policies.models import Policy
from tests import factories

APRIL_20, MAY_2, JUNE_1 = date(2026, 4, 20), date(2026, 5, 2), date(2026, 6, 1)


@pytest.fixture
def holder(app: Flask) -> Actor:
    """A customer with a portal account."""
    return factories.user("customer", name="Ana Petrova")


@pytest.fixture
def policy(holder: Actor) -> Policy:
    """A policy of 2,400 with an invoice of April, part paid in May."""
    with clock.at(APRIL_20):
        policy = factories.bound_policy(customer=factories.customer(user=holder, name=holder.name))
    pay(policy, "500.00", MAY_2)
    return policy


def pay(policy: Policy, amount: str, on: date) -> None:
    with clock.at(on):
        payments.record(
            account_id=policy.account_id,
            amount=Money.parse(amount, "USD"),
            method=PaymentMethod.BANK_TRANSFER,
            actor=factories.SYSTEM_ACTOR,
        )


def statement(policy: Policy, first: date = date(2026, 1, 1), last: date = JUNE_1) -> queries.Statement:
    return queries.statement(db.session.get_one(BillingAccount, policy.account_id), first, last)


def lines(found: queries.Statement) -> list[tuple[date, Event, str, str]]:
    return [(line.on, line.event, str(line.amount), str(line.balance)) for line in found.lines]


def test_it_has_what_was_asked_for_and_what_was_paid(policy: Policy) -> None:
    found = statement(policy)
    assert lines(found) == [
        (APRIL_20, Event.INVOICE_ISSUED, "2400.00", "2400.00"),
        (MAY_2, Event.PAYMENT, "-500.00", "1900.00"),
    ]
    assert [str(sum_) for sum_ in (found.opening, found.added, found.taken_off, found.closing)] == [
        "0.00", "2400.00", "500.00", "1900.00",
    ]  # fmt: skip
    invoice = factories.first_invoice(policy)
    assert (found.lines[0].number, found.lines[0].document_id) == (invoice.number, invoice.document_id)
    assert found.lines[1].number.startswith("RCT-2026-")


@pytest.mark.parametrize(
    ("first", "last", "opening", "closing", "count"),
    [
        (date(2026, 1, 1), date(2026, 4, 19), "0.00", "0.00", 0),
        (APRIL_20, APRIL_20, "0.00", "2400.00", 1),
        (date(2026, 4, 21), MAY_2, "2400.00", "1900.00", 1),
        (date(2026, 5, 3), JUNE_1, "1900.00", "1900.00", 0),
    ],
)
def test_it_begins_with_what_was_owed_before(
    policy: Policy, first: date, last: date, opening: str, closing: str, count: int
) -> None:
    found = statement(policy, first, last)
    assert (str(found.opening), str(found.closing), len(found.lines)) == (opening, closing, count)


def test_what_is_over_is_credit_and_equals_the_records(policy: Policy) -> None:
    pay(policy, "2000.00", date(2026, 5, 20))
    assert str(statement(policy).closing) == "-100.00"
    account = db.session.get_one(BillingAccount, policy.account_id)
    open_minor = sum(invoice.open_minor for invoice in db.session.query(Invoice).filter_by(account_id=account.id))
    assert statement(policy).closing.minor == open_minor - account.credit_minor


def test_credit_notes_and_write_offs_are_lines_too(policy: Policy) -> None:
    account = db.session.get_one(BillingAccount, policy.account_id)
    with transaction():
        credit.give_back(
            account,
            premium=Money(100_00, "USD"),
            tax=Money(0, "USD"),
            event=Event.ENDORSEMENT,
            reason="Smaller car",
            worksheet=[],
            on=JUNE_1,
            actor=factories.SYSTEM_ACTOR,
        )
    invoice = factories.first_invoice(policy)
    credit.write_off(invoice_id=invoice.id, version=invoice.version, reason="Gone", actor=factories.user("admin"))
    found = statement(policy)
    assert lines(found)[2:] == [
        (JUNE_1, Event.CREDIT_NOTE, "-100.00", "1800.00"),
        (JUNE_1, Event.WRITE_OFF, "-1800.00", "0.00"),
    ]
    assert found.lines[2].document_id == db.session.query(CreditNote).one().document_id


@pytest.mark.parametrize(("amount", "currency", "words"), [("1234", "JPY", "¥1,234"), ("1.500", "BHD", "BHD1.500")])
def test_each_currency_is_written_with_its_own_decimals(policy: Policy, amount: str, currency: str, words: str) -> None:
    with transaction() as session:
        account = session.get_one(BillingAccount, policy.account_id)
        account.currency = currency
        money = Money.parse(amount, currency)
        side = (Account.BILLED, account.id)
        event = Event.SUSPENSE_MATCHED
        ledger.post(event, 1, debit=side, credit=(Account.FEE_INCOME, COMPANY), amount=money, on=JUNE_1)
    found = queries.statement(account, JUNE_1, JUNE_1)
    assert found.lines[0].amount.in_words.replace("\xa0", "") == words


def test_the_holder_reads_it_in_the_portal_and_as_a_pdf(policy: Policy, holder: Actor) -> None:
    browser = factories.browser(holder)
    shown = unescape(browser.get("/portal/statement?since=2026-05-01").text)
    for words in (
        f"Statement of policy {policy.number}",
        "Balance before",
        "$2,400.00",
        "Payment received",
        "$1,900.00",
    ):
        assert words in shown
    pdf = browser.get("/portal/statement.pdf?since=2026-05-01")
    assert pdf.mimetype == "application/pdf"
    text = PdfReader(io.BytesIO(pdf.data)).pages[0].extract_text()
    for words in ("Ana Petrova", "Payment received", "$1,900.00", "is to be paid in all", "2 May 2026"):
        assert words in text
    assert pdf.data == browser.get("/portal/statement.pdf?since=2026-05-01").data


def test_another_customer_sees_none_of_it(policy: Policy) -> None:
    stranger = factories.browser(factories.user("customer"))
    assert stranger.get(f"/portal/statement?account={policy.account_id}").status_code == 404
    assert stranger.get(f"/portal/statement.pdf?account={policy.account_id}").status_code == 404
    assert "You have no policy yet" in stranger.get("/portal/statement").text


def test_a_customer_chooses_among_the_own_policies(policy: Policy, holder: Actor) -> None:
    newer = factories.bound_policy(customer=db.session.get_one(Customer, policy.customer_id))
    browser = factories.browser(holder)
    assert f"Statement of policy {newer.number}" in browser.get("/portal/statement").text
    asked = browser.get(f"/portal/statement?account={policy.account_id}").text
    assert f"Statement of policy {policy.number}" in asked
    assert f'<option value="{policy.account_id}" selected>' in asked


def test_staff_read_it_from_the_policy(policy: Policy) -> None:
    browser = factories.browser(factories.user("admin"))
    assert f"/policies/{policy.id}/statement" in browser.get(f"/policies/{policy.id}").text
    assert "$1,900.00" in browser.get(f"/policies/{policy.id}/statement").text
    assert browser.get(f"/policies/{policy.id}/statement.pdf").mimetype == "application/pdf"
    quote = factories.quote()
    assert browser.get(f"/policies/{quote.id}/statement").status_code == 404


@pytest.mark.parametrize(
    "days", ["since=2026-06-02", "since=x", "until=2026-13-01", "since=2026-05-01&until=2026-04-30"]
)
def test_days_that_make_no_statement_are_refused_in_words(policy: Policy, holder: Actor, days: str) -> None:
    assert factories.browser(holder).get(f"/portal/statement?{days}").status_code == 422

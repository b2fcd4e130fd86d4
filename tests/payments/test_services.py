"""Payments: each counts once, pays what is open and no more, and has its one receipt, posting and mail."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from insurance.billing import queries as billing
from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.billing.services import invoices as billing_services
from insurance.core import clock
from insurance.core.db import db
from insurance.core.errors import NotAllowed, NotFound, RuleBroken
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.documents.models import Document
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import queries, services
from insurance.payments.domain import PaymentMethod, PaymentStatus
from insurance.payments.models import Allocation, Payment, Receipt
from tests import factories
from tests.conftest import TODAY
from tests.races import together


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def pay(account_id: int | None, amount: str, **facts) -> Payment:
    assert account_id is not None
    facts = {"method": PaymentMethod.BANK_TRANSFER, "actor": SYSTEM, **facts}
    return services.record(account_id=account_id, amount=usd(amount), **facts)


def credit_of(account_id: int | None) -> Money:
    return db.session.get_one(BillingAccount, account_id, populate_existing=True).credit


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def policy(app, person: Actor):
    """A policy of 12 instalments of 200.00, of which the first is invoiced."""
    return factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=factories.customer(user=person))


@pytest.fixture
def invoice(policy) -> Invoice:
    return factories.first_invoice(policy)


# Recorded by staff


def test_a_payment_pays_the_invoice_and_has_receipt_document_and_mail(app, policy, invoice) -> None:
    payment = pay(policy.account_id, "200.00", reference="TRX 7")
    assert (payment.status, payment.paid_on, payment.left) == (PaymentStatus.PROCESSED, TODAY, usd("0"))
    assert (invoice.status, invoice.open) == (InvoiceStatus.PAID, usd("0"))
    receipt = db.session.query(Receipt).filter_by(payment_id=payment.id).one()
    document = db.session.get_one(Document, receipt.document_id)
    assert (document.data["amount"], document.data["reference"], document.data["credit"]) == ("$200.00", "TRX 7", "")
    assert document.data["allocations"] == [{"invoice": invoice.number, "amount": "$200.00"}]
    mail = db.session.query(Mail).filter_by(document_id=document.id).one()
    assert mail.template == "receipt"
    assert {key: mail.data[key] for key in ("policy_number", "amount", "method", "paid_on")} == {
        "policy_number": policy.number,
        "amount": "$200.00",
        "method": "Bank transfer",
        "paid_on": "1 Jun 2026",
    }
    check_books()


@pytest.mark.parametrize(
    ("method", "account"),
    [
        (PaymentMethod.BANK_TRANSFER, Account.BANK),
        (PaymentMethod.DIRECT_DEBIT, Account.BANK),
        (PaymentMethod.CASH, Account.AGENT_CASH),
        (PaymentMethod.CHEQUE, Account.CHEQUES),
    ],
)
def test_the_money_is_posted_where_it_lies(app, policy, method: PaymentMethod, account: Account) -> None:
    pay(policy.account_id, "50.00", method=method)
    assert ledger.balance(account) == usd("50.00")
    assert ledger.balance(Account.BILLED, policy.account_id) == usd("150.00")
    check_books()


def test_part_of_the_amount_leaves_the_invoice_part_paid(app, policy, invoice) -> None:
    pay(policy.account_id, "50.00")
    assert (invoice.status, invoice.open) == (InvoiceStatus.PART_PAID, usd("150.00"))
    pay(policy.account_id, "150.00")
    assert invoice.status is InvoiceStatus.PAID
    check_books()


def test_what_is_over_is_credit_and_the_receipt_says_so(app, policy) -> None:
    payment = pay(policy.account_id, "250.00")
    assert (payment.left, credit_of(policy.account_id)) == (usd("50.00"), usd("50.00"))
    assert ledger.balance(Account.CUSTOMER_CREDIT, policy.account_id) == -usd("50.00")
    assert db.session.query(Document).filter_by(kind="receipt").one().data["credit"] == "$50.00"
    check_books()


def test_credit_pays_later_invoices_from_the_oldest_payment_on(app, policy) -> None:
    first, second = pay(policy.account_id, "250.00"), pay(policy.account_id, "200.00")
    with clock.at(TODAY + timedelta(days=30)):
        billing_services.issue_all_due(on=clock.today(), actor=SYSTEM)
        assert services.apply_all_credit() == 1
        assert services.apply_all_credit() == 0
    assert (first.left, second.left, credit_of(policy.account_id)) == (usd("0"), usd("50.00"), usd("50.00"))
    assert billing.open_invoices(policy.account_id) == []
    assert count(Receipt) == 2
    check_books()


def test_the_oldest_due_is_paid_first_unless_an_invoice_is_named(app, policy) -> None:
    with clock.at(TODAY + timedelta(days=60)):
        billing_services.issue_all_due(on=clock.today(), actor=SYSTEM)
    oldest, *_, newest = billing.open_invoices(policy.account_id)
    pay(policy.account_id, "20.00")
    pay(policy.account_id, "210.00", invoice_id=newest.id)
    assert (oldest.paid, newest.paid) == (usd("30.00"), usd("200.00"))
    check_books()


def test_a_payment_for_an_invoice_that_is_paid_already_becomes_credit(app, policy, invoice) -> None:
    pay(policy.account_id, "200.00", invoice_id=invoice.id)
    pay(policy.account_id, "200.00", invoice_id=invoice.id)
    assert (invoice.paid, credit_of(policy.account_id)) == (usd("200.00"), usd("200.00"))
    check_books()


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"amount": Money(0, "USD")}, "amount"),
        ({"amount": Money(-1, "USD")}, "amount"),
        ({"amount": Money(100, "EUR")}, "amount"),
        ({"method": PaymentMethod.CARD}, "method"),
        ({"paid_on": TODAY + timedelta(days=1)}, "paid_on"),
    ],
)
def test_what_cannot_be_a_payment_is_refused(app, policy, facts: dict, field: str) -> None:
    facts = {"amount": usd("1"), "method": PaymentMethod.CASH, **facts}
    with pytest.raises(RuleBroken) as refusal:
        services.record(account_id=policy.account_id, actor=SYSTEM, **facts)
    assert refusal.value.field == field
    assert count(Payment) == 0


def test_only_staff_record_and_only_in_their_book(app, policy, person) -> None:
    with pytest.raises(NotAllowed):
        pay(policy.account_id, "1.00", actor=person)
    with pytest.raises(NotFound):
        pay(policy.account_id, "1.00", actor=factories.user(Role.AGENT))
    other = factories.first_invoice(factories.bound_policy())
    with pytest.raises(NotFound):
        pay(policy.account_id, "1.00", invoice_id=other.id)
    assert count(Payment) == 0


def test_the_same_form_again_gets_the_first_payment_and_other_content_is_refused(app, policy) -> None:
    first = pay(policy.account_id, "50.00", key="k1")
    assert pay(policy.account_id, "50.00", key="k1").id == first.id
    with pytest.raises(RuleBroken):
        pay(policy.account_id, "51.00", key="k1")
    assert pay(policy.account_id, "50.00", key="k2").id != first.id
    check_books()


# By card


def test_a_card_pays_what_is_open(app, policy, invoice, person) -> None:
    pay(policy.account_id, "50.00")
    started = services.start_card(invoice_id=invoice.id, actor=person)
    assert (started.status, started.amount) == (PaymentStatus.CREATED, usd("150.00"))
    assert invoice.open == usd("150.00")
    assert count(Receipt) == 1
    done = services.finish_card(token=started.token, accepted=True)
    assert (done.status, invoice.status) == (PaymentStatus.PROCESSED, InvoiceStatus.PAID)
    assert ledger.balance(Account.GATEWAY_CLEARING) == usd("150.00")
    check_books()


def test_a_card_that_is_declined_pays_nothing(app, invoice, person) -> None:
    started = services.start_card(invoice_id=invoice.id, actor=person)
    assert services.finish_card(token=started.token, accepted=False).status is PaymentStatus.FAILED
    assert (count(Receipt), invoice.open) == (0, usd("200.00"))
    check_books()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_what_the_gateway_says_first_counts(app, invoice, person, first: bool, second: bool) -> None:
    started = services.start_card(invoice_id=invoice.id, actor=person)
    outcome = services.finish_card(token=started.token, accepted=first).status
    assert services.finish_card(token=started.token, accepted=second).status is outcome
    assert count(Receipt) == int(first)
    check_books()


def test_a_paid_invoice_is_not_charged_again(app, policy, invoice, person) -> None:
    pay(policy.account_id, "200.00")
    with pytest.raises(RuleBroken, match="already paid"):
        services.start_card(invoice_id=invoice.id, actor=person)
    assert count(Payment) == 1


def test_two_tabs_that_pay_one_invoice_share_one_payment_that_is_charged_once(app, policy, invoice, person) -> None:
    tokens = {services.start_card(invoice_id=invoice.id, actor=person, key=key).token for key in ("one", "two", None)}
    [token] = tokens
    for _ in range(2):
        services.finish_card(token=token, accepted=True)
    assert (invoice.paid, credit_of(policy.account_id)) == (usd("200.00"), usd("0.00"))
    check_books()


def test_after_a_declined_card_another_payment_is_begun(app, invoice, person) -> None:
    declined = services.start_card(invoice_id=invoice.id, actor=person).token
    services.finish_card(token=declined, accepted=False)
    assert services.start_card(invoice_id=invoice.id, actor=person).token != declined


def test_a_card_charged_for_what_staff_took_in_the_meantime_becomes_credit(app, policy, invoice, person) -> None:
    token = services.start_card(invoice_id=invoice.id, actor=person).token
    pay(policy.account_id, "200.00")
    services.finish_card(token=token, accepted=True)
    assert (invoice.paid, credit_of(policy.account_id)) == (usd("200.00"), usd("200.00"))
    check_books()


def test_nobody_pays_what_they_cannot_see(app, invoice) -> None:
    with pytest.raises(NotFound):
        services.start_card(invoice_id=invoice.id, actor=factories.user(Role.CUSTOMER))
    with pytest.raises(NotFound):
        services.finish_card(token="not-a-token", accepted=True)


def test_production_never_charges_by_the_test_gateway(app, invoice, person, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "APP_ENV", "production")
    with pytest.raises(RuleBroken, match="can't be charged"):
        services.start_card(invoice_id=invoice.id, actor=person)


# All at once


@pytest.mark.fault
def test_twenty_identical_submits_make_one_payment_with_one_receipt(app, policy) -> None:
    account_id = policy.account_id
    outcomes = together(app, [lambda: pay(account_id, "200.00", key="the same").id] * 20)
    assert len(set(outcomes)) == 1
    assert (count(Payment), count(Receipt), count(Allocation)) == (1, 1, 1)
    check_books()


@pytest.mark.fault
def test_fifty_payments_on_one_invoice_never_pay_more_than_its_total(app, policy, invoice) -> None:
    account_id, invoice_id = policy.account_id, invoice.id
    together(app, [lambda: pay(account_id, "7.00", invoice_id=invoice_id).id] * 50)
    invoice = db.session.get_one(Invoice, invoice_id, populate_existing=True)
    assert (invoice.paid, credit_of(account_id)) == (usd("200.00"), usd("150.00"))
    assert (count(Payment), count(Receipt)) == (50, 50)
    check_books()


def test_however_often_the_gateway_answers_at_once_the_card_is_charged_once(app, policy, invoice, person) -> None:
    token = services.start_card(invoice_id=invoice.id, actor=person).token
    assert token
    answers = [True, False] * 8
    together(
        app, [lambda accepted=accepted: services.finish_card(token=token, accepted=accepted).id for accepted in answers]
    )
    assert count(Payment) == 1
    assert count(Receipt) <= 1
    check_books()


@pytest.mark.fault
def test_payments_and_the_nightly_run_at_once_keep_the_books_right(app, policy) -> None:
    account_id = policy.account_id
    day = TODAY + timedelta(days=60)
    acts = [
        *[lambda: pay(account_id, "150.00").id] * 6,
        *[lambda: billing_services.issue_all_due(on=day, actor=SYSTEM)] * 2,
        *[services.apply_all_credit] * 2,
    ]
    together(app, acts)
    services.apply_all_credit()
    invoices = db.session.scalars(select(Invoice)).all()
    assert len(invoices) == 3
    assert sum(invoice.paid_minor for invoice in invoices) == 600_00
    assert credit_of(account_id) == usd("300.00")
    check_books()


# Who sees what


def test_payments_are_found_by_receipt_policy_and_customer_and_out_of_sight_not_at_all(app, policy, person) -> None:
    payment = pay(policy.account_id, "20.00")
    receipt = db.session.query(Receipt).one()
    for q in (receipt.number, policy.number.lower(), "customer"):
        assert [row.id for row in db.session.execute(queries.payment_rows(person, q=q))] == [payment.id]
    stranger = factories.user(Role.CUSTOMER)
    assert db.session.execute(queries.payment_rows(stranger)).all() == []
    with pytest.raises(NotFound):
        queries.get_payment(payment.id, stranger)

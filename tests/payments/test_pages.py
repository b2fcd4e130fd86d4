"""The pages of payments, as staff and as the customer go through them."""

import re

import pytest
from flask.testing import FlaskClient

from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.core.db import db
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.payments import money_out
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Clearing, Payment, Receipt
from tests import factories

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def invoice(agent: Actor, person: Actor):
    """The first of 12 instalments of 200.00."""
    customer = factories.customer(agent=agent, user=person)
    return factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer))


def key_in(page: str) -> str:
    match = re.search(r'name="key"[^>]*value="(\w+)"', page)
    assert match
    return match[1]


def taken(browser: FlaskClient, address: str, **answers: str):
    """Fill in and send the form to take a payment."""
    day = {"paid_on-day": "1", "paid_on-month": "6", "paid_on-year": "2026"}
    filled = {"amount": "200.00", "method": "cash", "key": key_in(browser.get(address).text), **day, **answers}
    return browser.post(address, data=filled)


def test_staff_take_a_payment_for_an_invoice(app, agent, invoice) -> None:
    browser = factories.browser(agent)
    address = f"/payments/new?invoice={invoice.id}"
    assert 'value="200.00"' in browser.get(address).text
    answer = taken(browser, address, reference="Till 4")
    assert answer.status_code == 303
    record = browser.get(answer.location).text
    receipt = db.session.query(Receipt).one()
    for shown in (receipt.number, "$200.00", "Cash", "Till 4", invoice.number, f"/documents/{receipt.document_id}.pdf"):
        assert shown in record
    assert db.session.get_one(type(invoice), invoice.id, populate_existing=True).status is InvoiceStatus.PAID


def test_staff_take_a_payment_into_an_account(app, agent, invoice) -> None:
    answer = taken(factories.browser(agent), f"/payments/new?account={invoice.account_id}", amount="250.00")
    assert answer.status_code == 303
    assert (db.session.query(Payment).one().invoice_id, db.session.query(Payment).one().left_minor) == (None, 50_00)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"amount": "0"}, "0.01 or more"),
        ({"amount": "1_000"}, "amount in figures"),
        ({"amount": "1e30"}, "amount in figures"),
        ({"amount": "NaN"}, "amount in figures"),
        ({"amount": "1.001"}, "at most 2 decimals"),
        ({"paid_on-day": "2"}, "today or in the past"),
        ({"method": "card"}, "one of those listed"),
        ({"key": ""}, "open too long"),
    ],
)
def test_what_is_refused_is_said_at_the_form_and_nothing_is_written(
    app, agent, invoice, answers: dict, said: str
) -> None:
    answer = taken(factories.browser(agent), f"/payments/new?invoice={invoice.id}", **answers)
    assert answer.status_code == 422
    assert said in answer.text
    assert "<title>Error:" in answer.text
    assert db.session.query(Payment).count() == 0


@pytest.mark.parametrize("query", ["", "?invoice=x", "?invoice=٣", "?invoice=" + "9" * 30, "?account=-1"])
def test_an_address_that_names_nothing_is_refused(app, agent, query: str) -> None:
    assert factories.browser(agent).get(f"/payments/new{query}").status_code == 400


def test_the_list_and_its_csv_show_the_agents_own_book(app, agent, invoice) -> None:
    taken(factories.browser(agent), f"/payments/new?invoice={invoice.id}")
    number = db.session.query(Receipt).one().number
    policy_number = db.session.get_one(BillingAccount, invoice.account_id).policy_number
    for path in ("/payments", "/payments?status=processed", f"/payments?q={number}", "/payments.csv"):
        with app.app_context():
            assert policy_number in factories.browser(agent).get(path).text
        with app.app_context():
            assert policy_number not in factories.browser(factories.user(Role.AGENT)).get(path).text


def test_a_customer_pays_in_two_clicks_and_once(app, person, invoice) -> None:
    browser = factories.browser(person)
    assert f"/portal/pay/{invoice.id}" in browser.get("/portal/payments").text
    page = browser.get(f"/portal/pay/{invoice.id}").text
    assert "Pay $200.00 now" in page
    gateway = browser.post(f"/portal/pay/{invoice.id}", data={"key": key_in(page)})
    assert (gateway.status_code, "test-gateway" in gateway.location) == (303, True)
    again = browser.post(f"/portal/pay/{invoice.id}", data={"key": key_in(page)})
    assert again.location == gateway.location
    assert "no money moves" in browser.get(gateway.location).text
    for _ in range(2):  # the second click, and a reload
        result = browser.post(gateway.location, data={"outcome": "accept"})
        assert result.status_code == 303
    receipt = db.session.query(Receipt).one()
    paid = browser.get(result.location).text
    for shown in ("Thank you", "$200.00", receipt.number, f"/documents/{receipt.document_id}.pdf"):
        assert shown in paid
    already = browser.get(f"/portal/pay/{invoice.id}").text
    assert "This invoice is already paid. We took $200.00" in already
    assert "Pay $" not in already
    assert receipt.number in browser.get("/portal/payments").text


def test_a_declined_card_says_that_nothing_was_charged_and_offers_to_try_again(app, person, invoice) -> None:
    browser = factories.browser(person)
    page = browser.get(f"/portal/pay/{invoice.id}").text
    gateway = browser.post(f"/portal/pay/{invoice.id}", data={"key": key_in(page)}).location
    result = browser.post(gateway, data={"outcome": "decline"})
    shown = browser.get(result.location).text
    assert "You have not been charged" in shown
    assert f"/portal/pay/{invoice.id}" in shown
    assert "already" in browser.get(gateway).text
    assert "not made" not in shown


def test_a_payment_that_was_begun_can_be_gone_on_with(app, person, invoice) -> None:
    browser = factories.browser(person)
    page = browser.get(f"/portal/pay/{invoice.id}").text
    browser.post(f"/portal/pay/{invoice.id}", data={"key": key_in(page)})
    shown = browser.get(f"/portal/payments/{db.session.query(Payment).one().id}").text
    assert "Go on to pay" in shown
    assert "Receipt as PDF" not in shown


def test_another_customer_finds_neither_invoice_nor_payment(app, agent, invoice) -> None:
    taken(factories.browser(agent), f"/payments/new?invoice={invoice.id}")
    payment = db.session.query(Payment).one()
    with app.app_context():
        stranger = factories.browser(factories.user(Role.CUSTOMER))
        assert stranger.get(f"/portal/pay/{invoice.id}").status_code == 404
        assert stranger.post(f"/portal/pay/{invoice.id}", data={"key": "k"}).status_code == 404
        assert stranger.get(f"/portal/payments/{payment.id}").status_code == 404
        assert stranger.get(f"/payments/{payment.id}").status_code == 403


def test_production_offers_no_card_until_there_is_a_gateway(app, person, invoice, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "APP_ENV", "production")
    page = factories.browser(person).get(f"/portal/pay/{invoice.id}").text
    assert "Cards cannot be charged here yet" in page
    assert '<button class="btn btn-primary"' not in page


def test_an_unknown_token_is_not_found(app) -> None:
    assert app.test_client().get("/payments/test-gateway/nothing").status_code == 404


# What staff do with a payment afterwards


def recorded(agent: Actor, invoice, **answers: str) -> Payment:
    taken(factories.browser(agent), f"/payments/new?invoice={invoice.id}", **answers)
    return db.session.query(Payment).order_by(Payment.id.desc()).first()  # type: ignore[return-value]


def send(browser: FlaskClient, address: str, **answers: str):
    """Send a page's form with its hidden fields as they are."""
    page = browser.get(address).text
    hidden = dict(re.findall(r'name="(key|version)"[^>]*value="(\w+)"', page))
    return browser.post(address, data={**hidden, **answers})


def test_a_cheque_is_returned_with_a_reason(app, agent, invoice) -> None:
    payment = recorded(agent, invoice, method="cheque")
    browser, address = factories.browser(agent), f"/payments/{payment.id}/return"
    assert address in browser.get(f"/payments/{payment.id}").text
    assert send(browser, address, reason="").status_code == 422
    assert send(browser, address, reason="No funds").status_code == 303
    shown = browser.get(f"/payments/{payment.id}").text
    assert "Returned" in shown
    assert address not in shown
    assert send(browser, address, reason="Again").status_code == 409
    assert db.session.get_one(type(invoice), invoice.id, populate_existing=True).status is InvoiceStatus.ISSUED


def test_what_a_payment_paid_is_moved_by_a_form_and_used_again_by_a_button(app, agent, person, invoice) -> None:
    payment = recorded(agent, invoice)
    browser, address = factories.browser(agent), f"/payments/{payment.id}/reallocate"
    facts = {"invoice_id": str(invoice.id), "amount": "60.00", "reason": "Meant another"}
    assert send(browser, address, to_invoice_id="4711", **facts).status_code == 422
    assert send(browser, address, to_invoice_id="credit", **{**facts, "amount": "200.01"}).status_code == 422
    assert send(browser, address, to_invoice_id="credit", **facts).status_code == 303
    assert "Use credit of $60.00" in browser.get(f"/invoices/{invoice.id}").text
    own = factories.browser(person)
    assert "You have $60.00 of credit" in own.get(f"/portal/pay/{invoice.id}").text
    assert own.post(f"/invoices/{invoice.id}/use-credit").location == f"/portal/pay/{invoice.id}"
    assert db.session.get_one(type(invoice), invoice.id, populate_existing=True).status is InvoiceStatus.PAID


def test_an_admin_finds_the_owner_of_money_and_clears_cash_to_the_bank(app, agent, invoice) -> None:
    admin = factories.browser(factories.user(Role.ADMIN))
    day = {"received_on-day": "1", "received_on-month": "6", "received_on-year": "2026"}
    item = send(admin, "/payments/suspense/new", amount="200.00", payer="M LOPEZ", **day).location
    assert "M LOPEZ" in admin.get("/payments/suspense").text
    assert "M LOPEZ" in admin.get("/payments/suspense.csv?status=open").text
    assert send(admin, item, number="INV-1").status_code == 422
    made = send(admin, item, number=invoice.number).location
    assert "Receipt RCT" in admin.get(made).text
    assert send(admin, item, number=invoice.number).status_code == 409
    cash = recorded(agent, invoice, amount="20.00")
    of_agent = f"/payments/clearing/cash?agent={agent.id}"
    held = admin.get("/payments/clearing").text
    assert agent.name in held
    assert of_agent in held
    own = factories.browser(agent)
    assert "$20.00 to remit" in " ".join(own.get("/payments/cash").text.replace("</span>", "").split())
    assert "You hold no cash" in admin.get("/payments/cash").text
    assert send(admin, of_agent, reference="R").status_code == 422
    assert send(admin, of_agent, reference="R", payment=str(cash.id)).status_code == 303
    assert "Nobody holds cash" in admin.get("/payments/clearing").text
    moved = admin.get(f"/payments/clearings/{db.session.query(Clearing).one().id}").text
    assert f"From agent cash of {agent.name}" in moved
    assert f"/payments/{cash.id}" in moved
    assert admin.get("/payments/clearings/99").status_code == 404
    remitted = own.get("/payments/cash").text
    assert "You hold no cash" in remitted
    assert "$20.00" in remitted
    assert admin.get("/payments/clearing/bank_transfer").status_code == 404


@pytest.mark.sqlite_only
def test_a_customer_sees_why_a_refund_is_what_it_is_and_nobody_elses(app) -> None:
    person, admin = factories.user(Role.CUSTOMER), factories.user(Role.ADMIN, authority_minor=10_000_00)
    account_id = factories.bound_policy(customer=factories.customer(user=person)).account_id
    amount = Money.parse("2500.00", "USD")
    payments.record(account_id=account_id, amount=amount, method=PaymentMethod.BANK_TRANSFER, actor=admin)
    facts = {"payee_name": "Ana", "account_number": "12345678", "actor": admin}
    order = money_out.request_refund(account_id=account_id, amount=Money.parse("60.00", "USD"), **facts)
    own = factories.browser(person)
    assert f"/portal/payouts/{order.id}" in own.get("/portal/payments").text
    for shown in (
        own.get(f"/portal/payouts/{order.id}").text,
        factories.browser(admin).get(f"/admin/disbursements/{order.id}").text,
    ):
        assert "Why this amount?" in shown
        assert "Credit before" in shown
        assert "−$60.00" in shown
    assert own.get(f"/payouts/{order.id}.pdf").data.startswith(b"%PDF")
    other = factories.browser(factories.user(Role.CUSTOMER))
    assert [other.get(path).status_code for path in (f"/portal/payouts/{order.id}", f"/payouts/{order.id}.pdf")] == [
        404,
        404,
    ]
    receipt = db.session.query(Receipt).one()
    shown = own.get(f"/portal/payments/{receipt.payment_id}").text
    assert "$2,400.00 open before, $0.00 after" in shown
    assert "Left as credit" in shown
    invoice = own.get(f"/portal/pay/{db.session.query(Invoice).one().id}").text
    assert "Why this amount?" in invoice

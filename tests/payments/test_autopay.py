"""Autopay: charges what is due once for each invoice and try, tells what failed, and stops after the last try."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from insurance.billing.domain import CollectionPlan, PaymentPlan
from insurance.billing.models import Invoice
from insurance.core import clock
from insurance.core.db import db
from insurance.core.errors import NotAllowed, NotFound, RuleBroken
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.jobs import services as jobs
from insurance.operations import verify
from insurance.payments import services
from insurance.payments.domain import PaymentStatus
from insurance.payments.gateways import Method
from insurance.payments.models import Autopay, AutopayAttempt, Payment, Receipt
from insurance.payments.services import autopay, gateway
from tests import factories
from tests.conftest import TODAY
from tests.payments.fake_stripe import SECRET, FakeStripe, event, serving
from tests.payments.test_stripe import again, later, paid, send
from tests.races import together

GOOD, BAD = Method("test", "test-good", "Test card"), Method("test", "test-bad", "Test card that declines")


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.fixture
def stripe(app, monkeypatch) -> Iterator[FakeStripe]:
    with serving() as (fake, address):
        config = {"STRIPE_API_KEY": "sk_test_fake", "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_API_BASE": address}
        for name, value in {**config, "STRIPE_TIMEOUT": 0.4}.items():
            monkeypatch.setitem(app.config, name, value)
        yield fake


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def invoice(person) -> Invoice:
    """An invoice of 200.00 that is due today."""
    customer = factories.customer(user=person)
    return factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer))


def switch_on(invoice: Invoice, person: Actor, method: Method = GOOD) -> Autopay:
    return autopay.save(token=autopay.order(account_id=invoice.account_id, actor=person).token, method=method)


def mails(template: str) -> list[dict]:
    return [mail.data for mail in db.session.query(Mail).filter_by(template=template).order_by(Mail.id)]


def test_what_is_due_is_charged_once_and_receipted(app, person, invoice) -> None:
    switch_on(invoice, person)
    assert autopay.charge_due(on=TODAY - timedelta(days=1)) == 0
    assert (autopay.charge_due(on=TODAY), autopay.charge_due(on=TODAY)) == (1, 0)
    assert (paid(invoice.id), db.session.query(Receipt).count()) == (("paid", "200.00"), 1)
    assert mails("autopay_on")[0]["method"] == "Test card"
    check_books()


def test_the_nightly_run_charges_a_year_by_itself(app, person, invoice) -> None:
    switch_on(invoice, person)
    for months in range(12):
        with clock.at(TODAY + timedelta(days=31 * months)):
            jobs.run_nightly(clock.today(), lambda line: None)
    assert db.session.query(AutopayAttempt).count() == db.session.query(Invoice).count() == 12
    assert {one.status.value for one in db.session.query(Invoice)} == {"paid"}
    check_books()


def test_who_pays_by_autopay_is_told_once_some_days_before(app, person, invoice) -> None:
    switch_on(invoice, person)
    autopay.charge_due(on=TODAY)
    with clock.at(TODAY + timedelta(days=20)):
        jobs.run_nightly(clock.today(), lambda line: None)  # issues the next invoice, due on 1 Jul
    due = date(2026, 7, 1)
    assert [autopay.announce(on=due - timedelta(days=days)) for days in (4, 3, 3, 1, 0)] == [0, 1, 0, 0, 0]
    [mail] = mails("autopay_soon")
    assert (mail["amount"], mail["charge_on"], mail["method"]) == ("$200.00", "1 Jul 2026", "Test card")
    assert mail["stop_url"].endswith(f"/portal/autopay/{invoice.account_id}")


def test_nobody_is_told_of_a_charge_that_will_not_be_made(app, person, invoice) -> None:
    switch_on(invoice, person)
    autopay.switch_off(account_id=invoice.account_id, actor=person)
    assert autopay.announce(on=TODAY - timedelta(days=1)) == 0
    switch_on(invoice, person)
    assert autopay.announce(on=TODAY) == 0  # it is charged today
    together(app, [lambda: autopay.announce(on=TODAY - timedelta(days=1))] * 4)
    assert len(mails("autopay_soon")) == 1


def test_a_declined_card_is_tried_on_its_days_and_then_autopay_is_off(app, person, invoice) -> None:
    switch_on(invoice, person, BAD)
    tried = [days for days in range(30) if autopay.charge_due(on=TODAY + timedelta(days=days))]
    assert tuple(tried) == CollectionPlan().autopay_days
    assert [mail["next_on"] for mail in mails("autopay_failed")] == ["4 Jun 2026", "8 Jun 2026", "15 Jun 2026"]
    assert len(mails("autopay_off")) == 1
    row = db.session.query(Autopay).one()
    assert (row.active, row.ended_because) == (False, f"Invoice {invoice.number} could not be charged")
    assert paid(invoice.id) == ("issued", "0.00")
    check_books()


def test_nothing_is_charged_that_was_paid_or_switched_off_in_the_meantime(app, person, invoice) -> None:
    switch_on(invoice, person)
    autopay.switch_off(account_id=invoice.account_id, actor=person)
    assert autopay.charge_due(on=TODAY) == 0
    with pytest.raises(RuleBroken, match="off already"):
        autopay.switch_off(account_id=invoice.account_id, actor=person)
    switch_on(invoice, person)
    started = services.start_card(invoice_id=invoice.id, actor=person)
    services.finish_card(token=started.token or "", accepted=True)
    assert autopay.charge_due(on=TODAY) == 0
    check_books()


def test_two_nightly_runs_at_once_charge_once(app, person, invoice) -> None:
    switch_on(invoice, person)
    together(app, [lambda: autopay.charge_due(on=TODAY)] * 6)
    assert (db.session.query(Payment).count(), db.session.query(AutopayAttempt).count()) == (1, 1)
    check_books()


def test_nobody_switches_what_they_cannot_see(app, person, invoice) -> None:
    with pytest.raises(NotFound):
        autopay.order(account_id=invoice.account_id, actor=factories.user(Role.CUSTOMER))
    with pytest.raises(NotAllowed):
        autopay.order(account_id=invoice.account_id, actor=factories.user(Role.AGENT))
    with pytest.raises(NotFound):
        autopay.save(token="guessed", method=GOOD)


def test_a_customer_switches_it_on_and_off_by_buttons(app, person, invoice) -> None:
    browser, address = factories.browser(person), f"/portal/autopay/{invoice.account_id}"
    assert address in browser.get("/portal/payments").text
    assert "no money moves" in browser.get(address).text
    page = browser.post(address, data={"switch": "on"}).location
    assert "Save a card that is accepted" in browser.get(page).text
    assert browser.post(page, data={"card": "good"}).location == address
    assert "Test card" in browser.get(address).text
    assert browser.post(address, data={"switch": "off"}).location == address
    assert "Switched off by its owner" in browser.get(address).text
    assert app.test_client().get("/payments/test-gateway/save/nothing").status_code == 404
    assert factories.browser(factories.user(Role.CUSTOMER)).get(address).status_code == 404


# By Stripe


def save_at_stripe(app, stripe: FakeStripe, invoice: Invoice, person: Actor, *, good: bool = True) -> Autopay:
    url = autopay.open_page(autopay.order(account_id=invoice.account_id, actor=person))
    assert send(app, stripe.save_card(url.rpartition("/")[2], good=good)) == 200
    return db.session.query(Autopay).one()


def test_a_card_saved_at_stripe_is_charged_without_its_owner(app, stripe, person, invoice) -> None:
    row = save_at_stripe(app, stripe, invoice, person)
    assert (row.active, row.label, row.method_id) == (True, "Visa ending in 4242", "pm_good")
    assert autopay.charge_due(on=TODAY) == 1
    [charge] = stripe.charged
    assert (charge["amount"], paid(invoice.id)) == (200_00, ("paid", "200.00"))
    assert send(app, event("payment_intent.succeeded", charge)) == 200
    assert db.session.query(Receipt).count() == 1
    check_books()


def test_a_card_that_stripe_declines_leads_to_one_mail(app, stripe, person, invoice) -> None:
    save_at_stripe(app, stripe, invoice, person, good=False)
    autopay.charge_due(on=TODAY)
    payment = db.session.query(Payment).one()
    declined = next(iter(stripe.intents.values()))
    assert send(app, event("payment_intent.payment_failed", declined)) == 200
    assert (again(payment.id).status, len(mails("autopay_failed"))) == (PaymentStatus.FAILED, 1)
    check_books()


def test_charged_and_then_silent_is_unknown_and_not_charged_again_by_anybody(app, stripe, person, invoice) -> None:
    save_at_stripe(app, stripe, invoice, person)
    stripe.silent = True
    autopay.charge_due(on=TODAY)
    payment = db.session.query(Payment).one()
    assert payment.status is PaymentStatus.UNKNOWN
    stripe.silent = False
    assert autopay.charge_due(on=TODAY + timedelta(days=3)) == 0
    with pytest.raises(RuleBroken, match="on its way"):
        services.start_card(invoice_id=invoice.id, actor=person)
    later()
    gateway.ask_gateway()
    assert (again(payment.id).status, len(stripe.charged)) == (PaymentStatus.PROCESSED, 1)
    assert paid(invoice.id) == ("paid", "200.00")
    check_books()


def test_a_charge_that_stripe_never_heard_of_fails_after_a_day(app, stripe, person, invoice) -> None:
    save_at_stripe(app, stripe, invoice, person)
    stripe.down = True
    autopay.charge_due(on=TODAY)
    stripe.down = False
    later()
    gateway.ask_gateway()
    assert db.session.query(Payment).one().status is PaymentStatus.UNKNOWN
    later(minutes=25 * 60)
    gateway.ask_gateway()
    payment = db.session.query(Payment).one()
    db.session.refresh(payment)
    assert (payment.status, len(mails("autopay_failed"))) == (PaymentStatus.FAILED, 1)
    assert autopay.charge_due(on=TODAY + timedelta(days=3)) == 1
    assert paid(invoice.id) == ("paid", "200.00")
    check_books()

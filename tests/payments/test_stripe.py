"""Stripe, played by a fake: one charge whatever breaks; events count once, in any order, if they are signed."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations

import pytest

from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.core import clock
from insurance.core.db import db, lock, transaction
from insurance.core.errors import Conflict, RuleBroken
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.jobs import worker
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import services
from insurance.payments.domain import PaymentStatus
from insurance.payments.models import GatewayEvent, Payment, Receipt
from insurance.payments.services import gateway
from tests import factories
from tests.payments.fake_stripe import SECRET, FakeStripe, event, serving, signed
from tests.races import together


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.fixture
def stripe(app, monkeypatch) -> Iterator[FakeStripe]:
    with serving() as (fake, address):
        for name, value in {
            "STRIPE_API_KEY": "sk_test_fake",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": address,
            "STRIPE_TIMEOUT": 0.4,
        }.items():
            monkeypatch.setitem(app.config, name, value)
        yield fake


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def invoice(person) -> Invoice:
    """An invoice of 200.00."""
    customer = factories.customer(user=person)
    return factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer))


def begin(invoice: Invoice, person: Actor) -> Payment:
    """A payment whose page is open at the gateway."""
    payment = services.start_card(invoice_id=invoice.id, actor=person)
    gateway.open_page(payment)
    return again(payment.id)


def again(payment_id: int) -> Payment:
    return db.session.get_one(Payment, payment_id, populate_existing=True)


def send(app, body: dict, **facts) -> int:
    payload, headers = signed(body, **facts)
    return app.test_client().post("/webhooks/stripe", data=payload, headers=headers).status_code


def paid(invoice_id: int) -> tuple[str, str]:
    invoice = db.session.get_one(Invoice, invoice_id, populate_existing=True)
    return invoice.status.value, str(invoice.paid)


def later(minutes: int = 11) -> None:
    """Let the janitor find every payment old."""
    with transaction():
        for payment in db.session.query(Payment):
            lock(Payment, payment.id).created_at -= timedelta(minutes=minutes)
            payment.asked_at = None


# The payer's way


def test_a_customer_is_sent_to_the_hosted_page_and_the_event_brings_the_receipt(app, stripe, person, invoice) -> None:
    browser = factories.browser(person)
    page = browser.get(f"/portal/pay/{invoice.id}")
    assert "form-action 'self' https://checkout.stripe.com" in page.headers["Content-Security-Policy"]
    sent = browser.post(f"/portal/pay/{invoice.id}", data={"key": "k1"})
    assert sent.location.startswith("https://checkout.stripe.com/")
    payment = db.session.query(Payment).one()
    session = stripe.sessions[payment.checkout_id or ""]
    assert (session["amount_total"], session["currency"], session["client_reference_id"]) == (
        200_00, "usd", payment.token,
    )  # fmt: skip
    assert browser.post(f"/portal/pay/{invoice.id}", data={"key": "k2"}).location == sent.location
    assert "See whether it has arrived" in browser.get(f"/portal/payments/{payment.id}").text
    assert send(app, stripe.pay(session["id"])) == 200
    assert (again(payment.id).status, again(payment.id).charge_id) == (
        PaymentStatus.PROCESSED,
        session["payment_intent"],
    )
    assert "Thank you" in browser.get(f"/portal/payments/{payment.id}").text
    assert len(stripe.sessions) == 1
    check_books()


def test_who_comes_back_before_the_event_asks_by_a_button(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    completed = stripe.pay(payment.checkout_id or "")
    browser = factories.browser(person)
    assert browser.post(f"/portal/payments/{payment.id}/check").status_code == 303
    assert again(payment.id).status is PaymentStatus.PROCESSED
    assert send(app, completed) == 200
    assert db.session.query(Receipt).count() == 1
    check_books()


def test_the_page_and_the_event_at_once_make_one_receipt(app, stripe, person, invoice) -> None:
    payment_id = begin(invoice, person).id
    payload, headers = signed(stripe.pay(again(payment_id).checkout_id or ""))
    acts = [
        *[lambda: gateway.check(payment_id=payment_id, actor=SYSTEM).id] * 4,
        *[lambda: app.test_client().post("/webhooks/stripe", data=payload, headers=headers).status_code] * 4,
    ]
    together(app, acts)
    assert (again(payment_id).status, db.session.query(Receipt).count()) == (PaymentStatus.PROCESSED, 1)
    check_books()


def test_twenty_identical_submits_open_one_page(app, stripe, person, invoice) -> None:
    invoice_id = invoice.id

    def submit() -> str:
        return gateway.open_page(services.start_card(invoice_id=invoice_id, key="the same", actor=person))

    assert len(set(together(app, [submit] * 20))) == 1
    assert (db.session.query(Payment).count(), len(stripe.sessions)) == (1, 1)


def test_no_page_where_the_gateway_is_silent_and_the_same_page_when_it_is_back(app, stripe, person, invoice) -> None:
    payment = services.start_card(invoice_id=invoice.id, actor=person)
    stripe.silent = True
    with pytest.raises(RuleBroken, match="You have not been charged"):
        gateway.open_page(payment)
    stripe.silent = False
    gateway.open_page(again(payment.id))
    assert len(stripe.sessions) == 1
    check_books()


def test_cancelling_closes_the_page_first_and_not_if_it_was_paid(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    gateway.cancel(payment_id=payment.id, reason="By mistake", actor=SYSTEM)
    session = stripe.sessions[payment.checkout_id or ""]
    assert (again(payment.id).status, session["status"]) == (PaymentStatus.CANCELLED, "expired")
    other = begin(invoice, person)
    stripe.pay(other.checkout_id or "")
    with pytest.raises(Conflict):
        gateway.cancel(payment_id=other.id, reason="Too late", actor=SYSTEM)
    assert again(other.id).status is PaymentStatus.PROCESSED
    with pytest.raises(RuleBroken, match="already paid"):
        services.start_card(invoice_id=invoice.id, actor=person)
    check_books()


# Signatures


@pytest.mark.parametrize(
    "forge",
    [
        lambda body, headers: (body, {}),
        lambda body, headers: (body, {"Stripe-Signature": "t=1,v1=00"}),
        lambda body, headers: (body.replace(b"paid", b"PAID"), headers),
        lambda body, headers: (b"\xff" + body, headers),
        lambda body, headers: (b"", headers),
    ],
)
@pytest.mark.fault
def test_what_stripe_did_not_sign_is_refused_and_leaves_no_trace(app, stripe, person, invoice, forge) -> None:
    payment = begin(invoice, person)
    body, headers = forge(*signed(stripe.pay(payment.checkout_id or "")))
    assert app.test_client().post("/webhooks/stripe", data=body, headers=headers).status_code == 400
    assert (db.session.query(GatewayEvent).count(), again(payment.id).status) == (0, PaymentStatus.CREATED)


@pytest.mark.fault
def test_a_signature_of_another_or_of_long_ago_is_refused(app, stripe, person, invoice, monkeypatch) -> None:
    payment = begin(invoice, person)
    completed = stripe.pay(payment.checkout_id or "")
    assert send(app, completed, secret="whsec_of_another") == 400
    assert send(app, completed, at=time.time() - 3600) == 400
    monkeypatch.setitem(app.config, "STRIPE_WEBHOOK_SECRET", "")
    assert send(app, completed, secret="") == 400
    assert db.session.query(GatewayEvent).count() == 0


def test_a_signed_body_that_is_no_event_is_refused(app, stripe) -> None:
    for body in ([], {}, {"id": "evt_1", "type": "x"}, {"id": 1, "type": [], "data": {"object": None}}):
        assert send(app, body) == 400
    assert send(app, event("plan.created", {"object": "plan", "id": "p"})) == 200
    assert db.session.query(GatewayEvent).one().handled_at


# Any order


def facts_of(payment_id: int, invoice_id: int) -> tuple:
    payment = again(payment_id)
    account = db.session.get_one(BillingAccount, payment.account_id, populate_existing=True)
    books = [str(ledger.balance(name)) for name in (Account.GATEWAY_CLEARING, Account.BILLED, Account.CUSTOMER_CREDIT)]
    waiting = db.session.query(GatewayEvent).filter_by(handled_at=None).count()
    kept = payment.status.value, payment.allocated_minor, payment.refunded_minor, account.credit_minor
    return (*kept, *paid(invoice_id), *books, db.session.query(Receipt).count(), waiting)


@pytest.mark.parametrize(
    ("story", "status"),
    [
        (["decline", "pay"], "processed"),
        (["pay", "refund"], "partly_refunded"),
        (["pay", "refund", "refund"], "partly_refunded"),
        (["pay", "dispute"], "charged_back"),
        (["decline", "pay", "dispute", "won"], "processed"),
        (["pay", "dispute", "lost"], "charged_back"),
        (["pay", "refund", "dispute"], "charged_back"),
        (["pay", "refund", "dispute", "won"], "partly_refunded"),
    ],
)
@pytest.mark.sqlite_only
@pytest.mark.fault
def test_whatever_order_the_events_come_in_it_ends_the_same(app, stripe, person, story, status) -> None:
    ends = set()
    for order in permutations(range(len(story))):
        with transaction() as session:  # count receipts of this round alone
            before = session.query(Receipt).count()
        customer = factories.customer(user=None)
        invoice = factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer))
        payment = begin(invoice, SYSTEM)
        session_id = payment.checkout_id or ""
        intent_id = stripe.sessions[session_id]["payment_intent"]
        acts = {
            "decline": lambda: stripe.decline(session_id),  # noqa: B023
            "pay": lambda: stripe.pay(session_id),  # noqa: B023
            "refund": lambda: stripe.refund(intent_id, 30_00),  # noqa: B023
            "dispute": lambda: stripe.dispute(intent_id),  # noqa: B023
            "won": lambda: stripe.dispute(intent_id, "won"),  # noqa: B023
            "lost": lambda: stripe.dispute(intent_id, "lost"),  # noqa: B023
        }
        events = [acts[act]() for act in story]
        for place in order:
            for _ in range(2):  # and each of them twice
                assert send(app, events[place]) == 200
        ended = list(facts_of(payment.id, invoice.id))
        ended[-2] -= before
        ledger_of = [
            str(ledger.balance(name, payment.account_id)) for name in (Account.BILLED, Account.CUSTOMER_CREDIT)
        ]
        ends.add((*ended[:6], *ledger_of, *ended[-2:]))
    assert len(ends) == 1, ends
    [end] = ends
    assert (end[0], end[-2:]) == (status, (1, 0))
    check_books()


@pytest.mark.fault
def test_twenty_copies_of_an_event_at_once_count_once(app, stripe, person, invoice) -> None:
    payment_id = begin(invoice, person).id
    payload, headers = signed(stripe.pay(again(payment_id).checkout_id or ""))
    codes = together(
        app, [lambda: app.test_client().post("/webhooks/stripe", data=payload, headers=headers).status_code] * 20
    )
    assert set(codes) == {200}
    assert (db.session.query(GatewayEvent).count(), db.session.query(Receipt).count()) == (1, 1)
    check_books()


def test_a_charge_of_another_amount_waits_for_a_person(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    completed = stripe.pay(payment.checkout_id or "")
    completed["data"]["object"]["amount_total"] = 1
    assert send(app, completed) == 200
    row = db.session.query(GatewayEvent).one()
    assert (row.handled_at, again(payment.id).status) == (None, PaymentStatus.CREATED)
    assert "did not ask for" in factories.browser(factories.user(Role.ADMIN)).get("/payments/events").text


def test_a_slow_method_is_pending_until_it_arrives_or_fails(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    session = stripe.sessions[payment.checkout_id or ""]
    assert send(app, stripe.pay(session["id"], at_once=False)) == 200
    assert again(payment.id).status is PaymentStatus.PENDING
    with pytest.raises(RuleBroken, match="on its way"):
        services.start_card(invoice_id=invoice.id, actor=person)
    assert send(app, event("checkout.session.async_payment_failed", session)) == 200
    assert again(payment.id).status is PaymentStatus.FAILED
    session["payment_status"] = "paid"
    assert send(app, event("checkout.session.async_payment_succeeded", session)) == 200
    assert (again(payment.id).status, paid(invoice.id)) == (PaymentStatus.PROCESSED, ("paid", "200.00"))
    check_books()


def test_a_page_that_expires_gives_the_payment_up(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    session = stripe.sessions[payment.checkout_id or ""] | {"status": "expired"}
    assert send(app, event("checkout.session.expired", session)) == 200
    assert again(payment.id).status is PaymentStatus.CANCELLED
    assert services.start_card(invoice_id=invoice.id, actor=person).id != payment.id


# Silence


@pytest.mark.fault
def test_charged_and_then_silent_is_unknown_until_the_janitor_asks_and_is_never_charged_twice(
    app, stripe, person, invoice
) -> None:
    payment = begin(invoice, person)
    stripe.pay(payment.checkout_id or "")
    stripe.silent = True
    gateway.check(payment_id=payment.id, actor=SYSTEM)
    assert again(payment.id).status is PaymentStatus.UNKNOWN
    stripe.silent = False
    assert gateway.open_page(services.start_card(invoice_id=invoice.id, actor=person)).endswith(
        payment.checkout_id or ""
    )
    later()
    worker.round_of_work(app)
    assert (again(payment.id).status, len(stripe.charged)) == (PaymentStatus.PROCESSED, 1)
    assert paid(invoice.id) == ("paid", "200.00")
    check_books()


@pytest.mark.parametrize("breaks", ["down", "silent"])
@pytest.mark.fault
def test_the_janitor_asks_again_when_the_gateway_is_back(app, stripe, person, invoice, breaks: str) -> None:
    payment = begin(invoice, person)
    stripe.pay(payment.checkout_id or "")
    setattr(stripe, breaks, True)
    later()
    gateway.ask_gateway()
    assert again(payment.id).status is PaymentStatus.UNKNOWN
    setattr(stripe, breaks, False)
    assert gateway.ask_gateway() == 0  # asked a moment ago
    later()
    assert gateway.ask_gateway() == 1
    assert again(payment.id).status is PaymentStatus.PROCESSED
    check_books()


@pytest.mark.parametrize("page", ["cs_of_another_account", ""])
def test_what_the_gateway_refuses_to_say_is_unknown_with_a_line_in_the_log(
    app, stripe, person, invoice, caplog, page: str
) -> None:
    payment = begin(invoice, person)
    stripe.searches = False
    with transaction():
        lock(Payment, payment.id).checkout_id = page or None
    assert gateway.check(payment_id=payment.id, actor=SYSTEM).status is PaymentStatus.UNKNOWN
    assert f"nothing known of payment {payment.id}" in caplog.text
    check_books()


def test_the_janitor_leaves_a_page_open_where_nobody_has_paid_yet(app, stripe, person, invoice) -> None:
    payment = begin(invoice, person)
    later()
    gateway.ask_gateway()
    assert again(payment.id).status is PaymentStatus.CREATED
    stripe.sessions[payment.checkout_id or ""]["status"] = "expired"
    later()
    gateway.ask_gateway()
    assert again(payment.id).status is PaymentStatus.CANCELLED


def test_no_call_is_made_while_a_transaction_is_open(app, stripe, person, invoice, monkeypatch) -> None:
    from insurance.payments.gateways import stripe as module

    seen = []
    calls = module._calls
    monkeypatch.setattr(module, "_calls", lambda: seen.append(db.session().in_transaction()) or calls())
    payment = begin(invoice, person)
    stripe.pay(payment.checkout_id or "")
    gateway.check(payment_id=payment.id, actor=SYSTEM)
    assert seen == [False, False]


def test_the_secret_key_is_in_no_log_and_no_page(app, stripe, person, invoice, caplog) -> None:
    payment = services.start_card(invoice_id=invoice.id, actor=person)
    stripe.down = True
    page = factories.browser(person).post(f"/portal/pay/{invoice.id}", data={"key": "k"})
    assert (page.status_code, "sk_test_fake" in page.text, "sk_test_fake" in caplog.text) == (422, False, False)
    assert json.dumps(stripe.calls).count("sk_") == 0
    assert again(payment.id).status is PaymentStatus.CREATED
    assert paid(invoice.id)[0] == InvoiceStatus.ISSUED
    assert clock.now() > payment.created_at

"""Refunds of one payment: what it paid is taken back first, a card is paid back by the gateway, once."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from insurance.billing.domain import DisbursementStatus, PaymentPlan
from insurance.billing.models import BillingAccount, Disbursement, Invoice
from insurance.billing.services import disbursements
from insurance.core import clock
from insurance.core.db import db, lock, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import money_out, services
from insurance.payments.domain import PaymentMethod, PaymentStatus
from insurance.payments.models import Payment
from insurance.payments.services import gateway, refunds
from tests import factories
from tests.payments.fake_stripe import SECRET, FakeStripe, serving, signed
from tests.races import together

IBAN = "DE89370400440532013000"


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN)


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def invoice(person) -> Invoice:
    """An invoice of 200.00."""
    customer = factories.customer(user=person, name="Maria Lopez")
    return factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer))


@pytest.fixture
def by_cash(invoice, admin) -> Payment:
    """250.00 in cash, of which 50.00 are credit."""
    return services.record(account_id=invoice.account_id, amount=usd("250.00"), method=PaymentMethod.CASH, actor=admin)


@pytest.fixture
def by_card(invoice, person) -> Payment:
    """200.00 by card through the test gateway."""
    started = services.start_card(invoice_id=invoice.id, actor=person)
    return services.finish_card(token=started.token or "", accepted=True)


def refund(payment: Payment, amount: str, actor: Actor, **facts) -> Disbursement:
    return refunds.refund(payment_id=payment.id, amount=usd(amount), reason="Paid twice.", actor=actor, **facts)


def again(payment: Payment) -> Payment:
    return db.session.get_one(Payment, payment.id, populate_existing=True)


def paid(invoice: Invoice) -> tuple[str, str]:
    found = db.session.get_one(Invoice, invoice.id, populate_existing=True)
    return found.status.value, str(found.paid)


def test_credit_goes_first_and_then_what_was_paid_which_is_open_again(admin, invoice, by_cash) -> None:
    order = refund(by_cash, "30.00", admin, account_number=IBAN)
    assert (order.status, order.payee_name, order.by_gateway) == (DisbursementStatus.APPROVED, "Maria Lopez", False)
    assert paid(invoice) == ("paid", "200.00")
    refund(by_cash, "120.00", admin)  # where the first one went
    assert paid(invoice) == ("part_paid", "100.00")
    assert db.session.get_one(BillingAccount, invoice.account_id, populate_existing=True).credit == usd("0.00")
    check_books()
    for order in db.session.query(Disbursement).all():
        assert order.account_number == IBAN
        money_out.send(id=order.id, reference="R", on=clock.today(), actor=admin)
    assert (again(by_cash).status, str(again(by_cash).kept)) == (PaymentStatus.PARTLY_REFUNDED, "100.00")
    check_books()


def test_no_more_than_what_is_left_goes_back_whoever_asks_at_once(app, admin, by_cash) -> None:
    with pytest.raises(RuleBroken, match=r"\$250.00 of this payment") as refusal:
        refund(by_cash, "250.01", admin, account_number=IBAN)
    assert refusal.value.field == "amount"
    with pytest.raises(RuleBroken, match="None is known") as refusal:
        refund(by_cash, "1.00", admin)
    assert refusal.value.field == "account_number"
    facts = {"payment_id": by_cash.id, "amount": usd("150.00"), "reason": "Paid twice.", "account_number": IBAN}
    db.session.remove()
    outcomes = together(app, [lambda: refunds.refund(**facts, actor=admin)] * 3)  # type: ignore[arg-type]
    assert sorted(type(one).__name__ for one in outcomes) == ["Disbursement", "RuleBroken", "RuleBroken"]
    check_books()


def test_only_money_that_is_here_goes_back_and_only_within_ones_book(admin, person, invoice, by_cash) -> None:
    with pytest.raises(NotFound):
        refund(by_cash, "1.00", factories.user(Role.AGENT), account_number=IBAN)
    with pytest.raises(NotAllowed):
        refund(by_cash, "1.00", person, account_number=IBAN)
    cheque = services.record(
        account_id=invoice.account_id, amount=usd("5.00"), method=PaymentMethod.CHEQUE, actor=admin
    )
    services.return_(payment_id=cheque.id, version=cheque.version, reason="Bounced", actor=admin)
    with pytest.raises(Conflict):
        refund(cheque, "5.00", admin, account_number=IBAN)


def test_above_the_limit_a_second_person_approves_before_the_gateway_is_asked(app, admin, by_card, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "PAYOUT_LIMIT_MINOR", 100_00)
    order = refund(by_card, "200.00", admin)
    assert order.status is DisbursementStatus.REQUESTED
    assert refunds.pay_cards_back() == 0
    disbursements.approve(id=order.id, actor=factories.user(Role.ADMIN))
    assert refunds.pay_cards_back() == 1
    assert again(by_card).status is PaymentStatus.REFUNDED
    assert refunds.pay_cards_back() == 0
    check_books()


def test_a_card_is_paid_back_by_the_gateway_and_by_nobody_else(admin, invoice, by_card) -> None:
    with pytest.raises(RuleBroken, match="back to its card"):
        refund(by_card, "50.00", admin, account_number=IBAN)
    order = refund(by_card, "50.00", admin)
    with pytest.raises(Conflict, match="by itself"):
        money_out.send(id=order.id, reference="R", on=clock.today(), actor=admin)
    before = ledger.balances(Account.GATEWAY_CLEARING)
    assert refunds.pay_cards_back() == 1
    assert ledger.balances(Account.GATEWAY_CLEARING) == {key: minor - 50_00 for key, minor in before.items()}
    assert (again(by_card).status, paid(invoice)) == (PaymentStatus.PARTLY_REFUNDED, ("part_paid", "150.00"))
    money_out.return_(id=order.id, reason="Card closed", actor=admin)
    assert ledger.balances(Account.GATEWAY_CLEARING) == before
    check_books()
    page = factories.browser(admin).get(f"/admin/disbursements/{order.id}").text
    assert "Back to the card" in page


def test_staff_refund_a_payment_on_its_page(app, admin, invoice, by_cash) -> None:
    browser = factories.browser(admin)
    record = f"/payments/{by_cash.id}"
    assert f'href="{record}/refund"' in browser.get(record).text
    page = browser.get(f"{record}/refund").text
    assert 'value="250.00"' in page
    key, version = (re.search(rf'name="{name}"[^>]*value="(\w+)"', page)[1] for name in ("key", "version"))
    filled = {"amount": "70.00", "reason": "Paid twice", "payee_name": "Maria Lopez", "key": key, "version": version}
    refused = browser.post(f"{record}/refund", data={**filled, "account_number": "DE00"})
    assert refused.status_code == 422
    assert 'value="70.00"' in refused.text
    for _ in range(2):  # a double click orders once
        answer = browser.post(f"{record}/refund", data={**filled, "account_number": IBAN})
        assert (answer.status_code, answer.location) == (303, record)
    assert db.session.query(Disbursement).one().amount == usd("70.00")
    assert (again(by_cash).kept, paid(invoice)) == (usd("180.00"), ("part_paid", "180.00"))
    check_books()


def test_the_page_asks_no_account_where_the_money_goes_back_to_a_card(admin, by_card) -> None:
    browser = factories.browser(admin)
    page = browser.get(f"/payments/{by_card.id}/refund").text
    assert "back to the card" in page
    assert 'name="account_number"' not in page
    filled = {"amount": "200.00", "reason": "Paid twice", "key": "k" * 32, "version": by_card.version}
    assert browser.post(f"/payments/{by_card.id}/refund", data=filled).status_code == 303
    assert db.session.query(Disbursement).one().by_gateway


# Stripe


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
def charged(app, stripe, person, invoice) -> Payment:
    """200.00 by card at Stripe."""
    started = services.start_card(invoice_id=invoice.id, actor=person)
    gateway.open_page(started)
    send(app, stripe.pay(next(iter(stripe.sessions))))
    return again(started)


def send(app, body: dict) -> None:
    payload, headers = signed(body)
    assert app.test_client().post("/webhooks/stripe", data=payload, headers=headers).status_code == 200


def refunded(stripe: FakeStripe) -> int:
    return sum(intent.get("amount_refunded", 0) for intent in stripe.intents.values())


def test_a_silent_gateway_is_asked_again_and_pays_back_once(app, stripe, admin, charged) -> None:
    refund(charged, "80.00", admin)
    stripe.silent = True
    assert refunds.pay_cards_back() == 0
    stripe.silent = False
    assert refunds.pay_cards_back() == 0, "it was asked only just now"
    with transaction():
        lock(Payment, charged.id).asked_at = clock.now() - timedelta(minutes=11)
    assert refunds.pay_cards_back() == 1
    assert refunded(stripe) == 80_00
    assert str(again(charged).kept) == "120.00"
    check_books()


@pytest.mark.parametrize("event_first", [False, True])
def test_the_event_about_our_own_refund_has_no_effect_and_one_about_another_has(
    app, stripe, admin, charged, event_first
) -> None:
    intent = next(iter(stripe.intents))
    refund(charged, "80.00", admin)
    if event_first:
        send(app, stripe.refund(intent, 80_00))
        stripe.intents[intent]["amount_refunded"] = 0
    refunds.pay_cards_back()
    assert refunded(stripe) == 80_00
    send(app, stripe.refund(intent, 0))
    assert (str(again(charged).kept), again(charged).status) == ("120.00", PaymentStatus.PARTLY_REFUNDED)
    send(app, stripe.refund(intent, 120_00))
    assert (str(again(charged).kept), again(charged).status) == ("0.00", PaymentStatus.REFUNDED)
    check_books()


def test_what_the_gateway_refuses_is_called_off_and_is_credit_again(stripe, admin, invoice, charged) -> None:
    stripe.intents[charged.charge_id or ""]["amount_refunded"] = 200_00  # and its event is not here yet
    order = refund(charged, "80.00", admin)
    assert refunds.pay_cards_back() == 1
    assert db.session.get_one(Disbursement, order.id, populate_existing=True).status is DisbursementStatus.CANCELLED
    assert (again(charged).refunded_minor, paid(invoice)) == (0, ("part_paid", "120.00"))
    check_books()

"""Autopay: a saved method, charged when an invoice is due, again on some later days, and switched off after the last.

A payment is begun and committed before the gateway is asked to charge, under a key made of invoice and try: whatever
breaks in between, it is asked about and never charged anew.
"""

import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask import current_app

from ...billing import queries as billing
from ...billing.models import OPEN, BillingAccount, Invoice
from ...core import audit, clock, outbox
from ...core.dates import in_words
from ...core.db import add, db, lock, transactional
from ...core.errors import NotFound, RuleBroken
from ...core.permissions import SYSTEM, Actor, check_may
from ...customers.models import Customer
from .. import gateways, queries
from ..domain import WAITING, PaymentMethod, PaymentStatus
from ..gateways import Answer, Method, Unreachable
from ..models import Autopay, AutopayAttempt, Payment
from . import intake


@transactional
def order(*, account_id: int, actor: Actor) -> Autopay:
    """Begin to switch autopay on for an account: the payer goes on to save a method at the gateway."""
    check_may(actor, "autopay:switch")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    if billing.find_mandate(account.id):
        raise RuleBroken("Invoices of this policy are collected by direct debit. Revoke the mandate first.")
    autopay = queries.find_autopay(account.id) or Autopay(account_id=account.id, active=False)
    autopay.token, autopay.changed_at = secrets.token_urlsafe(24), clock.now()
    autopay.ordered_by_id = actor.id or 0
    add(autopay)
    audit.record("order", autopay, label=account.policy_number, actor=actor)
    return autopay


def open_page(autopay: Autopay) -> str:
    """Where the payer goes to save a method."""
    gateway = gateways.current()
    if gateway is None:
        raise RuleBroken("Cards can't be saved here yet.")
    try:
        return gateway.page_to_save(gateways.on_its_own(autopay)).url
    except Unreachable:
        raise RuleBroken("The card company does not answer. Nothing was saved. Try again in a minute.") from None


def finish_saving(*, token: str, page_id: str) -> None:
    """Ask the gateway what was saved on its page, and switch autopay on with it."""
    gateway = gateways.current()
    db.session.rollback()
    method = gateway.saved(page_id) if gateway else None
    if method:
        save(token=token, method=method)


@transactional
def save(*, token: str, method: Method) -> Autopay:
    """Switch autopay on with a saved method. Knowing the token is the right to say so."""
    autopay = queries.find_autopay_by_token(token)
    if autopay is None:
        raise NotFound("We cannot find that order.")
    account = lock(BillingAccount, autopay.account_id)
    if autopay.active and autopay.method_id == method.method_id:
        return autopay
    autopay.payer_id, autopay.method_id, autopay.label = method.payer_id, method.method_id, method.label
    autopay.active, autopay.ended_because, autopay.changed_at = True, "", clock.now()
    audit.record("switch_on", autopay, label=account.policy_number, actor=SYSTEM, method=method.label)
    tell("autopay_on", account, method=method.label)
    return autopay


@transactional
def switch_off(*, account_id: int, actor: Actor) -> Autopay:
    """Charge nothing by itself any more."""
    check_may(actor, "autopay:switch")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    autopay = queries.find_autopay(account.id)
    if autopay is None or not autopay.active:
        raise RuleBroken("Autopay is off already.")
    end(autopay, account, "Switched off by its owner", actor)
    return autopay


def end(autopay: Autopay, account: BillingAccount, because: str, actor: Actor) -> None:
    """Switch autopay off, as part of the act that ends it."""
    autopay.active, autopay.ended_because, autopay.changed_at = False, because, clock.now()
    audit.record("switch_off", autopay, label=account.policy_number, actor=actor, because=because)


# Charging


def announce(*, on: date) -> int:
    """Tell payers what autopay will charge in a few days; how many invoices. Repeated, it tells nobody twice."""
    return sum(_announce(invoice_id, on) for invoice_id in queries.to_announce(on))


@transactional
def _announce(invoice_id: int, on: date) -> bool:
    account = lock(BillingAccount, db.session.get_one(Invoice, invoice_id).account_id)
    invoice = lock(Invoice, invoice_id)
    autopay = queries.find_autopay(account.id)
    if autopay is None or not autopay.active or not invoice.open or invoice.autopay_told_on:
        return False
    invoice.autopay_told_on = on
    tell(
        "autopay_soon",
        account,
        number=invoice.number,
        amount=invoice.open.in_words,
        charge_on=in_words(invoice.due_on),
        method=autopay.label,
        stop_url=f"{current_app.config['PUBLIC_URL']}/portal/autopay/{account.id}",
    )
    return True


def charge_due(*, on: date, among: Sequence[int] | None = None) -> int:
    """Charge every invoice that autopay is to charge by a day, or among some; how many were tried.

    Repeated, it tries none twice.
    """
    return sum(_charge(invoice_id, tried + 1, on) for invoice_id, tried in queries.due_for_autopay(on, among))


def _charge(invoice_id: int, number: int, on: date) -> bool:
    gateway = gateways.current()
    begun = _begin(invoice_id, number, on) if gateway else None
    if gateway is None or begun is None:
        return False
    payment_id = begun[0].id
    payment, autopay = gateways.on_its_own(begun[0]), gateways.on_its_own(begun[1])
    try:
        answer = gateway.charge(payment, autopay, key=f"autopay-{invoice_id}-{number}")
    except Unreachable as silence:
        current_app.logger.warning("gateway: payment %s may be charged or not: %s", payment_id, silence)
        intake.lose_sight(payment_id=payment_id)
    else:
        settle(payment_id=payment_id, answer=answer)
    return True


@transactional
def _begin(invoice_id: int, number: int, on: date) -> tuple[Payment, Autopay] | None:
    """The payment of a try, unless it is no longer called for."""
    invoice = db.session.get_one(Invoice, invoice_id)
    account = lock(BillingAccount, invoice.account_id)
    invoice = lock(Invoice, invoice_id)
    autopay = queries.find_autopay(account.id)
    if autopay is None or not autopay.active or invoice.status not in OPEN or billing.find_mandate(account.id):
        return None
    if queries.attempts_on(invoice.id) != number - 1 or queries.on_its_way(invoice.id):
        return None
    payment = intake.create(account, invoice.id, invoice.open, PaymentMethod.CARD, on, SYSTEM)
    payment.token = secrets.token_urlsafe(24)
    intake.move(payment, "submit")
    add(AutopayAttempt(invoice_id=invoice.id, number=number, payment_id=payment.id, tried_on=on))
    audit.record("start", payment, label=invoice.number, actor=SYSTEM, amount=payment.amount, attempt=number)
    return payment, autopay


@transactional
def settle(*, payment_id: int, answer: Answer) -> Payment:
    """Bring a payment to what the gateway says of it; where a try of autopay has failed, tell the customer."""
    lock(BillingAccount, db.session.get_one(Payment, payment_id).account_id)
    waited = lock(Payment, payment_id).status in WAITING
    payment = intake.settle(payment_id=payment_id, answer=answer)
    attempt = queries.attempt_of(payment_id)
    if attempt and waited and payment.status is PaymentStatus.FAILED:
        _failed(attempt, payment)
    return payment


def _failed(attempt: AutopayAttempt, payment: Payment) -> None:
    account = db.session.get_one(BillingAccount, payment.account_id)
    invoice = db.session.get_one(Invoice, attempt.invoice_id)
    autopay = queries.find_autopay(account.id)
    days = billing.collection_plan().autopay_days
    said: dict[str, Any] = {
        "number": invoice.number,
        "amount": payment.amount.in_words,
        "method": autopay.label if autopay else "",
        "pay_url": f"{current_app.config['PUBLIC_URL']}/portal/pay/{invoice.id}",
    }
    if autopay and attempt.number >= len(days):
        end(autopay, account, f"Invoice {invoice.number} could not be charged", SYSTEM)
        tell("autopay_off", account, **said)
    else:
        next_on = invoice.due_on + timedelta(days=days[attempt.number])
        tell("autopay_failed", account, **said, next_on=in_words(next_on))


def tell(template: str, account: BillingAccount, /, **said: Any) -> None:
    """Mail the customer of an account, if they have an address."""
    customer = db.session.get_one(Customer, account.customer_id)
    if customer.email:
        outbox.enqueue(template, to=customer.email, name=customer.name, policy_number=account.policy_number, **said)

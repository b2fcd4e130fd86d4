"""Taking money in: recorded by staff or by card, allocated, receipted and posted in one transaction."""

import secrets
from datetime import date

from ...billing import queries as billing
from ...billing.models import BillingAccount
from ...core import audit, clock, numbering, outbox
from ...core.dates import in_words
from ...core.db import add, check_version, db, lock, transactional
from ...core.errors import Conflict, NotFound, RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor, check_may
from ...customers.models import Customer
from ...documents import services as documents
from ...documents.models import DocumentKind
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import gateways, queries
from ..domain import METHOD_WORDS, PAYMENT_LIFECYCLE, WAITING, PaymentMethod, PaymentStatus, receipt_worksheet
from ..gateways import Answer, Outcome
from ..models import Payment, Receipt
from .allocation import spend

DEBITED = {
    PaymentMethod.CARD: Account.GATEWAY_CLEARING,
    PaymentMethod.BANK_TRANSFER: Account.BANK,
    PaymentMethod.DIRECT_DEBIT: Account.BANK,
    PaymentMethod.CASH: Account.AGENT_CASH,
    PaymentMethod.CHEQUE: Account.CHEQUES,
}
"""Where the money lies when it has come in."""


@transactional
@once(Payment)
def record(
    *,
    account_id: int,
    amount: Money,
    method: PaymentMethod,
    invoice_id: int | None = None,
    paid_on: date | None = None,
    reference: str = "",
    note: str = "",
    actor: Actor,
) -> Payment:
    """Record money that staff received: processed at once. It pays the named invoice first, then the oldest due."""
    check_may(actor, "payment:record")
    if method is PaymentMethod.CARD:
        raise RuleBroken("Cards are charged through the payment page only.", "method")
    if paid_on and paid_on > clock.today():
        raise RuleBroken("The date of payment must be today or in the past.", "paid_on")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    if invoice_id is not None and billing.get_invoice(invoice_id, actor)[1].id != account.id:
        raise NotFound("We cannot find that invoice on this account.")
    payment = create(account, invoice_id, amount, method, paid_on or clock.today(), actor)
    payment.reference, payment.note = reference, note
    process(account, payment, actor)
    return payment


@transactional
def edit(*, payment_id: int, version: int, reference: str, note: str, actor: Actor) -> Payment:
    """Change what staff wrote about a payment; what was paid, how and when, never changes, nor does the receipt."""
    check_may(actor, "payment:edit")
    found, account, _ = queries.get_payment(payment_id, actor)
    payment = lock(Payment, found.id)
    check_version(payment, version)
    before = {"reference": payment.reference, "note": payment.note}
    payment.reference, payment.note = reference, note
    payment.version += 1
    audit.record(
        "edit", payment, label=account.policy_number, actor=actor, before=before, reference=reference, note=note
    )
    return payment


@transactional
def delete(*, payment_id: int, actor: Actor) -> None:
    """Delete a payment that was begun and never made; what has moved money stays."""
    check_may(actor, "payment:delete")
    found, account, _ = queries.get_payment(payment_id, actor)
    lock(BillingAccount, account.id)
    payment = lock(Payment, found.id)
    if payment.checkout_id:
        raise Conflict("Its page is open at the gateway, where it may still be paid. Cancel it instead.")
    if payment.status is not PaymentStatus.CREATED:
        raise Conflict("This payment is more than begun, and must be kept. If it was made, refund it.")
    audit.record("delete", payment, label=account.policy_number, actor=actor, before={"amount": payment.amount})
    db.session.delete(payment)


@transactional
@once(Payment)
def start_card(*, invoice_id: int, actor: Actor) -> Payment:
    """Begin to pay what is open on an invoice by card; the payer goes on at the gateway."""
    check_may(actor, "payment:pay_by_card")
    if gateways.current() is None:
        raise RuleBroken("Cards can't be charged here yet. Pay by bank transfer or cheque, and name the invoice.")
    invoice, account = billing.get_invoice(invoice_id, actor)
    account = lock(BillingAccount, account.id)
    db.session.refresh(invoice)
    if not invoice.open:
        raise RuleBroken("This invoice is already paid. You have not been charged again.")
    begun = queries.begun_by_card(invoice.id, invoice.open)
    if begun:  # in another tab, or left at the gateway: one payment has one token, which charges once
        return begun
    if on_its_way := queries.on_its_way(invoice.id):
        raise RuleBroken(
            f"A payment of {on_its_way.amount.in_words} for this invoice is on its way. You will not be charged twice."
        )
    payment = create(account, invoice.id, invoice.open, PaymentMethod.CARD, clock.today(), actor)
    payment.token = secrets.token_urlsafe(24)
    audit.record("start", payment, label=invoice.number, actor=actor, amount=payment.amount, method=payment.method)
    return payment


@transactional
def finish_card(*, token: str, accepted: bool) -> Payment:
    """What the test gateway says of a payment; the first answer counts. Knowing the token is the right to say it."""
    found = queries.find_by_token(token)
    if found is None:
        raise NotFound("We cannot find that payment.")
    lock(BillingAccount, found.account_id)
    payment = lock(Payment, found.id)
    if payment.status is not PaymentStatus.CREATED:
        return payment
    return settle(payment_id=payment.id, answer=Answer(Outcome.PAID if accepted else Outcome.FAILED))


@transactional
def settle(*, payment_id: int, answer: Answer) -> Payment:
    """Bring a payment to what the gateway says of it, however often and in whatever order it says so.

    That it was paid is the last word: it counts after a failure too, for then the money is here.
    """
    account = lock(BillingAccount, db.session.get_one(Payment, payment_id).account_id)
    payment = lock(Payment, payment_id)
    payment.charge_id = payment.charge_id or answer.charge_id
    waiting = payment.status in WAITING
    given_up = payment.status in (PaymentStatus.FAILED, PaymentStatus.CANCELLED)
    if answer.outcome is Outcome.PAID and (waiting or given_up):
        payment.paid_on = clock.today()
        process(account, payment, SYSTEM)
    elif answer.outcome is Outcome.PENDING and payment.status is PaymentStatus.CREATED:
        _move_unpaid(payment, account, "submit")
    elif answer.outcome in (Outcome.FAILED, Outcome.EXPIRED) and waiting:
        never_sent = answer.outcome is Outcome.EXPIRED and payment.status is PaymentStatus.CREATED
        _move_unpaid(payment, account, "cancel" if never_sent else "fail")
    return payment


@transactional
def lose_sight(*, payment_id: int) -> Payment:
    """The gateway was asked to charge, or how it went, and did not answer: from now on nobody may charge again."""
    account = lock(BillingAccount, db.session.get_one(Payment, payment_id).account_id)
    payment = lock(Payment, payment_id)
    if payment.status is PaymentStatus.CREATED:
        move(payment, "submit")
    if payment.status is PaymentStatus.PENDING:
        _move_unpaid(payment, account, "lose_sight")
    return payment


@transactional
def cancel(*, payment_id: int, reason: str, actor: Actor) -> Payment:
    """Give up a payment that was begun and never made. Close its page at the gateway first."""
    check_may(actor, "payment:cancel")
    _, account, _ = queries.get_payment(payment_id, actor)
    lock(BillingAccount, account.id)
    payment = lock(Payment, payment_id)
    move(payment, "cancel")
    payment.version += 1
    audit.record("cancel", payment, label=account.policy_number, actor=actor, amount=payment.amount, reason=reason)
    return payment


def _move_unpaid(payment: Payment, account: BillingAccount, act: str) -> None:
    move(payment, act)
    audit.record(act, payment, label=account.policy_number, actor=SYSTEM, amount=payment.amount)


def create(
    account: BillingAccount, invoice_id: int | None, amount: Money, method: PaymentMethod, paid_on: date, actor: Actor
) -> Payment:
    """A payment that has only begun, as part of the act that begins it."""
    if amount.currency != account.currency:
        raise RuleBroken(f"This account is kept in {account.currency}.", "amount")
    if amount.minor <= 0:
        raise RuleBroken("Enter an amount above 0.", "amount")
    return add(
        Payment(
            account_id=account.id,
            invoice_id=invoice_id,
            amount_minor=amount.minor,
            currency=amount.currency,
            method=method,
            status=PAYMENT_LIFECYCLE.initial,
            paid_on=paid_on,
            allocated_minor=0,
            refunded_minor=0,
            recorded_by_id=actor.id,
            created_at=clock.now(),
        )
    )


def move(payment: Payment, action: str, to: PaymentStatus | None = None) -> None:
    """The one place that moves a status."""
    payment.status = PAYMENT_LIFECYCLE.next(payment.status, action, to)


def process(
    account: BillingAccount,
    payment: Payment,
    actor: Actor,
    *,
    event: Event = Event.PAYMENT,
    comes_from: Account | None = None,
) -> None:
    """The money is here: post it, allocate it, and write the receipt and its mail."""
    move(payment, "process")
    if payment.method is PaymentMethod.CASH:
        payment.cash_holder_id = actor.id
    ledger.post(
        event,
        payment.id,
        debit=(comes_from or DEBITED[payment.method], payment.cash_holder_id or COMPANY),
        credit=(Account.CUSTOMER_CREDIT, account.id),
        amount=payment.amount,
        on=clock.today(),
    )
    account.credit_minor += payment.amount_minor
    spend(account, payment, payment.left, first_id=payment.invoice_id)
    _receipt(account, payment)
    audit.record(
        "process", payment, label=account.policy_number, actor=actor, amount=payment.amount, method=payment.method
    )


def _receipt(account: BillingAccount, payment: Payment) -> None:
    customer = db.session.get_one(Customer, account.customer_id)
    number, paid = numbering.take("RCT"), queries.allocations(payment.id)
    said = {
        "amount": payment.amount.in_words,
        "method": METHOD_WORDS[payment.method],
        "paid_on": in_words(payment.paid_on),
    }
    document = documents.issue(
        kind=DocumentKind.RECEIPT,
        number=number,
        customer=customer,
        policy_number=account.policy_number,
        data={
            **said,
            "product": account.product_name,
            "reference": payment.reference,
            "allocations": [
                {"invoice": row.number, "amount": Money(row.amount_minor, row.currency).in_words} for row in paid
            ],
            "credit": payment.left.in_words if payment.left else "",
            "worksheet": receipt_worksheet(
                payment.amount,
                f"{said['method']}, {said['paid_on']}",
                [
                    (row.number, *(Money(minor, row.currency) for minor in (row.amount_minor, row.open_minor)))
                    for row in paid
                ],
            ),
        },
    )
    add(Receipt(number=number, payment_id=payment.id, document_id=document.id, issued_on=clock.today()))
    if customer.email:
        outbox.enqueue(
            "receipt",
            to=customer.email,
            document_id=document.id,
            name=customer.name,
            number=number,
            policy_number=account.policy_number,
            **said,
        )

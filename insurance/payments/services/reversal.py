"""Money that goes back the way it came: returned by a bank, charged back by a card's owner, refunded by the gateway.

What is taken back is all of the payment that was not paid back already: what it paid is taken back from the invoices
first, so credit that it brought and that was used elsewhere is found where it went. See docs/decisions.
"""

from ...billing.models import BillingAccount
from ...core import audit, clock, outbox
from ...core.dates import in_words
from ...core.db import check_version, db, lock, transactional
from ...core.errors import Conflict
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor, check_may
from ...customers.models import Customer
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import money_out, queries
from ..domain import METHOD_WORDS, PAYMENT_LIFECYCLE, PaymentMethod, PaymentStatus, once_paid_back
from ..models import Payment
from . import direct_debit
from .allocation import spend, take_back
from .intake import DEBITED, move


@transactional
def return_(*, payment_id: int, version: int | None, reason: str, actor: Actor) -> Payment:
    """A cheque bounced, or a bank took a transfer or a direct debit back: the invoices are open again.

    A direct debit that was still pending has failed: no money had come.

    Where a part was paid back to the customer already this is refused: what they owe then is a matter for people.
    """
    payment, account = _locked(payment_id, version, "payment:return", actor)
    if payment.method in (PaymentMethod.CARD, PaymentMethod.CASH):
        raise Conflict(f"{METHOD_WORDS[payment.method]} is not returned by a bank.")
    if payment.status is PaymentStatus.PENDING and payment.method is PaymentMethod.DIRECT_DEBIT:
        direct_debit.check_is_with_bank(payment)
        move(payment, "fail")
        _note("return", payment, account, actor, reason)
        return payment
    _stop_refunds(payment)
    if payment.refunded_minor:
        raise Conflict(
            f"{Money(payment.refunded_minor, payment.currency).in_words} of this payment was paid back already. "
            "Agree with the customer how they give that back before you record the return."
        )
    PAYMENT_LIFECYCLE.next(payment.status, "return")
    lies_in = Account.BANK if payment.clearing_id else DEBITED[payment.method]
    _give_up(account, payment, payment.kept, Event.PAYMENT_RETURNED, lies_in)
    move(payment, "return")
    _note("return", payment, account, actor, reason)
    return payment


@transactional
def charge_back(*, payment_id: int, version: int | None, reason: str, actor: Actor) -> Payment:
    """The card's owner had their bank take the money back from the gateway."""
    payment, account = _locked(payment_id, version, "payment:charge_back", actor)
    if payment.method is not PaymentMethod.CARD:
        raise Conflict("Only a card payment can be charged back.")
    PAYMENT_LIFECYCLE.next(payment.status, "charge_back")
    _stop_refunds(payment)
    _give_up(account, payment, payment.kept, Event.CHARGE_BACK, Account.GATEWAY_CLEARING)
    move(payment, "charge_back")
    _note("charge_back", payment, account, actor, reason)
    return payment


@transactional
def win(*, payment_id: int, version: int | None, reason: str, actor: Actor) -> Payment:
    """The dispute was won: the money is back, and pays again what is open, the payer's invoice first."""
    payment, account = _locked(payment_id, version, "payment:charge_back", actor)
    move(payment, "win", once_paid_back(payment.amount, queries.paid_back(payment)))
    ledger.post(
        Event.CHARGE_BACK_WON,
        payment.id,
        debit=(Account.GATEWAY_CLEARING, COMPANY),
        credit=(Account.CUSTOMER_CREDIT, account.id),
        amount=payment.kept,
        on=clock.today(),
    )
    account.credit_minor += payment.kept_minor
    spend(account, payment, payment.left, first_id=payment.invoice_id)
    audit.record("win", payment, label=account.policy_number, actor=actor, amount=payment.kept, reason=reason)
    return payment


@transactional
def refund_at_gateway(*, payment_id: int, total: Money) -> Payment:
    """The gateway paid back `total` of a payment in all; what is new of that is taken from credit, then from invoices.

    While the payment is charged back, the gateway has the money already: only what it calls it changes. Where it pays
    back what an order of ours was to pay, that order is called off.
    """
    payment, account = _locked(payment_id, None, "payment:charge_back", SYSTEM)
    known = Money(payment.refunded_minor, payment.currency) - queries.refunded_by_orders(payment)
    new = total - known
    if new.minor <= 0:
        return payment
    if payment.status is PaymentStatus.CHARGED_BACK:
        payment.refunded_minor += new.minor
    else:
        PAYMENT_LIFECYCLE.next(payment.status, "refund", PaymentStatus.PARTLY_REFUNDED)
        if new > payment.kept:
            _stop_refunds(payment)
        if new > payment.kept:
            raise Conflict(
                f"The gateway paid back {(new - payment.kept).in_words} more than was left of this payment. "
                "Agree with the customer how they give that back."
            )
        _give_up(account, payment, new, Event.PAYMENT_RETURNED, Account.GATEWAY_CLEARING)
        payment.refunded_minor += new.minor
        move(payment, "refund", once_paid_back(payment.amount, queries.paid_back(payment)))
    audit.record(
        "refund_at_gateway", payment, label=account.policy_number, actor=SYSTEM, amount=new, status=payment.status
    )
    return payment


def _locked(payment_id: int, version: int | None, permission: str, actor: Actor) -> tuple[Payment, BillingAccount]:
    check_may(actor, permission)
    found, account, _ = queries.get_payment(payment_id, actor)
    account = lock(BillingAccount, account.id)
    payment = lock(Payment, found.id)
    check_version(payment, version)
    payment.version += 1
    return payment, account


def _stop_refunds(payment: Payment) -> None:
    """Money that goes back by itself is not sent back as well."""
    for order_id in queries.refunds_not_sent(payment.id):
        money_out.cancel(id=order_id, reason="The payment itself was taken back", actor=SYSTEM)


def _give_up(account: BillingAccount, payment: Payment, amount: Money, event: Event, lies_in: Account) -> None:
    """Take an amount out of a payment: of its credit first, then of what it paid."""
    if amount > payment.left:
        take_back(account, payment, amount - payment.left)
    ledger.post(
        event,
        payment.id,
        debit=(Account.CUSTOMER_CREDIT, account.id),
        credit=(lies_in, COMPANY),
        amount=amount,
        on=clock.today(),
    )
    account.credit_minor -= amount.minor


def _note(act: str, payment: Payment, account: BillingAccount, actor: Actor, reason: str) -> None:
    audit.record(act, payment, label=account.policy_number, actor=actor, amount=payment.kept, reason=reason)
    if act == "return" and direct_debit.came_back(payment, account, actor):
        return
    customer = db.session.get_one(Customer, account.customer_id)
    if customer.email:
        outbox.enqueue(
            "payment_returned" if act == "return" else "payment_charged_back",
            to=customer.email,
            name=customer.name,
            policy_number=account.policy_number,
            amount=payment.kept.in_words,
            method=METHOD_WORDS[payment.method],
            paid_on=in_words(payment.paid_on),
        )

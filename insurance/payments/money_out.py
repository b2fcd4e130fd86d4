"""Money that goes out: refunds of credit, and what every order does to the payment or claim that it is for."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Row

from ..billing import queries as billing
from ..billing.domain import DisbursementKind
from ..billing.models import BillingAccount, Disbursement
from ..billing.services import disbursements
from ..claims import services as claims
from ..core import clock
from ..core.dates import in_words
from ..core.db import add, lock, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.idempotency import once
from ..core.money import Money
from ..core.permissions import SYSTEM, Actor, check_may
from ..ledger import services as ledger
from ..ledger.domain import Account, Event
from . import queries
from .domain import METHOD_WORDS, PAYMENT_LIFECYCLE, CreditSource, once_paid_back, refund_worksheet
from .models import Payment, RefundPart


@transactional
@once(Disbursement)
def request_refund(
    *, account_id: int, amount: Money, payee_name: str, account_number: str, bic: str = "", actor: Actor
) -> Disbursement:
    """Order credit to be paid back. It is taken from the newest payments, then from credit that no payment brought."""
    check_may(actor, "refund:request")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    if amount.currency != account.currency:
        raise RuleBroken(f"This account is kept in {account.currency}.", "amount")
    if amount > account.credit:
        raise RuleBroken(
            f"The account has {account.credit.in_words} of credit. Enter that much or less."
            if account.credit
            else "The account has no credit to pay back.",
            "amount",
        )
    facts = {"payee_name": payee_name, "account_number": account_number, "bic": bic}
    return order_refund(account, amount, queries.with_credit(account.id), **facts, actor=actor)


def order_refund(
    account: BillingAccount, amount: Money, payments: Iterable[Row], *, actor: Actor, **facts: Any
) -> Disbursement:
    """Order credit of a locked account to be paid back, taken from payments in their order as far as they have any.

    Each payment comes with the number of its receipt.
    """
    parts, others = _sources(account, amount, payments)
    order = disbursements.request(
        kind=DisbursementKind.REFUND,
        customer_id=account.customer_id,
        account_id=account.id,
        reason=f"Refund {account.policy_number}",
        amount=amount,
        worksheet=refund_worksheet(account.credit, [*parts, *others], amount),
        actor=actor,
        **facts,
    )
    _take_from_payments(order, parts)
    account.credit_minor -= amount.minor
    ledger.post(
        Event.REFUND_ORDERED,
        order.id,
        debit=(Account.CUSTOMER_CREDIT, account.id),
        credit=(Account.REFUNDS_PAYABLE, account.id),
        amount=amount,
        on=clock.today(),
    )
    return order


def _sources(
    account: BillingAccount, wanted: Money, payments: Iterable[Row]
) -> tuple[list[CreditSource], list[CreditSource]]:
    """Which payments an amount of credit is taken from, and what of it no payment brought."""
    parts = []
    for payment, receipt in payments:
        part = min(wanted, lock(Payment, payment.id).left)
        if part:
            why = f"{METHOD_WORDS[payment.method]} of {in_words(payment.paid_on)}: {payment.amount.in_words} received"
            parts.append(CreditSource(f"Receipt {receipt}", f"{why}, not used for an invoice", part, payment.id))
        wanted -= part
    if not wanted:
        return parts, []
    notes = ", ".join(f"{number} ({reason})" for number, reason in queries.credit_notes_to_account(account.id))
    return parts, [CreditSource("Credit notes", notes, wanted)]


def _take_from_payments(order: Disbursement, parts: Iterable[CreditSource]) -> None:
    for part in parts:
        lock(Payment, part.payment_id).refunded_minor += part.amount.minor
        add(
            RefundPart(
                disbursement_id=order.id,
                payment_id=part.payment_id,
                amount_minor=part.amount.minor,
                currency=part.amount.currency,
            )
        )


@transactional
def cancel(*, id: int, reason: str, actor: Actor) -> Disbursement:
    """Call an order off before it is sent; payments that a refund was taken from have their credit again."""
    _lock_owner(id)
    order = disbursements.cancel(id=id, reason=reason, actor=actor)
    for payment, part in queries.refunded_by(order.id):
        lock(Payment, payment.id).refunded_minor -= part.amount_minor
    return order


@transactional
def send(*, id: int, reference: str, on: date, batch_number: str = "", actor: Actor) -> Disbursement:
    """Record that an order is on its way: its claim is paid, or the payments that it gives back are refunded."""
    sent: dict[str, Any] = {"reference": reference, "on": on, "batch_number": batch_number, "actor": actor}
    order = billing.get_disbursement(id)
    if order.kind is DisbursementKind.CLAIM:
        return claims.send_payout(disbursement_id=id, **sent)
    if order.by_gateway and actor is not SYSTEM:
        raise Conflict("The gateway pays this back to the card by itself. Cancel it to pay it another way.")
    _lock_owner(id)
    order = disbursements.send(id=id, **sent)
    for payment, _ in queries.refunded_by(order.id):
        payment = lock(Payment, payment.id)
        to = once_paid_back(payment.amount, queries.paid_back(payment))
        payment.status = PAYMENT_LIFECYCLE.next(payment.status, "refund", to)
    return order


@transactional
def settle(*, id: int, reference: str, on: date, actor: Actor) -> Disbursement:
    """Record that an order that was sent has arrived."""
    return disbursements.settle(id=id, reference=reference, on=on, actor=actor)


@transactional
def return_(*, id: int, reason: str, actor: Actor) -> Disbursement:
    """Record that an order came back: its claim is to be paid again."""
    if billing.get_disbursement(id).kind is DisbursementKind.CLAIM:
        return claims.return_payout(disbursement_id=id, reason=reason, actor=actor)
    return disbursements.return_(id=id, reason=reason, actor=actor)


@transactional
def replace(*, id: int, payee_name: str, account_number: str, bic: str = "", actor: Actor) -> Disbursement:
    """Order anew what came back, or what was cancelled of a claim that is owed all the same."""
    facts = {"payee_name": payee_name, "account_number": account_number, "bic": bic}
    if billing.get_disbursement(id).kind is DisbursementKind.CLAIM:
        return claims.replace_payout(disbursement_id=id, **facts, actor=actor)
    return disbursements.replace(id=id, **facts, actor=actor)


def _lock_owner(id: int) -> None:
    """A refund's account comes before its order, as everywhere else."""
    account_id = billing.get_disbursement(id).account_id
    if account_id is not None:
        lock(BillingAccount, account_id)

"""Orders to pay money out: who asked for them, who approved them, and what became of them.

What an order does to a claim or to a refunded payment is done above, where those are known: payments/money_out.py.
"""

from datetime import date

from flask import current_app

from ...core import audit, clock, outbox, person_keys
from ...core.db import add, db, lock, transactional
from ...core.errors import Conflict, NotAllowed, RuleBroken
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...core.worksheet import Worksheet
from ...customers.models import Customer
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import queries
from ..domain import (
    DISBURSEMENT_LIFECYCLE,
    DisbursementKind,
    check_account,
    masked,
    needs_second_person,
)
from ..models import BillingAccount, Disbursement


def request(
    *,
    kind: DisbursementKind,
    customer_id: int,
    account_id: int | None = None,
    replaces_id: int | None = None,
    payee_name: str,
    account_number: str = "",
    bic: str = "",
    by_gateway: bool = False,
    reason: str,
    amount: Money,
    worksheet: Worksheet,
    actor: Actor,
) -> Disbursement:
    """Order money to be paid out; up to the limit the order is approved with it, above it a second person must.

    `reason` is what the payee reads on their statement.
    """
    config = current_app.config
    limit = config["PAYOUT_LIMIT_MINOR"] if amount.currency == config["CURRENCY"] else 0
    if account_number:
        account_number, bic = check_account(account_number, bic)
    order = add(
        Disbursement(
            kind=kind,
            customer_id=customer_id,
            account_id=account_id,
            replaces_id=replaces_id,
            payee_name=payee_name,
            sealed_account=person_keys.seal(customer_id, account_number, Disbursement.PLACE),
            bic=bic,
            by_gateway=by_gateway,
            reason=reason,
            amount_minor=amount.minor,
            currency=amount.currency,
            worksheet=worksheet,
            limit_minor=limit,
            maker_id=actor.id,
            requested_at=clock.now(),
        )
    )
    if not needs_second_person(amount, Money(limit, amount.currency)):
        _approve(order, actor)
    audit.record(
        "request",
        order,
        label=reason,
        actor=actor,
        person=customer_id,
        amount=amount,
        payee_name=payee_name,
        account=masked(account_number),
    )
    return order


@transactional
def approve(*, id: int, actor: Actor) -> Disbursement:
    """Approve an order as the second person."""
    check_may(actor, "disbursement:approve")
    order = lock(Disbursement, id)
    if order.maker_id == actor.id:
        raise NotAllowed("You ordered this payout yourself. Somebody else must approve it.")
    _approve(order, actor)
    audit.record("approve", order, label=order.reason, actor=actor, amount=order.amount)
    return order


def _approve(order: Disbursement, actor: Actor) -> None:
    _move(order, "approve")
    order.checker_id, order.approved_at = actor.id, clock.now()


@transactional
def cancel(*, id: int, reason: str, actor: Actor) -> Disbursement:
    """Call an order off before it is sent. What was to be refunded is credit again; a claim is still owed."""
    check_may(actor, "disbursement:cancel")
    order = lock(Disbursement, id)
    _move(order, "cancel")
    _check_batch(order, "")
    _end(order, reason)
    if order.kind is DisbursementKind.REFUND:
        account = lock(BillingAccount, order.account_id)
        account.credit_minor += order.amount_minor
        _post(Event.REFUND_CANCELLED, order, credit=(Account.CUSTOMER_CREDIT, account.id))
    audit.record("cancel", order, label=order.reason, actor=actor, amount=order.amount, reason=reason)
    return order


@transactional
def send(*, id: int, reference: str, on: date, batch_number: str = "", actor: Actor) -> Disbursement:
    """Record that an approved order is on its way; `reference` is the bank's or the cheque's.

    What is in a batch goes with the batch alone, so that it is not paid twice.
    """
    check_may(actor, "disbursement:send")
    _check_day(on)
    order = lock(Disbursement, id)
    _move(order, "send")
    _check_batch(order, batch_number)
    order.reference, order.sent_on, order.sender_id = reference, on, actor.id
    if order.kind is DisbursementKind.REFUND:
        _post(Event.REFUND_SENT, order, credit=(_pays(order), COMPANY))
        _mail_refund(order)
    audit.record("send", order, label=order.reason, actor=actor, amount=order.amount, reference=reference)
    return order


@transactional
def settle(*, id: int, reference: str, on: date, actor: Actor) -> Disbursement:
    """Record that an order that was sent has arrived."""
    check_may(actor, "disbursement:settle")
    _check_day(on)
    order = lock(Disbursement, id)
    _move(order, "settle")
    order.reference, order.settled_on = reference or order.reference, on
    audit.record("settle", order, label=order.reason, actor=actor, reference=reference, settled_on=on)
    return order


@transactional
def return_(*, id: int, reason: str, actor: Actor) -> Disbursement:
    """Record that the payee's bank sent the money back: it is owed again, until another order replaces this one."""
    check_may(actor, "disbursement:return")
    order = lock(Disbursement, id)
    _move(order, "return")
    _end(order, reason)
    if order.kind is DisbursementKind.REFUND:
        ledger.post(
            Event.REFUND_RETURNED,
            order.id,
            debit=(_pays(order), COMPANY),
            credit=(Account.REFUNDS_PAYABLE, order.account_id or COMPANY),
            amount=order.amount,
            on=clock.today(),
        )
    audit.record("return", order, label=order.reason, actor=actor, amount=order.amount, reason=reason)
    return order


@transactional
def replace(*, id: int, payee_name: str, account_number: str, bic: str, actor: Actor) -> Disbursement:
    """Order what came back once more, to where it can arrive. The new order names the one that it replaces."""
    check_may(actor, "disbursement:replace")
    order = lock(Disbursement, id)
    if not order.may_be_replaced:
        raise Conflict("Only an order that was sent back, or a claim's order that was cancelled, can be replaced.")
    if queries.find_replacement(order.id):
        raise Conflict("This order is replaced already.")
    return request(
        kind=order.kind,
        customer_id=order.customer_id,
        account_id=order.account_id,
        replaces_id=order.id,
        payee_name=payee_name,
        account_number=account_number,
        bic=bic,
        reason=order.reason,
        amount=order.amount,
        worksheet=order.worksheet,
        actor=actor,
    )


def _pays(order: Disbursement) -> Account:
    """Where the money of an order leaves from."""
    return Account.GATEWAY_CLEARING if order.by_gateway else Account.BANK


def _check_batch(order: Disbursement, batch_number: str) -> None:
    if order.batch_number != batch_number:
        raise Conflict(f"This order is in batch {order.batch_number}. Mark the batch as sent, or discard it.")


def _end(order: Disbursement, reason: str) -> None:
    order.ended_on, order.end_reason = clock.today(), reason


def _check_day(on: date) -> None:
    if on > clock.today():
        raise RuleBroken("The day must be today or in the past.", "on")


def _post(event: Event, order: Disbursement, *, credit: ledger.Side) -> None:
    """Take a refund off what is payable."""
    payable = (Account.REFUNDS_PAYABLE, order.account_id or COMPANY)
    ledger.post(event, order.id, debit=payable, credit=credit, amount=order.amount, on=clock.today())


def _mail_refund(order: Disbursement) -> None:
    customer = db.session.get_one(Customer, order.customer_id)
    if customer.email:
        outbox.enqueue(
            "refund_sent",
            to=customer.email,
            name=customer.name,
            amount=order.amount.in_words,
            payee=order.payee_name,
            account=_where(order),
            reason=order.reason,
        )


def _where(order: Disbursement) -> str:
    if order.by_gateway:
        return "the card that you paid with"
    return f"account {masked(order.account_number)}" if order.account_number else "by other means"


def _move(order: Disbursement, action: str) -> None:
    """The one place that moves an order's status."""
    order.status = DISBURSEMENT_LIFECYCLE.next(order.status, action)

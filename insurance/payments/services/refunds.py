"""Refunds of one payment by the way the money came: to a card through the gateway, all else to a bank account.

The gateway is asked after the order was committed and with no transaction open, under a key made of the order: whatever
breaks in between, it is asked again and pays back once. It tells us by an event too, which then has no effect.
"""

from flask import current_app

from ...billing import queries as billing
from ...billing.models import Disbursement
from ...core import audit, clock
from ...core.db import db, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor
from ...core.person_keys import ERASED
from .. import gateways, money_out, queries
from ..domain import PaymentMethod
from ..gateways import Unreachable
from ..models import Payment
from .allocation import locked, take_back
from .gateway import ASK_AFTER, AT_ONCE


@transactional
@once(Disbursement)
def refund(
    *,
    payment_id: int,
    version: int | None = None,
    amount: Money,
    reason: str,
    payee_name: str = "",
    account_number: str = "",
    bic: str = "",
    actor: Actor,
) -> Disbursement:
    """Order a payment to be paid back, in part or whole; what it paid is taken back first and is open again.

    Without an account, the one that was refunded to before is taken.
    """
    payment, account = locked(payment_id, version, "refund:request", actor)
    if amount.currency != payment.currency:
        raise RuleBroken(f"This payment is in {payment.currency}.", "amount")
    if amount > payment.kept:
        raise RuleBroken(f"{payment.kept.in_words} of this payment can be paid back. Send that or less.", "amount")
    to_card = by_gateway(payment)
    if to_card and (account_number or bic):
        raise RuleBroken("A card payment goes back to its card. Leave the account out.", "account_number")
    if not to_card and not account_number:
        before = billing.refunded_to(account.id)
        if before is None or before.account_number == ERASED:
            raise RuleBroken("Send the account to pay to. None is known from an earlier refund.", "account_number")
        payee_name, account_number, bic = payee_name or before.payee_name, before.account_number, before.bic
    if amount > payment.left:
        take_back(account, payment, amount - payment.left)
    own = [found for found in queries.with_credit(account.id) if found.Payment is payment]
    order = money_out.order_refund(
        account, amount, own, payee_name=payee_name or account.holder_name, account_number=account_number, bic=bic,
        by_gateway=to_card, actor=actor,
    )  # fmt: skip
    audit.record("refund", payment, label=account.policy_number, actor=actor, amount=amount, reason=reason)
    return order


def by_gateway(payment: Payment) -> bool:
    """Whether a payment goes back to the card that it came from."""
    return payment.method is PaymentMethod.CARD and gateways.current() is not None


def pay_cards_back() -> int:
    """Have the gateway pay back what is approved, oldest first; how many orders have come to an end."""
    gateway = gateways.current()
    if gateway is None:
        return 0
    done = 0
    for order_id, payment_id in queries.card_refunds(clock.now() - ASK_AFTER, AT_ONCE):
        amount = billing.get_disbursement(order_id).amount
        payment = gateways.on_its_own(db.session.get_one(Payment, payment_id))
        try:
            reference = gateway.refund(payment, amount, f"refund-{order_id}")
        except Unreachable as silence:
            current_app.logger.warning("gateway: refund %s may be made or not: %s", order_id, silence)
            _note_asked(payment_id)
            continue
        try:
            if reference is None:
                money_out.cancel(id=order_id, reason="The gateway refused to pay it back to the card", actor=SYSTEM)
            else:
                money_out.send(id=order_id, reference=reference, on=clock.today(), actor=SYSTEM)
        except Conflict:  # called off while the gateway was asked: its event tells what it paid back
            db.session.rollback()
        done += 1
    return done


@transactional
def _note_asked(payment_id: int) -> None:
    lock(Payment, payment_id).asked_at = clock.now()

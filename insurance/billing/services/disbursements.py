"""Orders to pay money out: who asked for them, who approved them, and what became of them."""

from datetime import date

from flask import current_app

from ...core import audit, clock
from ...core.db import add, lock, transactional
from ...core.errors import NotAllowed
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ..domain import DISBURSEMENT_LIFECYCLE
from ..models import Disbursement


def request(*, customer_id: int, payee_name: str, reason: str, amount: Money, actor: Actor) -> Disbursement:
    """Order money to be paid out; up to the limit the order is approved with it, above it a second person must."""
    config = current_app.config
    limit = config["PAYOUT_LIMIT_MINOR"] if amount.currency == config["CURRENCY"] else 0
    order = add(
        Disbursement(
            customer_id=customer_id,
            payee_name=payee_name,
            reason=reason,
            amount_minor=amount.minor,
            currency=amount.currency,
            limit_minor=limit,
            maker_id=actor.id,
            requested_at=clock.now(),
        )
    )
    if amount.minor <= limit:
        _approve(order, actor)
    audit.record("request", order, label=reason, actor=actor, amount=amount, payee_name=payee_name)
    return order


@transactional
def approve(*, id: int, actor: Actor) -> Disbursement:
    """Approve an order as the second person."""
    check_may(actor, "claim:approve_payout")
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
def settle(*, id: int, reference: str, on: date, actor: Actor) -> Disbursement:
    """Record that an approved order was sent and has arrived."""
    check_may(actor, "claim:settle")
    order = lock(Disbursement, id)
    _move(order, "send")
    _move(order, "settle")
    order.reference, order.settled_on = reference, on
    audit.record("settle", order, label=order.reason, actor=actor, reference=reference, settled_on=on)
    return order


def _move(order: Disbursement, action: str) -> None:
    """The one place that moves an order's status."""
    order.status = DISBURSEMENT_LIFECYCLE.next(order.status, action)

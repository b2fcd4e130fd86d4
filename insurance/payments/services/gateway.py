"""What the gateway tells us, and what we ask it: each event has its effect once, whatever order they come in.

No transaction is open while the gateway is asked.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import current_app

from ...core import clock
from ...core.db import INSERT, db, lock, transactional
from ...core.errors import Conflict, NotFound, Refusal, RuleBroken
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor
from .. import gateways, queries
from ..domain import LIVE, WAITING, PaymentStatus
from ..gateways import Answer, Outcome, Unreachable
from ..gateways.stripe import session_says
from ..models import GatewayEvent, Payment
from . import autopay, intake, reversal

ASK_AFTER = timedelta(minutes=10)
"""How long a payment may stay open before the gateway is asked what became of it, and then again."""
KEEP_TRYING = timedelta(days=3)
"""How long an event may wait for what it is about: so long the gateway sends its events again."""
AT_ONCE = 50


# The payer's way


def open_page(payment: Payment) -> str:
    """Where the payer goes to pay a payment that was started."""
    gateway = gateways.current()
    if gateway is None:
        raise Conflict("Cards can't be charged here any more.")
    payment = gateways.on_its_own(payment)
    try:
        page = gateway.page(payment)
    except Unreachable as silence:
        current_app.logger.warning("gateway: no page for payment %s: %s", payment.id, silence)
        raise RuleBroken(
            "The card company does not answer. You have not been charged. Try again in a minute."
        ) from None
    if page.id:
        _remember_page(payment.id, page.id)
    return page.url


@transactional
def _remember_page(payment_id: int, page_id: str) -> None:
    lock(Payment, payment_id).checkout_id = page_id


def check(*, payment_id: int, actor: Actor) -> Payment:
    """Ask what became of a payment in sight, now; without an answer it is unknown."""
    payment, *_ = queries.get_payment(payment_id, actor)
    return _ask(payment) if payment.status in WAITING and payment.token else payment


def cancel(*, payment_id: int, reason: str, actor: Actor) -> Payment:
    """Close a payment's page at the gateway, then give it up, unless it was paid in the meantime."""
    payment, *_ = queries.get_payment(payment_id, actor)
    gateway = gateways.current()
    if gateway and payment.token and payment.status is PaymentStatus.CREATED:
        payment = gateways.on_its_own(payment)
        try:
            gateway.close(payment)
            answer = gateway.ask(payment)
        except Unreachable:
            raise Conflict("The gateway does not answer, so the payer may still be paying. Try again later.") from None
        if answer.outcome in (Outcome.PAID, Outcome.PENDING):
            intake.settle(payment_id=payment.id, answer=answer)
    return intake.cancel(payment_id=payment_id, reason=reason, actor=actor)


# The janitor


def ask_gateway() -> int:
    """Ask about every payment that has been open for long, and try events again that came too early; how many."""
    asked = [_ask(payment) for payment in queries.to_ask_about(clock.now() - ASK_AFTER, AT_ONCE)]
    waiting = queries.unhandled_events(since=clock.now() - KEEP_TRYING)
    return len(asked) + sum(map(handle, waiting))


def _ask(payment: Payment) -> Payment:
    gateway = gateways.current()
    if gateway is None:
        return payment
    payment_id = payment.id
    try:
        answer = gateway.ask(gateways.on_its_own(payment))
    except Unreachable as silence:
        current_app.logger.warning("gateway: nothing known of payment %s: %s", payment_id, silence)
        _note_asked(payment_id)
        return intake.lose_sight(payment_id=payment_id)
    _note_asked(payment_id)
    payment = autopay.settle(payment_id=payment_id, answer=answer)
    _try_again(answer.charge_id)
    return payment


@transactional
def _note_asked(payment_id: int) -> None:
    lock(Payment, payment_id).asked_at = clock.now()


# Events


def receive(event: dict[str, Any]) -> None:
    """Keep an event, and let it have its effect if it has had none."""
    event_id = _keep(event)
    if handle(event_id):
        _try_again(db.session.get_one(GatewayEvent, event_id).charge_id)


@transactional
def _keep(event: dict[str, Any]) -> int:
    about = event["data"]["object"]
    charge_id = about["id"] if about.get("object") == "payment_intent" else about.get("payment_intent")
    row: Any = INSERT[db.engine.dialect.name](GatewayEvent).values(
        event_id=event["id"],
        type=event["type"][:60],
        charge_id=charge_id or "",
        payload=event,
        received_at=clock.now(),
        error="",
    )
    db.session.execute(row.on_conflict_do_nothing())
    return db.session.query(GatewayEvent.id).filter_by(event_id=event["id"]).scalar()


def _try_again(charge_id: str | None) -> None:
    """Events that came before we knew what charge they are about."""
    if charge_id:
        for event_id in queries.unhandled_events(charge_id=charge_id):
            handle(event_id)


def handle(event_id: int) -> bool:
    """Let an event have its effect; whether it had one now. What refuses is noted, and tried again later."""
    try:
        event = db.session.get_one(GatewayEvent, event_id)
        about = event.payload["data"]["object"]
        if event.handled_at is None and about.get("mode") == "setup":
            autopay.finish_saving(token=about["client_reference_id"], page_id=about["id"])
        return _handle(event_id)
    except Refusal as refusal:
        said = refusal.message
    except Unreachable:
        said = "The gateway does not answer."
    _note_refusal(event_id, said)
    return False


@transactional
def _handle(event_id: int) -> bool:
    event = lock(GatewayEvent, event_id)
    if event.handled_at is not None:
        return False
    effect = EFFECTS.get(event.type)
    if effect:
        effect(event.payload["data"]["object"])
    event.handled_at, event.error = clock.now(), ""
    return True


@transactional
def _note_refusal(event_id: int, message: str) -> None:
    lock(GatewayEvent, event_id).error = message


def _payment(about: dict[str, Any]) -> Payment:
    """The payment that an event is about: by our token, else by the gateway's name for the charge."""
    token = about.get("client_reference_id") or (about.get("metadata") or {}).get("token")
    charge_id = about["id"] if about.get("object") == "payment_intent" else about.get("payment_intent")
    payment = queries.find_by_token(token) if token else queries.find_by_charge(charge_id)
    if payment is None:
        raise NotFound("This is about a charge that we do not know yet.")
    return payment


def _session(about: dict[str, Any]) -> None:
    if about["mode"] == "setup":  # saved before
        return
    answer, payment = session_says(about), _payment(about)
    asked = (payment.amount_minor, payment.currency.lower())
    if answer.outcome is Outcome.PAID and (about["amount_total"], about["currency"]) != asked:
        raise Conflict(f"The gateway charged {about['amount_total']} {about['currency']}, which we did not ask for.")
    intake.settle(payment_id=payment.id, answer=answer)


def _session_failed(about: dict[str, Any]) -> None:
    answer = Answer(Outcome.FAILED, about.get("payment_intent"))
    intake.settle(payment_id=_payment(about).id, answer=answer)


def _charge_succeeded(about: dict[str, Any]) -> None:
    intake.settle(payment_id=_payment(about).id, answer=Answer(Outcome.PAID, about["id"]))


def _charge_failed(about: dict[str, Any]) -> None:
    """A saved method was declined. On the gateway's page the payer may try another card, so nothing has ended there."""
    payment = _payment(about)
    if queries.is_autopay(payment):
        autopay.settle(payment_id=payment.id, answer=Answer(Outcome.FAILED, about["id"]))


def _refunded(about: dict[str, Any]) -> None:
    payment = _surely_paid(about)
    reversal.refund_at_gateway(payment_id=payment.id, total=Money(about["amount_refunded"], payment.currency))


def _disputed(about: dict[str, Any]) -> None:
    payment = _surely_paid(about)
    if payment.status in LIVE and not queries.dispute_was_won(about["payment_intent"]):
        _charge_back(payment, about)


def _dispute_closed(about: dict[str, Any]) -> None:
    payment = _surely_paid(about)
    if about["status"] == "lost":
        if payment.status in LIVE:
            _charge_back(payment, about)
    elif payment.status is PaymentStatus.CHARGED_BACK:
        reversal.win(payment_id=payment.id, version=None, reason=f"Dispute {about['id']} was won", actor=SYSTEM)


def _charge_back(payment: Payment, about: dict[str, Any]) -> None:
    reason = f"Dispute {about['id']}: {about.get('reason') or 'no reason given'}"
    reversal.charge_back(payment_id=payment.id, version=None, reason=reason, actor=SYSTEM)


def _surely_paid(about: dict[str, Any]) -> Payment:
    """What is refunded or disputed was paid, even if that is told later."""
    return intake.settle(payment_id=_payment(about).id, answer=Answer(Outcome.PAID, about["payment_intent"]))


EFFECTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session,
    "payment_intent.succeeded": _charge_succeeded,
    "payment_intent.payment_failed": _charge_failed,
    "charge.refunded": _refunded,
    "charge.dispute.created": _disputed,
    "charge.dispute.closed": _dispute_closed,
}
"""What each event leads to; one that is not listed has no effect."""

"""What the gateway says, and what it is to be asked."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, select

from ...core.db import db
from ..domain import WAITING, PaymentStatus
from ..models import GatewayEvent, Payment


def to_ask_about(before: datetime, limit: int) -> Sequence[Payment]:
    """Payments at the gateway that may come out either way, and that nobody has asked about since.

    One that has no page yet was charged by nobody.
    """
    return db.session.scalars(
        select(Payment)
        .where(Payment.status.in_(WAITING), Payment.token.is_not(None))
        .where((Payment.status != PaymentStatus.CREATED) | Payment.checkout_id.is_not(None))
        .where(func.coalesce(Payment.asked_at, Payment.created_at) < before)
        .order_by(Payment.id)
        .limit(limit)
    ).all()


def find_by_charge(charge_id: str | None) -> Payment | None:
    """The payment that the gateway knows as a charge."""
    return db.session.scalar(select(Payment).where(Payment.charge_id == charge_id)) if charge_id else None


def unhandled_events(*, charge_id: str | None = None, since: datetime | None = None, limit: int = 100) -> Sequence[int]:
    """Events that have had no effect yet, as they came."""
    statement = select(GatewayEvent.id).where(GatewayEvent.handled_at.is_(None))
    if charge_id is not None:
        statement = statement.where(GatewayEvent.charge_id == charge_id)
    if since is not None:
        statement = statement.where(GatewayEvent.received_at > since)
    return db.session.scalars(statement.order_by(GatewayEvent.id).limit(limit)).all()


def dispute_was_won(charge_id: str) -> bool:
    """Whether the gateway has told us already that a dispute about a charge ended well."""
    closed = db.session.scalars(
        select(GatewayEvent.payload).where(
            GatewayEvent.charge_id == charge_id, GatewayEvent.type == "charge.dispute.closed"
        )
    )
    return any(event["data"]["object"]["status"] != "lost" for event in closed)


def event_rows(*, status: str = "") -> Select:
    """What the gateway told us, for the list."""
    statement = select(
        GatewayEvent.id,
        GatewayEvent.event_id,
        GatewayEvent.type,
        GatewayEvent.received_at,
        GatewayEvent.handled_at,
        GatewayEvent.error,
    )
    if status:
        handled = GatewayEvent.handled_at.is_not(None)
        statement = statement.where(handled if status == "handled" else ~handled)
    return statement

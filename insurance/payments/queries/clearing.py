"""Money on its way to the bank."""

from sqlalchemy import ColumnElement, Row, func, select, true

from ...accounts.models import User
from ...billing.models import BillingAccount
from ...core.db import db
from ..domain import LIVE, PaymentMethod, PaymentStatus
from ..models import Clearing, Payment, Receipt

ANYBODY = -1
"""Stands for whoever holds money: any agent, or nobody in particular."""


def lying_in(method: PaymentMethod, holder_id: int | None = ANYBODY) -> list[Row]:
    """The payments of a method whose money is here but not in the bank yet, the oldest first.

    Of cash, those that one person took; None stands for cash of which nobody noted who took it.
    """
    held = true() if holder_id == ANYBODY else Payment.cash_holder_id.is_not_distinct_from(holder_id)
    return list(
        db.session.execute(
            select(
                Payment.id,
                Payment.paid_on,
                Payment.amount_minor,
                Payment.currency,
                Payment.reference,
                Payment.cash_holder_id,
                Receipt.number,
                BillingAccount.holder_name,
            )
            .join(BillingAccount, BillingAccount.id == Payment.account_id)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(_lies(method), held)
            .order_by(Payment.paid_on, Payment.id)
            .limit(500)
        )
    )


def _lies(method: PaymentMethod) -> ColumnElement[bool]:
    there = Payment.status.in_((*LIVE, PaymentStatus.REFUNDED))
    return (Payment.method == method) & Payment.clearing_id.is_(None) & there


def cash_held() -> list[Row]:
    """Who holds how much cash, in each currency, and since when; the most first."""
    amount = func.sum(Payment.amount_minor)
    return list(
        db.session.execute(
            select(
                Payment.cash_holder_id,
                User.name,
                Payment.currency,
                func.count().label("count"),
                amount.label("amount_minor"),
                func.min(Payment.paid_on).label("since"),
            )
            .outerjoin(User, User.id == Payment.cash_holder_id)
            .where(_lies(PaymentMethod.CASH))
            .group_by(Payment.cash_holder_id, User.name, Payment.currency)
            .order_by(amount.desc())
        )
    )


def clearings(limit: int = 20, *, id: int | None = None, holder_id: int | None = None) -> list[Row]:
    """What was moved to the bank last, or one such move, with whose cash it was if it was cash."""
    of_cash = (
        select(Payment.clearing_id, func.min(Payment.cash_holder_id).label("holder_id"))
        .where(Payment.clearing_id.is_not(None))
        .group_by(Payment.clearing_id)
        .subquery()
    )
    statement = (
        select(Clearing, User.name)
        .outerjoin(of_cash, of_cash.c.clearing_id == Clearing.id)
        .outerjoin(User, User.id == of_cash.c.holder_id)
    )
    if id is not None:
        statement = statement.where(Clearing.id == id)
    if holder_id is not None:
        statement = statement.where(of_cash.c.holder_id == holder_id)
    return list(db.session.execute(statement.order_by(Clearing.id.desc()).limit(limit)))


def cleared_by(clearing_id: int) -> list[Row]:
    """The payments whose money came to the bank with a move."""
    return list(
        db.session.execute(
            select(Payment.id, Payment.paid_on, Payment.amount_minor, Payment.currency, Receipt.number)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(Payment.clearing_id == clearing_id)
            .order_by(Payment.id)
        )
    )

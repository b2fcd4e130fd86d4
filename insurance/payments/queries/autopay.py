"""What is charged by itself."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Row, func, select

from ...billing import queries as billing
from ...billing.models import OPEN, BillingAccount, Invoice, Mandate
from ...core.db import db
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import AUTOPAY_NOTICE_DAYS
from ..models import Autopay, AutopayAttempt, Payment


def find_autopay(account_id: int) -> Autopay | None:
    """The standing order of an account that is in sight already."""
    return db.session.scalar(select(Autopay).where(Autopay.account_id == account_id))


def find_autopay_by_token(token: str) -> Autopay | None:
    """The standing order that a gateway knows by a token."""
    return db.session.scalar(select(Autopay).where(Autopay.token == token))


def autopays(actor: Actor) -> list[Row]:
    """The accounts in the actor's sight on which something may come to be due, each with standing order or mandate."""
    return list(
        db.session.execute(
            select(
                BillingAccount.id,
                BillingAccount.policy_number,
                BillingAccount.product_name,
                Autopay.active,
                Autopay.label,
                Mandate.account_number,
            )
            .join(Customer, Customer.id == BillingAccount.customer_id)
            .outerjoin(Autopay, Autopay.account_id == BillingAccount.id)
            .outerjoin(Mandate, (Mandate.account_id == BillingAccount.id) & Mandate.revoked_on.is_(None))
            .where(customers.sight(actor))
            .order_by(BillingAccount.id)
            .limit(50)
        )
    )


def is_autopay(payment: Payment) -> bool:
    """Whether a payment was made by autopay."""
    return attempt_of(payment.id) is not None


def attempt_of(payment_id: int) -> AutopayAttempt | None:
    """The try of autopay that made a payment."""
    return db.session.scalar(select(AutopayAttempt).where(AutopayAttempt.payment_id == payment_id))


def attempts_on(invoice_id: int) -> int:
    """How often autopay has tried to charge an invoice."""
    return db.session.scalar(select(func.count()).where(AutopayAttempt.invoice_id == invoice_id)) or 0


def to_announce(on: date) -> Sequence[int]:
    """Invoices that autopay is to charge within some days after a day, and whose payers were not told yet."""
    soon = Invoice.due_on.between(on + timedelta(days=1), on + timedelta(days=AUTOPAY_NOTICE_DAYS))
    return db.session.scalars(
        select(Invoice.id)
        .join(Autopay, Autopay.account_id == Invoice.account_id)
        .where(Autopay.active, Invoice.status.in_(OPEN), soon, Invoice.autopay_told_on.is_(None))
        .order_by(Invoice.id)
    ).all()


def due_for_autopay(on: date, among: Sequence[int] | None = None) -> Sequence[tuple[int, int]]:
    """Invoices on accounts with autopay that are open and due by a day, or among some, and how often each was tried."""
    days = billing.collection_plan().autopay_days
    tries = select(func.count()).where(AutopayAttempt.invoice_id == Invoice.id).scalar_subquery()
    statement = (
        select(Invoice.id, Invoice.due_on, tries)
        .join(Autopay, Autopay.account_id == Invoice.account_id)
        .where(Autopay.active, Invoice.status.in_(OPEN), Invoice.due_on <= on, tries < len(days))
        .order_by(Invoice.due_on, Invoice.id)
    )
    rows = db.session.execute(statement if among is None else statement.where(Invoice.id.in_(among)))
    return [(invoice_id, tried) for invoice_id, due_on, tried in rows if due_on + timedelta(days=days[tried]) <= on]

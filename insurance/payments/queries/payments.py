"""Payments and what they paid, as far as the actor may see them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, Select, exists, func, select

from ...billing import queries as billing
from ...billing.models import OPEN, OPEN_MINOR, BillingAccount, Invoice, Mandate
from ...core.db import db
from ...core.errors import NotFound
from ...core.money import Money
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import LIVE, PaymentStatus
from ..models import Allocation, AutopayAttempt, Collection, Payment, Receipt


def _in_sight(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(Payment)
        .join(BillingAccount, BillingAccount.id == Payment.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .outerjoin(Receipt, Receipt.payment_id == Payment.id)
        .where(customers.sight(actor))
    )


def payment_rows(actor: Actor, *, q: str = "", status: str = "") -> Select:
    """Payments for lists."""
    statement = _in_sight(
        actor,
        Payment.id,
        Payment.paid_on,
        Payment.amount_minor,
        Payment.currency,
        Payment.method,
        Payment.status,
        Payment.reference,
        BillingAccount.policy_number,
        BillingAccount.customer_id,
        Customer.name.label("customer_name"),
        Receipt.number.label("receipt_number"),
        Receipt.document_id,
    )
    if q:
        of_policy = select(Payment.id).join(BillingAccount, BillingAccount.id == Payment.account_id)
        statement = statement.where(
            customers.matches(
                q,
                Payment.id,
                (select(Receipt.payment_id), Receipt.number),
                (of_policy, BillingAccount.policy_number),
                (of_policy.join(Customer, Customer.id == BillingAccount.customer_id), Customer.number),
            )
        )
    if status:
        statement = statement.where(Payment.status == PaymentStatus(status))
    return statement


def get_payment(id: int, actor: Actor) -> tuple[Payment, BillingAccount, Receipt | None]:
    """One payment in sight, its account, and its receipt if there is one."""
    row = db.session.execute(_in_sight(actor, Payment, BillingAccount, Receipt).where(Payment.id == id)).first()
    if row is None:
        raise NotFound("We cannot find that payment.")
    return row[0], row[1], row[2]


def allocations(payment_id: int) -> list[Row]:
    """What a payment has paid: invoice and amount, and what is open on the invoice now."""
    return list(
        db.session.execute(
            select(
                Invoice.id, Invoice.number, Allocation.amount_minor, Allocation.currency, Allocation.allocated_on,
                OPEN_MINOR.label("open_minor"),
            )
            .join(Invoice, Invoice.id == Allocation.invoice_id)
            .where(Allocation.payment_id == payment_id)
            .order_by(Allocation.id)
        )
    )  # fmt: skip


def payments_on(invoice_id: int) -> list[Row]:
    """The payments that have paid an invoice, and how much of it."""
    return list(
        db.session.execute(
            select(
                Payment.id, Payment.paid_on, Payment.method, Receipt.number, Receipt.document_id,
                Allocation.amount_minor, Allocation.currency,
            )
            .join(Payment, Payment.id == Allocation.payment_id)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(Allocation.invoice_id == invoice_id)
            .order_by(Allocation.id)
        )
    )  # fmt: skip


def own_payments(actor: Actor, limit: int = 50) -> list[Row]:
    """The actor's latest payments, without those that were never made."""
    statement = payment_rows(actor).where(Payment.status.not_in((PaymentStatus.CREATED, PaymentStatus.CANCELLED)))
    return list(db.session.execute(statement.order_by(Payment.id.desc()).limit(limit)))


def to_pay(actor: Actor, day: date) -> tuple[list[Row], list[tuple[Row, date]]]:
    """What is due in the actor's sight: what they pay themselves, and what a direct debit collects, with its day."""
    due = billing.due_now(actor, day)
    if not any(row.mandated for row in due):
        return due, []
    plan = billing.collection_plan()
    rows = db.session.execute(
        select(Invoice.id, Collection.collect_on)
        .join(Mandate, (Mandate.account_id == Invoice.account_id) & Mandate.revoked_on.is_(None))
        .outerjoin(Collection, (Collection.invoice_id == Invoice.id) & (Collection.mandate_id == Mandate.id))
        .outerjoin(Payment, Payment.id == Collection.payment_id)
        .where(Invoice.id.in_([row.id for row in due]))
        .where(Collection.payment_id.is_(None) | (Payment.status == PaymentStatus.PENDING))
    )
    days: dict[int, date | None] = dict(rows.all())
    collected = [(row, days[row.id] or plan.collect_on(row.due_on, day)) for row in due if row.id in days]
    return [row for row in due if row.id not in days], collected


def find_by_token(token: str) -> Payment | None:
    """The payment that a gateway knows by a token."""
    return db.session.scalar(select(Payment).where(Payment.token == token))


def begun_by_card(invoice_id: int, amount: Money) -> Payment | None:
    """The payment of just this amount that the payer has begun on a page of the gateway's and not ended."""
    has_page = (Payment.status == PaymentStatus.CREATED) | (
        (Payment.status == PaymentStatus.UNKNOWN) & Payment.checkout_id.is_not(None)
    )
    return db.session.scalar(
        select(Payment)
        .where(Payment.invoice_id == invoice_id, Payment.amount_minor == amount.minor, Payment.token.is_not(None))
        .where(has_page, ~exists().where(AutopayAttempt.payment_id == Payment.id))
        .limit(1)
    )


def on_its_way(invoice_id: int) -> Payment | None:
    """A payment for an invoice of which nobody knows yet whether it arrives."""
    waiting = (PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
    return db.session.scalar(
        select(Payment).where(Payment.invoice_id == invoice_id, Payment.status.in_(waiting)).limit(1)
    )


def accounts_with_payments_on_their_way() -> set[int]:
    """The accounts with a payment of which nobody knows yet whether it arrives."""
    waiting = (PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
    return set(db.session.scalars(select(Payment.account_id).where(Payment.status.in_(waiting)).distinct()))


def unallocated(account_id: int) -> Sequence[Payment]:
    """The payments of an account with money left, the oldest first."""
    return db.session.scalars(
        select(Payment)
        .where(Payment.account_id == account_id, Payment.status.in_(LIVE))
        .where(Payment.allocated_minor + Payment.refunded_minor < Payment.amount_minor)
        .order_by(Payment.id)
    ).all()


def credit_of_payments(account: BillingAccount) -> Money:
    """The part of an account's credit that payments brought; credit notes brought the rest."""
    left = Payment.amount_minor - Payment.allocated_minor - Payment.refunded_minor
    minor = db.session.scalar(
        select(func.coalesce(func.sum(left), 0)).where(Payment.account_id == account.id, Payment.status.in_(LIVE))
    )
    return Money(int(minor or 0), account.currency)


def paid_by(payment: Payment, *, newest_first: bool = False) -> list[tuple[int, Money]]:
    """What a payment pays now, by invoice, in the order in which it last paid them."""
    paid, last = func.sum(Allocation.amount_minor), func.max(Allocation.id)
    rows = db.session.execute(
        select(Allocation.invoice_id, paid)
        .where(Allocation.payment_id == payment.id)
        .group_by(Allocation.invoice_id)
        .having(paid > 0)
        .order_by(last.desc() if newest_first else last)
    )
    return [(invoice_id, Money(int(minor), payment.currency)) for invoice_id, minor in rows]


def accounts_with_usable_credit() -> Sequence[int]:
    """The accounts that have credit and something open."""
    return db.session.scalars(
        select(BillingAccount.id).where(
            BillingAccount.credit_minor > 0,
            exists().where(Invoice.account_id == BillingAccount.id, Invoice.status.in_(OPEN)),
        )
    ).all()

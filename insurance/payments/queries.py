"""Payments, as far as the actor may see them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, exists, func, select

from ..billing.models import OPEN, BillingAccount, Disbursement, Invoice
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from .domain import PaymentStatus
from .models import Allocation, Payment, Receipt, RefundPart


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
    """What a payment has paid: invoice and amount."""
    return list(
        db.session.execute(
            select(Invoice.id, Invoice.number, Allocation.amount_minor, Allocation.currency, Allocation.allocated_on)
            .join(Invoice, Invoice.id == Allocation.invoice_id)
            .where(Allocation.payment_id == payment_id)
            .order_by(Allocation.id)
        )
    )


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


def find_by_token(token: str) -> Payment | None:
    """The payment that a gateway knows by a token."""
    return db.session.scalar(select(Payment).where(Payment.token == token))


def begun_by_card(invoice_id: int, amount: Money) -> Payment | None:
    """The payment of just this amount that the payer has begun at the gateway and not ended."""
    return db.session.scalar(
        select(Payment)
        .where(Payment.invoice_id == invoice_id, Payment.amount_minor == amount.minor, Payment.token.is_not(None))
        .where(Payment.status == PaymentStatus.CREATED)
        .limit(1)
    )


def accounts_with_payments_on_their_way() -> set[int]:
    """The accounts with a payment of which nobody knows yet whether it arrives."""
    waiting = (PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
    return set(db.session.scalars(select(Payment.account_id).where(Payment.status.in_(waiting)).distinct()))


def unallocated(account_id: int) -> Sequence[Payment]:
    """The processed payments of an account with money left, the oldest first."""
    return db.session.scalars(
        select(Payment)
        .where(
            Payment.account_id == account_id,
            Payment.status == PaymentStatus.PROCESSED,
            Payment.allocated_minor < Payment.amount_minor,
        )
        .order_by(Payment.id)
    ).all()


def with_credit(account_id: int) -> Sequence[Payment]:
    """The payments of an account with money left that can be paid back, the newest first."""
    return db.session.scalars(
        select(Payment)
        .where(
            Payment.account_id == account_id,
            Payment.status.in_((PaymentStatus.PROCESSED, PaymentStatus.PARTLY_REFUNDED)),
            Payment.allocated_minor + Payment.refunded_minor < Payment.amount_minor,
        )
        .order_by(Payment.id.desc())
    ).all()


def refunded_by(disbursement_id: int) -> list[Row]:
    """The payments that a refund pays back, with the part of each."""
    return list(
        db.session.execute(
            select(Payment, RefundPart)
            .join(RefundPart, RefundPart.payment_id == Payment.id)
            .where(RefundPart.disbursement_id == disbursement_id)
            .order_by(Payment.id)
        )
    )


def sent_back(payment_id: int) -> int:
    """What refunds that were sent have paid back of a payment, in minor units."""
    total = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment_id, Disbursement.sent_on.is_not(None))
    )
    return int(total or 0)


def accounts_with_usable_credit() -> Sequence[int]:
    """The accounts that have credit and something open."""
    return db.session.scalars(
        select(BillingAccount.id).where(
            BillingAccount.credit_minor > 0,
            exists().where(Invoice.account_id == BillingAccount.id, Invoice.status.in_(OPEN)),
        )
    ).all()

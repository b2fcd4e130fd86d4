"""Payments, as far as the actor may see them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, exists, false, func, select

from ..billing.domain import DisbursementStatus
from ..billing.models import OPEN, BillingAccount, Disbursement, Invoice
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from .domain import AUTOPAY_DAYS, LIVE, WAITING, PaymentMethod, PaymentStatus, SuspenseStatus
from .models import (
    Allocation,
    Autopay,
    AutopayAttempt,
    Clearing,
    GatewayEvent,
    Payment,
    Receipt,
    RefundPart,
    SuspenseItem,
)


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


def refunds_not_sent(payment_id: int) -> Sequence[int]:
    """The orders that are to pay back a part of a payment and have not been sent."""
    waiting = (DisbursementStatus.REQUESTED, DisbursementStatus.APPROVED)
    return db.session.scalars(
        select(Disbursement.id)
        .join(RefundPart, RefundPart.disbursement_id == Disbursement.id)
        .where(RefundPart.payment_id == payment_id, Disbursement.status.in_(waiting))
        .order_by(Disbursement.id)
    ).all()


def refunded_by_orders(payment: Payment) -> Money:
    """What orders of ours pay back of a payment, sent or not; the gateway paid back the rest by itself."""
    total = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment.id, Disbursement.status != DisbursementStatus.CANCELLED)
    )
    return Money(int(total or 0), payment.currency)


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


# What the gateway says


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


# Money on its way to the bank


def lying_in(method: PaymentMethod) -> list[Row]:
    """The payments of a method whose money is here but not in the bank yet, the oldest first."""
    return list(
        db.session.execute(
            select(
                Payment.id,
                Payment.paid_on,
                Payment.amount_minor,
                Payment.currency,
                Payment.reference,
                Receipt.number,
                BillingAccount.holder_name,
            )
            .join(BillingAccount, BillingAccount.id == Payment.account_id)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(Payment.method == method, Payment.clearing_id.is_(None))
            .where(Payment.status.in_((*LIVE, PaymentStatus.REFUNDED)))
            .order_by(Payment.paid_on, Payment.id)
            .limit(500)
        )
    )


def clearings(limit: int = 20) -> Sequence[Clearing]:
    """What was moved to the bank last."""
    return db.session.scalars(select(Clearing).order_by(Clearing.id.desc()).limit(limit)).all()


# Suspense


def suspense_rows(*, status: str = "") -> Select:
    """Suspense items for the list."""
    statement = select(
        SuspenseItem.id,
        SuspenseItem.received_on,
        SuspenseItem.payer,
        SuspenseItem.reference,
        SuspenseItem.amount_minor,
        SuspenseItem.currency,
        SuspenseItem.status,
    )
    return statement.where(SuspenseItem.status == SuspenseStatus(status)) if status else statement


def get_suspense(id: int) -> SuspenseItem:
    """One suspense item."""
    item = db.session.get(SuspenseItem, id)
    if item is None:
        raise NotFound("We cannot find that money.")
    return item


def named_in(reference: str, actor: Actor) -> tuple[BillingAccount, Invoice | None] | None:
    """The account in sight that the number of an invoice or of a policy names, and the invoice if it names one."""
    statement = (
        select(BillingAccount, Invoice)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(customers.sight(actor))
    )
    for found in (
        statement.join(Invoice, Invoice.account_id == BillingAccount.id).where(Invoice.number == reference),
        statement.outerjoin(Invoice, false()).where(BillingAccount.policy_number == reference),
    ):
        if row := db.session.execute(found).first():
            return row[0], row[1]
    return None


# Autopay


def find_autopay(account_id: int) -> Autopay | None:
    """The standing order of an account that is in sight already."""
    return db.session.scalar(select(Autopay).where(Autopay.account_id == account_id))


def find_autopay_by_token(token: str) -> Autopay | None:
    """The standing order that a gateway knows by a token."""
    return db.session.scalar(select(Autopay).where(Autopay.token == token))


def autopays(actor: Actor) -> list[Row]:
    """The accounts in the actor's sight on which something may come to be due, each with its standing order if any."""
    return list(
        db.session.execute(
            select(
                BillingAccount.id,
                BillingAccount.policy_number,
                BillingAccount.product_name,
                Autopay.active,
                Autopay.label,
            )
            .join(Customer, Customer.id == BillingAccount.customer_id)
            .outerjoin(Autopay, Autopay.account_id == BillingAccount.id)
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


def due_for_autopay(on: date, among: Sequence[int] | None = None) -> Sequence[tuple[int, int]]:
    """Invoices on accounts with autopay that are open and due by a day, or among some, and how often each was tried."""
    tries = select(func.count()).where(AutopayAttempt.invoice_id == Invoice.id).scalar_subquery()
    statement = (
        select(Invoice.id, Invoice.due_on, tries)
        .join(Autopay, Autopay.account_id == Invoice.account_id)
        .where(Autopay.active, Invoice.status.in_(OPEN), Invoice.due_on <= on, tries < len(AUTOPAY_DAYS))
        .order_by(Invoice.due_on, Invoice.id)
    )
    rows = db.session.execute(statement if among is None else statement.where(Invoice.id.in_(among)))
    return [
        (invoice_id, tried) for invoice_id, due_on, tried in rows if due_on + timedelta(days=AUTOPAY_DAYS[tried]) <= on
    ]

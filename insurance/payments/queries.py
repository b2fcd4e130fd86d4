"""Payments, as far as the actor may see them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, false, func, select, true

from ..accounts.models import User
from ..billing import queries as billing
from ..billing.domain import DisbursementStatus
from ..billing.models import (
    OPEN,
    OPEN_MINOR,
    BillingAccount,
    CreditNote,
    CreditNotePart,
    Disbursement,
    Invoice,
    Mandate,
)
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from .domain import AUTOPAY_NOTICE_DAYS, LIVE, WAITING, PaymentMethod, PaymentStatus, SuspenseStatus
from .models import (
    Allocation,
    Autopay,
    AutopayAttempt,
    Clearing,
    Collection,
    GatewayEvent,
    Payment,
    Receipt,
    RefundPart,
    SuspenseItem,
)

NOT_SENT = (DisbursementStatus.REQUESTED, DisbursementStatus.APPROVED)


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


def with_credit(account_id: int) -> list[Row]:
    """The payments of an account with money left that can be paid back, the newest first, with their receipts."""
    return list(
        db.session.execute(
            select(Payment, Receipt.number)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(
                Payment.account_id == account_id,
                Payment.status.in_(LIVE),
                Payment.allocated_minor + Payment.refunded_minor < Payment.amount_minor,
            )
            .order_by(Payment.id.desc())
        )
    )


def credit_notes_to_account(account_id: int) -> list[Row]:
    """The credit notes that added to the credit of an account: number and reason."""
    return list(
        db.session.execute(
            select(CreditNote.number, CreditNote.reason)
            .join(CreditNotePart, CreditNotePart.credit_note_id == CreditNote.id)
            .where(CreditNote.account_id == account_id, CreditNotePart.invoice_id.is_(None))
            .order_by(CreditNote.id)
        )
    )


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


def card_refunds(asked_before: datetime, limit: int) -> list[Row]:
    """The ids of approved refunds through the gateway and of their payments, but those it was asked about just now."""
    return list(
        db.session.execute(
            select(Disbursement.id, Payment.id.label("payment_id"))
            .join(RefundPart, RefundPart.disbursement_id == Disbursement.id)
            .join(Payment, Payment.id == RefundPart.payment_id)
            .where(Disbursement.status == DisbursementStatus.APPROVED, Disbursement.by_gateway)
            .where(Payment.asked_at.is_(None) | (Payment.asked_at < asked_before))
            .order_by(Disbursement.id)
            .limit(limit)
        )
    )


def refunds_not_sent(payment_id: int) -> Sequence[int]:
    """The orders that are to pay back a part of a payment and have not been sent."""
    return db.session.scalars(
        select(Disbursement.id)
        .join(RefundPart, RefundPart.disbursement_id == Disbursement.id)
        .where(RefundPart.payment_id == payment_id, Disbursement.status.in_(NOT_SENT))
        .order_by(Disbursement.id)
    ).all()


def refunded_by_orders(payment: Payment) -> Money:
    """What orders pay back of a payment to bank accounts, sent or not; the gateway pays back the rest."""
    total = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment.id, Disbursement.status != DisbursementStatus.CANCELLED)
        .where(~Disbursement.by_gateway)
    )
    return Money(int(total or 0), payment.currency)


def paid_back(payment: Payment) -> Money:
    """What has gone back of a payment, by the gateway and by orders of ours; those not sent yet have paid nothing."""
    not_sent = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment.id, Disbursement.status.in_(NOT_SENT))
    )
    return Money(payment.refunded_minor - int(not_sent or 0), payment.currency)


def refunds_of(payment_ids: Sequence[int]) -> list[Row]:
    """What was ordered to be paid back of some payments, the oldest order first."""
    return list(
        db.session.execute(
            select(
                RefundPart.payment_id, RefundPart.amount_minor, RefundPart.currency,
                Disbursement.id, Disbursement.status, Disbursement.by_gateway,
            )
            .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
            .where(RefundPart.payment_id.in_(payment_ids))
            .order_by(Disbursement.id)
        )
    )  # fmt: skip


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

"""Invoices and accounts, as far as the actor may see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row, Select, case, func, select

from ..core import clock
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..core.words import Words
from ..customers import queries as customers
from ..customers.models import Customer
from .domain import INVOICE_WORDS, OVERDUE_WORDS, InvoiceStatus, ItemKind, is_overdue
from .models import OPEN, BillingAccount, BillingItem, Invoice, InvoiceLine, OpenInvoiceTally

OVERDUE = "overdue"
CHUNK = 500


def words(status: InvoiceStatus, due_on: date) -> Words:
    """How an invoice's state is said today: overdue is no status but follows from the day."""
    return OVERDUE_WORDS if is_overdue(status, due_on, clock.today()) else INVOICE_WORDS[status]


def overdue(day: date) -> ColumnElement[bool]:
    """The condition under which an invoice is overdue on a day."""
    return Invoice.status.in_(OPEN) & (Invoice.due_on < day)


def open_minor() -> ColumnElement[int]:
    """`Invoice.open_minor` for queries."""
    return case((Invoice.status.in_(OPEN), Invoice.total_minor - Invoice.paid_minor), else_=0)


def invoice_rows(actor: Actor, *, q: str = "", status: str = "") -> Select:
    """Invoices for lists."""
    statement = _in_sight(
        actor,
        Invoice.id,
        Invoice.number,
        Invoice.issued_on,
        Invoice.due_on,
        Invoice.total_minor,
        Invoice.paid_minor,
        Invoice.currency,
        Invoice.status,
        Invoice.instalment,
        Invoice.instalments,
        BillingAccount.policy_number,
        BillingAccount.customer_id,
        Customer.name.label("customer_name"),
    )
    if q:
        of_policy = select(Invoice.id).join(BillingAccount, BillingAccount.id == Invoice.account_id)
        statement = statement.where(
            customers.matches(
                q,
                Invoice.id,
                (select(Invoice.id), Invoice.number),
                (of_policy, BillingAccount.policy_number),
                (of_policy.join(Customer, Customer.id == BillingAccount.customer_id), Customer.number),
            )
        )
    if status == OVERDUE:
        statement = statement.where(overdue(clock.today()))
    elif status:
        statement = statement.where(Invoice.status == InvoiceStatus(status))
    return statement


def _in_sight(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(Invoice)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(customers.sight(actor))
    )


def find_some(q: str, actor: Actor, most: int = 20) -> list[Row]:
    """The first few invoices that a search finds, the newest first."""
    return list(db.session.execute(invoice_rows(actor, q=q).order_by(Invoice.id.desc()).limit(most)))


def get_invoice(id: int, actor: Actor) -> tuple[Invoice, BillingAccount]:
    """One invoice in sight, and its account."""
    row = db.session.execute(_in_sight(actor, Invoice, BillingAccount).where(Invoice.id == id)).first()
    if row is None:
        raise NotFound("We cannot find that invoice.")
    return row[0], row[1]


def get_account(id: int, actor: Actor) -> BillingAccount:
    """One billing account in sight."""
    account = db.session.scalar(
        select(BillingAccount)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(BillingAccount.id == id, customers.sight(actor))
    )
    if account is None:
        raise NotFound("We cannot find that account.")
    return account


@dataclass(frozen=True)
class InvoiceView:
    """An invoice on the page of something else."""

    id: int
    number: str
    due_on: date
    total: Money
    open: Money
    words: Words
    document_id: int
    instalment: int
    instalments: int


def _view(invoice: Invoice) -> InvoiceView:
    return InvoiceView(
        id=invoice.id,
        number=invoice.number,
        due_on=invoice.due_on,
        total=invoice.total,
        open=invoice.open,
        words=words(invoice.status, invoice.due_on),
        document_id=invoice.document_id,
        instalment=invoice.instalment,
        instalments=invoice.instalments,
    )


def invoices_of(account_id: int) -> list[InvoiceView]:
    """The invoices of an account whose owner is in sight already, the newest first."""
    rows = db.session.scalars(select(Invoice).where(Invoice.account_id == account_id).order_by(Invoice.id.desc()))
    return [_view(invoice) for invoice in rows]


def open_invoices_of_customer(customer_id: int) -> list[InvoiceView]:
    """The open invoices of a customer who is in sight already, the oldest due first."""
    rows = db.session.scalars(
        select(Invoice)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(BillingAccount.customer_id == customer_id, Invoice.status.in_(OPEN))
        .order_by(Invoice.due_on, Invoice.id)
        .limit(50)
    )
    return [_view(invoice) for invoice in rows]


def open_invoices(account_id: int) -> list[Invoice]:
    """What is open on an account, the oldest due first."""
    return list(
        db.session.scalars(
            select(Invoice)
            .where(Invoice.account_id == account_id, Invoice.status.in_(OPEN))
            .order_by(Invoice.due_on, Invoice.id)
        )
    )


def due_now(actor: Actor, day: date) -> list[Row]:
    """The open invoices in sight that are issued, the oldest due first: what a customer is asked to pay."""
    statement = invoice_rows(actor).where(Invoice.status.in_(OPEN), Invoice.issued_on <= day)
    return list(db.session.execute(statement.order_by(Invoice.due_on, Invoice.id).limit(10)))


@dataclass(frozen=True)
class Overdue:
    """How many invoices are overdue, and what is open on them."""

    count: int
    amount: Money


def overdue_summary(actor: Actor, day: date) -> Overdue:
    """What is overdue in the actor's sight, in the currency of the business."""
    currency = current_app.config["CURRENCY"]
    tally = OpenInvoiceTally
    statement = (
        select(func.coalesce(func.sum(tally.count), 0), func.coalesce(func.sum(tally.open_minor), 0)).where(
            tally.due_on < day, tally.currency == currency
        )
        if actor.wide_sight
        else _in_sight(actor, func.count(), func.coalesce(func.sum(Invoice.total_minor - Invoice.paid_minor), 0)).where(
            overdue(day), Invoice.currency == currency
        )
    )
    count, minor = db.session.execute(statement).one()
    return Overdue(int(count), Money(int(minor), currency))


def overdue_invoices(actor: Actor, day: date, limit: int) -> list[Row]:
    """The invoices that have been late for longest."""
    statement = invoice_rows(actor).where(overdue(day))
    return list(db.session.execute(statement.order_by(Invoice.due_on, Invoice.id).limit(limit)))


# Items


def items_of(account_id: int) -> list[BillingItem]:
    """Everything that an account has to pay, in order."""
    return list(
        db.session.scalars(
            select(BillingItem)
            .where(BillingItem.account_id == account_id)
            .order_by(BillingItem.instalment, BillingItem.id)
        )
    )


def _not_billed(on: date) -> Select:
    return (
        select(BillingItem)
        .outerjoin(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
        .where(BillingItem.bills_on <= on, InvoiceLine.item_id.is_(None))
    )


def items_to_bill(account_ids: Sequence[int], on: date) -> list[BillingItem]:
    """The items of some accounts that bill by a day and stand on no invoice yet, by account and instalment."""
    statement = _not_billed(on).where(BillingItem.account_id.in_(account_ids))
    return list(db.session.scalars(statement.order_by(BillingItem.account_id, BillingItem.instalment, BillingItem.id)))


def accounts_to_bill(on: date) -> Iterator[Sequence[int]]:
    """The accounts with something to bill by a day, chunk by chunk."""
    last = 0
    while True:
        chunk = db.session.scalars(
            _not_billed(on)
            .with_only_columns(BillingItem.account_id)
            .where(BillingItem.account_id > last)
            .distinct()
            .order_by(BillingItem.account_id)
            .limit(CHUNK)
        ).all()
        if chunk:
            yield chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]


def lock_accounts(ids: Sequence[int]) -> dict[int, tuple[BillingAccount, Customer]]:
    """Some accounts, kept from others until the transaction ends, with their customers."""
    locked = select(BillingAccount).where(BillingAccount.id.in_(ids)).order_by(BillingAccount.id).with_for_update()
    accounts = db.session.scalars(locked.execution_options(populate_existing=True)).all()
    of = {account.customer_id for account in accounts}
    people = {customer.id: customer for customer in db.session.scalars(select(Customer).where(Customer.id.in_(of)))}
    return {account.id: (account, people[account.customer_id]) for account in accounts}


Shares = dict[tuple[int, ItemKind], tuple[Money, int]]
"""What each account pays of each kind in all, and in how many items."""


def shares(account_ids: Sequence[int]) -> Shares:
    """What the items of some accounts come to."""
    rows = db.session.execute(
        select(
            BillingItem.account_id,
            BillingItem.kind,
            BillingItem.currency,
            func.sum(BillingItem.amount_minor),
            func.count(),
        )
        .where(BillingItem.account_id.in_(account_ids))
        .group_by(BillingItem.account_id, BillingItem.kind, BillingItem.currency)
    )
    return {(account, kind): (Money(int(minor), currency), parts) for account, kind, currency, minor, parts in rows}


def items_on(invoice_id: int) -> list[BillingItem]:
    """What an invoice demands."""
    return list(
        db.session.scalars(
            select(BillingItem)
            .join(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
            .where(InvoiceLine.invoice_id == invoice_id)
            .order_by(BillingItem.id)
        )
    )


def coming(actor: Actor) -> list[Row]:
    """The instalments in sight that will be invoiced later, the next first."""
    return list(
        db.session.execute(
            select(
                BillingAccount.policy_number,
                BillingItem.instalment,
                BillingItem.instalments,
                BillingItem.due_on,
                func.sum(BillingItem.amount_minor).label("amount_minor"),
                BillingItem.currency,
            )
            .join(BillingAccount, BillingAccount.id == BillingItem.account_id)
            .join(Customer, Customer.id == BillingAccount.customer_id)
            .outerjoin(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
            .where(customers.sight(actor), InvoiceLine.item_id.is_(None))
            .group_by(
                BillingAccount.policy_number,
                BillingItem.instalment,
                BillingItem.instalments,
                BillingItem.due_on,
                BillingItem.currency,
            )
            .order_by(BillingItem.due_on, BillingAccount.policy_number)
            .limit(24)
        )
    )

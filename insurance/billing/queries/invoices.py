"""Invoices and accounts, as far as the actor may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select

from ...core import clock
from ...core.db import db
from ...core.errors import NotFound
from ...core.money import Money
from ...core.permissions import Actor
from ...core.words import Words
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import AGES, INVOICE_WORDS, OVERDUE_WORDS, InvoiceStatus, Step, is_overdue
from ..models import (
    OPEN,
    OPEN_MINOR,
    BillingAccount,
    CreditNote,
    CreditNotePart,
    DunningNotice,
    Invoice,
    Mandate,
    OpenInvoiceTally,
)
from .items import CHUNK

OVERDUE = "overdue"


def words(status: InvoiceStatus, due_on: date) -> Words:
    """How an invoice's state is said today: overdue is no status but follows from the day."""
    return OVERDUE_WORDS if is_overdue(status, due_on, clock.today()) else INVOICE_WORDS[status]


def overdue(day: date) -> ColumnElement[bool]:
    """The condition under which an invoice is overdue on a day."""
    return Invoice.status.in_(OPEN) & (Invoice.due_on < day)


def open_minor() -> ColumnElement[int]:
    """`Invoice.open_minor` for queries."""
    return case((Invoice.status.in_(OPEN), OPEN_MINOR), else_=0)


def invoice_rows(actor: Actor, *, q: str = "", status: str = "", late: str = "") -> Select:
    """Invoices for lists."""
    statement = _in_sight(
        actor,
        Invoice.id,
        Invoice.number,
        Invoice.issued_on,
        Invoice.due_on,
        Invoice.total_minor,
        Invoice.paid_minor,
        OPEN_MINOR.label("open_minor"),
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
    if late:
        first, last = AGES[late]
        days = clock.today() - timedelta(days=last), clock.today() - timedelta(days=first)
        statement = statement.where(Invoice.status.in_(OPEN), Invoice.due_on.between(*days))
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
    """The open invoices in sight that are issued, the oldest due first: what a customer is asked to pay.

    `lapse_on` is the first day without cover if nothing is paid, once a notice of cancellation says so.
    """
    ends = select(DunningNotice.lapse_on).where(
        DunningNotice.invoice_id == Invoice.id, DunningNotice.step == Step.CANCELLATION
    )
    statement = invoice_rows(actor).where(Invoice.status.in_(OPEN), Invoice.issued_on <= day)
    mandated = select(Mandate.id).where(Mandate.account_id == Invoice.account_id, Mandate.revoked_on.is_(None)).exists()
    statement = statement.add_columns(ends.scalar_subquery().label("lapse_on"), mandated.label("mandated"))
    return list(db.session.execute(statement.order_by(Invoice.due_on, Invoice.id).limit(10)))


@dataclass(frozen=True)
class Overdue:
    """How many invoices are overdue, and what is open on them."""

    count: int
    amount: Money

    def __add__(self, other: "Overdue") -> "Overdue":
        return Overdue(self.count + other.count, self.amount + other.amount)


def overdue_by_age(actor: Actor, day: date) -> dict[str, Overdue]:
    """What is overdue in the actor's sight, in the currency of the business, by how late it is."""
    currency = current_app.config["CURRENCY"]
    whole = actor.wide_sight
    due_on = OpenInvoiceTally.due_on if whole else Invoice.due_on
    age = case(
        *((due_on >= day - timedelta(days=last), word) for word, (_, last) in AGES.items() if word != "more"),
        else_="more",
    ).label("age")
    if whole:
        tally = OpenInvoiceTally
        statement = select(age, func.sum(tally.count), func.sum(tally.open_minor)).where(tally.currency == currency)
    else:
        statement = _in_sight(actor, age, func.count(), func.sum(OPEN_MINOR))
        statement = statement.where(Invoice.status.in_(OPEN), Invoice.currency == currency)
    found = {
        word: Overdue(int(count), Money(int(minor), currency))
        for word, count, minor in db.session.execute(statement.where(due_on < day).group_by(age))
    }
    nothing = Overdue(0, Money.zero(currency))
    return {word: found.get(word, nothing) for word in AGES}


def overdue_summary(actor: Actor, day: date) -> Overdue:
    """What is overdue in the actor's sight, all of it."""
    first, *others = overdue_by_age(actor, day).values()
    return sum(others, first)


def overdue_invoices(actor: Actor, day: date, limit: int) -> list[Row]:
    """The invoices that have been late for longest."""
    statement = invoice_rows(actor).where(overdue(day))
    return list(db.session.execute(statement.order_by(Invoice.due_on, Invoice.id).limit(limit)))


def invoices_open_on(account_ids: Sequence[int]) -> list[Invoice]:
    """The open invoices of some accounts, the oldest due first."""
    statement = select(Invoice).where(Invoice.account_id.in_(account_ids), Invoice.status.in_(OPEN))
    return list(db.session.scalars(statement.order_by(Invoice.account_id, Invoice.due_on, Invoice.id)))


def invoices_named_or_of(numbers: Sequence[str], amounts: Sequence[int]) -> list[Row]:
    """The open invoices that numbers name, by their own or their policy's, and those with one of some open amounts."""
    return list(
        db.session.execute(
            select(Invoice, BillingAccount)
            .join(BillingAccount, BillingAccount.id == Invoice.account_id)
            .where(
                Invoice.status.in_(OPEN),
                or_(Invoice.number.in_(numbers), BillingAccount.policy_number.in_(numbers), OPEN_MINOR.in_(amounts)),
            )
            .order_by(Invoice.due_on, Invoice.id)
            .limit(CHUNK)
        )
    )


def accounts_with_credit(customer_id: int) -> Sequence[BillingAccount]:
    """The accounts with credit of a customer who is in sight already."""
    return db.session.scalars(
        select(BillingAccount)
        .where(BillingAccount.customer_id == customer_id, BillingAccount.credit_minor > 0)
        .order_by(BillingAccount.id)
    ).all()


def credit_notes_on(invoice_id: int) -> list[Row]:
    """What credit notes have taken off an invoice."""
    return list(
        db.session.execute(
            select(CreditNote.number, CreditNote.issued_on, CreditNote.reason, CreditNote.document_id,
                   CreditNotePart.amount_minor, CreditNotePart.currency)
            .join(CreditNote, CreditNote.id == CreditNotePart.credit_note_id)
            .where(CreditNotePart.invoice_id == invoice_id)
            .order_by(CreditNote.id)
        )
    )  # fmt: skip

"""Invoices and accounts, as far as the actor may see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select

from ..accounts.models import User
from ..core import clock, settings
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.outbox import Mail, MailStatus
from ..core.permissions import Actor
from ..core.words import Words
from ..customers import queries as customers
from ..customers.models import Customer
from .domain import (
    AGES,
    INVOICE_WORDS,
    OVERDUE_WORDS,
    CollectionPlan,
    DisbursementKind,
    DisbursementStatus,
    InvoiceStatus,
    ItemKind,
    Ladder,
    Step,
    is_overdue,
)
from .models import (
    OPEN,
    OPEN_MINOR,
    BillingAccount,
    BillingItem,
    CreditNote,
    CreditNotePart,
    Disbursement,
    DunningNotice,
    Invoice,
    InvoiceLine,
    Mandate,
    OpenInvoiceTally,
)

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


def unbilled_items(account_id: int) -> list[BillingItem]:
    """What an account will have to pay but has no invoice for yet, in order."""
    statement = _not_billed(date.max).where(BillingItem.account_id == account_id)
    return list(db.session.scalars(statement.order_by(BillingItem.instalment, BillingItem.id)))


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


# What follows when nothing is paid


def ladder(product_code: str = "") -> Ladder:
    """The steps as admins have set them for a product; for most products and without one, the standard."""
    return Ladder(**(settings.get(f"dunning {product_code}") or settings.get("dunning")))


def ladders() -> list[tuple[Ladder, ColumnElement[bool]]]:
    """Each ladder, with the condition on the accounts that it is for."""
    own = settings.get_all("dunning ")
    code = BillingAccount.product_code
    return [(ladder(), code.not_in(own)), *((ladder(product), code == product) for product in own)]


def accounts_to_dun(
    on: date, ladder: Ladder, of: ColumnElement[bool], among: Sequence[int] | None = None
) -> Iterator[Sequence[int]]:
    """The accounts that may call for a notice on a day, or those among some, chunk by chunk.

    Each step goes by its own days.
    """

    def sent(step: Step) -> ColumnElement[bool]:
        return (
            select(DunningNotice.id).where(DunningNotice.invoice_id == Invoice.id, DunningNotice.step == step).exists()
        )

    def late_by(step: Step) -> ColumnElement[bool]:
        return Invoice.due_on <= on - timedelta(days=ladder.days(step))

    soon = (Invoice.due_on > on) & (Invoice.due_on <= on - timedelta(days=ladder.reminder)) & ~sent(Step.REMINDER)
    late = (
        late_by(Step.OVERDUE) & ~sent(Step.OVERDUE),
        late_by(Step.SECOND) & sent(Step.OVERDUE) & ~sent(Step.SECOND),
        late_by(Step.CANCELLATION) & sent(Step.SECOND) & ~sent(Step.CANCELLATION),
    )
    wanted = (
        select(Invoice.account_id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(Invoice.status.in_(OPEN), or_(soon, *late), not_held(on), of)
        .distinct()
        .order_by(Invoice.account_id)
        .limit(CHUNK)
    )
    if among is not None:
        wanted = wanted.where(Invoice.account_id.in_(among))
    last = 0
    while chunk := db.session.scalars(wanted.where(Invoice.account_id > last)).all():
        yield chunk
        last = chunk[-1]


def not_held(on: date) -> ColumnElement[bool]:
    """Whether nobody has asked an account's notices to wait."""
    return BillingAccount.hold_until.is_(None) | (BillingAccount.hold_until < on)


def invoices_open_on(account_ids: Sequence[int]) -> list[Invoice]:
    """The open invoices of some accounts, the oldest due first."""
    statement = select(Invoice).where(Invoice.account_id.in_(account_ids), Invoice.status.in_(OPEN))
    return list(db.session.scalars(statement.order_by(Invoice.account_id, Invoice.due_on, Invoice.id)))


def notices_taken(account_ids: Sequence[int]) -> dict[int, dict[Step, date | None]]:
    """The notices about the open invoices of some accounts, and the day on which each was handed over, if it was."""
    rows = db.session.execute(
        select(DunningNotice, Mail)
        .join(Invoice, Invoice.id == DunningNotice.invoice_id)
        .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
        .where(Invoice.account_id.in_(account_ids), Invoice.status.in_(OPEN))
    )
    taken: dict[int, dict[Step, date | None]] = {}
    for notice, mail in rows:
        taken.setdefault(notice.invoice_id, {})[notice.step] = _handed_over(notice, mail)
    return taken


def _handed_over(notice: DunningNotice, mail: Mail | None) -> date | None:
    if notice.posted_on:
        return notice.posted_on
    if mail and mail.status is MailStatus.SENT and mail.sent_at:
        return mail.sent_at.astimezone(clock.zone()).date()
    if mail and mail.status is MailStatus.KEPT:  # where there is no mail server, a mail goes no further than this
        return notice.decided_on
    return None


def printed_lapse(invoice_id: int) -> date | None:
    """The day that the notice of cancellation about an invoice names as the first without cover."""
    return db.session.scalar(
        select(DunningNotice.lapse_on).where(
            DunningNotice.invoice_id == invoice_id, DunningNotice.step == Step.CANCELLATION
        )
    )


def accounts_to_lapse(on: date) -> Sequence[int]:
    """The accounts of which a notice of cancellation has run out by a day, with something open still."""
    return db.session.scalars(
        select(Invoice.account_id)
        .join(DunningNotice, DunningNotice.invoice_id == Invoice.id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(DunningNotice.lapse_on <= on, Invoice.status.in_(OPEN), not_held(on))
        .distinct()
        .order_by(Invoice.account_id)
    ).all()


# How what is due is taken by itself


def collection_plan() -> CollectionPlan:
    """The days and the limit that admins have set."""
    return CollectionPlan.of(settings.get("collection"))


def creditor() -> dict[str, str] | None:
    """Who collects, as the settings name them; nobody where there is no creditor identifier."""
    bank = settings.get("bank")
    return bank if bank.get("creditor_id") else None


def find_mandate(account_id: int) -> Mandate | None:
    """The mandate in force of an account that is in sight already."""
    return db.session.scalar(select(Mandate).where(Mandate.account_id == account_id, Mandate.revoked_on.is_(None)))


def mandates_of(account_id: int) -> Sequence[Mandate]:
    """Every mandate of an account that is in sight already, the newest first."""
    return db.session.scalars(select(Mandate).where(Mandate.account_id == account_id).order_by(Mandate.id.desc())).all()


def is_any_mandate_in_force() -> bool:
    """Whether there is anything to collect under."""
    return db.session.scalar(select(Mandate.id).where(Mandate.revoked_on.is_(None)).limit(1)) is not None


def mandates_in_force(account_ids: Sequence[int]) -> dict[int, Mandate]:
    """The mandates in force of some accounts, by account."""
    found = select(Mandate).where(Mandate.account_id.in_(account_ids), Mandate.revoked_on.is_(None))
    return {mandate.account_id: mandate for mandate in db.session.scalars(found)}


# Money out


def disbursement_rows(*, q: str = "", status: str = "", kind: str = "") -> Select:
    """Orders to pay money out, for the list of those who send it."""
    statement = (
        select(
            Disbursement.id,
            Disbursement.kind,
            Disbursement.reason,
            Disbursement.payee_name,
            Disbursement.account_number,
            Disbursement.by_gateway,
            Disbursement.customer_id,
            Disbursement.amount_minor,
            Disbursement.currency,
            Disbursement.status,
            Disbursement.requested_at,
            Customer.name.label("customer_name"),
            User.name.label("maker_name"),
        )
        .join(Customer, Customer.id == Disbursement.customer_id)
        .join(User, User.id == Disbursement.maker_id)
    )
    if q:
        statement = statement.where(
            customers.matches(
                q,
                Disbursement.id,
                (_refunds_of(), BillingAccount.policy_number),
                (select(Disbursement.id).join(Customer, Customer.id == Disbursement.customer_id), Customer.number),
            )
        )
    if status:
        statement = statement.where(Disbursement.status == DisbursementStatus(status))
    if kind:
        statement = statement.where(Disbursement.kind == DisbursementKind(kind))
    return statement


def _refunds_of() -> Select:
    return select(Disbursement.id).join(BillingAccount, BillingAccount.id == Disbursement.account_id)


def get_disbursement(id: int) -> Disbursement:
    """One order to pay money out."""
    order = db.session.get(Disbursement, id)
    if order is None:
        raise NotFound("We cannot find that disbursement.")
    return order


def get_own_disbursement(id: int, actor: Actor) -> Disbursement:
    """One order to pay money out to a customer in sight."""
    order = db.session.scalar(
        select(Disbursement)
        .join(Customer, Customer.id == Disbursement.customer_id)
        .where(Disbursement.id == id, customers.sight(actor))
    )
    if order is None:
        raise NotFound("We cannot find that payment.")
    return order


def own_disbursements(actor: Actor) -> Sequence[Disbursement]:
    """The latest orders to pay money out in the actor's sight: for a customer, to them."""
    return db.session.scalars(
        select(Disbursement)
        .join(Customer, Customer.id == Disbursement.customer_id)
        .where(customers.sight(actor), Disbursement.status != DisbursementStatus.CANCELLED)
        .order_by(Disbursement.id.desc())
        .limit(50)
    ).all()


def orders_for_batch(currency: str) -> Sequence[Disbursement]:
    """The approved orders with an account, in one currency and in no batch yet, kept from others."""
    return db.session.scalars(
        select(Disbursement)
        .where(
            Disbursement.status == DisbursementStatus.APPROVED,
            Disbursement.currency == currency,
            Disbursement.account_number != "",
            Disbursement.batch_number == "",
        )
        .order_by(Disbursement.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def waiting_for_batch() -> list[Row]:
    """How many orders wait for a file, and how much they come to, by currency."""
    return list(
        db.session.execute(
            select(Disbursement.currency, func.count(), func.sum(Disbursement.amount_minor))
            .where(
                Disbursement.status == DisbursementStatus.APPROVED,
                Disbursement.account_number != "",
                Disbursement.batch_number == "",
            )
            .group_by(Disbursement.currency)
            .order_by(Disbursement.currency)
        )
    )


def orders_in_batch(number: str) -> Sequence[Disbursement]:
    """The orders of a batch."""
    return db.session.scalars(
        select(Disbursement).where(Disbursement.batch_number == number).order_by(Disbursement.id)
    ).all()


def orders_on_their_way(amounts: Sequence[int]) -> Sequence[Disbursement]:
    """The orders that were sent by the bank and have one of some amounts in minor units."""
    return db.session.scalars(
        select(Disbursement)
        .where(Disbursement.status == DisbursementStatus.SENT, Disbursement.amount_minor.in_(amounts))
        .where(~Disbursement.by_gateway)
        .order_by(Disbursement.id)
        .limit(CHUNK)
    ).all()


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


def find_replacement(id: int) -> Disbursement | None:
    """The order that replaces another one."""
    return db.session.scalar(select(Disbursement).where(Disbursement.replaces_id == id))


def refunds_of(account_id: int) -> Sequence[Disbursement]:
    """The refunds of an account that is in sight already, the newest first."""
    return db.session.scalars(
        select(Disbursement).where(Disbursement.account_id == account_id).order_by(Disbursement.id.desc())
    ).all()


def refunded_to(account_id: int) -> Disbursement | None:
    """The last refund of an account that went, or is to go, to a bank account that did not send it back."""
    return db.session.scalar(
        select(Disbursement)
        .where(Disbursement.account_id == account_id, Disbursement.account_number != "")
        .where(Disbursement.status.not_in((DisbursementStatus.CANCELLED, DisbursementStatus.RETURNED)))
        .order_by(Disbursement.id.desc())
        .limit(1)
    )


def accounts_with_credit(customer_id: int) -> Sequence[BillingAccount]:
    """The accounts with credit of a customer who is in sight already."""
    return db.session.scalars(
        select(BillingAccount)
        .where(BillingAccount.customer_id == customer_id, BillingAccount.credit_minor > 0)
        .order_by(BillingAccount.id)
    ).all()


def _notices(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(DunningNotice)
        .join(Invoice, Invoice.id == DunningNotice.invoice_id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(customers.sight(actor))
    )


def get_notice(id: int, actor: Actor) -> DunningNotice:
    """One notice in sight."""
    notice = db.session.scalar(_notices(actor, DunningNotice).where(DunningNotice.id == id))
    if notice is None:
        raise NotFound("We cannot find that notice.")
    return notice


def notices_about(invoice_id: int) -> list[Row]:
    """The notices about an invoice that is in sight already, with the mail that brought each."""
    return list(
        db.session.execute(
            select(DunningNotice, Mail)
            .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
            .where(DunningNotice.invoice_id == invoice_id)
            .order_by(DunningNotice.id)
        )
    )


def letters_to_post(actor: Actor) -> list[Row]:
    """The notices in sight that no mail can bring: there is no address, or the mail server refused it for good."""
    statement = (
        _notices(
            actor,
            DunningNotice.id,
            DunningNotice.number,
            DunningNotice.step,
            DunningNotice.decided_on,
            DunningNotice.document_id,
            Invoice.number.label("invoice_number"),
            Invoice.id.label("invoice_id"),
            Customer.id.label("customer_id"),
            Customer.name.label("customer_name"),
            Customer.address,
        )
        .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
        .where(DunningNotice.posted_on.is_(None), or_(Mail.id.is_(None), Mail.status == MailStatus.DEAD))
        .where(Invoice.status.in_(OPEN))
        .order_by(DunningNotice.id)
        .limit(CHUNK)
    )
    return list(db.session.execute(statement))


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

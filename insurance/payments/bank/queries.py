"""Batches, statements and lines, and what a line may be; for those who do the bank's business, who see everything."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, Select, exists, func, select

from ...billing import queries as billing
from ...billing.models import OPEN, BillingAccount, Invoice, Mandate
from ...core.db import db
from ...core.errors import NotFound
from ...core.outbox import Mail
from ...customers.models import Customer
from ..domain import LIVE, PaymentStatus
from ..models import Collection, Payment
from .domain import BatchStatus, LineStatus
from .matching import OpenBatch, OpenDebit, OpenInvoice, OpenOrder, Proposal, debit_id, debits_in, numbers_in, propose
from .models import BankBatch, BankLine, BankStatement
from .statements import Line

MOST_SHOWN = 25


def batch_rows(*, status: str = "") -> Select:
    """Batches for the list."""
    statement = select(
        BankBatch.id,
        BankBatch.number,
        BankBatch.status,
        BankBatch.count,
        BankBatch.total_minor,
        BankBatch.currency,
        BankBatch.created_at,
        BankBatch.sent_on,
        BankBatch.collect_on,
    )
    return statement.where(BankBatch.status == status) if status else statement


def get_batch(id: int) -> BankBatch:
    """One batch."""
    batch = db.session.get(BankBatch, id)
    if batch is None:
        raise NotFound("We cannot find that batch.")
    return batch


def get_statement(id: int) -> BankStatement:
    """One statement's file."""
    statement = db.session.get(BankStatement, id)
    if statement is None:
        raise NotFound("We cannot find that statement.")
    return statement


def find_statement(sha256: str) -> BankStatement | None:
    """The statement with just these bytes."""
    return db.session.scalar(select(BankStatement).where(BankStatement.sha256 == sha256))


def last_mapping() -> dict:
    """How the columns of the last CSV statement were read."""
    found = db.session.scalars(
        select(BankStatement).where(BankStatement.imported_at.is_not(None)).order_by(BankStatement.id.desc()).limit(20)
    )
    return next((statement.mapping for statement in found if statement.mapping), {})


def line_rows(*, status: str = "") -> Select:
    """Lines for the list."""
    statement = select(
        BankLine.id,
        BankLine.booked_on,
        BankLine.amount_minor,
        BankLine.currency,
        BankLine.reference,
        BankLine.party,
        BankLine.status,
        BankLine.payment_id,
        BankLine.disbursement_id,
        BankLine.suspense_id,
    )
    return statement.where(BankLine.status == status) if status else statement


def get_line(id: int) -> BankLine:
    """One line."""
    line = db.session.get(BankLine, id)
    if line is None:
        raise NotFound("We cannot find that line.")
    return line


def find_line_of(suspense_id: int) -> BankLine | None:
    """The line whose money waits in suspense."""
    return db.session.scalar(select(BankLine).where(BankLine.suspense_id == suspense_id))


def lines_to_decide() -> tuple[Sequence[BankLine], int]:
    """The oldest open lines, and how many are open in all."""
    open_ = BankLine.status == LineStatus.OPEN
    lines = db.session.scalars(select(BankLine).where(open_).order_by(BankLine.id).limit(MOST_SHOWN)).all()
    return lines, db.session.scalar(select(func.count()).where(open_)) or 0


def proposals(lines: Sequence[BankLine]) -> dict[int, list[Proposal]]:
    """What each line may be, the best first."""
    amounts = sorted({abs(line.amount_minor) for line in lines})
    numbers = sorted(set().union(*(numbers_in(line.reference) for line in lines)))
    invoices = [
        OpenInvoice(
            id=invoice.id,
            account_id=account.id,
            number=invoice.number,
            policy_number=account.policy_number,
            holder_name=account.holder_name,
            open=invoice.open,
            due_on=invoice.due_on,
        )
        for invoice, account in billing.invoices_named_or_of(numbers, amounts)
    ]
    orders = [
        OpenOrder(order.id, end_to_end_id(order.id), order.reason, order.payee_name, order.amount)
        for order in billing.orders_on_their_way(amounts)
    ]
    debits, batches = _debits_named(lines), _batches_named(numbers)
    return {
        line.id: propose(
            Line(line.key, line.account_number, line.booked_on, line.amount, line.reference, line.party),
            invoices,
            orders,
            debits,
            batches,
        )
        for line in lines
    }


def _debits_named(lines: Sequence[BankLine]) -> list[OpenDebit]:
    """The direct debits at the bank, or settled, that references name."""
    ids = sorted(set().union(*(debits_in(line.reference) for line in lines)))
    at_bank = exists().where(BankBatch.number == Collection.batch_number, BankBatch.status == BatchStatus.SENT)
    wanted = Payment.id.in_(ids) & Payment.status.in_((PaymentStatus.PENDING, *LIVE)) & at_bank
    return [
        OpenDebit(
            row.Payment.id,
            debit_id(row.Payment.id),
            f"{row.Invoice.number} of {row.BillingAccount.holder_name}",
            row.Payment.amount,
            is_pending=row.Payment.status is PaymentStatus.PENDING,
        )
        for row in (_collections(wanted) if ids else [])
    ]


def _batches_named(numbers: Sequence[str]) -> list[OpenBatch]:
    """The batches of direct debits that references name and of which something is pending still."""
    pending = exists().where(
        Collection.batch_number == BankBatch.number,
        Payment.id == Collection.payment_id,
        Payment.status == PaymentStatus.PENDING,
    )
    found = select(BankBatch).where(
        BankBatch.number.in_(numbers), BankBatch.collect_on.is_not(None), BankBatch.status == BatchStatus.SENT, pending
    )
    return [OpenBatch(batch.id, batch.number, batch.total) for batch in db.session.scalars(found)] if numbers else []


def end_to_end_id(disbursement_id: int) -> str:
    """How an order is called in the file for the bank, and on the statement that answers it."""
    return f"OUT-{disbursement_id:08d}"


# Direct debits


def _collections(wanted: Any) -> list[Row]:
    """Collections with all that they are about, the first due first."""
    return list(
        db.session.execute(
            select(Collection, Payment, Mandate, Invoice, BillingAccount)
            .join(Payment, Payment.id == Collection.payment_id)
            .join(Mandate, Mandate.id == Collection.mandate_id)
            .join(Invoice, Invoice.id == Collection.invoice_id)
            .join(BillingAccount, BillingAccount.id == Payment.account_id)
            .where(wanted)
            .order_by(Payment.id)
            .execution_options(populate_existing=True)
        )
    )


def due_for_collection(by: date) -> Sequence[int]:
    """The open invoices, due by a day, of accounts with a mandate under which they were not collected yet."""
    collected = exists().where(Collection.invoice_id == Invoice.id, Collection.mandate_id == Mandate.id)
    return db.session.scalars(
        select(Invoice.id)
        .join(Mandate, (Mandate.account_id == Invoice.account_id) & Mandate.revoked_on.is_(None))
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(Invoice.status.in_(OPEN), Invoice.due_on <= by, Customer.email != "", ~collected)
        .order_by(Invoice.due_on, Invoice.id)
    ).all()


def was_collected(invoice_id: int, mandate_id: int) -> bool:
    """Whether an invoice was tried under a mandate, however that came out."""
    tried = select(Collection.payment_id).filter_by(invoice_id=invoice_id, mandate_id=mandate_id)
    return db.session.scalar(tried) is not None


def was_announced(document_id: int, told: Mapping[str, str]) -> bool:
    """Whether the mail that brought an invoice has said just this about how it is collected."""
    mails = db.session.scalars(select(Mail.data).filter_by(document_id=document_id, template="invoice_collected"))
    return any(told.items() <= data.items() for data in mails)


def pending_under(mandate_id: int) -> list[Row]:
    """The direct debits under a mandate that may still come out either way."""
    return list(
        db.session.execute(
            select(Collection, Payment)
            .join(Payment, Payment.id == Collection.payment_id)
            .where(Collection.mandate_id == mandate_id, Payment.status == PaymentStatus.PENDING)
            .order_by(Payment.id)
        )
    )


def returns_under(mandate_id: int) -> int:
    """How many direct debits under a mandate came back."""
    returned = select(func.count()).where(Collection.mandate_id == mandate_id, Collection.returned_on.is_not(None))
    return db.session.scalar(returned) or 0


def batch_of(payment_id: int) -> BankBatch | None:
    """The file that a direct debit is in."""
    return db.session.scalar(
        select(BankBatch)
        .join(Collection, Collection.batch_number == BankBatch.number)
        .where(Collection.payment_id == payment_id)
    )


def collections_of(account_id: int) -> list[Row]:
    """What was collected from an account that is in sight already, the newest first."""
    return _collections(Payment.account_id == account_id)[::-1][:50]


def collections_in(number: str) -> list[Row]:
    """The direct debits of a batch."""
    return _collections(Collection.batch_number == number)


_WAITING = (Collection.batch_number == "") & (Payment.status == PaymentStatus.PENDING)


def waiting_to_collect() -> list[Row]:
    """How many direct debits wait for a file, and how much they come to, by the day of their collection."""
    return list(
        db.session.execute(
            select(Collection.collect_on, func.count(), func.sum(Payment.amount_minor), Payment.currency)
            .join(Payment, Payment.id == Collection.payment_id)
            .where(_WAITING)
            .group_by(Collection.collect_on, Payment.currency)
            .order_by(Collection.collect_on)
        )
    )


def accounts_waiting(on: date) -> Sequence[int]:
    """The accounts with a direct debit of a day that waits for a file."""
    waiting = select(Payment.account_id).join(Collection, Collection.payment_id == Payment.id)
    return db.session.scalars(waiting.where(_WAITING, Collection.collect_on == on).distinct()).all()


def waiting_on(on: date) -> list[Row]:
    """The direct debits of a day that wait for a file."""
    return _collections(_WAITING & (Collection.collect_on == on))

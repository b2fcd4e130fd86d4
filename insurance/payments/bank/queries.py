"""Batches, statements and lines, and what a line may be; for those who do the bank's business, who see everything."""

from collections.abc import Sequence

from sqlalchemy import Select, func, select

from ...billing import queries as billing
from ...core.db import db
from ...core.errors import NotFound
from .domain import LineStatus
from .matching import OpenInvoice, OpenOrder, Proposal, numbers_in, propose
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
    )
    return statement.where(BankLine.status == status) if status else statement


def get_line(id: int) -> BankLine:
    """One line."""
    line = db.session.get(BankLine, id)
    if line is None:
        raise NotFound("We cannot find that line.")
    return line


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
    return {
        line.id: propose(
            Line(line.key, line.account_number, line.booked_on, line.amount, line.reference, line.party),
            invoices,
            orders,
        )
        for line in lines
    }


def end_to_end_id(disbursement_id: int) -> str:
    """How an order is called in the file for the bank, and on the statement that answers it."""
    return f"OUT-{disbursement_id:08d}"

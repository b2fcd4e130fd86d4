"""Balances: what was debited less what was credited."""

from datetime import date

from sqlalchemy import ColumnElement, func, select, union_all

from ..core.db import db
from .domain import Account
from .models import Transfer


def balance(account: Account, subject: int | None = None, *, as_of: date | None = None) -> int:
    """The debit balance of an account in minor units, of one subject or of all; negative if more was credited."""

    def total(side_account: ColumnElement, side_subject: ColumnElement) -> int:
        statement = select(func.coalesce(func.sum(Transfer.amount_minor), 0)).where(side_account == account)
        if subject is not None:
            statement = statement.where(side_subject == subject)
        if as_of is not None:
            statement = statement.where(Transfer.posted_on <= as_of)
        return int(db.session.scalar(statement) or 0)

    debits = total(Transfer.__table__.c.debit_account, Transfer.__table__.c.debit_subject)
    return debits - total(Transfer.__table__.c.credit_account, Transfer.__table__.c.credit_subject)


def balances(account: Account) -> dict[int, int]:
    """The debit balance of every subject of an account that is not zero."""
    moved = union_all(
        select(Transfer.debit_subject.label("subject"), Transfer.amount_minor.label("amount")).where(
            Transfer.debit_account == account
        ),
        select(Transfer.credit_subject, -Transfer.amount_minor).where(Transfer.credit_account == account),
    ).subquery()
    rows = db.session.execute(
        select(moved.c.subject, func.sum(moved.c.amount)).group_by(moved.c.subject).having(func.sum(moved.c.amount) != 0)
    )
    return {subject: int(amount) for subject, amount in rows}

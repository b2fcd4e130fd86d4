"""Balances: what was debited less what was credited. And which months are closed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from flask import current_app
from sqlalchemy import Subquery, func, literal, select, union_all

from ..core.db import db
from ..core.money import Money
from .domain import Account
from .models import ClosedMonth, Transfer


def balance(
    account: Account, subject: int | None = None, *, currency: str | None = None, as_of: date | None = None
) -> Money:
    """The debit balance of an account, of one subject or of all, in one currency (that of the business, if not said).

    It is negative where more was credited.
    """
    currency = currency or current_app.config["CURRENCY"]
    side = _sides(as_of)
    statement = select(func.sum(side.c.debit - side.c.credit)).where(
        side.c.account == account, side.c.currency == currency
    )
    if subject is not None:
        statement = statement.where(side.c.subject == subject)
    return Money(int(db.session.scalar(statement) or 0), currency)


def balances(account: Account, as_of: date | None = None) -> dict[int, int]:
    """The debit balance in minor units of every subject of an account that is not zero, now or at the end of a day."""
    side = _sides(as_of)
    net = func.sum(side.c.debit - side.c.credit)
    rows = db.session.execute(
        select(side.c.subject, net).where(side.c.account == account).group_by(side.c.subject).having(net != 0)
    )
    return {subject: int(minor) for subject, minor in rows}


@dataclass(frozen=True)
class TrialLine:
    """All that was debited and credited to an account in a currency."""

    account: Account
    debit: Money
    credit: Money

    @property
    def balance(self) -> Money:
        """The debit balance; negative where more was credited."""
        return self.debit - self.credit


def trial_balance(as_of: date | None = None) -> list[TrialLine]:
    """Every account that was moved, by currency and account. Debits and credits of a currency come to the same sum."""
    side = _sides(as_of)
    rows = db.session.execute(
        select(side.c.account, side.c.currency, func.sum(side.c.debit), func.sum(side.c.credit))
        .group_by(side.c.account, side.c.currency)
        .order_by(side.c.currency, side.c.account)
    )
    return [
        TrialLine(account, Money(int(debit), currency), Money(int(credit), currency))
        for account, currency, debit, credit in rows
    ]


class DaySums(NamedTuple):
    """What was debited and credited to an account on a day, in minor units."""

    account: Account
    currency: str
    day: date
    debit: int
    credit: int


def by_day(as_of: date | None = None, account: Account | None = None) -> Iterator[DaySums]:
    """The sums of each day on which something moved, of all accounts or one, by currency, account and day."""
    side = _sides(as_of)
    key = (side.c.account, side.c.currency, side.c.posted_on)
    statement = select(*key, func.sum(side.c.debit), func.sum(side.c.credit)).group_by(*key)
    if account:
        statement = statement.where(side.c.account == account)
    rows = db.session.execute(statement.order_by(side.c.currency, side.c.account, side.c.posted_on))
    for account_, currency, day, debit, credit in rows:
        yield DaySums(account_, currency, day, int(debit), int(credit))


def first_posting() -> date | None:
    """The day of the earliest transfer."""
    return db.session.scalar(select(func.min(Transfer.posted_on)))


def closed_through() -> date | None:
    """The last day of the last closed month."""
    return db.session.scalar(select(func.max(ClosedMonth.ends_on)))


def closed_months() -> Sequence[ClosedMonth]:
    """The closed months, the last one first."""
    return db.session.scalars(select(ClosedMonth).order_by(ClosedMonth.ends_on.desc())).all()


def _sides(as_of: date | None = None) -> Subquery:
    """Each transfer twice: for the account that it debits, and for the one that it credits."""
    debited = select(
        Transfer.debit_account.label("account"),
        Transfer.debit_subject.label("subject"),
        Transfer.currency,
        Transfer.posted_on,
        Transfer.amount_minor.label("debit"),
        literal(0).label("credit"),
    )
    credited = select(
        Transfer.credit_account,
        Transfer.credit_subject,
        Transfer.currency,
        Transfer.posted_on,
        literal(0),
        Transfer.amount_minor,
    )
    if as_of is not None:
        debited, credited = (part.where(Transfer.posted_on <= as_of) for part in (debited, credited))
    return union_all(debited, credited).subquery()

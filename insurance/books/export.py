"""The books as a file that other programs read, written as it is read, however long it is."""

import csv
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from io import StringIO

from sqlalchemy import Row, Select, select

from ..core.dates import day_after
from ..core.db import db, read_one_moment
from ..core.money import Money
from ..ledger import queries as ledger
from ..ledger.domain import KINDS, Account, month_end
from ..ledger.models import Transfer

CHUNK = 1000


class Format(StrEnum):
    """How the file is written."""

    BEANCOUNT = "beancount"
    CSV = "csv"


def export(format: Format, as_of: date) -> Iterator[str]:
    """The file, some lines at a time: all that was posted by a day. All of it is read as of one moment."""
    read_one_moment()
    return {Format.BEANCOUNT: _beancount, Format.CSV: _csv}[format](as_of)


def _transfers(as_of: date) -> Select:
    return (
        select(*Transfer.__table__.columns)
        .where(Transfer.posted_on <= as_of)
        .order_by(Transfer.posted_on, Transfer.id)
        .execution_options(yield_per=CHUNK)
    )


def _csv(as_of: date) -> Iterator[str]:
    """One line a transfer; amounts are decimals, days and instants ISO 8601."""
    columns = [column.name for column in Transfer.__table__.columns]
    yield ",".join("amount" if name == "amount_minor" else name for name in columns) + "\r\n"
    for rows in db.session.execute(_transfers(as_of)).partitions():
        out = StringIO()
        csv.writer(out).writerows([_plain(row, name) for name in columns] for row in rows)
        yield out.getvalue()


def _plain(row: Row, name: str) -> str:
    value = getattr(row, name)
    if name == "amount_minor":
        return str(Money(value, row.currency))
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _beancount(as_of: date) -> Iterator[str]:
    """One transaction a transfer, and what each account must have come to by the end of each month.

    Those balances are summed by the database, not from the lines written here: a line that is wrong or missing fails.
    """
    days = list(ledger.by_day(as_of))
    began = min((row.day for row in days), default=as_of)
    yield 'option "title" "Ledger"\n'
    for currency in sorted({row.currency for row in days}):
        yield f'option "operating_currency" "{currency}"\n{began} commodity {currency}\n'
    for account in KINDS:
        yield f"{began} open {_name(account)}\n"
    asserted = _balances(days, as_of)
    ahead = next(asserted, None)
    for rows in db.session.execute(_transfers(as_of)).partitions():
        lines = []
        for row in rows:
            while ahead and ahead[0] <= row.posted_on:
                lines.append(ahead[1])
                ahead = next(asserted, None)
            lines.append(_transaction(row))
        yield "".join(lines)
    while ahead:
        yield ahead[1]
        ahead = next(asserted, None)


def _transaction(row: Row) -> str:
    amount = Money(row.amount_minor, row.currency)
    lines = [f'\n{row.posted_on} * "{row.event.label}" ^{row.event.value}-{row.event_id}', f"  transfer: {row.id}"]
    if row.reverses_id:
        lines.append(f"  reverses: {row.reverses_id}")
    for account, subject, part in (
        (row.debit_account, row.debit_subject, amount),
        (row.credit_account, row.credit_subject, -amount),
    ):
        lines += [f"  {_name(account)}  {part} {part.currency}", f"    subject: {subject}"]
    return "\n".join(lines) + "\n"


def _balances(days: list[ledger.DaySums], as_of: date) -> Iterator[tuple[date, str]]:
    """The assertions, with the day on whose morning each holds: after each month's last day, and after the last."""
    moved: dict[date, dict[tuple[Account, str], int]] = {}
    for account, currency, day, debit, credit in days:
        month = moved.setdefault(min(month_end(day), as_of), {})
        month[account, currency] = month.get((account, currency), 0) + debit - credit
    come_to: dict[tuple[Account, str], int] = {}
    for end in sorted(moved):
        for key, change in moved[end].items():
            come_to[key] = come_to.get(key, 0) + change
        morning = day_after(end)
        lines = [
            f"{morning} balance {_name(account)}  {Money(minor, currency)} ~ 0 {currency}\n"
            for (account, currency), minor in sorted(come_to.items())
        ]
        yield morning, "\n" + "".join(lines)


def _name(account: Account) -> str:
    """Assets:GatewayClearing."""
    return f"{KINDS[account].value.capitalize()}:{''.join(part.capitalize() for part in account.value.split('_'))}"

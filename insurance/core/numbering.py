"""Numbers without gaps, per series and year: POL-2026-000042."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from . import clock, settings
from .db import INSERT, Base, db

SERIES = {
    "POL": "Policies",
    "INV": "Invoices",
    "RCT": "Receipts",
    "CRN": "Credit notes",
    "NOT": "Payment notices",
    "BAT": "Batches for the bank",
    "MND": "Mandates for direct debit",
    "CLM": "Claims",
    "CUS": "Customers",
}
"""What each series numbers; its key is also the letters that its numbers begin with, unless admins set others."""


class Number(Base):
    """The last number that a series gave out in a year, whatever letters it was given out with."""

    __tablename__ = "numbers"

    series: Mapped[str] = mapped_column(String(10), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


def take(series: str) -> str:
    """The next number of a series, this year. Take it last: whoever holds the row makes the others wait."""
    return take_some(series, 1)[0]


def take_some(series: str, count: int) -> list[str]:
    """The next numbers of a series, this year."""
    year = clock.today().year
    new: Any = INSERT[db.engine.dialect.name](Number).values(series=series, year=year, last=count)
    upsert = new.on_conflict_do_update(index_elements=["series", "year"], set_={"last": Number.last + count})
    last = db.session.scalars(upsert.returning(Number.last)).one()
    first = settings.get("numbering").get(series, series)
    return [f"{first}-{year}-{number:06d}" for number in range(last - count + 1, last + 1)]


def letters() -> dict[str, str]:
    """The three capital letters that each series' numbers begin with from now on."""
    return {series: series for series in SERIES} | settings.get("numbering")

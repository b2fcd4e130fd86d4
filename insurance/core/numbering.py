"""Numbers without gaps, per series and year: POL-2026-00042."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .db import INSERT, Base, db


class Number(Base):
    """The last number that a series gave out in a year."""

    __tablename__ = "numbers"

    series: Mapped[str] = mapped_column(String(10), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


def take(series: str) -> str:
    """The next number of a series, this year. Take it last: whoever holds the row makes the others wait."""
    year = clock.today().year
    new: Any = INSERT[db.engine.dialect.name](Number).values(series=series, year=year, last=1)
    upsert = new.on_conflict_do_update(index_elements=["series", "year"], set_={"last": Number.last + 1})
    return f"{series}-{year}-{db.session.scalar(upsert.returning(Number.last)):06d}"

"""Collections: what a feature declares once is listed, filtered, sorted and shown one by one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from flask import current_app, request
from flask_login import current_user
from sqlalchemy import ColumnElement, Row, Select, literal, tuple_

from ..core import clock
from ..core.dates import day_after, parse_date
from ..core.db import fetch
from ..core.errors import NotFound, Refusal, RuleBroken
from ..core.money import Money
from ..web.arguments import LARGEST

R = TypeVar("R")
Record = dict[str, Any]

DEFAULT_LIMIT, MOST = 50, 100
LONGEST_TEXT = 100
IN_ORDER = {"after", "limit", "sort", "fields"}
"""What every list takes beside its filters."""


@dataclass(frozen=True)
class Filter:
    """One parameter of a list: how its text is read, the condition that it makes, and how the document says it."""

    read: Callable[[str], Any]
    condition: Callable[[Any], ColumnElement[bool]]
    schema: Mapping[str, Any]


def text(column: Any) -> Filter:
    """Records with just this text."""
    longest = getattr(column.type, "length", None) or LONGEST_TEXT

    def read(given: str) -> str:
        if len(given) > longest:
            raise RuleBroken(f"Send at most {longest} characters.")
        return given

    return Filter(read, lambda value: column == value, {"type": "string", "maxLength": longest})


def whole(column: Any) -> Filter:
    """Records with just this number."""
    return Filter(_whole, lambda value: column == value, {"type": "integer", "minimum": 1, "maximum": LARGEST})


def amount(column: Any) -> Filter:
    """Records with just this amount of money; the column holds minor units."""
    schema = {"type": "string", "pattern": "^[0-9]{1,13}(\\.[0-9]{1,2})?$", "examples": ["2400.00"]}
    return Filter(_minor, lambda value: column == value, schema)


def one_of(words: type[StrEnum], condition: Callable[[Any], ColumnElement[bool]]) -> Filter:
    """Records that have one of some statuses or kinds."""
    return Filter(
        lambda given: _word(words, given), condition, {"type": "string", "enum": [str(word) for word in words]}
    )


def flag(condition: Callable[[], Any]) -> Filter:
    """Records that are so, or that are not."""
    return Filter(
        _flag, lambda yes: condition() if yes else ~condition(), {"type": "string", "enum": ["true", "false"]}
    )


def days(name: str, column: Any, *, end: bool = False) -> dict[str, Filter]:
    """Records of a day, from a day on and up to a day. The column of an `end` holds the day after the last one."""

    def read(given: str) -> date:
        return day_after(parse_date(given)) if end else parse_date(given)

    schema = {"type": "string", "format": "date", "examples": ["2026-06-01"]}
    return {
        name: Filter(read, lambda day: column == day, schema),
        f"{name}_from": Filter(read, lambda day: column >= day, schema),
        f"{name}_to": Filter(read, lambda day: column <= day, schema),
    }


@dataclass(frozen=True, eq=False)
class Collection(Generic[R]):
    """Records of one kind, as far as the actor may see them.

    `rows` selects columns for an actor, restricted to what they may see; it goes by the actor and the day alone, for
    its statements are kept. `shown` makes records of a page's rows, with as few statements as it needs for all of
    them. `sorts` names columns that are never NULL and have an index. `by` is the name and the column by which the
    path names one, if not by its id.
    """

    name: str
    one: str
    record: type[R]
    rows: Callable[[Any], Select[Any]]
    key: Any
    shown: Callable[[Sequence[Row[Any]]], list[R]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, Any] = field(default_factory=dict)
    by: tuple[str, Any] | None = None
    alone: bool = True
    oldest_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", {"id": whole(self.key), **self.filters})

    @property
    def address(self) -> str:
        """How the path names one record; "" if records are not there by themselves."""
        name = f"<{self.by[0]}>" if self.by else f"<int:{self.one}_id>"
        return name if self.alone else ""

    @property
    def default_sort(self) -> str:
        """The order if none is asked for."""
        return "id" if self.oldest_first else "-id"

    @property
    def orders(self) -> list[str]:
        """Every order that can be asked for."""
        if self.oldest_first:
            return ["id"]
        return [sign + name for name in ("id", *self.sorts) for sign in ("-", "")]

    def get(self, id: int | str) -> R:
        """One record in sight."""
        key = self.by[1] if self.by else self.key
        rows = fetch(_rows(self, _actor(), clock.today()).where(key == id))
        if not rows:
            raise NotFound(f"We cannot find that {self.one}.")
        return self.shown(rows[:1])[0]

    def page(self) -> dict[str, Any]:
        """The records that the address asks for, and the cursor to go on with."""
        asked = arguments({*IN_ORDER, *self.filters})
        limit, order = _limit(asked), self._order(asked)
        column, upwards = self.sorts.get(order.lstrip("-"), self.key), not order.startswith("-")
        statement = _page(self, _actor(), clock.today(), order, limit)
        for name, by in self.filters.items():
            if name in asked:
                statement = statement.where(by.condition(_read(name, by.read, asked[name])))
        if "after" in asked:
            statement = statement.where(self._beyond(asked["after"], column, upwards))
        rows = fetch(statement)
        more, rows = len(rows) > limit, rows[:limit]
        return {
            "items": sparse(self.shown(rows), self.record, asked),
            "next": _cursor(rows[-1], column is self.key) if more else None,
        }

    def _order(self, asked: Mapping[str, str]) -> str:
        order = asked.get("sort", self.default_sort)
        if order not in self.orders:
            raise RuleBroken(f"This list is sorted by one of {', '.join(self.orders)}.", "sort")
        return order

    def _beyond(self, cursor: str, column: Any, upwards: bool) -> ColumnElement[bool]:
        """What comes after a place in the list."""
        try:
            value, _, key = cursor.rpartition("~")
            place: Any = literal(_whole(key, least=0), self.key.type)
            here: Any = self.key
            if column is not self.key:
                read: Any = {date: date.fromisoformat, int: int}.get(column.type.python_type, str)
                place = tuple_(literal(read(value), column.type), place)
                here = tuple_(column, self.key)
        except (ValueError, Refusal):
            raise RuleBroken("Send what the page before gave as “next”.", "after") from None
        return here > place if upwards else here < place


def _actor() -> Any:
    return current_user._get_current_object()


# To make a statement costs more than to ask it, so that those of the last actors are kept.


@lru_cache(maxsize=200)
def _rows(collection: Collection[Any], actor: Any, day: date) -> Select[Any]:  # noqa: ARG001 (what is kept is of a day)
    return collection.rows(actor)


@lru_cache(maxsize=200)
def _page(collection: Collection[Any], actor: Any, day: date, order: str, limit: int) -> Select[Any]:
    column, upwards = collection.sorts.get(order.lstrip("-"), collection.key), not order.startswith("-")
    order_by = [column] if column is collection.key else [column, collection.key]
    statement = _rows(collection, actor, day)
    statement = statement.add_columns(column.label("cursor_value"), collection.key.label("cursor_key"))
    return statement.order_by(*(part.asc() if upwards else part.desc() for part in order_by)).limit(limit + 1)


def sparse(records: Sequence[Any], record: type, asked: Mapping[str, str]) -> list[Any]:
    """The records with those members alone that are asked for, and the id."""
    if "fields" not in asked:
        return list(records)
    names = asked["fields"].split(",")
    if unknown := [name for name in names if name not in record.__annotations__]:
        raise RuleBroken(f"There is no member {', '.join(map(repr, unknown))}.", "fields")
    return [{name: one[name] for name in dict.fromkeys(["id", *names])} for one in records]


def arguments(known: set[str]) -> dict[str, str]:
    """What stands after the question mark, each once; what is not known is refused."""
    asked = {}
    for name, values in request.args.lists():
        if name not in known:
            raise RuleBroken("There is no such parameter.", name)
        if len(values) > 1:
            raise RuleBroken("Send this parameter once.", name)
        asked[name] = values[0]
    return asked


def _cursor(row: Row[Any], by_key: bool) -> str:
    return str(row.cursor_key) if by_key else f"{row.cursor_value}~{row.cursor_key}"


def _limit(asked: Mapping[str, str]) -> int:
    limit = _read("limit", _whole, asked.get("limit", str(DEFAULT_LIMIT)))
    if limit > MOST:
        raise RuleBroken(f"At most {MOST} records at once.", "limit")
    return limit


def _read(name: str, read: Callable[[str], Any], given: str) -> Any:
    try:
        return read(given)
    except Refusal as refusal:
        raise RuleBroken(refusal.message, name) from None


def _whole(given: str, *, least: int = 1) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 20 and least <= int(given) <= LARGEST):
        raise RuleBroken("Send a whole number.")
    return int(given)


def _minor(given: str) -> int:
    return Money.parse(given, current_app.config["CURRENCY"]).minor


def _word(words: type[StrEnum], given: str) -> StrEnum:
    if given not in list(words):
        raise RuleBroken(f"This is one of {', '.join(words)}.")
    return words(given)


def _flag(given: str) -> bool:
    if given not in ("true", "false"):
        raise RuleBroken("Send true or false.")
    return given == "true"

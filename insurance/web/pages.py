"""Lists: what a feature declares once becomes a page with search, filters, sorting and cursors, and a CSV file."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import ColumnElement, Row, Select, func, literal, select, tuple_

from ..core import clock, formats
from ..core.dates import parse_date
from ..core.db import db
from ..core.errors import Refusal
from ..core.money import Money
from ..core.words import Words
from . import filters
from .forms import clean_text

PAGE_SIZE = 25
COUNTED = 1000
LONGEST_SEARCH = 200
CSV_CHUNK = 500

_SHOWN: dict[str, Callable[[Any], str]] = {"money": filters.money, "date": filters.date, "datetime": filters.datetime}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "int": int,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


# What a feature declares.


@dataclass(frozen=True)
class Col:
    """A column: its heading, how to get its value from a row, and how it is shown.

    `kind` is text, money (a Money), date, datetime (an instant), badge (Words) or link. `sort` is the database column
    that sorts it, which is never NULL and should be indexed together with the key; its name in the URL is `sort_name`,
    or else the column's own.
    """

    label: str
    value: Callable[[Any], Any]
    kind: str = "text"
    sort: Any = None
    sort_name: str = ""
    href: Callable[[Any], str | None] | None = None

    @property
    def key(self) -> str:
        """The name in the URL to sort by; empty for a column that cannot be sorted."""
        return "" if self.sort is None else self.sort_name or self.sort.key


@dataclass(frozen=True)
class Choice:
    """A filter in the URL: one of some (value, words)."""

    name: str
    label: str
    choices: Sequence[tuple[str, str]]

    def check(self, value: str) -> None:
        """Refuse what is not offered."""
        if value not in {"", *(choice for choice, _ in self.choices)}:
            raise Refusal(f"This list has no such {self.label.lower()}. Choose one of those in the filter.")


@dataclass(frozen=True)
class Day:
    """A filter in the URL: a day in ISO form."""

    name: str
    label: str
    choices: Sequence[tuple[str, str]] = ()

    def check(self, value: str) -> None:
        """Refuse what is no day."""
        if value:
            parse_date(value)


# What the templates get.


@dataclass(frozen=True)
class Column:
    """A heading."""

    label: str
    kind: str
    sort_href: str | None
    sorted: str


@dataclass(frozen=True)
class Cell:
    """One value in words; `words` are a badge's."""

    text: str
    kind: str
    href: str | None
    words: Words | None


@dataclass(frozen=True)
class ListRow:
    """A row; its first cell is its heading and the link to the record."""

    href: str | None
    cells: list[Cell]


@dataclass(frozen=True)
class Filter:
    """A filter and what it is set to; without choices, a day."""

    name: str
    label: str
    choices: list[tuple[str, str]]
    value: str


@dataclass(frozen=True)
class Listing:
    """One page of a list as templates/layouts/list.html shows it."""

    title: str
    caption: str
    columns: list[Column]
    rows: list[ListRow]
    search: str
    search_hint: str
    filters: list[Filter]
    filtered: bool
    clear_href: str
    empty_text: str
    empty_href: str | None
    empty_action: str
    previous_href: str | None
    next_href: str | None
    csv_href: str
    new_href: str | None
    new_label: str


@dataclass(frozen=True)
class ListPage:
    """A list as a feature declares it. `key` is the id that settles ties; `default_sort` is such as "-number"."""

    title: str
    one: str
    many: str
    columns: list[Col]
    key: Any
    default_sort: str
    filters: Sequence[Choice | Day] = ()
    search_hint: str = ""
    empty: str = ""

    def arguments(self) -> dict[str, str]:
        """What the page's URL asks for, as keyword arguments for the feature's query: `q`, and each filter by name.

        Nothing asked is "". A value that no filter offers is refused.
        """
        asked = {"q": _search_text(request.args.get("q", ""))} if self.search_hint else {}
        for choice in self.filters:
            asked[choice.name] = request.args.get(choice.name, "")
            choice.check(asked[choice.name])
        return asked

    def respond(
        self,
        statement: Select[Any],
        *,
        new: tuple[str, str] | None = None,
        template: str = "layouts/list.html",
        **context: Any,
    ) -> ResponseReturnValue:
        """The page, or the CSV file where the path ends in .csv, of the rows that the statement selects.

        The statement selects columns, restricted to what the actor may see and filtered, but neither ordered nor
        limited. `new` is the address and words of the button that adds a record.
        """
        if request.path.endswith(".csv"):
            return self.csv(statement)
        return render_template(template, listing=self.listing(statement, new=new), **context)

    def listing(self, statement: Select[Any], *, new: tuple[str, str] | None = None) -> Listing:
        """The page of rows that the URL asks for."""
        asked = self.arguments()
        filtered = any(asked.values())
        rows, previous_cursor, next_cursor = self._page(statement)
        new_href, new_label = new or (None, "")
        return Listing(
            title=self.title,
            caption=self._caption(statement),
            columns=[self._heading(column) for column in self.columns],
            rows=[self._row(row) for row in rows],
            search=asked.get("q", ""),
            search_hint=self.search_hint,
            filters=[
                Filter(
                    choice.name,
                    choice.label,
                    [("", "Any"), *choice.choices] if choice.choices else [],
                    asked[choice.name],
                )
                for choice in self.filters
            ],
            filtered=filtered,
            clear_href=request.path,
            empty_text=self.empty or f"No {self.many} yet.",
            empty_href=new_href,
            empty_action=new_label,
            previous_href=previous_cursor and _href(before=previous_cursor),
            next_href=next_cursor and _href(after=next_cursor),
            csv_href=_href(f"{request.path}.csv"),
            new_href=new_href,
            new_label=new_label,
        )

    def csv(self, statement: Select[Any]) -> Response:
        """All rows, streamed, in the order of the page."""
        self.arguments()
        column, descending = self._sort()
        ordered = statement.order_by(*self._order(column, descending)).execution_options(yield_per=CSV_CHUNK)

        def chunks() -> Iterator[list[list[Any]]]:
            yield [[column.label for column in self.columns]]
            for rows in db.session.execute(ordered).partitions():
                yield [[column.value(row) for column in self.columns] for row in rows]

        return csv_file(self.many, chunks())

    def _sort(self) -> tuple[Col, bool]:
        """The column to sort by, and whether downwards."""
        asked = request.args.get("sort") or self.default_sort
        for column in self.columns:
            if column.key and column.key == asked.removeprefix("-"):
                return column, asked.startswith("-")
        raise Refusal("This list cannot be sorted so. Choose one of its column headings.")

    def _order(self, column: Col, descending: bool) -> list[ColumnElement[Any]]:
        """By the column, and by the key where it has the same value twice."""
        return [part.desc() if descending else part.asc() for part in (column.sort, self.key)]

    def _page(self, statement: Select[Any]) -> tuple[list[Row[Any]], str | None, str | None]:
        """The rows to show, and the cursors of the pages before and after."""
        column, descending = self._sort()
        after, before = request.args.get("after"), request.args.get("before")
        backwards = bool(before and not after)
        upwards = descending == backwards
        if cursor := after or before:
            value, key = self._read_cursor(cursor, column)
            here = tuple_(literal(value, column.sort.type), literal(key, self.key.type))
            place = tuple_(column.sort, self.key)
            statement = statement.where(place > here if upwards else place < here)
        statement = statement.add_columns(column.sort.label("cursor_value"), self.key.label("cursor_key"))
        statement = statement.order_by(*self._order(column, not upwards)).limit(PAGE_SIZE + 1)
        rows = list(db.session.execute(statement))
        more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
        if not rows:
            return rows, None, None
        if backwards:
            rows.reverse()
        has_previous, has_next = (more, True) if backwards else (bool(after), more)
        previous_cursor = self._cursor(rows[0], column) if has_previous else None
        return rows, previous_cursor, self._cursor(rows[-1], column) if has_next else None

    def _cursor(self, row: Row[Any], column: Col) -> str:
        """A place in the list, signed, since the database would stumble over a value of another type."""
        value = row.cursor_value
        kind = next((cls.__name__ for cls in type(value).__mro__ if cls.__name__ in _FROM_TEXT), "str")
        return self._signer.dumps([column.key, kind, str(value), row.cursor_key])

    def _read_cursor(self, cursor: str, column: Col) -> tuple[Any, int]:
        """The sort value and the key of a place; one that was taken for another order does not count."""
        try:
            sort, kind, text, key = self._signer.loads(cursor)
        except BadData:
            sort = None
        if sort != column.key:
            raise Refusal("This link to a page of the list no longer works. Open the list again.")
        return _FROM_TEXT.get(kind, str)(text), key

    @property
    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(str(current_app.secret_key), salt=f"a place in {self.title}")

    def _caption(self, statement: Select[Any]) -> str:
        """How many there are, counted no further than is cheap."""
        some = statement.with_only_columns(self.key, maintain_column_froms=True).order_by(None).limit(COUNTED + 1)
        count = db.session.scalar(select(func.count()).select_from(some.subquery())) or 0
        return (
            f"{formats.number(COUNTED)}+ {self.many}" if count > COUNTED else filters.plural(count, self.one, self.many)
        )

    def _heading(self, column: Col) -> Column:
        """A heading whose link sorts by it, or the other way round if it is sorted by already."""
        if not column.key:
            return Column(column.label, column.kind, None, "")
        now = request.args.get("sort") or self.default_sort
        link = _href(sort=f"-{column.key}" if now == column.key else column.key)
        order = {column.key: "ascending", f"-{column.key}": "descending"}.get(now, "")
        return Column(column.label, column.kind, link, order)

    def _row(self, row: Row[Any]) -> ListRow:
        cells = [_cell(column, row) for column in self.columns]
        return ListRow(cells[0].href, cells)


def plain(value: Any) -> str:
    """A value for a spreadsheet: plain decimals, ISO dates, and no text that a spreadsheet would take for a formula."""
    match value:
        case None:
            return ""
        case Words():
            return value.staff
        case date():  # and datetime
            return value.isoformat()
        case Money() | int():
            return str(value)
    text = str(value)
    acts = text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    return f"'{text}" if acts and not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) else text


def _cell(column: Col, row: Row[Any]) -> Cell:
    value = column.value(row)
    href = column.href(row) if column.href else None
    if isinstance(value, Words):
        return Cell(value.staff, column.kind, href, value)
    missing = value is None or value == ""
    text = filters.MISSING if missing else _SHOWN.get(column.kind, str)(value)
    return Cell(text, column.kind, href, None)


def _href(path: str = "", **changes: str) -> str:
    """This list with its other arguments; a changed order or filter begins at the first page."""
    kept = [
        (name, value) for name, value in request.args.items(multi=True) if name not in ("after", "before", *changes)
    ]
    query = urlencode([*kept, *changes.items()])
    return (path or request.path) + (f"?{query}" if query else "")


def _search_text(text: str) -> str:
    try:
        text = clean_text(text[: 4 * LONGEST_SEARCH])
    except ValueError:
        raise Refusal("The search has characters that cannot be searched for. Type it again.") from None
    if len(text) > LONGEST_SEARCH:
        raise Refusal(f"Search for {LONGEST_SEARCH} characters or fewer.")
    return text


def csv_file(name: str, chunks: Iterable[list[list[Any]]]) -> Response:
    """A CSV file of some rows at a time, streamed; the day is in its name."""
    lines = (_csv_lines(rows) for rows in chunks)
    dated = f"{name.replace(' ', '-')}-{clock.today().isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{dated}"'}
    marked = chain(["\ufeff"], lines)  # the mark tells Excel: UTF-8
    return Response(stream_with_context(marked), mimetype="text/csv", headers=headers)


def _csv_lines(rows: list[list[Any]]) -> str:
    out = StringIO()
    csv.writer(out).writerows([plain(value) for value in row] for row in rows)
    return out.getvalue()


__all__ = ["Cell", "Choice", "Col", "Column", "Day", "Filter", "ListPage", "ListRow", "Listing", "csv_file", "plain"]

"""Lists: every row once, in order, whatever the column, the direction and the database."""

import csv
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import chain
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from jinja2 import DictLoader
from sqlalchemy import BigInteger, Column, Date, Integer, MetaData, String, Table, insert, select

from config import engine_options
from insurance.core import clock
from insurance.core.db import Instant, db
from insurance.core.errors import Refusal
from insurance.core.money import Money
from insurance.core.words import Words
from insurance.web import filters
from insurance.web.pages import Choice, Col, ListPage, plain
from tests import postgres

metadata = MetaData()
boats = Table(
    "test_boats",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("built_on", Date, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("note", String(200)),
)
STATUS = {"afloat": Words("ok", "Afloat", "At sea"), "sunk": Words("bad", "Sunk", "Lost")}
BOATS = ListPage(
    title="Boats",
    one="boat",
    many="boats",
    search_hint="Name",
    columns=[
        Col("Boat", lambda r: r.name, sort=boats.c.name, href=lambda r: f"/boats/{r.id}"),
        Col("Built", lambda r: r.built_on, kind="date", sort=boats.c.built_on),
        Col("Seen", lambda r: r.seen_at, kind="datetime", sort=boats.c.seen_at),
        Col("Price", lambda r: Money(r.price_minor, "USD"), kind="money", sort=boats.c.price_minor, sort_name="price"),
        Col("Status", lambda r: STATUS[r.status], kind="badge"),
        Col("Note", lambda r: r.note),
    ],
    filters=[Choice("status", "Status", [("afloat", "Afloat"), ("sunk", "Sunk")])],
    default_sort="-name",
    key=boats.c.id,
    empty="No boats yet.",
)
DATABASES = ["sqlite", "postgresql"] if postgres.available() else ["sqlite"]
SORTS = ["name", "built_on", "seen_at", "price"]


@pytest.fixture(params=DATABASES, scope="module")
def database_url(request):
    if request.param == "sqlite":
        yield "sqlite://"
        return
    with postgres.database() as url:
        yield url


@pytest.fixture
def app(database_url):
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="test",
        SQLALCHEMY_DATABASE_URI=database_url,
        BUSINESS_TIMEZONE=ZoneInfo("UTC"),
        BUSINESS_DATE=None,
        SLOW_QUERY_MS=500,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(database_url, 5),
    )
    app.extensions["settings"] = {}, clock.seconds()  # its database has no table of them
    db.init_app(app)
    filters.register(app)
    app.jinja_loader = DictLoader({"layouts/list.html": "{{ listing.caption }}"})

    @app.get("/boats")
    @app.get("/boats.csv")
    def boat_list():
        return BOATS.respond(_boats(**BOATS.arguments()), new=("/boats/new", "New boat"))

    @app.errorhandler(Refusal)
    def refused(error):
        return error.message, error.status

    with app.app_context():
        _write(metadata.drop_all, metadata.create_all)
        yield app
        db.session.remove()
        _write(metadata.drop_all)
        db.engine.dispose()


def _boats(q="", status=""):
    rows = select(boats)
    if q:
        rows = rows.where(boats.c.name.contains(q, autoescape=True))
    return rows.where(boats.c.status == status) if status else rows


def _write(*works):
    db.session.rollback()
    with db.engine.connect().execution_options(writes=True) as connection:
        for work in works:
            work(connection)
        connection.commit()


def _launch(count, **columns):
    """Boats with many ties in every column that sorts."""
    rows = [
        {
            "name": f"Boat {n % 7} Ä\U0001f6a2",
            "built_on": date(2020, 2, 29) + timedelta(days=n % 5),
            "seen_at": datetime(2026, 11, 24, 10, 42, 0, n % 3, UTC),
            "price_minor": 2**53 + n % 4,
            "status": "sunk" if n % 3 == 0 else "afloat",
            "note": None,
        }
        | columns
        for n in range(count)
    ]
    _write(lambda connection: connection.execute(insert(boats), rows))


def _listing(app, query="", **arguments):
    with app.test_request_context(f"/boats?{query or urlencode(arguments)}"):
        return BOATS.listing(_boats(**BOATS.arguments()), new=("/boats/new", "New boat"))


def _walk(app, listing, step):
    pages = [listing]
    while href := getattr(pages[-1], step):
        pages.append(_listing(app, href.partition("?")[2]))
    return pages


def _ids(listing):
    return [int(row.href.rpartition("/")[2]) for row in listing.rows]


def _in_order(sort):
    column = {"price": boats.c.price_minor}.get(sort.strip("-"), boats.c.get(sort.strip("-")))
    order = [column.desc(), boats.c.id.desc()] if sort.startswith("-") else [column, boats.c.id]
    return list(db.session.scalars(select(boats.c.id).order_by(*order)))


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{sort}" for sort in SORTS)])
def test_walking_there_and_back_shows_every_row_once_and_in_order_despite_ties(app, sort):
    _launch(60)
    there = _walk(app, _listing(app, sort=sort), "next_href")
    assert [len(page.rows) for page in there] == [25, 25, 10]
    assert list(chain.from_iterable(map(_ids, there))) == _in_order(sort)
    back = _walk(app, there[-1], "previous_href")
    assert [_ids(page) for page in back] == [_ids(page) for page in reversed(there)]


def test_one_full_page_has_no_pages_around_it(app):
    _launch(25)
    listing = _listing(app)
    assert (len(listing.rows), listing.previous_href, listing.next_href) == (25, None, None)


def test_rows_that_were_deleted_meanwhile_break_no_link(app):
    _launch(60)
    second = _listing(app, _listing(app).next_href.partition("?")[2])
    _write(lambda connection: connection.execute(boats.delete()))
    for href in (second.next_href, second.previous_href):
        listing = _listing(app, href.partition("?")[2])
        assert (listing.rows, listing.previous_href, listing.next_href) == ([], None, None)


def test_links_keep_search_filter_and_order_and_begin_at_the_first_page_when_the_order_changes(app):
    _launch(90)
    listing = _listing(app, q="Boat", status="afloat", sort="price")
    assert listing.next_href.startswith("/boats?q=Boat&status=afloat&sort=price&after=")
    second = _listing(app, listing.next_href.partition("?")[2])
    assert [column.sort_href for column in second.columns] == [
        "/boats?q=Boat&status=afloat&sort=name",
        "/boats?q=Boat&status=afloat&sort=built_on",
        "/boats?q=Boat&status=afloat&sort=seen_at",
        "/boats?q=Boat&status=afloat&sort=-price",
        None,
        None,
    ]
    assert [column.sorted for column in second.columns] == ["", "", "", "ascending", "", ""]
    assert second.csv_href == "/boats.csv?q=Boat&status=afloat&sort=price"
    assert (second.search, second.filters[0].value, second.filtered) == ("Boat", "afloat", True)


def test_the_default_order_is_shown_at_its_column(app):
    column = _listing(app).columns[0]
    assert (column.sorted, column.sort_href) == ("descending", "/boats?sort=name")


@pytest.mark.parametrize(
    ("count", "caption"), [(0, "0 boats"), (1, "1 boat"), (1000, "1,000 boats"), (1001, "1,000+ boats")]
)
def test_the_caption_counts_no_further_than_a_thousand(app, count, caption):
    if count:
        _launch(count)
    assert _listing(app).caption == caption


def test_an_empty_list_says_so_and_offers_the_first_act(app):
    listing = _listing(app)
    assert (listing.empty_text, listing.empty_href, listing.empty_action, listing.filtered) == (
        "No boats yet.",
        "/boats/new",
        "New boat",
        False,
    )


def test_cells_are_in_words_and_the_first_one_links_to_the_record(app):
    _launch(1, price_minor=120400)
    row = _listing(app).rows[0]
    assert row.href == "/boats/1"
    assert [cell.text for cell in row.cells] == [
        "Boat 0 Ä\U0001f6a2",
        "29 Feb 2020",
        "24 Nov 2026, 10:42 UTC",
        "$1,204.00",
        "Sunk",
        "–",
    ]
    assert row.cells[4].words.customer == "Lost"


@pytest.mark.parametrize(
    "address",
    [
        "/boats?sort=colour",
        "/boats?sort=--name",
        "/boats?sort=status",
        "/boats?after=nonsense",
        "/boats?before=WzEsMl0",
        "/boats?after=%00",
        "/boats?status=flying",
        "/boats?status=%00",
        "/boats?q=%00",
        "/boats?q=" + "x" * 201,
        "/boats?q=" + "x" * 5000,
        "/boats.csv?sort=colour",
        "/boats.csv?status=flying",
        "/boats.csv?q=%00",
    ],
)
def test_what_the_address_cannot_mean_is_refused_in_words(app, address):
    answer = app.test_client().get(address)
    assert answer.status_code == 400
    assert answer.text.endswith(".")


def test_a_cursor_of_another_order_or_with_a_letter_changed_is_refused(app):
    _launch(30)
    cursor = _listing(app, sort="name").next_href.rpartition("after=")[2]
    client = app.test_client()
    assert client.get(f"/boats?sort=name&after={cursor}").status_code == 200
    assert client.get(f"/boats?sort=price&after={cursor}").status_code == 400
    assert client.get(f"/boats?sort=name&after=X{cursor[1:]}").status_code == 400


@pytest.mark.parametrize("text", ["é", "\U0001f6a2", "سفينة", "%_\\'", "a" * 200, "%ED%A0%80"])
def test_a_search_may_be_in_any_script(app, text):
    assert app.test_client().get("/boats", query_string={"q": text}).status_code == 200


def test_the_file_holds_all_rows_of_the_filter_in_the_order_of_the_page(app):
    _launch(1300)
    answer = app.test_client().get("/boats.csv?status=afloat&sort=-price")
    assert answer.mimetype == "text/csv"
    assert "attachment; filename=" in answer.headers["Content-Disposition"]
    assert answer.data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(StringIO(answer.data.decode("utf-8-sig"))))
    assert rows[0] == ["Boat", "Built", "Seen", "Price", "Status", "Note"]
    assert len(rows) == 1 + 866
    prices = [row[3] for row in rows[1:]]
    assert prices == sorted(prices, reverse=True)
    assert rows[1][3:] == ["90071992547409.95", "Afloat", ""]
    assert rows[1][1] == date.fromisoformat(rows[1][1]).isoformat()


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("-", "'-"),
        ("-1e5", "'-1e5"),
        ("-١", "'-١"),
        ("-12.50", "-12.50"),
        ("+44", "+44"),
        ("plain = text", "plain = text"),
        ("", ""),
        (None, ""),
        (-5, "-5"),
        (Money(-500, "USD"), "-5.00"),
        (Money(120400, "USD"), "1204.00"),
        (date(2026, 11, 24), "2026-11-24"),
        (datetime(2026, 11, 24, 10, 42, tzinfo=UTC), "2026-11-24T10:42:00+00:00"),
        (Words("ok", "Afloat", "At sea"), "Afloat"),
    ],
)
def test_no_cell_of_a_file_acts_as_a_formula(value, cell):
    assert plain(value) == cell

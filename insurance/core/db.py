"""The database: the models' base, the session, and the one way to write."""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from flask import has_request_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Dialect,
    Enum,
    Executable,
    Integer,
    MetaData,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator

from .errors import NotFound, Stale
from .money import Money

try:
    from fcntl import LOCK_EX, flock
except ImportError:  # Windows: SQLite's own busy wait has to do
    flock = None  # type: ignore[assignment]

P = ParamSpec("P")
R = TypeVar("R")

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
REQUEST_LIMITS = {"statement_timeout": 30, "lock_timeout": 10}
IDLE_SECONDS = 60
BigId = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator):
    """A moment in UTC; SQLite would give it back without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse what has no zone; keep the rest in UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


class Base(DeclarativeBase):
    """What every model inherits."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: Instant, dict[str, Any]: JSON, list[dict[str, Any]]: JSON}


db = SQLAlchemy(metadata=Base.metadata)
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

APPEND_ONLY: set[str] = set()
"""Names of the tables whose rows are written once; triggers refuse everything but INSERT."""


def append_only(model: type) -> type:
    """Mark a model's table as written once; a test asks that the database refuses UPDATE and DELETE."""
    APPEND_ONLY.add(model.__tablename__)  # type: ignore[attr-defined]
    return model


def identity() -> Mapped[int]:
    """The primary key of almost every table."""
    return mapped_column(BigId, primary_key=True)


def words(enum: type[StrEnum], name: str = "") -> Enum:
    """A column type that stores an enum's values, not its names, and lets nothing else in.

    Where a table has two columns of the same enum, `name` tells their constraints apart.
    """
    return Enum(
        enum,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=30,
        name=name or enum.__name__.lower(),
    )


class money:  # noqa: N801 (reads like a column)
    """A Money made of a `_minor` column and the row's currency: `premium = money("premium_minor")`."""

    def __init__(self, column: str) -> None:
        self.column = column

    def __get__(self, row: Any, owner: type | None = None) -> Any:
        return self if row is None else Money(getattr(row, self.column), row.currency)


@event.listens_for(Engine, "connect")
def _settle(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None  # the driver begins no transaction of its own
        connection.executescript(
            "PRAGMA busy_timeout=30000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON"
        )


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    """Read in a snapshot that cannot write; write with the lock taken before the first read."""
    writes = connection.get_execution_options().get("writes", False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("; ".join(_of_transaction(writes)))


def _of_transaction(writes: bool) -> list[str]:
    """What is set for one transaction alone, so that a pooler may give the next one to somebody else.

    What serves a request gives up after a while, and waits for no parallel workers of the server: to start them takes
    ten milliseconds, which is longer than a page's queries do. Whoever has written holds locks: if their machine is
    gone, the database must not wait for the network to notice. Commands and jobs that only read may take their time.
    """
    settings = [] if writes else ["SET TRANSACTION READ ONLY"]
    if has_request_context():
        settings += [f"SET LOCAL {name} = '{seconds}s'" for name, seconds in REQUEST_LIMITS.items()]
        settings.append("SET LOCAL max_parallel_workers_per_gather = 0")
    if writes or has_request_context():
        settings.append(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    return settings


@contextmanager
def transaction(*, keep: bool = True) -> Iterator[Session]:
    """Write in one piece: all of the block is kept, or nothing. Inside another one, be part of it.

    Without `keep` nothing is, so that one sees what would come of the block.
    """
    session = db.session()
    if "in_hand" in session.info:
        yield session
        return
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("rows were changed outside transaction()")
    session.rollback()  # ends the reading: whatever was read is read again, under the lock
    session.info["in_hand"] = {}
    try:
        with _turn():
            session.connection(execution_options={"writes": True})
            yield session
            if keep:
                session.commit()
    finally:
        del session.info["in_hand"]
        session.rollback()  # nothing to undo after a commit


def in_hand() -> dict[str, Any]:
    """What is remembered for the transaction in hand and forgotten with it; outside of one, a KeyError."""
    return db.session().info["in_hand"]


@contextmanager
def _turn() -> Iterator[None]:
    """SQLite's writers wait in the kernel, in the order they came, instead of polling."""
    if db.engine.dialect.name != "sqlite" or flock is None or not db.engine.url.database:
        yield
        return
    with open(f"{db.engine.url.database}.lock", "a") as queue:
        flock(queue, LOCK_EX)
        yield


def transactional(service: Callable[P, R]) -> Callable[P, R]:
    """Run a service as one transaction, again where PostgreSQL broke a deadlock."""

    @wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for tries_left in (2, 1, 0):
            try:
                with transaction():
                    return service(*args, **kwargs)
            except OperationalError as error:
                lost = getattr(error.orig, "sqlstate", None) in ("40001", "40P01")
                if not lost or not tries_left or "in_hand" in db.session().info:
                    raise
        raise AssertionError("unreachable")

    return run


def read_one_moment() -> None:
    """Begin to read anew, and see everything as it is now until the reading ends, whoever writes meanwhile."""
    session = db.session()
    session.rollback()
    postgres = db.engine.dialect.name == "postgresql"  # a transaction of SQLite always reads so
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"} if postgres else {})


def fetch(statement: Executable, **given: Any) -> list[Any]:
    """The rows of a SELECT of columns, as named tuples, with what its parameters are given.

    Long lists are made of this: the session's care for objects and rows that look their names up cost more than the
    query.
    """
    session = db.session()
    session.flush()  # what the transaction in hand has changed is read as changed
    result = session.connection().execute(statement, given)
    return list(map(_named(tuple(result.keys()))._make, result.all()))  # to fetch one by one costs half as much again


@cache
def _named(columns: tuple[str, ...]) -> Any:
    return namedtuple("Fetched", columns)


M = TypeVar("M")


def lock(model: type[M], id: int | str | None) -> M:
    """The row as it is now, kept from others until the transaction ends; NotFound if it does not exist."""
    row = db.session.get(model, id, with_for_update=True, populate_existing=True) if id is not None else None
    if row is None:
        raise NotFound("We cannot find that record.")
    return row


def check_version(row: Any, seen: int | None) -> None:
    """Refuse to overwrite what somebody else changed since the form was opened."""
    if seen is not None and row.version != seen:
        raise Stale(
            "Somebody else changed this record while you had it open. What it says now stands beside what you entered. "
            "Send again to replace it."
        )


def add_all(rows: Sequence[Any]) -> None:
    """Insert rows now, some hundreds in one statement, so that they have their ids."""
    db.session.add_all(rows)
    db.session.flush()


def insert_all(rows: Sequence[Any]) -> None:
    """Insert rows of one table now, as one prepared statement: fast, and none of them is known to the session."""
    db.session.bulk_save_objects(rows)


def next_ids(model: type[Any], count: int) -> Sequence[int]:
    """Ids for rows to come. Nobody else gets them: on SQLite there is one writer at a time."""
    if db.engine.dialect.name == "sqlite":
        first = (db.session.scalar(select(func.max(model.id))) or 0) + 1
        return range(first, first + count)
    ids = "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"
    return db.session.scalars(text(ids), {"table": model.__tablename__, "count": count}).all()


def add(row: M) -> M:
    """Insert a row now, so that it has its id."""
    db.session.add(row)
    db.session.flush()
    return row

"""One application and one migrated database per kind for the whole run; every test begins with empty tables.

Tests run on SQLite, and those of the `app` fixture on PostgreSQL too where one can be had.
"""

import gc
import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine

import config as configuration
from insurance import create_app
from insurance.core import settings as kept
from insurance.core.db import Base, db
from insurance.products import services as products
from tests import postgres

kept.SECONDS = 3600
"""What a page asks the database must not depend on how fast a test is."""
LONG = (
    "test_every_page_can_be_used",
    "test_no_form_of_any_page",
    "test_what_the_document_says",
    "test_a_year_of_nights",
    "test_a_customer_registers_buys",
    "test_the_whole_business",
)
"""How the names of tests begin that take longer than some seconds."""
TODAY = date(2026, 6, 1)
"""The business date of every test that does not set another."""


def settings(database_url: str, data_dir: Path) -> dict:
    """The configuration of the tests: as read from an empty environment, with a database and a day of their own."""
    kept = {name: os.environ.pop(name) for name in configuration.NAMES if name in os.environ}
    os.environ.update(APP_ENV="test", DATA_DIR=str(data_dir), SECRET_KEY="k" * 32, DATABASE_URL=database_url)
    try:
        read = configuration.read(env_file=None)
    finally:
        for name in ("APP_ENV", "DATA_DIR", "SECRET_KEY", "DATABASE_URL"):
            os.environ.pop(name)
        os.environ.update(kept)
    return read | {"TESTING": True, "BUSINESS_DATE": TODAY, "WTF_CSRF_ENABLED": False}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a database on each kind of it."""
    if "database" in metafunc.fixturenames:
        kinds = ["sqlite", "postgresql"] if postgres.available() else ["sqlite"]
        for marker in ("sqlite_only", "postgresql_only"):
            if metafunc.definition.get_closest_marker(marker):
                kinds = [kind for kind in kinds if marker.startswith(kind)]
        metafunc.parametrize("database", kinds, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left alone with it in the end."""
    items.sort(key=lambda item: not item.name.startswith(LONG))


def pytest_configure() -> None:
    """Collect rubbish seldom, which saves a tenth of the time. Where PostgreSQL is required, do without it never."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    if os.environ.get("REQUIRE_POSTGRES") and not postgres.available():
        pytest.exit(f"PostgreSQL is required here: {postgres.description()}", 1)


def pytest_report_header() -> str:
    """Say which databases the run covers."""
    return f"databases: SQLite, {postgres.description()}"


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], "Database"]]:
    """Makes a migrated database of each kind with its application when it is first asked for."""
    with ExitStack() as until_the_end:

        @cache
        def made(kind: str) -> Database:
            folder = tmp_path_factory.mktemp(kind)
            if kind == "sqlite":
                return Sqlite(folder)
            database = Postgres(folder, until_the_end.enter_context(postgres.database()))
            until_the_end.callback(database.engine.dispose)
            return database

        yield made


@pytest.fixture
def database(request: pytest.FixtureRequest, databases: Callable[[str], "Database"]) -> "Database":
    """The database of one kind, with its application."""
    return databases(request.param)


class Browser(FlaskClient):
    """A browser whose every request begins with an empty `g`. Flask reuses the test's, with the last user in it."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request."""
        for name in list(g):
            g.pop(name)
        return super().open(*args, **kwargs)


class Database(ABC):
    """An application on a database, as migrated and with the shipped products, that can be emptied fast."""

    def __init__(self, folder: Path, url: str) -> None:
        self.app = create_app(settings(url, folder))
        self.app.test_client_class = Browser
        with self.app.app_context():
            upgrade()
            products.publish_shipped()
            db.session.remove()
            db.engine.dispose()

    def empty(self) -> None:
        """Take every row and every file away but the shipped products."""
        self.empty_tables()
        self.app.extensions.pop("settings", None)
        for folder in ("files", "mail"):
            shutil.rmtree(self.app.config["DATA_DIR"] / folder, ignore_errors=True)

    @abstractmethod
    def empty_tables(self) -> None:
        """Take every row away but the shipped products."""


class Sqlite(Database):
    """Emptied by copying back the file as it was."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "test.db"
        super().__init__(folder, f"sqlite:///{self.path}")
        self.blank = sqlite3.connect(":memory:", check_same_thread=False)
        with sqlite3.connect(self.path) as full:
            full.backup(self.blank)

    def empty_tables(self) -> None:
        """Restore the blank file in place, from memory."""
        with sqlite3.connect(self.path) as used:
            self.blank.backup(used)
        used.close()


class Postgres(Database):
    """Emptied by a DELETE for each table, sent as one, with triggers and foreign keys asleep."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.engine = create_engine(
            self.app.config["SQLALCHEMY_DATABASE_URI"], execution_options={"writes": True}, pool_pre_ping=True
        )
        tables = Base.metadata.sorted_tables
        deletes = "; ".join(f"DELETE FROM {table.name}" for table in tables)
        self.sweep = f"SET LOCAL session_replication_role = replica; {deletes}"
        with self.engine.begin() as connection:
            every = {table: connection.execute(table.select()).mappings().all() for table in tables}
        self.blank = {table: [dict(row) for row in rows] for table, rows in every.items() if rows}

    def empty_tables(self) -> None:
        """Delete from every table, and put back what was there."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(self.sweep)
            for table, rows in self.blank.items():
                connection.execute(table.insert(), rows)
                postgres.continue_after(connection, table, rows)


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    """The application, its context, and an empty database with the shipped products."""
    with database.app.app_context():
        kept.get("company")  # read now, so that no test counts it
        yield database.app
        db.session.remove()
        db.engine.dispose()
    database.empty()


@pytest.fixture
def world(app: Flask) -> Any:
    """Two of everything: a World of tests/world.py."""
    from tests import world

    return world.put_up()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without script. Each has cookies of its own: make more with `app.test_client()`."""
    return app.test_client()

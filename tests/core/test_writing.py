"""The one way to write: nothing lost, nothing locked, no gaps, and what is written once stays."""

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from insurance.core import numbering
from insurance.core.db import APPEND_ONLY, Base, db, transaction
from insurance.core.numbering import Number
from insurance.web import guard
from tests import factories

ROOT = Path(__file__).parents[2]
PROCESSES, TIMES = 8, 40

WRITER = """
import os, sys
from pathlib import Path
from tests.conftest import settings
from insurance import create_app
from insurance.core import numbering
from insurance.core.db import transaction

url, folder, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
with create_app(settings(url, folder)).app_context():
    for time in range(times):
        try:
            with transaction():
                numbering.take("RACE")
                if time % 5 == 4:
                    raise KeyError
        except KeyError:
            pass
"""


def test_processes_that_write_at_once_lose_nothing_and_leave_no_gap_when_some_roll_back(app: Flask) -> None:
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    command = [sys.executable, "-c", WRITER, str(url), str(app.config["DATA_DIR"]), str(TIMES)]
    writers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    db.session.rollback()
    assert db.session.get_one(Number, ("RACE", 2026)).last == PROCESSES * TIMES * 4 // 5


def test_a_number_that_was_rolled_back_is_given_out_again(app: Flask) -> None:
    given = []

    def take_and_fail() -> None:
        with transaction():
            given.append(numbering.take("TEST"))
            raise KeyError

    with pytest.raises(KeyError):
        take_and_fail()
    with transaction():
        assert [numbering.take("TEST")] == given


def test_reading_cannot_write(app: Flask) -> None:
    with pytest.raises((OperationalError, InternalError)):
        db.session.execute(text("UPDATE users SET name = 'x'"))
    db.session.rollback()


@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_what_is_written_once_cannot_be_changed_or_deleted(app: Flask, table: str) -> None:
    policy = factories.bound_policy()
    assert policy.id
    column = inspect(db.engine).get_columns(table)[0]["name"]
    has_rows = db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar()
    db.session.rollback()
    if not has_rows and db.engine.dialect.name == "sqlite":  # its triggers speak for each row: ask that they are there
        count = text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
        assert db.session.scalar(count, {"table": table}) == 2
        return
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises(DBAPIError, match="append-only"), transaction() as session:
            session.execute(text(statement))


def test_migrations_go_down_and_up_again(app: Flask) -> None:
    factories.bound_policy()
    db.session.remove()
    downgrade(revision="base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    upgrade()
    db.engine.dispose()
    assert set(Base.metadata.tables) <= set(inspect(db.engine).get_table_names())


def test_an_endpoint_that_says_nothing_of_access_stops_the_start() -> None:
    app = Flask("unmarked")
    app.add_url_rule("/secret", view_func=lambda: "", endpoint="secret")
    with pytest.raises(RuntimeError, match="secret"):
        guard.install(app)

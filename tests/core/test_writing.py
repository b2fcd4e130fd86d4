"""The one way to write: nothing lost, nothing locked, no gaps, and what is written once stays."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import MetaData, delete, inspect, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from insurance.accounts import services as accounts
from insurance.accounts.models import MailRequest
from insurance.core import numbering
from insurance.core.db import APPEND_ONLY, Base, db, transaction
from insurance.core.money import Money
from insurance.core.numbering import Number
from insurance.core.permissions import SYSTEM
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from insurance.web import guard
from tests import factories
from tests.faults.experiment import begun

ROOT = Path(__file__).parents[2]
PROCESSES, TIMES = 8, 20


def pay_and_sometimes_roll_back(account_id: int) -> None:
    """What each of the writing processes does."""
    ten = Money(10_00, "USD")
    for time in range(TIMES):
        with suppress(KeyError), transaction():
            payments.record(account_id=account_id, amount=ten, method=PaymentMethod.CASH, actor=SYSTEM)
            if time % 5 == 4:
                raise KeyError


@pytest.mark.fault
def test_processes_that_write_at_once_lose_nothing_and_leave_no_gap_when_some_roll_back(app: Flask) -> None:
    account_id = factories.bound_policy().account_id
    writers = [begun(app, partial(pay_and_sometimes_roll_back, account_id)) for _ in range(PROCESSES)]
    assert [os.waitpid(writer, 0)[1] for writer in writers] == [0] * PROCESSES
    db.session.rollback()
    made = PROCESSES * TIMES * 4 // 5
    assert db.session.query(Payment).count() == made
    assert db.session.get_one(Number, ("RCT", 2026)).last == made
    assert [result.violations for result in verify.run() if result.violations] == []


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


def _rows() -> dict[str, list[dict]]:
    """Every row of every table, by the columns that there are; not what is counted from others."""
    tables = MetaData()
    tables.reflect(db.engine)
    with db.engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(table.select().order_by(*table.primary_key))]
            for table in tables.sorted_tables
            if table.name not in ("alembic_version", "customer_words") and not table.name.endswith("_tallies")
        }


@pytest.mark.fault
def test_migrations_keep_what_is_there_each_step_down_and_up_again(app: Flask) -> None:
    policy = factories.bound_policy()
    paid = Money(500_00, "USD")
    payments.record(account_id=policy.account_id, amount=paid, method=PaymentMethod.CASH, actor=factories.SYSTEM_ACTOR)
    accounts.register(name="Maria", email="maria@example.com", password="four quiet green boats", browser="hers")
    with transaction():
        db.session.execute(delete(MailRequest))  # a count of the last hour, which a step down forgets
    db.session.remove()
    before = _rows()
    revisions = [script.revision for script in ScriptDirectory(str(ROOT / "migrations")).walk_revisions()]
    assert len(revisions) > 1
    for revision in revisions[1:]:
        downgrade(revision=revision)
        for table, rows in _rows().items():
            kept = [{column: row[column] for column in old} for row, old in zip(before[table], rows, strict=True)]
            assert rows == kept, table
    upgrade()
    db.engine.dispose()
    after = _rows()
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    assert [result.violations for result in verify.run() if result.violations] == []  # triggers are there again too


@pytest.mark.fault
def test_migrations_go_all_the_way_down_and_up_again(app: Flask) -> None:
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

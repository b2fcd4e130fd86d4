"""How connections to PostgreSQL are held and what each transaction sets, so that a pooler may stand between."""

import time

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import config
from insurance.core.db import REQUEST_LIMITS, db, transaction
from tests.races import together


def limits() -> list[str]:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_read_only")
    return [db.session.scalar(text(f"SHOW {name}")) for name in names]


@pytest.mark.postgresql_only
def test_requests_give_up_after_a_while_and_writers_may_not_idle_while_commands_may_read_on(app: Flask) -> None:
    assert limits() == ["0", "0", "0", "on"]
    with transaction():
        assert limits() == ["0", "0", "1min", "off"]
    db.session.rollback()
    with app.test_request_context():
        assert limits() == ["30s", "10s", "1min", "on"]
        db.session.rollback()
        with transaction():
            assert limits() == ["30s", "10s", "1min", "off"]


@pytest.mark.postgresql_only
def test_nothing_is_left_on_a_connection_for_whoever_gets_it_next(app: Flask) -> None:
    with app.test_request_context():
        for _ in range(12):
            limits()
            db.session.rollback()
    connection = db.engine.raw_connection()  # as it is without any transaction of ours
    for asked, answer in (
        ("SHOW statement_timeout", "0"),
        ("SHOW lock_timeout", "0"),
        ("SELECT count(*) FROM pg_prepared_statements", 0),
    ):
        assert connection.driver_connection.execute(asked).fetchone() == (answer,)
    connection.close()


@pytest.mark.postgresql_only
def test_whoever_waits_too_long_for_a_lock_is_told_and_the_other_goes_on(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REQUEST_LIMITS, "lock_timeout", "0.1")

    def rename(seconds: float) -> str:
        with app.test_request_context():
            try:
                with transaction() as session:
                    session.execute(text("UPDATE products SET name = 'x'"))
                    time.sleep(seconds)
            except DBAPIError as error:
                return error.orig.sqlstate
        return "done"

    assert sorted(together(app, [lambda: rename(0.5)] * 2)) == ["55P03", "done"]


@pytest.mark.postgresql_only
def test_a_writer_that_falls_silent_loses_its_locks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insurance.core.db.IDLE_SECONDS", 0.2)
    silent = db.engine.execution_options(writes=True).connect()
    silent.execute(text("UPDATE products SET name = 'silent'"))
    with transaction() as session:  # waits until the database has given the silent one up
        assert session.execute(text("UPDATE products SET name = 'next'")).rowcount
    with pytest.raises(DBAPIError):
        silent.execute(text("SELECT 1"))
    silent.invalidate()
    silent.close()


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"JOBS_ENGINE": "procrastinate"}, "needs PostgreSQL"),
        ({"JOBS_ENGINE": "celery", "DATABASE_URL": "postgresql://db.example.com/x"}, "embedded or procrastinate"),
    ],
)
def test_engines_that_cannot_be_are_refused(tmp_path, monkeypatch, given: dict[str, str], refused: str) -> None:
    for name in config.NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DATA_DIR": str(tmp_path), **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(config.UnsafeConfigurationError, match=refused):
        config.read(env_file=None)


def test_a_process_holds_as_many_connections_as_it_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example.com/x")
    monkeypatch.setenv("DATABASE_POOL", "3")
    options = config.read(env_file=None)["SQLALCHEMY_ENGINE_OPTIONS"]
    assert (options["pool_size"], options["max_overflow"], options["pool_pre_ping"]) == (3, 0, True)

"""The audit trail: each entry is sealed with the one before it, and nothing can be changed or missing unnoticed."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select, text

from insurance.core import audit
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.core.permissions import Role
from insurance.customers import services as customers
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from tests import factories
from tests.races import together

WRITERS = 8


def tamper(app: Flask, *statements: str) -> None:
    """Change entries as somebody does who has the database itself: with the triggers asleep."""
    engine = create_engine(app.config["SQLALCHEMY_DATABASE_URI"], execution_options={"writes": True})
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            kept = []
        else:
            found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entries'"
            kept = connection.execute(text(found)).all()
        for name, _ in kept:
            connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement))
        for _, written in kept:
            connection.execute(text(written))
    engine.dispose()
    db.session.rollback()


@pytest.fixture
def ids(app: Flask) -> list[int]:
    """The ids of some entries."""
    factories.bound_policy()
    return list(db.session.scalars(select(AuditEntry.id).order_by(AuditEntry.id)))


def first_break() -> str | None:
    return next(audit.breaks(), None)


def test_entries_follow_on_each_other_and_the_head_has_the_last(app: Flask, ids: list[int]) -> None:
    entries = list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert len(entries) > 2
    assert [entry.previous_hash for entry in entries] == [audit.FIRST, *(entry.hash for entry in entries[:-1])]
    assert (audit.head().count, audit.head().hash) == (len(entries), entries[-1].hash)
    assert all(audit.is_sealed(entry) for entry in entries)
    assert first_break() is None


@pytest.mark.parametrize(
    "change",
    ["label = 'x'", "actor_name = 'x'", "before = '{}', after = '{\"amount\": 1}'", "subject_id = subject_id + 1"],
)
def test_an_entry_that_was_changed_is_named(app: Flask, ids: list[int], change: str) -> None:
    tamper(app, f"UPDATE audit_entries SET {change} WHERE id = {ids[1]}")
    assert first_break() == f"entry {ids[1]} was changed"
    assert not audit.is_sealed(db.session.get_one(AuditEntry, ids[1]))


def test_a_missing_entry_is_noticed_at_the_one_after_it(app: Flask, ids: list[int]) -> None:
    tamper(app, f"DELETE FROM audit_entries WHERE id = {ids[1]}")
    assert first_break() == f"entry {ids[2]} does not follow on the one before it"


def test_missing_entries_at_the_end_are_noticed(app: Flask, ids: list[int]) -> None:
    tamper(app, f"DELETE FROM audit_entries WHERE id >= {ids[-2]}")
    assert first_break() == f"{len(ids)} entries were written, {len(ids) - 2} are there"
    tamper(app, "DELETE FROM audit_entries")
    assert first_break() == f"{len(ids)} entries were written, 0 are there"


def test_an_entry_that_was_slipped_in_is_noticed(app: Flask, ids: list[int]) -> None:
    columns = ", ".join(audit.SEALED)
    tamper(
        app,
        f"INSERT INTO audit_entries (id, previous_hash, hash, {columns}) "
        f"SELECT {ids[-1] + 1}, '{'f' * 64}', '{'e' * 64}', {columns} FROM audit_entries WHERE id = {ids[0]}",
    )
    assert first_break() == f"entry {ids[-1] + 1} does not follow on the one before it"


def test_what_is_rolled_back_leaves_no_entry(app: Flask, ids: list[int]) -> None:
    def begin_and_fail() -> None:
        with transaction():
            customers.create(name="Ana", email="ana@example.com", actor=factories.SYSTEM_ACTOR)
            raise KeyError

    with pytest.raises(KeyError):
        begin_and_fail()
    factories.customer()
    labels = list(db.session.scalars(select(AuditEntry.label)))
    assert not any("Ana" in label for label in labels)
    assert len(labels) == len(ids) + 1
    assert first_break() is None


def test_those_who_write_at_once_write_one_chain(app: Flask) -> None:
    accounts = [factories.bound_policy().account_id for _ in range(WRITERS)]
    before = audit.head().count
    amount = Money(5_00, "USD")

    def pay(account_id: int | None) -> Callable[[], object]:
        def pay_often() -> None:
            for _ in range(4):
                payments.record(
                    account_id=account_id, amount=amount, method=PaymentMethod.CASH, actor=factories.SYSTEM_ACTOR
                )

        return pay_often

    assert together(app, [pay(account_id) for account_id in accounts]) == [None] * WRITERS
    assert audit.head().count == before + 4 * WRITERS == db.session.scalar(select(func.count(AuditEntry.id)))
    assert first_break() is None


def test_the_command_says_how_long_the_chain_is_or_where_it_is_broken_first(app: Flask, ids: list[int]) -> None:
    run = app.test_cli_runner()
    whole = run.invoke(args=["audit", "verify"])
    assert (whole.exit_code, whole.output) == (0, f"{len(ids)} entries, whole; head {audit.head().hash}\n")
    tamper(app, f"UPDATE audit_entries SET label = 'x' WHERE id IN ({ids[0]}, {ids[1]})")
    broken = run.invoke(args=["audit", "verify"])
    assert (broken.exit_code, broken.output) == (1, f"Error: entry {ids[0]} was changed\n")


def test_the_page_of_an_entry_says_whether_it_is_sealed(app: Flask, ids: list[int]) -> None:
    admin = factories.browser(factories.user("admin"))
    assert "Sealed" in admin.get(f"/admin/audit/{ids[1]}").text
    tamper(app, f"UPDATE audit_entries SET label = 'x' WHERE id = {ids[1]}")
    assert "Changed since it was written" in admin.get(f"/admin/audit/{ids[1]}").text


def test_admins_check_the_chain_on_its_page(app: Flask) -> None:
    admin = factories.browser(factories.user(Role.ADMIN))
    assert 'action="/admin/audit/check"' in admin.get("/admin/audit").text
    assert "The chain is whole" in admin.post("/admin/audit/check", follow_redirects=True).text
    tamper(app, "UPDATE audit_head SET count = count + 1")
    assert "entries were written" in admin.post("/admin/audit/check", follow_redirects=True).text

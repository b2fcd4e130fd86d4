"""Upgrading a book in use: nothing is lost, and no migration stops the release before while people work."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from bench.upgrade import contents, lost
from insurance.core.db import db, transaction
from insurance.demo import portfolio
from insurance.operations import verify
from migrations import indexes
from migrations.released import RELEASED

MIGRATIONS = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
NOT_YET = "the release before still reads it: take it away one release later"
READS_ALL = "the whole table is read under a lock: add it NOT VALID and validate it in a step of its own"
DANGEROUS = {
    "drop_column": NOT_YET,
    "drop_table": NOT_YET,
    "rename_table": NOT_YET,
    "alter_column": "the table may be rewritten under a lock, or the release before refused: add a column instead",
    "create_foreign_key": READS_ALL,
    "create_check_constraint": READS_ALL,
    "create_unique_constraint": READS_ALL,
    "create_index": "nobody writes while it is built: use migrations.indexes.build",
}


def dangers(source: str) -> list[str]:
    """What a migration does in `upgrade` that stops people or the release before, unless it says `# safe: why`."""
    lines = source.splitlines()
    calls = [
        call
        for function in ast.parse(source).body
        if isinstance(function, ast.FunctionDef) and function.name != "downgrade"
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    ]
    new = {_first(call) for call in calls if call.func.attr == "create_table"}  # type: ignore[attr-defined]
    found = []
    for call in calls:
        said = _danger(call, new)
        if said and not any("# safe: " in line for line in lines[call.lineno - 1 : call.end_lineno]):
            found.append(f"line {call.lineno}: {said}")
    return found


def _danger(call: ast.Call, new: set[str]) -> str:
    name = call.func.attr  # type: ignore[attr-defined]
    words = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if new & set(words[:2]):
        return ""
    if name == "add_column" and _is_required(call):
        return "add_column: rows of the release before have no value for it: give it a server_default"
    if name == "execute" and words and words[0].lstrip().upper().startswith(("UPDATE", "DELETE", "ALTER", "DROP")):
        return "execute: many rows or the table are locked at once: go by chunks, each in a transaction"
    return f"{name}: {DANGEROUS[name]}" if name in DANGEROUS else ""


def _first(call: ast.Call) -> str:
    return str(call.args[0].value) if call.args and isinstance(call.args[0], ast.Constant) else ""


def _is_required(call: ast.Call) -> bool:
    given = {word.arg: word.value for part in ast.walk(call) if isinstance(part, ast.Call) for word in part.keywords}
    required = isinstance(given.get("nullable"), ast.Constant) and given["nullable"].value is False
    return required and "server_default" not in given


def since_release() -> Iterator[str]:
    """The files of the migrations that the next release brings."""
    for script in MIGRATIONS.iterate_revisions("heads", RELEASED):
        yield script.path  # type: ignore[attr-defined]


def test_no_migration_since_the_last_release_stops_people_or_the_release_before() -> None:
    found = {Path(path).name: dangers(Path(path).read_text()) for path in since_release()}
    assert found, "there is nothing to look at: is migrations/released.py ahead?"
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("statement", "danger"),
    [
        ('op.drop_column("claims", "notes")', "drop_column"),
        ('op.drop_column("claims", "notes")  # safe: nothing reads it since 1.4', ""),
        ('op.add_column("claims", sa.Column("x", sa.Integer(), nullable=False))', "add_column"),
        ('op.add_column("claims", sa.Column("x", sa.Integer(), nullable=False, server_default="0"))', ""),
        ('op.add_column("claims", sa.Column("x", sa.Integer(), nullable=True))', ""),
        ('op.create_index("ix", "claims", ["x"])', "create_index"),
        ('indexes.build("ix", "claims", ["x"])', ""),
        ('op.create_table("new", sa.Column("x"))\n    op.create_index("ix", "new", ["x"])', ""),
        ('op.alter_column("claims", "x", nullable=False)', "alter_column"),
        ('with op.batch_alter_table("claims") as batch:\n        batch.drop_column("x")', "drop_column"),
        ('op.create_check_constraint("ck", "claims", "x > 0")', "create_check_constraint"),
        ('op.execute("UPDATE claims SET x = 1")', "execute"),
        ('op.execute(f"ALTER TABLE {name} ADD x int")', "execute"),
        ('op.rename_table("claims", "losses")', "rename_table"),
    ],
)
def test_what_counts_as_dangerous(statement: str, danger: str) -> None:
    down = 'def downgrade():\n    op.drop_table("claims")\n'
    found = dangers(f"def upgrade():\n    {statement}\n\n\n{down}")
    assert [line.split(": ")[1] for line in found] == ([danger] if danger else [])


@pytest.mark.thorough
def test_an_upgrade_from_the_last_release_keeps_every_row_of_a_book(app: Flask, monkeypatch) -> None:
    monkeypatch.setattr(portfolio, "MADE_BY_SERVICES", 20)  # the rest are copies, which come faster
    app.config["DEMO_PASSWORD"] = "four quiet green boats"
    assert portfolio.load(policies=300, seed=1, if_empty=True)
    db.session.remove()
    db.engine.dispose()
    downgrade(revision=RELEASED)
    before = contents()
    assert before.rows["policies"][0] == 300
    upgrade()
    db.engine.dispose()
    assert list(lost(before)) == []
    assert [result.violations for result in verify.run() if result.violations] == []


def test_what_is_lost_is_seen(app: Flask) -> None:
    before = contents()
    with transaction() as session:
        session.execute(text("UPDATE products SET name = 'x'"))
    assert [said.split(":")[0] for said in lost(before)] == ["products"]


def test_an_index_is_built_and_dropped_while_people_work(app: Flask) -> None:
    engine = db.engine.execution_options(writes=True)
    for act, there in ((indexes.build, True), (indexes.drop, False)):
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
            with context.begin_transaction(), Operations.context(context):
                arguments = [["note", "id"]] if act is indexes.build else []
                act("ix_payments_try", "payments", *arguments)
        assert ("ix_payments_try" in {index["name"] for index in inspect(db.engine).get_indexes("payments")}) is there


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("version", "status"), [("9999", 200), (RELEASED, 503)])
def test_the_release_before_serves_on_beside_a_newer_database_and_a_newer_one_waits_for_it(
    app: Flask, client: FlaskClient, version: str, status: int
) -> None:
    with transaction() as session:
        head = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    try:
        assert client.get("/readyz").status_code == status
    finally:
        with transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})

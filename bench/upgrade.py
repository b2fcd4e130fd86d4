"""Upgrades a book of N policies from the last release's database, and shows that nothing was lost.

`make upgrade-test N=100000` does it on SQLite; with BENCH_POSTGRES_URL naming a server, in a database of its own there.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from flask_migrate import downgrade, upgrade
from sqlalchemy import MetaData, Table, inspect, select

import config
from bench.pages import place
from insurance import create_app
from insurance.core.db import db
from insurance.demo import portfolio
from insurance.operations import verify
from migrations.released import RELEASED

ROWS_AT_ONCE = 5000


@dataclass(frozen=True)
class Contents:
    """The tables of a database as they were reflected, and of each how many rows it had and what they came to."""

    tables: MetaData
    rows: dict[str, tuple[int, int]]


def contents(as_before: MetaData | None = None) -> Contents:
    """What the database holds; of the tables and columns that it had before, if these are given."""
    tables = as_before or MetaData()
    if as_before is None:
        tables.reflect(db.engine)
    return Contents(tables, {table.name: _sum(table) for table in tables.sorted_tables if _has_records(table)})


def _has_records(table: Table) -> bool:
    """The queue lives on while the site is upgraded; the rest is the business."""
    return table.name != "alembic_version" and not table.name.startswith("procrastinate_")


def _sum(table: Table) -> tuple[int, int]:
    """How many rows, and the sum of their hashes, so that their order does not matter."""
    found = inspect(db.engine)
    if not found.has_table(table.name):
        return 0, 0
    kept = {column["name"] for column in found.get_columns(table.name)}
    columns = [column for column in table.columns if column.name in kept]
    count = total = 0
    statement = select(*columns).execution_options(yield_per=ROWS_AT_ONCE)
    with db.engine.connect() as connection, connection.execute(statement) as rows:
        for row in rows:
            digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).digest()
            count, total = count + 1, (total + int.from_bytes(digest, "big")) % 2**64
    return count, total


def lost(before: Contents) -> Iterator[str]:
    """What of the contents is not there any more as it was, columns that are gone included."""
    after = contents(before.tables)
    found = inspect(db.engine)
    for name, rows in before.rows.items():
        kept = {column["name"] for column in found.get_columns(name)} if found.has_table(name) else set()
        if gone := {column.name for column in before.tables.tables[name].columns} - kept:
            yield f"{name}: without {', '.join(sorted(gone))}"
        elif after.rows[name] != rows:
            yield f"{name}: {rows[0]} rows before, {after.rows[name][0]} after, or not as they were"


def main() -> int:
    """Load, go back to the last release, upgrade, compare and verify; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=100_000)
    policies = parser.parse_args().policies
    with place() as (folder, url):
        os.environ |= {"DATA_DIR": str(folder), "DATABASE_URL": url, "FLASK_SKIP_DOTENV": "1"}
        app = create_app(config.read(env_file=None))
        with app.app_context():
            upgrade()
            portfolio.load(policies=policies, seed=1, if_empty=False)
            db.session.remove()
            downgrade(revision=RELEASED)
            before = contents()
            began = time.perf_counter()
            upgrade()
            took = time.perf_counter() - began
            faults = [*lost(before), *(said for result in verify.run() for said in result.violations)]
            db.engine.dispose()
    rows = sum(count for count, _ in before.rows.values())
    print(
        f"{policies:,} policies, {rows:,} rows of {len(before.rows)} tables: upgraded from {RELEASED} in {took:.1f} s"
    )
    print("\n".join(faults) or "every row is as it was, and every invariant holds")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Sums that dashboards need at once, kept by the database itself whenever a policy or an invoice changes.

On PostgreSQL once for each statement, so that set-based work stays fast; on SQLite for each row. On SQLite the triggers
are lost whenever batch mode re-creates the table: keep the tallies again then.
"""

from dataclasses import dataclass, replace

from alembic import op


@dataclass(frozen=True)
class Tally:
    """A tally of a table's rows: the tally's columns, and what a row counts for (key columns, count, amount)."""

    table: str
    name: str
    keys: str
    values: str
    row: str
    condition: str
    watched: str


POLICIES = Tally("policies", "policy_tallies", "status", "count", "{row}.status, 1", "1 = 1", "status")
OPEN_INVOICES = Tally(
    "invoices",
    "open_invoice_tallies",
    "due_on, currency",
    "count, open_minor",
    "{row}.due_on, {row}.currency, 1, {row}.total_minor - {row}.paid_minor",
    "{row}.status IN ('issued', 'part_paid')",
    "status, due_on, total_minor, paid_minor",
)
OPEN_LESS_CREDITS = replace(
    OPEN_INVOICES,
    row=f"{OPEN_INVOICES.row} - {{row}}.credited_minor",
    watched=f"{OPEN_INVOICES.watched}, credited_minor",
)
"""The same since invoices have credit notes (0008)."""


def keep(tally: Tally) -> None:
    """Add the triggers."""
    table = tally.table
    if op.get_bind().dialect.name == "sqlite":
        for event, parts in _EVENTS.items():
            of = f" OF {tally.watched}" if event == "UPDATE" else ""
            body = " ".join(f"{_upsert(tally, row, sign, '')};" for row, sign in parts)
            op.execute(f"CREATE TRIGGER {table}_tally_{event.lower()} AFTER {event}{of} ON {table} BEGIN {body} END")
        return
    for event, parts in _EVENTS.items():
        body = " ".join(f"{_upsert(tally, row, sign, f'{row}_rows')};" for row, sign in parts)
        name = f"{table}_tally_{event.lower()}"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        seen = " ".join(f"{row.upper()} TABLE AS {row}_rows" for row, _ in parts)
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {seen} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def leave(tally: Tally) -> None:
    """Take the triggers away."""
    table = tally.table
    for event in _EVENTS:
        name = f"{table}_tally_{event.lower()}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
        else:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")


def count_again(tally: Tally) -> None:
    """Fill a tally from the rows that there are."""
    row, condition = tally.row.format(row=tally.table), tally.condition.format(row=tally.table)
    sums = ", ".join(f"sum({column})" for column in tally.values.split(", "))
    names = f"{tally.keys}, {tally.values}"
    op.execute(
        f"INSERT INTO {tally.name} ({names}) SELECT {tally.keys}, {sums} FROM "
        f"(SELECT {_named(row, names)} FROM {tally.table} WHERE {condition}) AS counted GROUP BY {tally.keys}"
    )


_EVENTS = {"INSERT": [("new", 1)], "DELETE": [("old", -1)], "UPDATE": [("old", -1), ("new", 1)]}


def _named(row: str, names: str) -> str:
    return ", ".join(f"{value} AS {name}" for value, name in zip(row.split(", "), names.split(", "), strict=True))


def _upsert(tally: Tally, row: str, sign: int, source: str) -> str:
    """Add the rows of a trigger to the tally, or take them away."""
    counted, condition = (part.format(row=row if not source else "r") for part in (tally.row, tally.condition))
    names = f"{tally.keys}, {tally.values}"
    added = ", ".join(f"{sign} * sum({column})" for column in tally.values.split(", "))
    kept = ", ".join(f"{column} = {tally.name}.{column} + excluded.{column}" for column in tally.values.split(", "))
    rows = f"SELECT {_named(counted, names)}{f' FROM {source} AS r' if source else ''} WHERE {condition}"
    return (
        f"INSERT INTO {tally.name} ({names}) SELECT {tally.keys}, {added} FROM ({rows}) AS counted WHERE 1 = 1 "
        f"GROUP BY {tally.keys} ORDER BY {tally.keys} ON CONFLICT ({tally.keys}) DO UPDATE SET {kept}"
    )

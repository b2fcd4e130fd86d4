"""Sums that dashboards need at once, kept by the database itself whenever a policy or an invoice changes.

On PostgreSQL once for each statement, so that set-based work stays fast; on SQLite for each row. On SQLite the triggers
are lost whenever batch mode re-creates the table: keep the tallies again then.
"""

from alembic import op

# What a row of each table counts for: the tally's columns, and the rows as (key columns, count, amount) of an alias.
TALLIES = {
    "policies": ("policy_tallies", "status", "count", "{row}.status, 1", "1 = 1"),
    "invoices": (
        "open_invoice_tallies",
        "due_on, currency",
        "count, open_minor",
        "{row}.due_on, {row}.currency, 1, {row}.total_minor - {row}.paid_minor",
        "{row}.status IN ('issued', 'part_paid')",
    ),
}
WATCHED = {"policies": "status", "invoices": "status, due_on, total_minor, paid_minor"}


def keep(table: str) -> None:
    """Add the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for event, parts in _EVENTS.items():
            of = f" OF {WATCHED[table]}" if event == "UPDATE" else ""
            body = " ".join(f"{_upsert(table, row, sign, '')};" for row, sign in parts)
            op.execute(f"CREATE TRIGGER {table}_tally_{event.lower()} AFTER {event}{of} ON {table} BEGIN {body} END")
        return
    for event, parts in _EVENTS.items():
        body = " ".join(f"{_upsert(table, row, sign, f'{row}_rows')};" for row, sign in parts)
        name = f"{table}_tally_{event.lower()}"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        seen = " ".join(f"{row.upper()} TABLE AS {row}_rows" for row, _ in parts)
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {seen} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def leave(table: str) -> None:
    """Take the triggers away."""
    for event in _EVENTS:
        name = f"{table}_tally_{event.lower()}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
        else:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")


def count_again(table: str) -> None:
    """Fill a tally from the rows that there are."""
    tally, keys, values, row, condition = (part.format(row=table) for part in TALLIES[table])
    sums = ", ".join(f"sum({column})" for column in values.split(", "))
    names = f"{keys}, {values}"
    op.execute(
        f"INSERT INTO {tally} ({names}) SELECT {keys}, {sums} FROM "
        f"(SELECT {_named(row, names)} FROM {table} WHERE {condition}) AS counted GROUP BY {keys}"
    )


_EVENTS = {"INSERT": [("new", 1)], "DELETE": [("old", -1)], "UPDATE": [("old", -1), ("new", 1)]}


def _named(row: str, names: str) -> str:
    return ", ".join(f"{value} AS {name}" for value, name in zip(row.split(", "), names.split(", "), strict=True))


def _upsert(table: str, row: str, sign: int, source: str) -> str:
    """Add the rows of a trigger to the tally, or take them away."""
    tally, keys, values, _, _ = TALLIES[table]
    counted, condition = (part.format(row=row if not source else "r") for part in TALLIES[table][3:])
    names = f"{keys}, {values}"
    added = ", ".join(f"{sign} * sum({column})" for column in values.split(", "))
    kept = ", ".join(f"{column} = {tally}.{column} + excluded.{column}" for column in values.split(", "))
    rows = f"SELECT {_named(counted, names)}{f' FROM {source} AS r' if source else ''} WHERE {condition}"
    return (
        f"INSERT INTO {tally} ({names}) SELECT {keys}, {added} FROM ({rows}) AS counted WHERE 1 = 1 GROUP BY {keys} "
        f"ORDER BY {keys} ON CONFLICT ({keys}) DO UPDATE SET {kept}"
    )

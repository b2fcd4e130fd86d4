"""No transfer is posted into a closed month: the database itself refuses it.

On SQLite the trigger is lost whenever batch mode re-creates `transfers`: guard it again then.
"""

from alembic import op


def guard() -> None:
    """Add the trigger. On PostgreSQL its lock lets a month close only while no transaction is amid posting."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER transfers_closed_month BEFORE INSERT ON transfers "
            "WHEN EXISTS (SELECT 1 FROM closed_months WHERE ends_on >= NEW.posted_on) "
            "BEGIN SELECT RAISE(ABORT, 'the month is closed'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION transfers_closed_month() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "LOCK TABLE closed_months IN ROW SHARE MODE; "
        "IF EXISTS (SELECT 1 FROM posted WHERE posted_on <= (SELECT max(ends_on) FROM closed_months)) THEN "
        "RAISE EXCEPTION 'the month is closed' USING ERRCODE = 'restrict_violation'; END IF; "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER transfers_closed_month AFTER INSERT ON transfers REFERENCING NEW TABLE AS posted "
        "FOR EACH STATEMENT EXECUTE FUNCTION transfers_closed_month()"
    )


def leave() -> None:
    """Take the trigger away."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER transfers_closed_month")
    else:
        op.execute("DROP TRIGGER transfers_closed_month ON transfers")
        op.execute("DROP FUNCTION transfers_closed_month()")

"""What the database lets web and worker do: read and write rows, and nothing else. PostgreSQL alone knows rights."""

from sqlalchemy import text

from ..core.db import db, transactional
from ..core.errors import RuleBroken

GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
    # What a later migration makes, too.
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, USAGE ON SEQUENCES TO {role}",
)
"""The role owns no table, so it can neither change one nor take away the triggers that protect what is written once."""


@transactional
def grant(*, role: str) -> None:
    """Let a role of the database that exists do what web and worker do."""
    if db.engine.dialect.name != "postgresql":
        raise RuleBroken("SQLite has no roles: whoever reads the file may do all.")
    quoted = db.engine.dialect.identifier_preparer.quote(role)
    for statement in GRANTS:
        db.session.execute(text(statement.format(role=quoted)))


def owns_tables() -> bool:
    """Whether the role that we are may change the tables themselves."""
    return bool(
        db.session.scalar(text("SELECT pg_has_role(tableowner, 'USAGE') FROM pg_tables WHERE tablename = 'users'"))
    )

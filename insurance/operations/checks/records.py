"""Checks of the database and the records in it."""

from datetime import datetime, timedelta

from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import func, or_, select, text

from ...accounts.models import User
from ...core import clock, settings
from ...core.db import db
from ...core.outbox import Mail, MailStatus
from ...core.permissions import Role
from ...jobs import queries as jobs
from ...jobs.models import JobRun
from ...jobs.services import TRAIL_CHECK
from ...privacy.domain import REVIEW_DAYS
from ...privacy.queries import access
from ...products.models import ProductVersion, VersionStatus
from .. import backup, rights
from .. import keys as sealed_rows
from . import Checks, Settings

CHECKS = Checks()
SKEW = timedelta(seconds=5)
DAILY = timedelta(hours=26)
MONTHLY = timedelta(days=31)
SILENT = timedelta(minutes=15)
STUCK = timedelta(hours=1)
BACKUP = "backup check"
"""What is noted when `audit verify` and `backup verify` found all as it should be."""


@CHECKS.failure()
def migrations(_settings: Settings) -> str:
    """The database has all migrations."""
    head = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    at = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    return "" if at == head else "Run: flask --app wsgi db upgrade"


@CHECKS.failure()
def clocks(_settings: Settings) -> str:
    """This machine and the database agree on the time."""
    if db.engine.dialect.name == "sqlite":
        return ""
    there = db.session.scalars(select(func.clock_timestamp())).one()
    apart = abs(clock.now() - there)
    return f"The clocks are {apart.total_seconds():.0f} s apart. Let both machines use NTP." if apart > SKEW else ""


@CHECKS.warning
def database_rights(_settings: Settings) -> str:
    """Web and worker can change rows, but not the tables and what protects them."""
    if db.engine.dialect.name == "sqlite" or not rights.owns_tables():
        return ""
    return "Give web and worker a role of their own: flask --app wsgi rights grant ROLE, then its name in DATABASE_URL."


@CHECKS.failure()
def administrator(_settings: Settings) -> str:
    """Somebody can administer."""
    able = select(User.id).where(User.role == Role.ADMIN, User.active, User.password_hash.is_not(None)).limit(1)
    if db.session.scalar(able):
        return ""
    return "Run: flask --app wsgi users create --role admin --email …, and open the link that it prints."


@CHECKS.failure()
def demo_users(_settings: Settings) -> str:
    """There is no user of the demo, and none with an address that nobody has."""
    reserved = or_(*(User.email.endswith(f"@example.{end}") for end in ("com", "org", "net")))
    count = db.session.scalar(select(func.count()).where(reserved, User.active))
    return (
        f"{count} active users have addresses at example.com or the like. Begin with an empty database."
        if count
        else ""
    )


@CHECKS.failure()
def products(_settings: Settings) -> str:
    """There is something to sell."""
    published = select(ProductVersion.id).where(ProductVersion.status == VersionStatus.PUBLISHED).limit(1)
    return "" if db.session.scalar(published) else "Run: flask --app wsgi products load"


@CHECKS.warning
def company(_settings: Settings) -> str:
    """Pages, mails and documents carry your name."""
    named = settings.company()["name"]
    return "Set COMPANY_NAME, COMPANY_PHONE and COMPANY_ADDRESS." if named == "Harbor Mutual" else ""


@CHECKS.failure()
def worker(_settings: Settings) -> str:
    """A worker lives."""
    return _too_old(jobs.last_beat(), SILENT, "Start the worker: flask --app wsgi jobs worker")


@CHECKS.failure()
def nightly(_settings: Settings) -> str:
    """The nightly run comes to its end."""
    return _too_old(_done("nightly"), DAILY, "Run: flask --app wsgi jobs nightly, and see why the worker does not.")


@CHECKS.failure()
def outbox(_settings: Settings) -> str:
    """Mails leave."""
    now = clock.now()
    stuck = select(func.count()).where(Mail.status == MailStatus.DUE, Mail.due_at < now - STUCK)
    count = db.session.scalar(stuck)
    return (
        f"{count} mails have been due for more than an hour. See the outbox, and whether a worker runs."
        if count
        else ""
    )


@CHECKS.failure()
def backup_recent(_settings: Settings) -> str:
    """There is a backup of the last day."""
    last = max((archive.made_at for archive in backup.archives()), default=None)
    return _too_old(last, DAILY, "Run: flask --app wsgi backup create")


@CHECKS.failure()
def backup_verified(_settings: Settings) -> str:
    """A backup was proven by restoring it within a month."""
    return _too_old(_done(BACKUP), MONTHLY, "Run: flask --app wsgi backup verify")


@CHECKS.failure()
def audit_verified(_settings: Settings) -> str:
    """The audit chain was found whole within a month."""
    return _too_old(_done(TRAIL_CHECK), MONTHLY, "Run: flask --app wsgi audit verify")


@CHECKS.warning
def access_reviewed(_settings: Settings) -> str:
    """Somebody went through who has access within three months."""
    return _too_old(access.last_review(), timedelta(days=REVIEW_DAYS), "Go through /admin/privacy/access and note it.")


@CHECKS.failure()
def keys(_settings: Settings) -> str:
    """What is sealed can be opened: no row hangs on a key that is not in ENCRYPTION_KEYS."""
    said = [f"{count} rows hang on the key {key_id!r}" for key_id, count in sealed_rows.missing().items()]
    return f"{', '.join(said)}: put it back into ENCRYPTION_KEYS." if said else ""


def _done(job: str) -> datetime | None:
    return db.session.scalar(select(func.max(JobRun.finished_at)).where(JobRun.name == job))


def _too_old(instant: datetime | None, limit: timedelta, advice: str) -> str:
    return "" if instant and clock.now() - instant <= limit else advice

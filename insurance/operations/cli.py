"""The commands of `flask --app wsgi …`."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import DBAPIError

from ..accounts import queries as account_queries
from ..accounts import services as accounts
from ..accounts import two_step
from ..billing.domain import DISBURSEMENT_LIFECYCLE, INVOICE_LIFECYCLE
from ..books import export as books
from ..claims.domain import CLAIM_LIFECYCLE
from ..core import clock, encryption
from ..core.dates import parse_date
from ..core.errors import Refusal
from ..core.lifecycle import Lifecycle
from ..core.money import Money
from ..core.permissions import SYSTEM, Role
from ..demo import portfolio
from ..feedback.domain import FEEDBACK_LIFECYCLE
from ..jobs import services as jobs
from ..jobs import worker
from ..messages import services as messages
from ..payments.domain import PAYMENT_LIFECYCLE, SUSPENSE_LIFECYCLE
from ..policies.domain import POLICY_LIFECYCLE
from ..privacy.domain import ERASURE_LIFECYCLE, RULES
from ..privacy.queries import access, retention
from ..privacy.queries import erasure as erasure_queries
from ..privacy.services import erasure, export
from ..products import queries as product_queries
from ..products import services as products
from ..products.domain import rate
from . import backup, cases, checks, keys, rights, verify
from .checks import machine, records
from .checks import settings as of_settings

LIFECYCLES: list[Lifecycle] = [
    POLICY_LIFECYCLE, INVOICE_LIFECYCLE, PAYMENT_LIFECYCLE, SUSPENSE_LIFECYCLE, CLAIM_LIFECYCLE,
    DISBURSEMENT_LIFECYCLE, FEEDBACK_LIFECYCLE, ERASURE_LIFECYCLE,
]  # fmt: skip
DEFAULT_AUTHORITY = {Role.ADMIN: "50000.00", Role.AGENT: "5000.00", Role.CUSTOMER: "0.00"}


class Day(click.ParamType):
    """A day in ISO form."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read it, or say what is wrong."""
        if isinstance(value, date):
            return value
        try:
            return parse_date(str(value))
        except Refusal as error:
            self.fail(error.message, param, ctx)


def register(app: Flask) -> None:
    """Add the commands to the application."""
    for group in (
        products_group,
        users_group,
        jobs_group,
        outbox_group,
        demo_group,
        docs_group,
        audit_group,
        export_group,
        backup_group,
        privacy_group,
        access_group,
        keys_group,
        rights_group,
    ):
        app.cli.add_command(group)
    for command in (verify_command, check_command, cases_command, rate_command):
        app.cli.add_command(command)


products_group = AppGroup("products", help="Products.")


@products_group.command("load")
def load_products() -> None:
    """Publish the products that ship."""
    published = products.publish_shipped()
    click.echo("\n".join(f"published {name}" for name in published) or "every product is published")


users_group = AppGroup("users", help="Users.")


@users_group.command("create")
@click.option("--email", required=True)
@click.option("--role", type=click.Choice([role.value for role in Role if role is not Role.SYSTEM]), required=True)
@click.option("--name", default="")
def create_user(email: str, role: str, name: str) -> None:
    """Make a user and print the one-time link with which they set their password."""
    currency = current_app.config["CURRENCY"]
    limit = Money.parse(DEFAULT_AUTHORITY[Role(role)].split(".")[0], currency)
    try:
        url = accounts.create_user(
            email=email, name=name or email.partition("@")[0], role=Role(role), authority_minor=limit.minor
        )
    except Refusal as error:
        raise click.ClickException(error.message) from error
    click.echo(url)


@users_group.command("reset-two-step")
@click.option("--email", required=True)
def reset_two_step(email: str) -> None:
    """Take away somebody's second step, for the day when no other administrator can."""
    user = account_queries.find_user(email)
    if user is None:
        raise click.ClickException("Nobody has this address.")
    try:
        two_step.reset(user_id=user.id, actor=SYSTEM)
    except Refusal as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{user.email} signs in by password alone now, and is signed out everywhere")


jobs_group = AppGroup("jobs", help="What runs by itself.")


@jobs_group.command("nightly")
@click.option("--on", type=Day(), default=None, help="The day to act on; today if left out.")
def nightly(on: date | None) -> None:
    """Bring every record to a day: statuses, quotes, invoices."""
    day = on or clock.today()
    with clock.at(day):
        jobs.run_nightly(day, click.echo)


@jobs_group.command("worker")
def run_worker() -> None:
    """Deliver mails and run what is due, until stopped."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if app.config["JOBS_ENGINE"] == "procrastinate":
        from ..jobs import queue  # here, so that web processes need not load it

        queue.work(app, _back_up)
    else:
        worker.work(app, _back_up)


def _back_up() -> str | None:
    """The night's backup; none where there is no folder for it."""
    if not current_app.config["BACKUP_DIR"]:
        return None
    made = backup.create()
    return f"{made.path.name}, {made.size:,} bytes; {len(backup.prune())} older ones deleted"


outbox_group = AppGroup("outbox", help="Mails.")


@outbox_group.command("send")
def send_outbox() -> None:
    """Deliver what is due now, and end."""
    sent = 0
    while batch := messages.deliver_due():
        sent += batch
    click.echo(f"{sent} mails handled")


demo_group = AppGroup("demo", help="A believable portfolio.")


@demo_group.command("load")
@click.option("--policies", type=click.IntRange(10, 1_000_000), default=60, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--if-empty", is_flag=True, help="Only into a database without users.")
def load_demo(policies: int, seed: int, if_empty: bool) -> None:
    """Load customers, policies of every status, invoices, payments and claims, and print the sign-ins."""
    if current_app.config["APP_ENV"] == "production":
        raise click.ClickException("Demo data has no place in production.")
    try:
        loaded = portfolio.load(policies=policies, seed=seed, if_empty=if_empty)
    except Refusal as error:
        raise click.ClickException(error.message) from error
    if not loaded:
        click.echo("the database has users already: nothing loaded")
    click.echo(portfolio.sign_ins())


docs_group = AppGroup("docs", help="Generated documentation.")


@docs_group.command("lifecycles")
def lifecycles() -> None:
    """Print docs/lifecycles.md."""
    click.echo("# Lifecycles\n\nGenerated by `make docs` from the tables that the system itself goes by.")
    for lifecycle in LIFECYCLES:
        click.echo(f"\n## {lifecycle.name.capitalize()}\n\n{lifecycle.markdown()}")


audit_group = AppGroup("audit", help="The audit trail.")


@audit_group.command("verify")
def verify_audit() -> None:
    """Check the chain of audit entries; where it is broken, say where first, and exit 1.

    Kept elsewhere, the head that it prints shows later that nobody wrote the chain anew.
    """
    with _refusals():
        end = jobs.check_trail()
    click.echo(f"{end.count} entries, whole; head {end.hash}")


export_group = AppGroup("export", help="Files for other programs.")


@export_group.command("ledger")
@click.option("--format", "format_", type=click.Choice([format_.value for format_ in books.Format]), required=True)
@click.option("--as-of", type=Day(), default=None, help="The last day of the books in the file; today if left out.")
def export_ledger(format_: str, as_of: date | None) -> None:
    """Print the ledger, for Beancount or as CSV."""
    for part in books.export(books.Format(format_), as_of or clock.today()):
        click.echo(part, nl=False)


backup_group = AppGroup("backup", help="Backups of database and files.")
archive_argument = click.argument("archive", required=False)


@backup_group.command("create")
def create_backup() -> None:
    """Back up into BACKUP_DIR while people work, sealed if BACKUP_PASSPHRASE is set."""
    with _refusals():
        made = backup.create()
    click.echo(f"{made.path}, {made.size:,} bytes")


@backup_group.command("list")
def list_backups() -> None:
    """Print the backups in BACKUP_DIR, oldest first."""
    for archive in backup.archives():
        click.echo(f"{archive.path.name}\t{archive.made_at:%Y-%m-%d %H:%M} UTC\t{archive.size:,} bytes")


@backup_group.command("verify")
@archive_argument
def verify_backup(archive: str | None) -> None:
    """Restore a backup, the latest if none is named, to a scratch place and check every invariant there."""
    begun_at = clock.now()
    with _refusals():
        path = backup.find(archive)
        wrong = backup.verify(path)
    if wrong:
        raise click.ClickException("\n".join([f"{path.name} is not as it should be:", *wrong]))
    with suppress(DBAPIError):  # where there is no database to note it in, the backup is whole all the same
        jobs.note(records.BACKUP, begun_at, f"{path.name}: whole")
    click.echo(f"{path.name}: whole, and every invariant holds")


@backup_group.command("restore")
@archive_argument
@click.option("--replace", is_flag=True, help="Put it in the place of the records and files that there are.")
def restore_backup(archive: str | None, replace: bool) -> None:
    """Restore a backup, the latest if none is named. Stop web and worker before."""
    with _refusals():
        path = backup.find(archive)
        manifest = backup.restore(path, replace=replace)
    click.echo(f"{path.name} restored: {sum(manifest.counts.values()):,} rows. Now run: flask --app wsgi db upgrade")


@backup_group.command("prune")
@click.option("--keep-days", type=click.IntRange(1), default=backup.KEEP_DAYS, show_default=True)
def prune_backups(keep_days: int) -> None:
    """Delete older backups; the latest stays in any case."""
    with _refusals():
        gone = backup.prune(keep_days)
    click.echo("\n".join(f"deleted {path.name}" for path in gone) or "nothing to delete")


privacy_group = AppGroup("privacy", help="What a person may ask for.")


@privacy_group.command("export")
@click.argument("number")
def export_person(number: str) -> None:
    """Print everything that is held about a customer, as JSON."""
    with _refusals():
        customer_id = erasure_queries.find_by_number(number).id
        copy = export.export_person(customer_id=customer_id, actor=SYSTEM)
    click.echo(json.dumps(copy, indent=2, ensure_ascii=False))


@privacy_group.command("erase")
@click.argument("number")
@click.option("--by", "email", required=True, help="The administrator who approves it.")
def erase_person(number: str, email: str) -> None:
    """Erase a customer, in the name of an administrator; the request is theirs who made it, or the system's."""
    with _refusals():
        erasure.erase_by_command(number=number, email=email, actor=SYSTEM)
    click.echo(f"{number.upper()} is erased")


@privacy_group.command("due")
def retention_due() -> None:
    """Print how much the night would clear away, by the rules of docs/privacy.md."""
    for rule, count in retention.counts(clock.today()).items():
        click.echo(f"{count}\t{RULES[rule].what}")


access_group = AppGroup("access", help="Who has access.")


@access_group.command("review")
@click.option("--json", "as_json", is_flag=True)
def review_access(as_json: bool) -> None:
    """Print who of the staff has access to what, and what is odd about it."""
    today = clock.today()
    staff = [(one, one.flags(today)) for one in access.staff()]
    if as_json:
        click.echo(json.dumps([asdict(one) | {"flags": flags} for one, flags in staff], indent=2, default=str))
    for one, flags in () if as_json else staff:
        click.echo(f"{one.email}\t{one.role}\t{', '.join(flags) or 'nothing odd'}")


keys_group = AppGroup("keys", help="What is sealed with the keys of ENCRYPTION_KEYS.")


@keys_group.command("list")
def list_keys() -> None:
    """Print by key how many rows hang on it, the newest first; exit 1 if one is missing."""
    found = keys.counts()
    for key_id, kinds in found.items():
        where = "" if key_id in encryption.ring() else ", which is not in ENCRYPTION_KEYS"
        hanging = ", ".join(f"{count} {what}" for what, count in kinds.items() if count)
        click.echo(f"{key_id}{where}: {hanging or 'nothing'}")
    sys.exit(any(key_id not in encryption.ring() for key_id in found))


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Seal anew, under the first key, what hangs on older ones. People may work on; broken off, run it again."""
    try:
        done = keys.rotate()
    except encryption.Unreadable as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(f"{count} {what} sealed anew" for what, count in done.items()) or "nothing to seal anew")
    newest, *_ = encryption.ring()
    left = sum(kinds["recovery codes"] for key_id, kinds in keys.counts().items() if key_id != newest)
    if left:
        click.echo(f"{left} recovery codes hang on older keys: without these they are good no longer, until made anew")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say a refusal in its words, and exit 1."""
    try:
        yield
    except Refusal as error:
        raise click.ClickException(error.message) from error


@click.command("verify")
@click.option("--json", "as_json", is_flag=True)
@with_appcontext
def verify_command(as_json: bool) -> None:
    """Check every invariant; exit 1 if one is violated."""
    results = verify.run()
    if as_json:
        click.echo(
            json.dumps([{"invariant": result.name, "violations": result.violations} for result in results], indent=2)
        )
    else:
        for result in results:
            click.echo(f"{'ok  ' if not result.violations else 'FAIL'} {result.name}")
            for violation in result.violations:
                click.echo(f"     {violation}")
    sys.exit(1 if any(result.violations for result in results) else 0)


@click.command("check")
@click.option("--deploy", is_flag=True, required=True, help="Whether this installation is fit for strangers' money.")
@click.option("--json", "as_json", is_flag=True)
@with_appcontext
def check_command(deploy: bool, as_json: bool) -> None:  # noqa: ARG001 (the one kind of check that there is)
    """Check configuration, machine and records for production; exit 1 if a check fails."""
    found = checks.run([*of_settings.CHECKS, *machine.CHECKS, *records.CHECKS], current_app.config)
    if as_json:
        rows = [
            {"check": one.check.name, "looks_at": one.check.looks_at, "state": one.state, "advice": one.advice}
            for one in found
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for one in found:
            click.echo(f"{one.state:7} {one.check.name}: {one.check.looks_at}")
            if one.advice:
                click.echo(f"        {one.advice}")
        counts = Counter(one.state for one in found)
        click.echo(", ".join(f"{counts[state]} {state}" for state in checks.State))
    sys.exit(any(one.state is checks.State.FAILED for one in found))


rights_group = AppGroup("rights", help="What roles of the database may do.")


@rights_group.command("grant")
@click.argument("role")
def rights_grant(role: str) -> None:
    """Let a role read and write rows, as web and worker do; run by the owner of the tables."""
    try:
        rights.grant(role=role)
    except (Refusal, DBAPIError) as error:
        raise click.ClickException(str(getattr(error, "orig", error))) from error
    click.echo(f"{role} may read and write rows.")


@click.command("cases")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_appcontext
def cases_command(file: Path) -> None:
    """Compute the numeric cases of a file with the system's own rules and compare."""
    try:
        report = cases.run(cases.read(file.read_text(encoding="utf-8")))
    except (Refusal, ValueError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}") from error
    click.echo(report.text())
    sys.exit(1 if report.failed else 0)


@click.command("rate")
@click.argument("product")
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--on", type=Day(), default=None, help="The first day of cover; today if left out.")
@with_appcontext
def rate_command(product: str, answers: Path, on: date | None) -> None:
    """Print premium and worksheet as JSON."""
    day = on or clock.today()
    try:
        given = json.loads(answers.read_text(encoding="utf-8"), parse_float=str)
        rating = rate(product_queries.version_on(product, day).definition, given, day)
    except Refusal as error:
        raise click.ClickException(f"{error.field}: {error.message}" if error.field else error.message) from error
    except ValueError as error:
        raise click.ClickException(f"{answers} cannot be read: {error}") from error
    click.echo(
        json.dumps(
            {
                "premium": str(rating.premium),
                "tax": str(rating.tax),
                "fee": str(rating.fee),
                "currency": rating.premium.currency,
                "worksheet": rating.worksheet_dicts(),
                "referrals": list(rating.referrals),
            },
            indent=2,
        )
    )

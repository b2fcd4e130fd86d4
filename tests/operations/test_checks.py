"""`flask check --deploy`: each check is seen to fail and to pass; production does not start on the unsafe ones."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import config
from insurance.accounts.models import User
from insurance.core import clock, outbox
from insurance.core.db import add, db, transaction
from insurance.core.outbox import Mail
from insurance.core.permissions import Role
from insurance.jobs import services as jobs
from insurance.jobs.models import JobRun
from insurance.jobs.services import TRAIL_CHECK, WorkerBeat
from insurance.operations import backup, checks
from insurance.operations.checks import Found, State, machine, records
from insurance.operations.checks import settings as of_settings
from insurance.privacy.services import access
from insurance.products.models import ProductVersion, VersionStatus
from tests import factories
from tests.operations.site import ROOT, free_port

KEY = "4f9d0c1be27a6853f04e9b2c7d815a3e"
GOOD = {
    "UNREADABLE": [],
    "APP_ENV": "production",
    "DEBUG": False,
    "SECRET_KEY": KEY,
    "ENCRYPTION_KEYS": {"2026": b"k" * 32},
    "OIDC_ISSUER": "https://login.harbor.co",
    "OIDC_CLIENT_ID": "insurance",
    "REQUIRE_TWO_STEP": "everybody",
    "PUBLIC_URL": "https://portal.harbor.co",
    "TRUSTED_HOSTS": ["portal.harbor.co"],
    "BUSINESS_DATE": None,
    "DEMO_PASSWORD": None,
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_NAME": "__Host-form",
    "SIGN_IN_COOKIE_NAME": "__Host-session",
    "TRUSTED_PROXIES": 1,
    "SQLALCHEMY_DATABASE_URI": "postgresql://insurance:long-and-random-1@db.harbor.co/insurance?sslmode=verify-full",
    "REDIS_URL": "rediss://cache:6379/0",
    "CLAMD_URL": "tcp://scanner:3310",
    "LOG_SERVER": "tls://logs.harbor.co:6514",
    "MAIL_SERVER": "smtp.harbor.co",
    "MAIL_USE_TLS": True,
    "MAIL_DEFAULT_SENDER": "Harbor <service@harbor.co>",
    "STRIPE_API_KEY": "sk_live_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "STRIPE_API_BASE": "",
    "METRICS_TOKEN": "a-token-nobody-guesses",
    "BACKUP_DIR": Path("/var/backups/insurance"),
    "BACKUP_PASSPHRASE": "five random words for instance",
}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("readable", {"UNREADABLE": ["MAIL_PORT must be a number"]}, "MAIL_PORT"),
    ("environment", {"APP_ENV": "development"}, "APP_ENV"),
    ("secret_key", {"SECRET_KEY": None}, "32 characters"),
    ("secret_key", {"SECRET_KEY": KEY[:31]}, "32 characters"),
    ("secret_key", {"SECRET_KEY": "ab" * 32}, "not random"),
    ("secret_key", {"SECRET_KEY": f"please-change-me-{KEY}"}, "not random"),
    ("encryption_keys", {"ENCRYPTION_KEYS": {}}, "ENCRYPTION_KEYS"),
    ("openid", {"OIDC_ISSUER": "http://login.harbor.co"}, "https://"),
    ("openid", {"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
    ("two_steps", {"REQUIRE_TWO_STEP": "nobody"}, "REQUIRE_TWO_STEP"),
    ("two_steps", {"REQUIRE_TWO_STEP": "staff"}, "everybody"),
    ("virus_scanner", {"CLAMD_URL": ""}, "CLAMD_URL"),
    ("log_server", {"LOG_SERVER": ""}, "LOG_SERVER"),
    ("log_server", {"LOG_SERVER": "tcp://logs.harbor.co:514"}, "tls://"),
    ("redis_tls", {"REDIS_URL": "redis://cache:6379/0"}, "rediss://"),
    ("public_url", {"PUBLIC_URL": "http://portal.harbor.co"}, "https://"),
    ("public_url", {"PUBLIC_URL": "https://portal.harbor.co/insurance"}, "host alone"),
    ("public_name", {"PUBLIC_URL": "https://192.0.2.7"}, "a name"),
    ("public_name", {"PUBLIC_URL": "https://insurance.example.com"}, "your customers"),
    ("trusted_hosts", {"TRUSTED_HOSTS": None}, "must name"),
    ("trusted_hosts", {"TRUSTED_HOSTS": ["*"]}, "must name"),
    ("trusted_hosts", {"TRUSTED_HOSTS": ["harbor.co"]}, "portal.harbor.co"),
    ("debug", {"DEBUG": True}, "FLASK_DEBUG"),
    ("business_date", {"BUSINESS_DATE": date(2026, 6, 1)}, "BUSINESS_DATE"),
    ("demo_password", {"DEMO_PASSWORD": "correct-demo-password"}, "DEMO_PASSWORD"),
    ("session_cookie", {"SESSION_COOKIE_SECURE": False}, "https"),
    ("session_cookie", {"SIGN_IN_COOKIE_NAME": "session"}, "__Host-"),
    ("trusted_proxies", {"TRUSTED_PROXIES": 0}, "TRUSTED_PROXIES"),
    ("database_place", {"SQLALCHEMY_DATABASE_URI": "sqlite:////tmp/insurance.db"}, "kept"),
    ("database_place", {"SQLALCHEMY_DATABASE_URI": "sqlite://"}, "kept"),
    ("database_kind", {"SQLALCHEMY_DATABASE_URI": "sqlite:////srv/insurance.db"}, "postgresql://"),
    ("database_password", {"SQLALCHEMY_DATABASE_URI": "postgresql://me@db/insurance?sslmode=require"}, "password"),
    ("database_password", {"SQLALCHEMY_DATABASE_URI": "postgresql://me:secret@db/x?sslmode=require"}, "guessed"),
    ("database_tls", {"SQLALCHEMY_DATABASE_URI": "postgresql://me:long-and-random-1@db/x?sslmode=prefer"}, "sslmode"),
    ("redis_url", {"REDIS_URL": "http://cache:6379"}, "redis://"),
    ("mail_server", {"MAIL_SERVER": ""}, "MAIL_SERVER"),
    ("mail_tls", {"MAIL_USE_TLS": False}, "MAIL_USE_TLS"),
    ("mail_sender", {"MAIL_DEFAULT_SENDER": "Harbor <service@example.com>"}, "MAIL_DEFAULT_SENDER"),
    ("mail_domain", {"MAIL_DEFAULT_SENDER": "Harbor <service@other.co>"}, "fraud"),
    ("stripe_webhook", {"STRIPE_WEBHOOK_SECRET": ""}, "STRIPE_WEBHOOK_SECRET"),
    ("stripe_key", {"STRIPE_API_KEY": "sk_test_1"}, "live"),
    ("stripe_address", {"STRIPE_API_BASE": "http://127.0.0.1:4242"}, "STRIPE_API_BASE"),
    ("card_payments", {"STRIPE_API_KEY": ""}, "STRIPE_API_KEY"),
    ("metrics_token", {"METRICS_TOKEN": ""}, "METRICS_TOKEN"),
    ("metrics_token", {"METRICS_TOKEN": "short"}, "16"),
    ("backup_folder", {"BACKUP_DIR": None}, "BACKUP_DIR"),
    ("backup_folder", {"BACKUP_DIR": Path("/var/lib/insurance/backups")}, "apart"),
    ("backup_passphrase", {"BACKUP_PASSPHRASE": "short"}, "16"),
    ("backup_passphrase", {"BACKUP_PASSPHRASE": KEY}, "differ"),
]
GOOD_TOO: list[tuple[str, dict[str, Any]]] = [
    ("trusted_hosts", {"TRUSTED_HOSTS": [".harbor.co"]}),
    ("database_place", {"SQLALCHEMY_DATABASE_URI": "sqlite:////srv/insurance.db"}),
    ("database_password", {"SQLALCHEMY_DATABASE_URI": "postgresql:///insurance"}),
    ("database_tls", {"SQLALCHEMY_DATABASE_URI": "postgresql://me:long-and-random-1@127.0.0.1/insurance"}),
    ("openid", {"OIDC_ISSUER": ""}),
    ("redis_url", {"REDIS_URL": ""}),
    ("redis_tls", {"REDIS_URL": "redis://127.0.0.1:6379/0"}),
    ("mail_tls", {"MAIL_SERVER": "localhost", "MAIL_USE_TLS": False}),
    ("stripe_webhook", {"STRIPE_API_KEY": "", "STRIPE_WEBHOOK_SECRET": ""}),
]


def found(among: checks.Checks, name: str, settings: dict[str, Any]) -> Found:
    """What one check finds."""
    [one] = checks.run([check for check in among if check.name == name], settings)
    return one


# Settings


def settings_with(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "DATA_DIR": Path("/var/lib/insurance"), **changes}


def test_every_check_of_settings_passes_on_a_good_configuration_and_has_a_case_that_fails() -> None:
    assert [one for one in checks.run(of_settings.CHECKS, settings_with()) if one.advice] == []
    assert {name for name, _, _ in BAD} == {check.name for check in of_settings.CHECKS}


@pytest.mark.parametrize(("name", "changes", "advice"), BAD)
def test_a_bad_setting_is_told_with_what_to_do(name: str, changes: dict[str, Any], advice: str) -> None:
    one = found(of_settings.CHECKS, name, settings_with(**changes))
    assert one.state is not State.OK
    assert advice in one.advice


@pytest.mark.parametrize(("name", "changes"), GOOD_TOO)
def test_a_good_setting_of_another_kind_passes(name: str, changes: dict[str, Any]) -> None:
    assert found(of_settings.CHECKS, name, settings_with(**changes)).advice == ""


def test_the_key_made_for_development_is_not_one_for_production(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text(KEY)
    assert "development" in found(of_settings.CHECKS, "secret_key", settings_with(DATA_DIR=tmp_path)).advice


# The start

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": KEY,
    "ENCRYPTION_KEYS": "2026:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    "PUBLIC_URL": "https://portal.harbor.co",
    "TRUSTED_HOSTS": "portal.harbor.co",
    "MAIL_SERVER": "smtp.harbor.co",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing but what production cannot do without."""
    for name in config.NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PRODUCTION, "DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "k" * 64),
        ("PUBLIC_URL", "http://portal.harbor.co"),
        ("TRUSTED_HOSTS", ""),
        ("TRUSTED_HOSTS", "other.co"),
        ("MAIL_SERVER", ""),
        ("BUSINESS_DATE", "2026-06-01"),
        ("DEMO_PASSWORD", "correct-demo-password"),
        ("STRIPE_API_KEY", "sk_live_1"),
        ("FLASK_DEBUG", "1"),
    ],
)
def test_production_refuses_to_start_and_says_why(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert config.read(env_file=None)["APP_ENV"] == "production"
    environment.setenv(name, value)
    with pytest.raises(config.UnsafeConfigurationError) as refused:
        config.read(env_file=None)
    assert name.partition("_API")[0] in str(refused.value)
    assert config.read(env_file=None, refuse=False)["APP_ENV"] == "production"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_ENV", "prod"),
        ("MAIL_PORT", "smtp"),
        ("BUSINESS_TIMEZONE", "Mars/Olympus"),
        ("BUSINESS_TIMEZONE", "../etc"),
        ("BUSINESS_DATE", "yesterday"),
        ("CURRENCY", "EURO"),
        ("PAYOUT_LIMIT", "much"),
        ("TRUSTED_PROXIES", "one"),
    ],
)
def test_what_cannot_be_read_is_refused_everywhere(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv("APP_ENV", "development")
    environment.setenv(name, value)
    with pytest.raises(config.UnsafeConfigurationError, match=f"{name} must be"):
        config.read(env_file=None)


def test_an_empty_value_is_none(environment: pytest.MonkeyPatch) -> None:
    without = config.read(env_file=None)
    for name in set(config.NAMES) - {*PRODUCTION, "DATA_DIR"}:
        environment.setenv(name, "")
    assert config.read(env_file=None) == without


# The machine


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Any]:
    """Folders as they should be."""
    names = {"DATA_DIR": "data", "LOG_DIR": "log", "BACKUP_DIR": "backup"}
    folders: dict[str, Any] = {name: tmp_path / folder for name, folder in names.items()}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    return folders | {"REDIS_URL": ""}


def a_file(folder: Path) -> Path:
    path = folder / "file"
    path.touch()
    return path


def open_to_all(folder: Path) -> Path:
    folder.chmod(0o755)
    return folder


MACHINE: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("data_folder", "DATA_DIR", lambda folder: folder / "none"),
    ("data_folder", "DATA_DIR", a_file),
    ("data_folder", "DATA_DIR", lambda _: Path("/proc")),
    ("data_private", "DATA_DIR", open_to_all),
    ("data_place", "DATA_DIR", lambda _: ROOT / "instance"),
    ("log_folder", "LOG_DIR", a_file),
    ("backup_writable", "BACKUP_DIR", lambda folder: folder / "none"),
    ("redis_answers", "REDIS_URL", lambda _: f"redis://127.0.0.1:{free_port()}"),
]


@pytest.mark.parametrize(("name", "setting", "spoil"), MACHINE)
def test_a_folder_or_a_server_that_is_not_as_it_should_be(
    folders: dict[str, Any], name: str, setting: str, spoil: Callable[[Path], Any]
) -> None:
    assert found(machine.CHECKS, name, folders).advice == ""
    assert found(machine.CHECKS, name, {**folders, setting: spoil(folders["DATA_DIR"])}).state is State.FAILED


def test_a_full_disk(folders: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(machine.CHECKS, "free_space", folders).advice == ""
    monkeypatch.setattr(machine, "FREE_BYTES", 10**18)
    assert "Make room" in found(machine.CHECKS, "free_space", folders).advice


def test_the_application_that_runs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(machine.CHECKS, "gateway", app.config).state is State.FAILED
    monkeypatch.setitem(app.config, "APP_ENV", "production")
    assert found(machine.CHECKS, "gateway", app.config).state is State.OK
    assert found(machine.CHECKS, "debugger", app.config).state is State.OK
    monkeypatch.setitem(app.config, "DEBUG", True)
    assert found(machine.CHECKS, "debugger", app.config).state is State.FAILED
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found(machine.CHECKS, "not_root", app.config).state is State.WARNING
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert found(machine.CHECKS, "not_root", app.config).state is State.OK


def test_every_check_of_the_machine_is_seen_to_fail() -> None:
    tested = {name for name, _, _ in MACHINE} | {"free_space", "gateway", "debugger", "not_root"}
    assert tested == {check.name for check in machine.CHECKS}


# The records


def record(name: str) -> Found:
    """What a check of the records finds now."""
    return found(records.CHECKS, name, {})


def add_admin() -> None:
    factories.user(Role.ADMIN, email="head@harbor.co", password_hash="hash")


def add_demo_user() -> None:
    factories.user(Role.ADMIN)


def forget_products() -> None:
    with transaction():
        db.session.query(ProductVersion).update({"status": VersionStatus.DRAFT})


def note(name: str, age: timedelta) -> None:
    ended = clock.now() - age
    with transaction():
        add(JobRun(name=name, for_day=ended.date(), started_at=ended, finished_at=ended))


def beat(age: timedelta = timedelta()) -> None:
    with transaction():
        add(WorkerBeat(worker="w", started_at=clock.now() - age, seen_at=clock.now() - age))


def order_mail(age: timedelta) -> None:
    with transaction():
        outbox.enqueue("reset", to="somebody@example.com").due_at = clock.now() - age


def send_mails() -> None:
    with transaction():
        db.session.query(Mail).update({"status": "sent"})


def deactivate_all() -> None:
    with transaction():
        db.session.query(User).update({"active": False})


def publish() -> None:
    with transaction():
        db.session.query(ProductVersion).update({"status": VersionStatus.PUBLISHED})


RECORDS: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
    ("administrator", lambda: None, add_admin),
    ("demo_users", add_demo_user, deactivate_all),
    ("products", forget_products, publish),
    ("worker", lambda: beat(timedelta(hours=1)), lambda: jobs.beat("another")),
    ("nightly", lambda: note("nightly", timedelta(days=2)), lambda: note("nightly", timedelta(hours=20))),
    ("outbox", lambda: order_mail(timedelta(hours=2)), send_mails),
    ("backup_verified", lambda: note(records.BACKUP, timedelta(days=40)), lambda: note(records.BACKUP, timedelta())),
    ("audit_verified", lambda: note(TRAIL_CHECK, timedelta(days=40)), lambda: note(TRAIL_CHECK, timedelta())),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "mend"), RECORDS)
def test_records_that_are_not_as_they_should_be(
    app: Flask, name: str, spoil: Callable[[], None], mend: Callable[[], None]
) -> None:
    spoil()
    assert record(name).state is State.FAILED
    mend()
    assert record(name).advice == ""


def test_missing_migrations(app: Flask) -> None:
    assert record("migrations").advice == ""
    with transaction():
        head = db.session.scalar(text("SELECT version_num FROM alembic_version"))
        db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    try:
        assert "db upgrade" in record("migrations").advice
    finally:
        with transaction():
            db.session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})


def test_a_clock_that_goes_wrong(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "BUSINESS_DATE", None)
    assert record("clocks").advice == ""
    monkeypatch.setitem(app.config, "BUSINESS_DATE", date(2020, 1, 1))
    if db.engine.dialect.name == "postgresql":  # SQLite has no clock but this machine's
        assert "NTP" in record("clocks").advice


@pytest.mark.sqlite_only
def test_the_companys_name(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("company").state is State.WARNING
    monkeypatch.setitem(app.config, "COMPANY_NAME", "Kestrel Mutual")
    assert record("company").state is State.OK


@pytest.mark.sqlite_only
def test_a_backup_of_the_last_day(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "BACKUP_DIR", tmp_path)
    assert "backup create" in record("backup_recent").advice
    made = backup.create()
    assert record("backup_recent").advice == ""
    old = clock.now() - timedelta(days=3)
    made.path.rename(tmp_path / f"{old:{backup.NAME}}.tar.gz")
    assert record("backup_recent").state is State.FAILED


@pytest.mark.sqlite_only
def test_a_review_of_who_has_access_within_three_months(app: Flask) -> None:
    admin = factories.user(Role.ADMIN)
    assert record("access_reviewed").state is State.WARNING
    access.review(notes="All needed.", actor=admin)
    assert record("access_reviewed").advice == ""
    with clock.at(clock.today() + timedelta(days=91)):
        assert "/admin/privacy/access" in record("access_reviewed").advice


def test_a_key_that_is_missing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.customer()  # whose name in the audit trail is sealed
    assert record("keys").advice == ""
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", {"2027": b"n" * 32})
    assert record("keys").state is State.FAILED


def as_role(role: str, statement: str) -> None:
    with transaction():
        db.session.execute(text(f"SET LOCAL ROLE {role}"))
        db.session.execute(text(statement))


@pytest.mark.postgresql_only
def test_web_and_worker_read_and_write_rows_and_change_no_table(app: Flask) -> None:
    role = f"web_{uuid.uuid4().hex[:8]}"
    assert "rights grant" in record("database_rights").advice
    with transaction():
        db.session.execute(text(f"CREATE ROLE {role}"))
    try:
        assert "may read and write" in app.test_cli_runner().invoke(args=["rights", "grant", role]).output
        with transaction():
            db.session.execute(text(f"SET LOCAL ROLE {role}"))
            assert record("database_rights").advice == ""
            factories.user(Role.AGENT)
        for statement in (
            "CREATE TABLE more (id int)",
            "ALTER TABLE users ADD more int",
            "ALTER TABLE audit_entries DISABLE TRIGGER USER",
            "TRUNCATE audit_entries",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
                as_role(role, statement)
    finally:
        with transaction():
            db.session.execute(text(f"DROP OWNED BY {role}"))
            db.session.execute(text(f"DROP ROLE {role}"))


@pytest.mark.sqlite_only
def test_sqlite_has_no_roles(app: Flask) -> None:
    assert record("database_rights").advice == ""
    assert "SQLite has no roles" in app.test_cli_runner().invoke(args=["rights", "grant", "web"]).output


def test_every_check_of_records_is_seen_to_fail() -> None:
    others = {"migrations", "clocks", "company", "backup_recent", "access_reviewed", "keys", "database_rights"}
    assert {name for name, _, _ in RECORDS} | others == {check.name for check in records.CHECKS}


# The command


@pytest.mark.sqlite_only
def test_the_command_says_everything_and_fails(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(args=["check", "--deploy"])
    assert ran.exit_code == 1
    assert "Set APP_ENV=production." in ran.output
    ran = app.test_cli_runner().invoke(args=["check", "--deploy", "--json"])
    rows = json.loads(ran.output)
    assert len(rows) >= 25
    assert {row["state"] for row in rows} == {"ok", "warning", "failed"}
    assert all(row["looks_at"] and bool(row["advice"]) == (row["state"] != "ok") for row in rows)


@pytest.mark.sqlite_only
def test_verifying_is_noted(app: Flask) -> None:
    assert "whole" in app.test_cli_runner().invoke(args=["audit", "verify"]).output
    assert record("audit_verified").advice == ""


def test_what_production_refuses_can_be_checked_all_the_same(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "APP_ENV": "production",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "short",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    checked = run("check", "--deploy", "--json")
    assert checked.returncode == 1
    states = {row["check"]: row["state"] for row in json.loads(checked.stdout)}
    assert (states["secret_key"], states["environment"], states["administrator"]) == ("failed", "ok", "failed")
    refused = run("verify")
    assert refused.returncode == 1
    assert "SECRET_KEY must have at least 32 characters" in refused.stderr
    assert "Traceback" not in refused.stderr

"""Backups are whole whatever happens meanwhile, and what is not whole is never put in the place of anything."""

import gzip
import os
import threading
import time
import zlib
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from insurance.core import clock
from insurance.core.db import db
from insurance.core.errors import NotFound, Refusal, RuleBroken
from insurance.core.permissions import Role
from insurance.documents import services as documents
from insurance.jobs import queries as jobs
from insurance.jobs import services as job_services
from insurance.operations import backup, sealing, verify
from insurance.operations.sealing import CHUNK, Opener, Sealer
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from tests import factories, world
from tests.conftest import TODAY
from tests.operations.site import Site
from tests.races import together


@pytest.fixture(autouse=True)
def folder(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(app.config, "BACKUP_DIR", tmp_path / "backups")
    return tmp_path / "backups"


def sealed(app: Flask, monkeypatch: pytest.MonkeyPatch, passphrase: str = "correct horse battery staple") -> None:
    monkeypatch.setitem(app.config, "BACKUP_PASSPHRASE", passphrase)


def violations() -> list[str]:
    return [violation for result in verify.run() for violation in result.violations]


def payment_count() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Payment.id))) or 0


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in documents.folder().iterdir()}


def pay(account_id: int) -> None:
    payments.record(
        account_id=account_id,
        invoice_id=None,
        amount=world.usd("1.00"),
        method=PaymentMethod.CASH,
        actor=factories.SYSTEM_ACTOR,
    )


@pytest.mark.fault
def test_a_backup_made_while_four_people_pay_restores_to_one_moment_at_which_all_was_right(app: Flask) -> None:
    world.put_up()
    accounts = [factories.bound_policy().account_id or 0 for _ in range(4)]
    before, stored = payment_count(), files()
    assert stored
    done = threading.Event()
    paid: list[int] = []

    def pay_on(account_id: int) -> None:
        while not done.is_set():
            pay(account_id)
            paid.append(account_id)

    def back_up() -> backup.Archive:
        try:
            while len(paid) < 4:
                time.sleep(0.01)
            return backup.create()
        finally:
            done.set()

    [archive, *_] = together(app, [back_up, *(lambda account=account: pay_on(account) for account in accounts)])
    after = payment_count()
    assert after == before + len(paid)
    assert backup.verify(archive.path) == []

    (documents.folder() / "of-nobody.pdf").write_bytes(b"x")
    manifest = backup.restore(archive.path, replace=True)
    assert before + 4 <= manifest.counts["payments"] <= after
    assert payment_count() == manifest.counts["payments"]
    assert files() == stored
    assert violations() == []
    pay(accounts[0])  # ids and numbers go on where they were
    assert violations() == []


def test_only_an_empty_place_is_filled_without_being_told_to_replace(app: Flask) -> None:
    factories.bound_policy()
    archive = backup.create()
    with pytest.raises(RuleBroken, match="--replace"):
        backup.restore(archive.path)


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two archives unpack to the same bytes: where a page is all zeros, compression says so in many ways."""
    try:
        return gzip.decompress(one) == gzip.decompress(other)
    except (OSError, EOFError, zlib.error):
        return False


@pytest.mark.parametrize("passphrase", ["", "correct horse battery staple"])
@pytest.mark.sqlite_only
def test_what_was_cut_off_or_changed_is_refused_and_leaves_what_was_there(
    app: Flask, monkeypatch: pytest.MonkeyPatch, passphrase: str, tmp_path: Path
) -> None:
    sealed(app, monkeypatch, passphrase)
    world.put_up()
    path = backup.create().path
    whole = path.read_bytes()
    stored, paid = files(), payment_count()
    damaged = tmp_path / path.name
    cut = [whole[:length] for length in (0, 10, len(whole) // 2, len(whole) - 1)]
    changed = [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for place in (40, len(whole) // 3, len(whole) // 2, len(whole) - 6)
    ]
    changed = [data for data in changed if not says_the_same(data, whole)]
    assert len(changed) >= 2
    for data in cut + changed:
        damaged.write_bytes(data)
        with pytest.raises(Refusal, match=r"damaged|not a sealed"):
            backup.restore(damaged, replace=True)
    assert (files(), payment_count()) == (stored, paid)
    assert violations() == []


@pytest.mark.parametrize("database_fails", [True, False])
def test_a_restore_that_fails_leaves_what_was_there(
    app: Flask, monkeypatch: pytest.MonkeyPatch, database_fails: bool
) -> None:
    world.put_up()
    path = backup.create().path
    factories.bound_policy()
    stored, paid = files(), payment_count()
    if database_fails:
        kind = db.engine.dialect.name
        real = backup.RESTORE[kind]
        monkeypatch.setitem(backup.RESTORE, kind, lambda dump: (dump.write_bytes(b"no database"), real(dump)))
        with pytest.raises(Exception, match=r"pg_restore failed|not a database"):
            backup.restore(path, replace=True)
    else:
        monkeypatch.setattr(backup, "_unpack", lambda *_: backup.Manifest("oracle", "", {}, {}))
        with pytest.raises(RuleBroken, match="oracle"):
            backup.restore(path, replace=True)
    assert (files(), payment_count()) == (stored, paid)
    assert violations() == []


def test_a_file_that_is_lost_is_found_by_verifying_the_backup(app: Flask) -> None:
    world.put_up()
    next(documents.folder().iterdir()).unlink()
    [wrong] = backup.verify(backup.create().path)
    assert wrong.startswith("files are whole: file")
    assert wrong.endswith("missing")


@pytest.mark.sqlite_only
def test_a_sealed_backup_opens_with_its_passphrase_alone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.bound_policy()
    sealed(app, monkeypatch)
    path = backup.create().path
    assert b"manifest.json" not in path.read_bytes()
    assert backup.verify(path) == []
    sealed(app, monkeypatch, "another passphrase")
    with pytest.raises(RuleBroken, match="another passphrase"):
        backup.verify(path)
    sealed(app, monkeypatch, "")
    with pytest.raises(RuleBroken, match="BACKUP_PASSPHRASE"):
        backup.verify(path)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_any_number_of_bytes_is_sealed_and_opened_and_no_chunk_can_be_dropped(size: int) -> None:
    data = os.urandom(size)
    out = BytesIO()
    sealer = Sealer(out, "passphrase")
    for start in range(0, size, 70_000):
        sealer.write(data[start : start + 70_000])
    sealer.close()
    assert Opener(BytesIO(out.getvalue()), "passphrase").read(size + 1) == data
    shorter = out.getvalue()[: -(size % CHUNK or CHUNK) - 16] if size > CHUNK else out.getvalue()[:-1]
    with pytest.raises(RuleBroken):
        Opener(BytesIO(shorter), "passphrase").read(size + 1)


@pytest.mark.parametrize(("magic", "passes"), [(b"SEALED02", 3), (b"SEALED01", 1)])
def test_a_passphrase_is_stretched_and_what_was_sealed_with_less_opens_still(
    monkeypatch: pytest.MonkeyPatch, magic: bytes, passes: int
) -> None:
    stretched = []
    scrypt = sealing.Scrypt
    monkeypatch.setattr(sealing, "Scrypt", lambda **facts: stretched.append(facts["p"]) or scrypt(**facts))
    with monkeypatch.context() as before:
        before.setattr(sealing, "MAGIC", magic)
        sealer = Sealer(out := BytesIO(), "passphrase")
        sealer.write(b"what there was")
        sealer.close()
    assert Opener(BytesIO(out.getvalue()), "passphrase").read(100) == b"what there was"
    assert (stretched, max(sealing.STRETCHING.values())) == ([passes, passes], 3), "OWASP asks for three"
    assert sealing.MAGIC == b"SEALED02"


@pytest.mark.sqlite_only
def test_backups_older_than_30_days_go_and_the_latest_stays(app: Flask, folder: Path) -> None:
    for days in (90, 31, 29):
        with clock.at(TODAY - timedelta(days=days)):
            backup.create()
    assert [archive.made_at.date() for archive in backup.archives()] == [
        TODAY - timedelta(days=days) for days in (90, 31, 29)
    ]
    assert len(backup.prune()) == 2
    assert len(backup.prune(keep_days=1)) == 0
    assert backup.find(None) == backup.archives()[0].path
    with pytest.raises(NotFound):
        backup.find("another")


@pytest.mark.sqlite_only
def test_a_backup_that_breaks_off_leaves_no_archive(app: Flask, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        backup.create()
    assert list(folder.iterdir()) == []


@pytest.mark.sqlite_only
def test_a_failed_backup_is_seen_by_admins_and_tried_again_after_an_hour(app: Flask) -> None:
    tries: list[int] = []

    def fails() -> str:
        tries.append(1)
        raise OSError("No space left on device")

    admin = factories.browser(factories.user(Role.ADMIN))
    for _ in range(3):
        job_services.run_backup(TODAY, fails)
    assert len(tries) == 1
    for page in ("/admin", "/admin/jobs"):
        assert "No space left on device" in admin.get(page).text
    run = jobs.latest("backup")
    assert run
    assert run.finished_at is None

    later = clock.now() + job_services.BACKUP_PAUSE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        for _ in range(3):
            job_services.run_backup(TODAY, lambda: tries.append(2) or "all is there")  # type: ignore[func-returns-value]
    assert tries == [1, 2]
    assert "The last backup failed" not in admin.get("/admin").text


@pytest.mark.sqlite_only
def test_the_commands_go_from_the_first_backup_to_its_restoring(app: Flask, folder: Path) -> None:
    factories.bound_policy()
    run = app.test_cli_runner().invoke
    assert "bytes" in run(args=["backup", "create"]).output
    assert run(args=["backup", "list"]).output.count("UTC") == 1
    assert "every invariant holds" in run(args=["backup", "verify"]).output
    refused = run(args=["backup", "restore"])
    assert (refused.exit_code, "--replace" in refused.output) == (1, True)
    assert "restored" in run(args=["backup", "restore", "--replace"]).output
    assert run(args=["backup", "prune"]).output == "nothing to delete\n"
    app.config["BACKUP_DIR"] = None
    assert "Set BACKUP_DIR" in run(args=["backup", "create"]).output


@pytest.mark.thorough
@pytest.mark.sqlite_only
def test_what_the_worker_backs_up_by_itself_comes_back_on_a_machine_that_has_nothing(tmp_path: Path) -> None:
    settings = {"BACKUP_DIR": str(tmp_path / "elsewhere"), "BACKUP_PASSPHRASE": "correct horse battery staple"}
    lost = Site(tmp_path / "lost", **settings).load()
    worker = lost.begin("jobs", "worker")
    try:
        ends = time.monotonic() + 60
        while not lost.rows("SELECT id FROM job_runs WHERE name = 'backup' AND finished_at IS NOT NULL"):
            assert time.monotonic() < ends, "no backup was made"
            time.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(20)
    new = Site(tmp_path / "new", **settings)
    assert "restored" in new.run("backup", "restore")
    new.run("db", "upgrade")
    assert "FAIL" not in new.run("verify")
    count = "SELECT count(*) FROM receipts"
    assert new.value(count) == lost.value(count) > 0
    assert "--replace" in new.flask("backup", "restore").stderr


def test_a_restore_that_breaks_off_amid_the_database_leaves_what_was_there(app: Flask, tmp_path: Path) -> None:
    """The dump is cut short, so that its first tables are there when it fails."""
    world.put_up()
    paid = payment_count()
    dump = tmp_path / "database"
    kind = db.engine.dialect.name
    backup.SNAPSHOT[kind](dump)
    with open(dump, "r+b") as file:
        file.truncate(dump.stat().st_size * 3 // 4)
    db.session.remove()
    with pytest.raises(Exception, match=r"pg_restore failed|psql failed|malformed"):
        backup.RESTORE[kind](dump)
    assert payment_count() == paid
    assert violations() == []

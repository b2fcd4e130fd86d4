"""Backups: one archive with the database, the files and a manifest of both; made while people work, and restored whole.

An archive is a compressed tar, sealed where there is a passphrase. Its database is a snapshot; the files are those that
the snapshot speaks of. The manifest comes last, so that what was cut off has none.
"""

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import upgrade
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from .. import create_app
from ..core import clock
from ..core.db import db
from ..core.errors import NotFound, RuleBroken
from ..documents import services as documents
from . import verify as invariants
from .sealing import Opener, Sealer

KEEP_DAYS = 30
NAME = "%Y%m%dT%H%M%S%fZ"
PLAIN, SEALED = ".tar.gz", ".tar.gz.sealed"
UNFINISHED = ".unfinished"


@dataclass(frozen=True)
class Manifest:
    """What an archive holds: rows by table, and the SHA-256 of the database and of every file."""

    dialect: str
    revision: str
    counts: dict[str, int]
    sha256: dict[str, str]


@dataclass(frozen=True)
class Archive:
    """A finished backup, and when it was made."""

    path: Path
    made_at: datetime
    size: int


# Make


def create() -> Archive:
    """Back up into BACKUP_DIR. The archive has its name only when it is complete and safe on disk."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = current_app.config["BACKUP_PASSPHRASE"]
    made_at = clock.now()
    path = folder / f"{made_at.astimezone(UTC):{NAME}}{SEALED if passphrase else PLAIN}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as scratch:
        os.chmod(scratch, 0o700)
        dump = Path(scratch) / "database"
        counts, revision, paths = SNAPSHOT[db.engine.dialect.name](dump)
        files = {f"files/{path}": documents.folder() / path for path in paths}
        # A file that is gone is no reason for no backup; `verify` says of either which are missing.
        members = {"database": dump} | {name: file for name, file in files.items() if file.is_file()}
        unfinished = Path(scratch) / "archive"
        with open(unfinished, "xb") as out:
            _pack(out, passphrase, members, dialect=db.engine.dialect.name, revision=revision, counts=counts)
            out.flush()
            os.fsync(out.fileno())
        os.rename(unfinished, path)
    _sync(folder)
    return Archive(path, made_at, path.stat().st_size)


def _pack(out: Any, passphrase: str, members: Mapping[str, Path], **facts: Any) -> None:
    sealer = Sealer(out, passphrase) if passphrase else None
    stream: Any = sealer or out
    sha256 = {}
    with tarfile.open(fileobj=stream, mode="w|gz") as tar:
        for name, member in members.items():
            with open(member, "rb") as file:
                sha256[name] = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                tar.addfile(_described(name, os.fstat(file.fileno()).st_size), file)
        manifest = json.dumps(asdict(Manifest(**facts, sha256=sha256)), indent=1).encode()
        with tempfile.SpooledTemporaryFile() as file:
            file.write(manifest)
            file.seek(0)
            tar.addfile(_described("manifest.json", len(manifest)), file)
    if sealer:
        sealer.close()


def _described(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _sync(folder: Path) -> None:
    """Make names in a folder as safe on disk as the files are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Snapshot = tuple[dict[str, int], str, list[str]]
"""Rows by table, the migration's revision, and the paths of the stored files."""


def _described_by(connection: Connection) -> Snapshot:
    return (
        _counts(connection),
        connection.scalar(text("SELECT version_num FROM alembic_version")) or "",
        list(connection.scalars(text("SELECT path FROM stored_files ORDER BY id"))),
    )


def _counts(connection: Connection) -> dict[str, int]:
    quoted = connection.dialect.identifier_preparer.quote
    return {
        table: connection.scalar(text(f"SELECT count(*) FROM {quoted(table)}")) or 0  # noqa: S608 (a table's own name)
        for table in sorted(inspect(connection).get_table_names())
    }


def _snapshot_sqlite(dump: Path) -> Snapshot:
    _copy_sqlite(Path(db.engine.url.database or ""), dump)
    with _engine(f"sqlite:///{dump}") as engine, engine.connect() as connection:
        described = _described_by(connection)
    with closing(sqlite3.connect(dump)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
    return described


def _copy_sqlite(source: Path, target: Path) -> None:
    """In one step: readers of the target see the old until it is there, and a failure leaves the old."""
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(target, timeout=30)) as new:
        old.backup(new)


def _snapshot_postgresql(dump: Path) -> Snapshot:
    """The rows are counted in the very snapshot that is dumped."""
    engine = db.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        _postgresql(
            "pg_dump", "--format=custom", "--compress=0", "--no-owner", "--no-privileges", f"--snapshot={snapshot}",
            f"--file={dump}", url=db.engine.url,
        )  # fmt: skip
        return _described_by(connection)


SNAPSHOT: dict[str, Callable[[Path], Snapshot]] = {"sqlite": _snapshot_sqlite, "postgresql": _snapshot_postgresql}


def _postgresql(program: str, *arguments: str, url: URL | None = None) -> None:
    """Run one of PostgreSQL's own programs; the password goes where no list of processes shows it."""
    found = shutil.which(program)
    if not found:
        raise RuleBroken(f"{program} is missing. Install PostgreSQL's client programs, as new as the server.")
    command, environment = [found, *arguments], dict(os.environ)
    if url:
        plain = url.set(drivername="postgresql", password=None)
        command.append(f"--dbname={plain.render_as_string(hide_password=False)}")
        environment |= {"PGPASSWORD": url.password} if url.password else {}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 (no shell)
    if ended.returncode:
        raise RuleBroken(f"{program} failed: {ended.stderr.strip()[-500:]}")


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


# Find


def _folder() -> Path:
    folder = current_app.config["BACKUP_DIR"]
    if not folder:
        raise RuleBroken("Set BACKUP_DIR to the folder for backups.")
    return folder


def archives() -> list[Archive]:
    """The finished backups, oldest first; none where BACKUP_DIR is not set."""
    folder = current_app.config["BACKUP_DIR"]
    found = []
    for path in folder.glob("*.tar.gz*") if folder else ():
        try:
            made_at = datetime.strptime(path.name.partition(".")[0], NAME).replace(tzinfo=UTC)
        except ValueError:  # a file of somebody else's
            continue
        found.append(Archive(path, made_at, path.stat().st_size))
    return sorted(found, key=lambda archive: archive.made_at)


def find(name: str | None) -> Path:
    """The archive of a name in BACKUP_DIR, or at a path; the latest if none is given."""
    if name is None:
        every = archives()
        if not every:
            raise NotFound("There is no backup yet.")
        return every[-1].path
    for path in (Path(name), (current_app.config["BACKUP_DIR"] or Path()) / name):
        if path.is_file():
            return path
    raise NotFound(f"There is no backup {name}.")


def prune(keep_days: int = KEEP_DAYS) -> list[Path]:
    """Delete what is older, and what was never finished; the latest stays, whatever its age."""
    before = clock.now() - timedelta(days=keep_days)
    gone = [archive.path for archive in archives()[:-1] if archive.made_at < before]
    for path in gone:
        path.unlink()
    a_day_ago = clock.now() - timedelta(days=1)
    for path in _folder().glob(f"{UNFINISHED}*"):
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < a_day_ago:
            shutil.rmtree(path, ignore_errors=True)
    return gone


# Verify


def verify(path: Path) -> list[str]:
    """What is wrong with a backup, found by restoring it to a scratch place and counting again.

    An older backup is migrated there first. PostgreSQL needs a role that may create a database.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED)))
        manifest = _unpack(path, scratch)
        url = stack.enter_context(SCRATCH_DATABASE[manifest.dialect](scratch / "database"))
        with _engine(url) as engine, engine.connect() as connection:
            counted = _counts(connection)
        wrong = [
            f"table {table}: {manifest.counts.get(table)} rows backed up, {counted.get(table)} restored"
            for table in sorted(manifest.counts.keys() | counted.keys())
            if manifest.counts.get(table) != counted.get(table)
        ]
        app = create_app({**current_app.config, "SQLALCHEMY_DATABASE_URI": url, "DATA_DIR": scratch})
        with app.app_context():
            try:
                upgrade()
                results = invariants.run()
            finally:
                db.session.remove()
                db.engine.dispose()
        return wrong + [f"{result.name}: {violation}" for result in results for violation in result.violations]


@contextmanager
def _scratch_sqlite(dump: Path) -> Iterator[str]:
    yield f"sqlite:///{dump}"


@contextmanager
def _scratch_postgresql(dump: Path) -> Iterator[str]:
    if db.engine.dialect.name != "postgresql":
        raise RuleBroken("The backup is of PostgreSQL, and DATABASE_URL is not: there is no server to try it on.")
    name = f"backup_scratch_{clock.now():%Y%m%d%H%M%S%f}"
    server = db.engine.execution_options(isolation_level="AUTOCOMMIT", writes=True)
    with server.connect() as connection:
        try:
            connection.execute(text(f"CREATE DATABASE {name}"))
        except DBAPIError as error:
            raise RuleBroken(f"No database to try the backup in could be made: {error.orig}") from error
        try:
            url = db.engine.url.set(database=name)
            _postgresql("pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", str(dump), url=url)
            yield url.render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


SCRATCH_DATABASE = {"sqlite": _scratch_sqlite, "postgresql": _scratch_postgresql}


def _unpack(path: Path, scratch: Path) -> Manifest:
    """Take an archive apart, and refuse one that is not exactly what its manifest says."""
    scratch.joinpath("files").mkdir()
    found = {}
    try:
        with open(path, "rb") as file:
            if path.name.endswith(SEALED):
                passphrase = current_app.config["BACKUP_PASSPHRASE"]
                if not passphrase:
                    raise RuleBroken("The backup is sealed: set BACKUP_PASSPHRASE.")
                stream: Any = Opener(file, passphrase)
            else:
                stream = file
            with gzip.GzipFile(fileobj=stream) as plain:
                with tarfile.open(fileobj=plain, mode="r|") as tar:
                    for member in tar:
                        tar.extract(member, scratch, filter="data")
                        with open(scratch / member.name, "rb") as unpacked:
                            found[member.name] = hashlib.file_digest(unpacked, "sha256").hexdigest()
                while plain.read(1 << 20):  # tar stops before the end, where its checksum is
                    pass
        found.pop("manifest.json")
        manifest = Manifest(**json.loads((scratch / "manifest.json").read_bytes()))
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        OSError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
    ) as error:
        raise RuleBroken(f"{path.name} is damaged or incomplete.") from error
    if found != manifest.sha256:
        raise RuleBroken(f"{path.name} is damaged: its content is not what its manifest says.")
    return manifest


# Restore


def restore(path: Path, *, replace: bool = False) -> Manifest:
    """Put a backup in the place of database and files: all of it, or nothing. Web and worker should be stopped."""
    if not replace and not _is_empty():
        raise RuleBroken("There are records or files here. To put the backup in their place, say --replace.")
    data_dir = current_app.config["DATA_DIR"]
    db.session.remove()
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=UNFINISHED) as scratch:
        manifest = _unpack(path, Path(scratch))
        if manifest.dialect != db.engine.dialect.name:
            raise RuleBroken(f"The backup is of {manifest.dialect}, and DATABASE_URL is {db.engine.dialect.name}.")
        script = ScriptDirectory(f"{current_app.root_path}/migrations")
        if manifest.revision not in {revision.revision for revision in script.walk_revisions()}:
            raise RuleBroken(f"The backup has migration {manifest.revision}, which this version does not know.")
        old, new, here = Path(scratch) / "old", Path(scratch) / "files", documents.folder()
        if here.exists():
            here.rename(old)
        try:
            new.rename(here)
            RESTORE[manifest.dialect](Path(scratch) / "database")
        except BaseException:
            here.rename(new)
            if old.exists():
                old.rename(here)
            raise
    _sync(data_dir)
    return manifest


def _is_empty() -> bool:
    with db.engine.connect() as connection:
        rows = {table: count for table, count in _counts(connection).items() if table != "alembic_version"}
    return not any(rows.values()) and not any(documents.folder().glob("*"))


def _restore_sqlite(dump: Path) -> None:
    db.engine.dispose()
    _copy_sqlite(dump, Path(db.engine.url.database or ""))


def _restore_postgresql(dump: Path) -> None:
    """Everything goes and comes in one transaction."""
    db.engine.dispose()
    script = dump.with_suffix(".sql")
    _postgresql("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(dump))
    _postgresql(
        "psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1",
        "--command=SET lock_timeout = '30s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        f"--file={script}", url=db.engine.url,
    )  # fmt: skip


RESTORE = {"sqlite": _restore_sqlite, "postgresql": _restore_postgresql}

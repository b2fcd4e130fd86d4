"""The nightly run: what a new day brings, step by step, each of them safe to repeat."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from flask import current_app
from sqlalchemy import delete

from ..core import audit, clock
from ..core.audit import AuditHead
from ..core.db import add, db, lock, transactional
from ..core.errors import Conflict
from . import night, queries
from .models import JobRun, WorkerBeat

NIGHT_PAUSE = timedelta(minutes=10)
BACKUP_PAUSE = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)
TRAIL_CHECK = "audit check"


def run_nightly(on: date, report: Callable[[str], None]) -> None:
    """Bring every record to a day, and note the run. Broken off, it is simply run again."""
    run_id = _begin("nightly", on)
    try:
        lines = [f"{step.act(on, None)} {step.done}" for step in night.STEPS.values()]
        for line in lines:
            report(line)
    except Exception as error:
        _note_failure(run_id, error)
        raise
    _finish(run_id, "; ".join(lines))


def run_night(on: date, report: Callable[[str], None]) -> None:
    """Make a day's nightly run if there is none. One that failed is tried again after ten minutes, so that a fault that
    stays neither fills the log nor keeps the worker; one that was broken off is made again at once.
    """
    last = queries.latest("nightly", on)
    failed = last and not last.finished_at and last.result
    if queries.has_run("nightly", on) or (last and failed and clock.now() - last.started_at < NIGHT_PAUSE):
        return
    try:
        run_nightly(on, report)
    except Exception:
        current_app.logger.exception("the nightly run failed")


def run_backup(on: date, back_up: Callable[[], str | None]) -> None:
    """Make a day's backup if there is none, and note how it went; one that failed is tried again after an hour.

    What makes it lies above the jobs, and is handed in; it gives None where no backups are wanted.
    """
    last = queries.latest("backup", on)
    if last and (last.finished_at or clock.now() - last.started_at < BACKUP_PAUSE):
        return
    begun_at = clock.now()
    try:
        result = back_up()
    except Exception as error:
        current_app.logger.exception("the backup failed")
        _note(JobRun(name="backup", for_day=on, started_at=begun_at, result=f"failed: {error}"))
        return
    if result is not None:
        note("backup", begun_at, result)


def check_trail() -> AuditHead:
    """Check the chain of audit entries, and note that it is whole; its end. Conflict where it is broken first."""
    begun_at = clock.now()
    if broken := next(audit.breaks(), None):
        raise Conflict(broken)
    end = audit.head()
    note(TRAIL_CHECK, begun_at, f"{end.count} entries, whole")
    return end


def note(name: str, begun_at: datetime, result: str) -> None:
    """Note what came to its end today."""
    _note(JobRun(name=name, for_day=clock.today(), started_at=begun_at, finished_at=clock.now(), result=result))


@transactional
def _note(run: JobRun) -> None:
    add(run)


@transactional
def beat(worker: str) -> None:
    """Say that a worker lives. Those that have been silent for a day are forgotten."""
    now = clock.now()
    db.session.execute(delete(WorkerBeat).where(WorkerBeat.seen_at < now - FORGOTTEN_AFTER))
    if known := db.session.get(WorkerBeat, worker):
        known.seen_at = now
    else:
        add(WorkerBeat(worker=worker, started_at=now, seen_at=now))


@transactional
def end(worker: str) -> None:
    """A worker ends as it should."""
    db.session.execute(delete(WorkerBeat).where(WorkerBeat.worker == worker))


@transactional
def _begin(name: str, day: date) -> int:
    return add(JobRun(name=name, for_day=day, started_at=clock.now())).id


@transactional
def _note_failure(run_id: int, error: Exception) -> None:
    lock(JobRun, run_id).result = f"failed: {error or type(error).__name__}"


@transactional
def _finish(run_id: int, result: str) -> None:
    run = lock(JobRun, run_id)
    run.finished_at, run.result = clock.now(), result

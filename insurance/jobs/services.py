"""The nightly run: what a new day brings, step by step, each of them safe to repeat."""

from collections.abc import Callable
from datetime import date, timedelta

from flask import current_app

from ..core import clock
from ..core.db import add, lock, transactional
from . import night, queries
from .models import JobRun

BACKUP_PAUSE = timedelta(hours=1)


def run_nightly(on: date, report: Callable[[str], None]) -> None:
    """Bring every record to a day, and note the run. Broken off, it is simply run again."""
    run_id = _begin("nightly", on)
    lines = [f"{step.act(on, None)} {step.done}" for step in night.STEPS.values()]
    for line in lines:
        report(line)
    _finish(run_id, "; ".join(lines))


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
        _note(JobRun(name="backup", for_day=on, started_at=begun_at, finished_at=clock.now(), result=result))


@transactional
def _note(run: JobRun) -> None:
    add(run)


@transactional
def _begin(name: str, day: date) -> int:
    return add(JobRun(name=name, for_day=day, started_at=clock.now())).id


@transactional
def _finish(run_id: int, result: str) -> None:
    run = lock(JobRun, run_id)
    run.finished_at, run.result = clock.now(), result

"""When jobs ran, and which workers live."""

from datetime import date, datetime

from sqlalchemy import Select, func, select

from ..core.db import db
from .models import JobRun, WorkerBeat


def run_rows() -> Select:
    """Runs for the list."""
    return select(JobRun.id, JobRun.name, JobRun.for_day, JobRun.started_at, JobRun.finished_at, JobRun.result)


def last_run(name: str) -> JobRun | None:
    """The latest run of a job that came to its end."""
    return db.session.scalar(
        select(JobRun).where(JobRun.name == name, JobRun.finished_at.is_not(None)).order_by(JobRun.id.desc()).limit(1)
    )


def has_run(name: str, day: date) -> bool:
    """Whether a job has come to its end for a day."""
    return (
        db.session.scalar(
            select(JobRun.id)
            .where(JobRun.name == name, JobRun.for_day == day, JobRun.finished_at.is_not(None))
            .limit(1)
        )
        is not None
    )


def latest(name: str, day: date | None = None) -> JobRun | None:
    """The latest run of a job that ended, well or not; of a day, if one is given."""
    statement = select(JobRun).where(JobRun.name == name).order_by(JobRun.id.desc()).limit(1)
    return db.session.scalar(statement.where(JobRun.for_day == day) if day else statement)


def last_beat() -> datetime | None:
    """When a worker last said that it lives."""
    return db.session.scalar(select(func.max(WorkerBeat.seen_at)))

"""When jobs ran, and which workers live."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Row, Select, func, select, text

from ..core.db import db
from .models import JobRun, NightChunk, WorkerBeat


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


def is_shared(day: date) -> bool:
    """Whether a day's nightly run was begun so that workers share it."""
    runs = select(JobRun.id).where(JobRun.name == "nightly", JobRun.for_day == day)
    return db.session.scalar(runs.where(NightChunk.run_id == JobRun.id).limit(1)) is not None


def is_step_done(run_id: int, step: str) -> bool:
    """Whether every chunk of a step is done."""
    left = select(NightChunk.id).where(
        NightChunk.run_id == run_id, NightChunk.step == step, NightChunk.done_at.is_(None)
    )
    return db.session.scalar(left.limit(1)) is None


def counts(run_id: int) -> dict[str, int]:
    """What each step of a shared run has come to."""
    sums = select(NightChunk.step, func.sum(NightChunk.count)).where(NightChunk.run_id == run_id)
    return {step: int(count) for step, count in db.session.execute(sums.group_by(NightChunk.step))}


def queue() -> Sequence[Row]:
    """What procrastinate has in its queue, by task: how many wait, are in hand and have failed, and the most tries."""
    return db.session.execute(
        text(
            "SELECT split_part(task_name, ':', 2) AS task, count(*) FILTER (WHERE status = 'todo') AS waiting,"
            " count(*) FILTER (WHERE status = 'doing') AS in_hand, count(*) FILTER (WHERE status = 'failed') AS failed,"
            " max(attempts) AS tries FROM procrastinate_jobs GROUP BY 1 ORDER BY 1"
        )
    ).all()


def workers(alive_seconds: int) -> int:
    """How many workers of the queue have given a sign of life of late."""
    since = text(
        "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :secs)"
    )
    return db.session.scalar(since, {"secs": alive_seconds}) or 0

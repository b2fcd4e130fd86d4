"""When each job ran and how it ended, and which workers live."""

from datetime import date, datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity


class JobRun(Base):
    """One run of a job for a day."""

    __tablename__ = "job_runs"
    __table_args__ = (Index(None, "name", "for_day"),)

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(String(40))
    for_day: Mapped[date]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    result: Mapped[str] = mapped_column(Text, default="")


class WorkerBeat(Base):
    """A worker that runs, or did until it was killed, and when it last said so."""

    __tablename__ = "worker_beats"

    worker: Mapped[str] = mapped_column(String(100), primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class NightChunk(Base):
    """A part of a step of a nightly run that workers share: the ids that it goes through, none for the whole step."""

    __tablename__ = "night_chunks"
    __table_args__ = (Index(None, "run_id", "step"),)

    id: Mapped[int] = identity()
    run_id: Mapped[int] = mapped_column(BigId, ForeignKey("job_runs.id"))
    step: Mapped[str] = mapped_column(String(20))
    ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    count: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]

"""When each job ran and how it ended, and which workers live."""

from datetime import date, datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, identity


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

"""A nightly run that several workers share: its steps in order, the chunks of each step by whoever is free.

What puts chunks before the workers is handed in. It is called within the transaction that writes the chunks, so that no
chunk is lost, and none is there that nobody knows of.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from sqlalchemy import delete

from ..core import clock
from ..core.db import add, add_all, db, lock, transactional
from . import queries
from .models import JobRun, NightChunk
from .night import STEPS

Share = Callable[[Sequence[int]], None]


@transactional
def begin(on: date, share: Share) -> None:
    """Begin the nightly run of a day, unless it was made or begun before."""
    if not queries.has_run("nightly", on) and not queries.is_shared(on):
        run = add(JobRun(name="nightly", for_day=on, started_at=clock.now()))
        _go_on(run, list(STEPS), share)


def do(chunk_id: int, share: Share) -> None:
    """Do a chunk; whoever does the last one of a step begins the next step.

    Broken off it is done again, and so may two do it at once: each step is safe to repeat.
    """
    chunk = db.session.get(NightChunk, chunk_id)
    if chunk and not chunk.done_at:
        day = db.session.get_one(JobRun, chunk.run_id).for_day
        count = STEPS[chunk.step].act(day, chunk.ids)
        _note(chunk_id, count, share)


@transactional
def _note(chunk_id: int, count: int, share: Share) -> None:
    found = db.session.get(NightChunk, chunk_id)
    run = found and lock(JobRun, found.run_id)
    chunk = found and db.session.get(NightChunk, chunk_id, populate_existing=True)
    if not run or not chunk or chunk.done_at:  # another did it meanwhile, and perhaps the last one of the run as well
        return
    chunk.done_at, chunk.count = clock.now(), count
    if queries.is_step_done(run.id, chunk.step):
        steps = list(STEPS)
        _go_on(run, steps[steps.index(chunk.step) + 1 :], share)


def _go_on(run: JobRun, steps: Iterable[str], share: Share) -> None:
    """Share out the first of some steps with anything to do; if there is none, the run is at its end."""
    for step in steps:
        chunks = [
            NightChunk(run_id=run.id, step=step, ids=ids and list(ids)) for ids in STEPS[step].chunks(run.for_day)
        ]
        if chunks:
            add_all(chunks)
            share([chunk.id for chunk in chunks])
            return
    done = queries.counts(run.id)
    run.finished_at = clock.now()
    run.result = "; ".join(f"{done.get(name, 0)} {step.done}" for name, step in STEPS.items())
    db.session.execute(delete(NightChunk).where(NightChunk.run_id == run.id))

"""The worker: delivers mails, archives documents, runs the nightly job and the backup, until it is told to stop."""

import signal
import threading
from collections.abc import Callable

from flask import Flask

from ..core import clock
from ..core.db import db
from ..documents import services as documents
from ..messages import services as messages
from ..payments.services import gateway
from . import services

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first.

    After a round with a fault it waits, twice as long each time, so that a database that is away is not called upon
    without a pause.
    """
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    pause = PAUSE_SECONDS
    while not stop.is_set():
        with app.app_context():
            done, faults = round_of_work(app, back_up)
            db.session.remove()
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if faults else PAUSE_SECONDS
        if faults or not done:
            stop.wait(pause)


def round_of_work(app: Flask, back_up: Callable[[], str | None] = lambda: None) -> tuple[int, int]:
    """Do what is due; how much was done, and how many kinds of work met a fault, which is logged and stops no other."""
    today = clock.today()
    kinds: list[Callable[[], int | None]] = [
        lambda: services.run_night(today, app.logger.info),
        lambda: services.run_backup(today, back_up),
        messages.deliver_due,
        documents.archive_due,
        gateway.ask_gateway,
    ]
    done = faults = 0
    for work_due in kinds:
        try:
            done += work_due() or 0
        except Exception:
            app.logger.exception("worker: a fault")
            db.session.rollback()
            faults += 1
    return done, faults

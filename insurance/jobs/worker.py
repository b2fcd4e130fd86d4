"""The worker: delivers mails, archives documents, runs the nightly job and the backup, until it is told to stop."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from flask import Flask
from sqlalchemy.exc import DBAPIError

from ..core import clock, metrics, statements
from ..core.db import db
from ..documents import services as documents
from ..messages import services as messages
from ..payments.services import gateway, refunds
from . import services

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
BEAT_SECONDS = 15.0


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first; a fault is logged and tried again.

    Each round in a row that met a fault makes the next pause twice as long, so that a database that is away is not
    called upon every second.
    """
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    pause = PAUSE_SECONDS
    worker = f"{socket.gethostname()}:{os.getpid()}"[:100]
    next_beat = 0.0
    while not stop.is_set():
        with app.app_context():
            statements.begin()
            try:
                if clock.seconds() >= next_beat:
                    services.beat(worker)
                    next_beat = clock.seconds() + BEAT_SECONDS
                busy = round_of_work(app, back_up)
                outcome, pause = "busy" if busy else "idle", PAUSE_SECONDS
            except Exception:
                app.logger.exception("worker: a round failed")
                busy, outcome, pause = False, "failed", min(2 * pause, LONGEST_PAUSE_SECONDS)
            metrics.of_app().rounds.labels(outcome).inc()
            statements.end("worker")
            db.session.remove()
        if not busy:
            stop.wait(pause)
    with app.app_context(), suppress(DBAPIError):  # without a database, its silence says as much
        services.end(worker)


def round_of_work(app: Flask, back_up: Callable[[], str | None] = lambda: None) -> bool:
    """Do what is due; whether anything was. A fault in one kind of work is raised after the others were done."""
    today = clock.today()
    kinds: list[Callable[[], int | None]] = [
        lambda: services.run_night(today, app.logger.info),
        lambda: services.run_backup(today, back_up),
        messages.deliver_due,
        documents.archive_due,
        gateway.ask_gateway,
        refunds.pay_cards_back,
    ]
    done, faults = 0, []
    for work_due in kinds:
        try:
            done += work_due() or 0
        except Exception as fault:
            db.session.rollback()
            faults.append(fault)
    if faults:
        raise ExceptionGroup("some kinds of work", faults)
    return bool(done)

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
from ..payments.services import gateway
from . import queries, services

PAUSE_SECONDS = 1.0
BEAT_SECONDS = 15.0


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first; a fault is logged and tried again."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
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
                outcome = "busy" if busy else "idle"
            except Exception:
                app.logger.exception("worker: a round failed")
                busy, outcome = False, "failed"
            metrics.of_app().rounds.labels(outcome).inc()
            statements.end("worker")
            db.session.remove()
        if not busy:
            stop.wait(PAUSE_SECONDS)
    with app.app_context(), suppress(DBAPIError):  # without a database, its silence says as much
        services.end(worker)


def round_of_work(app: Flask, back_up: Callable[[], str | None] = lambda: None) -> bool:
    """Do what is due; whether anything was."""
    today = clock.today()
    if not queries.has_run("nightly", today):
        services.run_nightly(today, app.logger.info)
    services.run_backup(today, back_up)
    return bool(messages.deliver_due() + documents.archive_due() + gateway.ask_gateway())

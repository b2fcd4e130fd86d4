"""The worker: delivers mails, archives documents, runs the nightly job and the backup, until it is told to stop."""

import signal
import threading
from collections.abc import Callable

from flask import Flask

from ..core import clock
from ..core.db import db
from ..documents import services as documents
from ..messages import services as messages
from ..payments.services import gateway, refunds
from . import services

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first; a fault is logged and tried again.

    Each round in a row that met a fault makes the next pause twice as long, so that a database that is away is not
    called upon every second.
    """
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    pause = PAUSE_SECONDS
    while not stop.is_set():
        with app.app_context():
            try:
                busy = round_of_work(app, back_up)
                pause = PAUSE_SECONDS
            except Exception:
                app.logger.exception("worker: a round failed")
                busy = False
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            db.session.remove()
        if not busy:
            stop.wait(pause)


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

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
from . import queries, services

PAUSE_SECONDS = 1.0


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first; a fault is logged and tried again."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    while not stop.is_set():
        with app.app_context():
            try:
                busy = round_of_work(app, back_up)
            except Exception:
                app.logger.exception("worker: a round failed")
                busy = False
            db.session.remove()
        if not busy:
            stop.wait(PAUSE_SECONDS)


def round_of_work(app: Flask, back_up: Callable[[], str | None] = lambda: None) -> bool:
    """Do what is due; whether anything was."""
    today = clock.today()
    if not queries.has_run("nightly", today):
        services.run_nightly(today, app.logger.info)
    services.run_backup(today, back_up)
    return bool(messages.deliver_due() + documents.archive_due() + gateway.ask_gateway() + refunds.pay_cards_back())

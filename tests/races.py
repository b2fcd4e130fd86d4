"""Acts at the same time: each in a thread of its own, let go together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from flask import Flask

from insurance.core.db import db
from insurance.core.errors import Refusal


def together(app: Flask, acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each act gives back, or the refusal that it met; anything else that it raises fails the test."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        with app.app_context():
            start.wait()
            try:
                return act()
            except Refusal as refusal:
                return refusal
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(acts)) as threads:
        outcomes = list(threads.map(run, acts))
    db.session.rollback()  # so that the test reads what they wrote
    return outcomes

"""What experiments share: how strong they are, how to wait, and that every invariant holds in the end."""

import os
import time
import traceback
from collections.abc import Callable

from flask import Flask

from insurance.core.db import db
from insurance.operations import verify
from tests.operations.site import Site

FULL = os.environ.get("FAULTS") == "full"
"""Whether everything is done as often as `make faults` does it, or as seldom as a run of all tests."""


def times(quick: int, full: int) -> int:
    """How often something is done."""
    return full if FULL else quick


def at_full_strength(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test that `make faults` alone makes: it starts servers of its own."""
    return test if FULL else None


def until(so: Callable[[], object], seconds: float = 40) -> None:
    """Look again and again until something is so."""
    ends = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.01)


def verified(site: Site) -> None:
    """Every invariant holds in an installation."""
    site.run("verify")


def violations() -> list[str]:
    """What `flask verify` finds wrong in the database of the test."""
    db.session.rollback()
    return [violation for result in verify.run() for violation in result.violations]


def begun(app: Flask, act: Callable[[], object]) -> int:
    """Begin something in a process of its own, which may die of it; its id."""
    db.session.remove()
    db.engine.dispose()
    child = os.fork()
    if not child:
        try:
            with app.app_context():
                act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def in_child(app: Flask, act: Callable[[], object]) -> None:
    """Do something in a process of its own, and wait for its end."""
    os.waitpid(begun(app, act), 0)

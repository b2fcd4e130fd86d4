"""The one place that reads the time. It can be set, so that tests, demos and jobs act on any day."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from time import monotonic, time
from zoneinfo import ZoneInfo

from flask import current_app

_set_to: ContextVar[date | None] = ContextVar("clock_set_to", default=None)


def now() -> datetime:
    """This instant in UTC; on a set day, the present time of day on that day."""
    instant = datetime.now(UTC)
    day = _set_to.get() or current_app.config["BUSINESS_DATE"]
    if day is None:
        return instant
    return instant + timedelta(days=(day - instant.astimezone(zone()).date()).days)


def today() -> date:
    """The civil date where the business is."""
    return now().astimezone(zone()).date()


def seconds() -> float:
    """Seconds that only grow, whatever day is set: what is kept for a while is measured by them."""
    return monotonic()


def unix_time() -> float:
    """The time that clocks elsewhere show, whatever day is set here: what an app on a phone shows goes by them."""
    return time()


def zone() -> ZoneInfo:
    """The time zone in which a day begins and ends for the business."""
    return current_app.config["BUSINESS_TIMEZONE"]


@contextmanager
def at(day: date) -> Iterator[None]:
    """Let the block run on another day."""
    token = _set_to.set(day)
    try:
        yield
    finally:
        _set_to.reset(token)

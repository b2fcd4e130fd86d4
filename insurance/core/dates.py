"""Civil dates: months, terms and ages as calendars count them. A period is [start, end): its end is not in it."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from . import formats
from .errors import RuleBroken


class Basis(StrEnum):
    """How the share of a period is counted."""

    DAYS = "days"
    THIRTY_DAY_MONTHS = "thirty_day_months"
    MONTHS = "months"


DAY = timedelta(days=1)


def parse_date(text: str, *, field: str | None = None) -> date:
    """Read YYYY-MM-DD and nothing else."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise RuleBroken("Enter a date as year-month-day, such as 2026-11-24.", field=field)


def in_words(day: date) -> str:
    """A day as sentences say it: 24 Nov 2026; by the locale that holds."""
    return formats.day(day)


def days_between(start: date, end: date) -> int:
    """The days of [start, end)."""
    return (end - start).days


def last_day(end: date) -> date:
    """The last day in a period, given the first one after it."""
    return end - DAY


def day_after(day: date) -> date:
    """The first day after a period, given its last one."""
    if day == date.max:
        raise RuleBroken("This lies too far from today for the calendar.")
    return day + timedelta(days=1)


def day_of_month(month: date, day: int) -> date:
    """A day in the month of a date; 31 means the last one, in every month."""
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))


def add_months(start: date, months: int) -> date:
    """The same day of a later month, or that month's last. Count from the anchor, so that the 31st comes back."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise RuleBroken("This lies too far from today for the calendar.")
    return day_of_month(date(year, month + 1, 1), start.day)


def add_working_days(day: date, days: int) -> date:
    """The day so many Mondays to Fridays later; holidays are not known."""
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def periods(start: date, months: int, count: int) -> list[tuple[date, date]]:
    """The first and the last day of each of `count` periods of `months` months in a row."""
    if months < 1 or count < 0:
        raise RuleBroken("A period has at least one month.")
    bounds = [add_months(start, months * number) for number in range(count + 1)]
    return [(first, last_day(after)) for first, after in pairwise(bounds)]


def age_on(birth: date, day: date) -> int:
    """Completed years. Someone born on 29 February is a year older on 1 March in common years."""
    if day < birth:
        raise RuleBroken("The date of birth can't lie after the start date.", field="birth_date")
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def share_of_period(start: date, end: date, from_: date, to: date, basis: str = Basis.DAYS) -> Fraction:
    """The share that [from_, to) is of [start, end), which it must lie in."""
    if not start <= from_ <= to <= end:
        raise RuleBroken("The part must lie within the period.")
    if basis not in _LENGTHS:
        raise RuleBroken(f"A share is counted by {', '.join(Basis)}.")
    length = _LENGTHS[basis]
    if not length(start, end):
        raise RuleBroken("The period has no days to share out.")
    return length(from_, to) / length(start, end)


def _days(start: date, end: date) -> Fraction:
    return Fraction(days_between(start, end))


def _thirty_day_months(start: date, end: date) -> Fraction:
    """30E/360: every month has 30 days, and the 31st counts as the 30th."""
    months = (end.year - start.year) * 12 + end.month - start.month
    return Fraction(months * 30 + min(end.day, 30) - min(start.day, 30))


def _months(start: date, end: date) -> Fraction:
    """Whole months from `start`, and the rest as a part of the month, counted from `start` too, that it falls in."""
    whole = (end.year - start.year) * 12 + end.month - start.month
    if add_months(start, whole) > end:
        whole -= 1
    first, after = add_months(start, whole), add_months(start, whole + 1)
    return whole + Fraction(days_between(first, end), days_between(first, after))


_LENGTHS: dict[str, Callable[[date, date], Fraction]] = {
    Basis.DAYS: _days,
    Basis.THIRTY_DAY_MONTHS: _thirty_day_months,
    Basis.MONTHS: _months,
}

"""What follows when an invoice is not paid: a ladder of notices on civil days, and when cover ends for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from ...core.errors import RuleBroken


class Step(StrEnum):
    """A notice of the ladder."""

    REMINDER = "reminder"
    OVERDUE = "overdue"
    SECOND = "second"
    CANCELLATION = "cancellation"


STEP_WORDS = {
    Step.REMINDER: "Payment reminder",
    Step.OVERDUE: "Overdue notice",
    Step.SECOND: "Second notice",
    Step.CANCELLATION: "Notice of cancellation",
}


AGES = {"30": (1, 30), "60": (31, 60), "90": (61, 90), "more": (91, 36500)}
"""How many days an invoice can be late, first and last, by the word that asks for them."""
AGE_WORDS = {"30": "1 to 30 days", "60": "31 to 60 days", "90": "61 to 90 days", "more": "More than 90 days"}


@dataclass(frozen=True, slots=True)
class Ladder:
    """On which day each notice is due, counted from the day on which the invoice was; `grace` ends the cover."""

    reminder: int = -7
    overdue: int = 1
    second: int = 10
    cancellation: int = 20
    grace: int = 30

    def __post_init__(self) -> None:
        if not self.reminder < 0 < self.overdue < self.second < self.cancellation < self.grace <= 365:
            raise RuleBroken("The steps must follow one another: before the due day, then each later than the last.")

    def days(self, step: Step) -> int:
        """The days from the due day to a notice."""
        return getattr(self, step)


_AFTER_DUE = (Step.OVERDUE, Step.SECOND, Step.CANCELLATION)


def next_step(ladder: Ladder, due_on: date, taken: Mapping[Step, date | None], day: date) -> Step | None:
    """The notice that an unpaid invoice calls for on a day.

    `taken` has the notices so far and the day on which each was handed over, if it was. A notice waits for the one
    before it, and for as many days after that was handed over as the ladder leaves between them: where mail was down
    for weeks, nobody gets all of them at once.
    """
    if day < due_on:
        early = day >= due_on + timedelta(days=ladder.reminder)
        return Step.REMINDER if early and not taken else None
    before: Step | None = None
    for step in _AFTER_DUE:
        if step not in taken:
            earliest = due_on + timedelta(days=ladder.days(step))
            if before is not None:
                handed_over = taken[before]
                if handed_over is None:
                    return None
                gap = ladder.days(step) - ladder.days(before)
                earliest = max(earliest, handed_over + timedelta(days=gap))
            return step if day >= earliest else None
        before = step
    return None


def lapse_on(ladder: Ladder, due_on: date, handed_over_on: date, notice_days: int) -> date:
    """The first day without cover: after the grace, and never before the notice has run its legal days."""
    return max(due_on + timedelta(days=ladder.grace), handed_over_on + timedelta(days=notice_days))

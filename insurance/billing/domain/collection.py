"""How what is due is taken by itself: on which days, how long before, and when it stops."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from ...core.dates import add_working_days
from ...core.errors import RuleBroken


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """On which days after the due day autopay charges a saved card, how many working days before it a direct debit is
    begun, and after how many returned ones a mandate ends.
    """

    autopay_days: tuple[int, ...] = (0, 3, 7, 14)
    lead_days: int = 2
    most_returns: int = 2

    def __post_init__(self) -> None:
        days = self.autopay_days
        rising = all(earlier < later for earlier, later in pairwise(days))
        if not (1 <= len(days) <= 10 and rising and days[0] >= 0 and days[-1] <= 60):
            raise RuleBroken("Enter one to ten days from 0 to 60, each later than the last.", "autopay_days")
        if not 1 <= self.lead_days <= 10:
            raise RuleBroken("A bank needs the file one to ten working days before.", "lead_days")
        if not 1 <= self.most_returns <= 10:
            raise RuleBroken("A mandate ends after one to ten returns.", "most_returns")

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "CollectionPlan":
        """The plan that a setting holds; what it leaves out is standard."""
        return cls(**{**value, "autopay_days": tuple(value["autopay_days"])}) if value else cls()

    def due_by(self, today: date) -> date:
        """Up to which due day direct debits are begun today: any later one can wait for another day."""
        return add_working_days(today, self.lead_days)

    def collect_on(self, due_on: date, today: date) -> date:
        """The working day on which a direct debit is asked for: the due day or the next, but never without the lead."""
        on_or_after_due = due_on if due_on.weekday() < 5 else add_working_days(due_on, 1)
        return max(on_or_after_due, add_working_days(today, self.lead_days))

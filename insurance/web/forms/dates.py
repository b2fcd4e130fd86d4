"""The field for a day."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from wtforms.utils import unset_value
from wtforms.validators import StopValidation

from ...core import clock
from ...core.dates import in_words
from .field import CONTROL, Input, first_text, with_article

Bound = date | Callable[[], date] | str | None


class DateField(Input):
    """A day typed into three boxes, `name-day`, `name-month` and `name-year`, or sent whole in ISO form as `name`.

    `past` and `future` allow today too. `not_before` and `not_after` are a date, a function that gives one, or the name
    of another field of the form; the bound itself is allowed.
    """

    kind = "date"
    width = "year"
    inputmode = "numeric"

    def __init__(
        self,
        label: str = "",
        *,
        hint: str = "For example, 24 11 2026",
        past: bool = False,
        future: bool = False,
        not_before: Bound = None,
        not_after: Bound = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, hint=hint, **kwargs)
        self.maxlength = None
        self.past, self.future = past, future
        self.not_before, self.not_after = not_before, not_after

    @property
    def focus_id(self) -> str:
        """The first of the three boxes."""
        return f"{self.id}-day"

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Gather the three boxes, or take the one value apart."""
        self._boxes: dict[str, str] = {}
        if formdata is not None:
            whole = first_text(formdata.getlist(self.name))
            values = [first_text(formdata.getlist(f"{self.name}-{part}")) for part in ("year", "month", "day")]
            values = [*whole.split("-", 2), "", ""] if whole.strip() else values
            self._boxes = dict(
                zip(("year", "month", "day"), (CONTROL.sub("", value) for value in values), strict=False)
            )
        super().process(formdata, data, extra_filters)

    def process_formdata(self, valuelist: list[Any]) -> None:  # noqa: ARG002 (the boxes have it already)
        """Make a date of the boxes."""
        self.data = None
        parts = {name: text.strip() for name, text in self._boxes.items()}
        absent = [name for name in ("day", "month", "year") if not parts[name]]
        if len(absent) == 3:
            if self.optional:
                return
            raise ValueError(self.missing)
        if absent:
            raise ValueError(f"{self.noun} must have a {' and a '.join(absent)}")
        try:
            if not all(re.fullmatch("[0-9]{1,4}", text) for text in parts.values()):
                raise ValueError("not digits")
            day = date(**{name: int(text) for name, text in parts.items()})
        except ValueError:
            raise ValueError(f"{self.noun} must be a real date") from None
        if not 1900 <= day.year <= 2200:
            raise ValueError(f"{self.noun} must have a year between 1900 and 2200")
        self.data = day

    def pre_validate(self, form: Any) -> None:
        """Keep to the bounds."""
        super().pre_validate(form)
        if self.data is None:
            return
        if self.past and self.data > clock.today():
            raise StopValidation(f"{self.noun} must be today or in the past")
        if self.future and self.data < clock.today():
            raise StopValidation(f"{self.noun} must be today or in the future")
        earliest, said = self._bound(form, self.not_before)
        if earliest and self.data < earliest:
            raise StopValidation(f"{self.noun} must be {said} or later")
        latest, said = self._bound(form, self.not_after)
        if latest and self.data > latest:
            raise StopValidation(f"{self.noun} must be {said} or earlier")

    @staticmethod
    def _bound(form: Any, bound: Bound) -> tuple[date | None, str]:
        """The bound and how a message says it. A field that was left empty, or refused, bounds nothing."""
        if isinstance(bound, str):
            other = form[bound]
            return other.data, f"the same as {with_article(other.noun)}"
        day = bound() if callable(bound) else bound
        return day, in_words(day) if day else ""

    def in_words(self, value: Any) -> str:
        """The day as sentences say it."""
        return in_words(value) if value else "empty"

    @property
    def day_value(self) -> str:
        """What stands in the box of the day."""
        return self._box("day")

    @property
    def month_value(self) -> str:
        """What stands in the box of the month."""
        return self._box("month")

    @property
    def year_value(self) -> str:
        """What stands in the box of the year."""
        return self._box("year")

    def _box(self, part: str) -> str:
        return self._boxes[part] if self._boxes else str(getattr(self.data, part, ""))

    def _value(self) -> str:
        return self.data.isoformat() if self.data else ""

"""What must be so before strangers' money is trusted to an installation: each check looks, and says what to do.

The checks of settings need nothing but the settings: production refuses to start on those marked `at_start`. The others
look at the machine and at the records; all of them are `flask check --deploy`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Settings = Mapping[str, Any]
Look = Callable[[Settings], str]
"""What to do, in words; nothing if all is well."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One check: what it looks at in words, and how bad it is if that is not so."""

    name: str
    looks_at: str
    look: Look
    otherwise: State
    at_start: bool


class Checks(list[Check]):
    """The checks of one kind."""

    def failure(self, *, at_start: bool = False) -> Callable[[Look], Look]:
        """Add a check without which nobody should go on; `at_start`, production does not start."""
        return lambda look: self._add(look, State.FAILED, at_start)

    def warning(self, look: Look) -> Look:
        """Add a check that somebody may have a reason to fail."""
        return self._add(look, State.WARNING, False)

    def _add(self, look: Look, otherwise: State, at_start: bool) -> Look:
        self.append(Check(look.__name__, (look.__doc__ or "").rstrip("."), look, otherwise, at_start))
        return look


@dataclass(frozen=True)
class Found:
    """What a check found; no advice, and all is well."""

    check: Check
    advice: str

    @property
    def state(self) -> State:
        """How the check ended."""
        return self.check.otherwise if self.advice else State.OK


def run(checks: Iterable[Check], settings: Settings) -> list[Found]:
    """Look at everything. What cannot be looked at is not as it should be."""
    return [Found(check, _look(check, settings)) for check in checks]


def _look(check: Check, settings: Settings) -> str:
    try:
        return check.look(settings)
    except Exception as error:
        return f"This cannot be looked at: {type(error).__name__}. The checks above may say why."

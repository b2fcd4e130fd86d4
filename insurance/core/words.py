"""How a status is said to people: the badge's kind, and a word each for staff and customers."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Words:
    """One status in words; `kind` picks the badge's shape and colour, which never stand alone."""

    kind: Literal["ok", "warn", "bad", "info", "neu"]
    staff: str
    customer: str

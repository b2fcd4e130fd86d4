"""Lifecycles as tables: which act is possible in which status, and what status it leads to."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from .errors import IllegalTransition

Status = TypeVar("Status", bound=StrEnum)


class Lifecycle(Generic[Status]):
    """A table of moves `(status, action) → status`, or several where the act's outcome decides.

    A refusal says "A paid claim can't be withdrawn."; `nouns` (by status: "a claim under review") and
    `participles` (by action: "withdrawn") hold the words that don't follow from the names.
    """

    def __init__(
        self,
        name: str,
        initial: Status,
        moves: Mapping[tuple[Status, str], Status | tuple[Status, ...]],
        *,
        nouns: Mapping[Status, str] | None = None,
        participles: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.initial = initial
        self.moves: dict[tuple[Status, str], tuple[Status, ...]] = {
            move: targets if isinstance(targets, tuple) else (targets,) for move, targets in moves.items()
        }
        self._nouns = dict(nouns or {})
        self._participles = dict(participles or {})

    def next(self, status: Status, action: str, to: Status | None = None) -> Status:
        """The status that the action leads to; `to` says which one where the table leaves several."""
        targets = self.moves.get((status, action))
        if targets is None:
            raise IllegalTransition(f"{self._noun(status)} can't be {self._participle(action)}.")
        if to is None and len(targets) == 1:
            return targets[0]
        if to not in targets:
            raise ValueError(f"{self.name}: {action} from {status} leads to {', '.join(targets)}, not to {to}")
        return to

    def actions(self, status: Status) -> tuple[str, ...]:
        """What can be done in a status, in the table's order."""
        return tuple(action for at, action in self.moves if at == status)

    def allows(self, status: Status, action: str) -> bool:
        """Whether the action is possible in the status."""
        return (status, action) in self.moves

    def markdown(self) -> str:
        """The table for the documentation."""
        rows = [f"| {at} | {action} | {' or '.join(targets)} |" for (at, action), targets in self.moves.items()]
        return "\n".join(
            [f"A {self.name} begins as {self.initial}.", "", "| from | action | to |", "|---|---|---|", *rows]
        )

    def _noun(self, status: Status) -> str:
        word = status.replace("_", " ")
        noun = self._nouns.get(status) or f"{'an' if word[0] in 'aeiou' else 'a'} {word} {self.name}"
        return noun[0].upper() + noun[1:]

    def _participle(self, action: str) -> str:
        return self._participles.get(action) or action.replace("_", " ") + ("d" if action.endswith("e") else "ed")

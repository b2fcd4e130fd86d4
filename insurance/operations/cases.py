"""Numeric cases: what the rules make of an input, compared with what somebody else worked out.

Each kind calls the functions that pages, jobs and the API use; nothing here computes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..billing.domain import OpenInvoice, allocate, split
from ..core.dates import day_after, parse_date, periods
from ..core.errors import Refusal, RuleBroken
from ..core.money import Money
from ..policies.domain import PolicyStatus, calendar_status, check_term, prorate
from ..products import shipped
from ..products.domain import rate

Input = Mapping[str, Any]
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """How many cases came out as expected, and in words how the others differ."""

    passed: int
    failed: int
    differences: tuple[str, ...]

    def text(self) -> str:
        """Each difference on a line, then the count."""
        return "\n".join([*self.differences, f"{self.passed} passed, {self.failed} failed"])


def read(text: str) -> list[dict[str, Any]]:
    """The cases of a file; numbers stay text as written, so that none becomes a float."""
    cases = json.loads(text, parse_float=str)
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise RuleBroken("The file must hold a list of cases.")
    return cases


def run(cases: Sequence[Mapping[str, Any]]) -> Report:
    """Compute each case and compare the figures that it expects."""
    differences: list[str] = []
    failed = 0
    for place, case in enumerate(cases):
        problems = _differences(case)
        failed += bool(problems)
        differences += [f"{case.get('id', f'case {place + 1}')}: {problem}" for problem in problems]
    return Report(len(cases) - failed, failed, tuple(differences))


def _differences(case: Mapping[str, Any]) -> list[str]:
    kind, expected = case.get("kind"), case.get("expect")
    if kind not in _KINDS:
        return [f"unknown kind {kind}"]
    if not isinstance(expected, dict) or not expected:
        return ["expects nothing"]
    try:
        figures = _KINDS[kind](case["input"])
    except Refusal as refusal:
        return [] if expected.get("refused") is True else [f"refused: {refusal.message}"]
    except Exception as error:  # one case that can't be read must not hide the others
        return [f"can't be computed: {type(error).__name__}: {error}"]
    figures["refused"] = False
    return [
        f"{name} is {json.dumps(figures.get(name))}, expected {json.dumps(value)}"
        for name, value in expected.items()
        if name not in figures or figures[name] != value
    ]


def _premium(given: Input) -> Figures:
    products = shipped()
    if given["product"] not in products:
        raise RuleBroken("There is no such product.", field="product")
    return {"premium": str(rate(products[given["product"]], given["answers"], parse_date(given["on"])).premium)}


def _status(given: Input) -> Figures:
    start, end = parse_date(given["start_date"]), day_after(parse_date(given["end_date"]))
    check_term(start, end)
    return {"status": str(calendar_status(PolicyStatus.PENDING, start, end, parse_date(given["on"])))}


def _prorate(given: Input) -> Figures:
    start, end, from_, to = (parse_date(given[name]) for name in ("start", "end", "from", "to"))
    return {"amount": str(prorate(_money(given, "amount"), start, end, from_, to, given["basis"]))}


def _split(given: Input) -> Figures:
    down_payment_rate = Fraction(str(given.get("down_payment_rate", 0)))
    amounts = split(_money(given, "total"), _count(given, "parts"), given["remainder"], down_payment_rate)
    return {"amounts": [str(amount) for amount in amounts]}


def _periods(given: Input) -> Figures:
    rows = periods(parse_date(given["start"]), _count(given, "months"), _count(given, "count"))
    return {"periods": [[first.isoformat(), last.isoformat()] for first, last in rows]}


def _allocate(given: Input) -> Figures:
    currency = given.get("currency", "USD")
    invoices = [
        OpenInvoice(row["number"], parse_date(row["due_on"]), Money.parse(str(row["open"]), currency))
        for row in given["invoices"]
    ]
    allocations, credit = allocate(invoices, _money(given, "payment"), given.get("first"))
    return {"allocations": [[number, str(amount)] for number, amount in allocations], "credit": str(credit)}


def _money(given: Input, name: str) -> Money:
    return Money.parse(str(given[name]), given.get("currency", "USD"))


def _count(given: Input, name: str) -> int:
    if type(given[name]) is not int:
        raise RuleBroken("This must be a whole number.", field=name)
    return given[name]


_KINDS: dict[Any, Callable[[Input], Figures]] = {
    "premium": _premium,
    "status": _status,
    "prorate": _prorate,
    "split": _split,
    "periods": _periods,
    "allocate": _allocate,
}

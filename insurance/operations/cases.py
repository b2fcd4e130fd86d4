"""Numeric cases: what the rules make of an input, compared with what somebody else worked out.

Each kind calls the functions that pages, jobs and the API use; nothing here computes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..billing.domain import OpenInvoice, allocate, split
from ..claims.domain import coverage_left, payable
from ..commissions.domain import commission
from ..core.dates import day_after, parse_date, periods
from ..core.errors import Refusal, RuleBroken
from ..core.money import DIGITS, Money
from ..policies.domain import (
    CancellationMethod,
    MinimumEarned,
    PolicyStatus,
    PremiumPart,
    calendar_status,
    cancellation,
    check_term,
    earn,
    endorsement_change,
    prorate,
)
from ..products import shipped
from ..products.domain import interpolate, rate

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


def _endorse(given: Input) -> Figures:
    start, end, effective_on = (parse_date(given[name]) for name in ("start", "end", "effective_on"))
    change = endorsement_change(_money(given, "before"), _money(given, "after"), start, end, effective_on)
    return {"change": str(change)}


def _cancel(given: Input) -> Figures:
    start, end, effective_on = (parse_date(given[name]) for name in ("start", "end", "effective_on"))
    result = cancellation(
        _money(given, "premium"),
        start,
        end,
        effective_on,
        _method(given["method"]),
        table=[(first, last, _number(percent)) for first, last, percent in given.get("table", ())],
        minimum=_minimum(given),
        fees=_money_or_none(given, "fees_fully_earned"),
        paid=_money_or_none(given, "paid"),
    )
    return {"earned": str(result.earned), "refund": str(result.refund), "due": str(result.due)}


def _method(word: str) -> CancellationMethod:
    if word not in list(CancellationMethod):
        raise RuleBroken("There is no such method.", field="method")
    return CancellationMethod(word)


def _minimum(given: Input) -> MinimumEarned | None:
    least = given.get("minimum_earned")
    if not least:
        return None
    if "rate" in least:
        return MinimumEarned(rate=_number(least["rate"]))
    return MinimumEarned(amount=Money.parse(str(least["amount"]), given.get("currency", "USD")))


def _earn(given: Input) -> Figures:
    if given["method"] != "daily":
        raise RuleBroken("Premium is earned daily.", field="method")
    currency = given.get("currency", "USD")
    parts = [
        PremiumPart(Money.parse(str(part["premium"]), currency), parse_date(part["start"]), parse_date(part["end"]))
        for part in given["parts"]
    ]
    earned, unearned = earn(parts, parse_date(given["as_of"]), currency)
    return {"earned": str(earned), "unearned": str(unearned)}


def _lookup(given: Input) -> Figures:
    points = [(_number(x), _number(y)) for x, y in given["points"]]
    digits = DIGITS.get(given.get("currency", "USD"), 2)
    return {"y": f"{interpolate(points, _number(given['x']), digits):f}"}


def _payable(given: Input) -> Figures:
    zero = Money.zero(given.get("currency", "USD"))
    aggregate = _money_or_none(given, "aggregate")
    before = _money_or_none(given, "paid_before") or zero
    result = payable(
        _money(given, "loss"),
        deductible=_money_or_none(given, "deductible") or zero,
        limit=_money_or_none(given, "limit"),
        left=aggregate and coverage_left(aggregate, [before]),
        value=_money_or_none(given, "value"),
        carried=_money_or_none(given, "carried"),
        coinsurance_rate=_number(given.get("coinsurance_rate", 0)),
    )
    return {"payable": str(result.amount)}


def _commission(given: Input) -> Figures:
    earned, clawback = commission(_number(given["rate"]), _money(given, "written"), _money_or_none(given, "unearned"))
    return {"commission": str(earned), "clawback": str(clawback)}


def _money(given: Input, name: str) -> Money:
    return Money.parse(str(given[name]), given.get("currency", "USD"))


def _money_or_none(given: Input, name: str) -> Money | None:
    return _money(given, name) if given.get(name) is not None else None


def _number(given: Any) -> Fraction:
    try:
        return Fraction(str(given))
    except (ValueError, ZeroDivisionError) as error:
        raise RuleBroken("This must be a number.") from error


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
    "endorse": _endorse,
    "cancel": _cancel,
    "earn": _earn,
    "lookup": _lookup,
    "payable": _payable,
    "commission": _commission,
}

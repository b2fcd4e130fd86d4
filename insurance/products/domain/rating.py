"""Rating: a definition, the answers and a day make a premium and the worksheet that explains it.

Amounts stay exact fractions until the end; the premium is rounded once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ...core.dates import parse_date
from ...core.errors import Refusal, RuleBroken
from ...core.money import LIMIT_MINOR, Exact, Money, exact, half_up
from .answers import Answer, Answers, number, read_answers, text

SHOWN_DECIMALS = 6

_SIGNS = {
    "constant": "",
    "multiply": "× ",
    "divide": "÷ ",
    "add": "+ ",
    "cap": "at most ",
    "floor": "at least ",
    "round": "rounded half up to ",
    "tax": "+ ",
    "fee": "+ ",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a worksheet: what was done with which figure from where, and the amount after it."""

    label: str
    operation: str
    operand: str
    source: str
    amount: str

    @property
    def text(self) -> str:
        """The operation as a customer reads it: × 1.2 (table “policy type”, row comprehensive)."""
        source = f" ({self.source})" if self.source else ""
        return f"{_SIGNS[self.operation]}{Decimal(self.operand):,f}{source}"

    def as_dict(self) -> dict[str, str]:
        """The line as JSON holds it."""
        return {**asdict(self), "text": self.text}


@dataclass(frozen=True, slots=True)
class Rating:
    """A premium without tax and fee, these two, how it came about, and why somebody must look at it, if so."""

    premium: Money
    tax: Money
    fee: Money
    worksheet: tuple[Step, ...]
    referrals: tuple[str, ...]

    @property
    def total(self) -> Money:
        """What the term costs."""
        return self.premium + self.tax + self.fee

    def worksheet_dicts(self) -> list[dict[str, str]]:
        """The worksheet as JSON holds it."""
        return [step.as_dict() for step in self.worksheet]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a policy covers, up to which limit, above which deductible."""

    code: str
    name: str
    limit: Money
    deductible: Money


def rate(definition: Mapping[str, Any], answers: Mapping[str, Any], on: date) -> Rating:
    """The premium of a checked definition for these answers, for cover that starts on a day.

    Refuses what is missing or out of bounds, who is not eligible, and a premium that is nothing.
    """
    given = read_answers(definition, answers)
    for rule in definition["refuse"]:
        if _holds(rule["when"], given, on):
            raise RuleBroken(rule["words"], field=rule["when"]["answer"])
    currency = definition["currency"]
    sheet = _Worksheet(definition, given, on)
    amount = sheet.run(definition["steps"])
    minimum = Money.parse(definition["minimum_premium"], currency)
    if amount < number(minimum):
        amount = number(minimum)
        sheet.note("Minimum premium", "floor", str(minimum), "", amount)
    premium = Money.rounded(amount, currency)
    if premium.minor <= 0:
        raise RuleBroken(f"The premium comes to {premium} {currency}, which is no price for cover.")
    if premium.minor > LIMIT_MINOR:
        raise RuleBroken("The premium comes to more than any policy may cost.")
    sheet.note("Premium", "round", str(Money(1, currency)), "", premium)
    tax, fee = Money.zero(currency), Money.zero(currency)
    for row in definition["taxes"]:
        part = premium.times(Fraction(row["rate"]))
        tax += part
        sheet.note(row["label"], "tax", str(part), f"{row['rate']} of the premium", premium + tax)
    for row in definition["fees"]:
        part = Money.parse(row["amount"], currency)
        fee += part
        sheet.note(row["label"], "fee", str(part), "", premium + tax + fee)
    referrals = tuple(rule["words"] for rule in definition["refer"] if _holds(rule["when"], given, on))
    return Rating(premium, tax, fee, tuple(sheet.steps), referrals)


def coverages(definition: Mapping[str, Any], answers: Mapping[str, Any]) -> tuple[Coverage, ...]:
    """The coverages with the limits and deductibles that the answers chose."""
    given = read_answers(definition, answers)

    def money(source: Mapping[str, str]) -> Money:
        chosen = source["value"] if "value" in source else text(given[source["answer"]])
        return Money.parse(chosen, definition["currency"])

    return tuple(
        Coverage(row["code"], row["name"], money(row["limit"]), money(row["deductible"]))
        for row in definition["coverages"]
    )


def initial_reserve(definition: Mapping[str, Any], claimed: Money) -> Money:
    """What is set aside when a claim is filed: a fixed amount, or a share of what is claimed."""
    rule = definition["initial_reserve"]
    if "amount" in rule:
        return Money.parse(rule["amount"], claimed.currency)
    return claimed.times(Fraction(rule["rate"]))


def interpolate(points: Sequence[tuple[Exact, Exact]], x: Exact, digits: int) -> Decimal:
    """The value at x on the line between the points around it, half up to `digits`; outside the points it refuses."""
    return Decimal(half_up(_between(points, exact(x)) * 10**digits)).scaleb(-digits)


def run_tests(definition: Mapping[str, Any]) -> None:
    """Refuse a definition of which one of its own test cases comes out differently."""
    problems = []
    for place, test in enumerate(definition["tests"]):
        expected = "refused" if test.get("refused") else test["premium"]
        try:
            outcome, why = str(rate(definition, test["answers"], parse_date(test["on"])).premium), ""
        except Refusal as refusal:
            outcome, why = "refused", f" ({refusal.message})"
        if outcome != expected:
            problems.append(f"tests[{place}]: {outcome}{why}, expected {expected}.")
    if problems:
        raise RuleBroken(" ".join(problems), field="tests")


class _Worksheet:
    """The steps taken so far."""

    def __init__(self, definition: Mapping[str, Any], answers: Answers, on: date) -> None:
        self.steps: list[Step] = []
        self._tables = definition["tables"]
        self._answers = answers
        self._on = on

    def note(self, label: str, operation: str, operand: str, source: str, amount: Fraction | Money) -> None:
        shown = str(amount) if isinstance(amount, Money) else _shown(amount)
        self.steps.append(Step(label, operation, operand, source, shown))

    def run(self, steps: Sequence[Mapping[str, Any]]) -> Fraction:
        """The amount that the steps lead to, from nothing."""
        amount = Fraction(0)
        for step in steps:
            if "when" in step and not _holds(step["when"], self._answers, self._on):
                continue
            operand, shown, source = self._operand(step)
            if step["op"] in ("divide", "round") and operand <= 0:
                raise RuleBroken(f"{step['label']}: nothing can be divided by {shown}.", field=step.get("answer"))
            amount = _OPERATIONS[step["op"]](amount, operand)
            self.note(step["label"], step["op"], shown, source, amount)
        return amount

    def _operand(self, step: Mapping[str, Any]) -> tuple[Fraction, str, str]:
        """The figure of a step, how it is shown, and where it comes from."""
        if "value" in step:
            return Fraction(step["value"]), step["value"], ""
        if "steps" in step:
            total = self.run(step["steps"])
            return total, _shown(total), "the lines above"
        answer = self._answers[step["answer"]]
        if "table" in step:
            value, row = _look_up(step["table"], self._tables[step["table"]], answer, self._on, step["answer"])
            return value, _shown(value), f"table “{step['table'].replace('_', ' ')}”, {row}"
        if isinstance(answer, date):
            return number(answer, self._on), _shown(number(answer, self._on)), f"years since {answer}"
        return number(answer), text(answer), "answer"


_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "constant": lambda _amount, operand: operand,
    "multiply": lambda amount, operand: amount * operand,
    "divide": lambda amount, operand: amount / operand,
    "add": lambda amount, operand: amount + operand,
    "cap": min,
    "floor": max,
    "round": lambda amount, unit: half_up(amount / unit) * unit,
}


def _look_up(name: str, table: Mapping[str, Any], answer: Answer, on: date, field: str) -> tuple[Fraction, str]:
    """The value of the table's row for an answer, and which row that is."""
    if table["match"] == "exact":
        wanted = text(answer).casefold()
        for key, value in table["rows"]:
            if key.casefold() == wanted:
                return Fraction(value), f"row {key}"
    elif table["match"] == "range":
        x = number(answer, on)
        for low, high, value in table["rows"]:
            if Fraction(low) <= x and (high is None or x <= Fraction(high)):
                return Fraction(value), f"row {low} to {high}" if high is not None else f"row from {low}"
    else:
        points = [(Fraction(x), Fraction(y)) for x, y in table["rows"]]
        if points[0][0] <= (x := number(answer, on)) <= points[-1][0]:
            return _between(points, x), f"between rows at {_shown(x)}"
    if "default" in table:
        return Fraction(table["default"]), "any other row"
    raise RuleBroken(f"The table {name} has no row for {text(answer)}.", field=field)


def _between(points: Sequence[tuple[Exact, Exact]], x: Fraction) -> Fraction:
    ordered = sorted((exact(at), exact(value)) for at, value in points)
    for at, value in ordered:
        if x == at:
            return value
    for (left, low), (right, high) in pairwise(ordered):
        if left < x < right:
            return low + (high - low) * (x - left) / (right - left)
    raise RuleBroken("The figure lies outside the table.")


def _holds(condition: Mapping[str, Any], answers: Answers, on: date) -> bool:
    """Whether an answer meets all that the condition says of it; one that was not given meets nothing."""
    answer = answers.get(condition["answer"])
    if answer is None:
        return False
    return (
        ("is" not in condition or text(answer).casefold() in {word.casefold() for word in condition["is"]})
        and ("at_least" not in condition or number(answer, on) >= Fraction(condition["at_least"]))
        and ("at_most" not in condition or number(answer, on) <= Fraction(condition["at_most"]))
    )


def _shown(amount: Fraction) -> str:
    """An exact amount as a decimal, after some places rounded."""
    figures = f"{Decimal(half_up(amount * 10**SHOWN_DECIMALS)).scaleb(-SHOWN_DECIMALS):f}"
    return figures.rstrip("0").rstrip(".")

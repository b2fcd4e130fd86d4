"""What a product definition may hold. Definitions are data, checked when they are saved; nothing in them is run.

Numbers are written as text ("0.05"), so that no reader of JSON makes floats of them. The parts:

- questions: code, label and type; `minimum` and `maximum`, `choices` (answer → label), `default`, `required`,
  `missing` (the words if there is no answer) and `"from": "birth_date"` for an age that nobody is asked for.
- tables: `exact` rows [answer, value], `range` rows [from, through, value], `linear` rows [x, value] with the values
  between them on a line; a `default` serves where no row fits.
- steps: label, `op` and one operand: a `value`, an `answer`, the row of a `table` for an answer, or the result of
  `steps` of their own. A step with `when` is taken only if the condition holds.
- plan_terms: by payment plan a `fee` for each instalment, a `down_payment_rate`, the `due_day` of the month, and
  whether what is left over when instalments are split goes to the `first` or the `last`.
- refuse and refer: what is not insured, and what somebody must look at first, `when` a condition holds, in `words`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ...core.dates import parse_date
from ...core.errors import RuleBroken
from ...core.money import CURRENCIES, Money
from .answers import TYPES, read_answer

PLANS = ("annual", "two_pay", "quarterly", "monthly")
CANCELLATION_METHODS = ("flat", "pro_rata", "short_rate_90", "table")
OPERATIONS = ("constant", "multiply", "divide", "add", "cap", "floor", "round")

Check = Callable[[str, Any], None]


def check_definition(definition: Any) -> None:
    """Refuse a definition that can't be rated from, naming the place in it. Its own tests: see `run_tests`."""
    _DEFINITION("", definition)
    questions = {question["code"]: question for question in definition["questions"]}
    _check_once("questions", list(questions), len(definition["questions"]))
    _check_once("coverages", {row["code"] for row in definition["coverages"]}, len(definition["coverages"]))
    for place, question in enumerate(definition["questions"]):
        _check_question(f"questions[{place}]", question, definition["currency"])
    for name, table in definition["tables"].items():
        _check_table(f"tables.{name}", table)
    for at, step in _steps("steps", definition["steps"]):
        _check_step(at, step, questions, definition["tables"])
    for part in ("refuse", "refer"):
        for place, rule in enumerate(definition[part]):
            _check_condition(f"{part}[{place}].when", rule["when"], questions)
    for place, row in enumerate(definition["coverages"]):
        for part in ("limit", "deductible"):
            if "answer" in row[part]:
                _check_answer(f"coverages[{place}].{part}.answer", row[part]["answer"], questions, numeric=True)
    for at, amount in _amounts(definition):
        try:
            Money.parse(amount, definition["currency"])
        except RuleBroken as error:
            _refuse(at, error.message)
    if definition["cancellation"]["method"] == "table" and "table" not in definition["cancellation"]:
        _refuse("cancellation.table", "is missing")


def _check_question(at: str, question: Mapping[str, Any], currency: str) -> None:
    if question["type"] == "choice" and not question.get("choices"):
        _refuse(f"{at}.choices", "is missing")
    if question["type"] not in ("integer", "money"):
        for bound in ("minimum", "maximum", "from"):
            if bound in question:
                _refuse(f"{at}.{bound}", f"does not go with a question of type {question['type']}")
    if "default" in question:
        try:
            read_answer(question, question["default"], currency)
        except RuleBroken as error:
            _refuse(f"{at}.default", error.message)


def _check_table(at: str, table: Mapping[str, Any]) -> None:
    width = 3 if table["match"] == "range" else 2
    for place, row in enumerate(table["rows"]):
        if len(row) != width:
            _refuse(f"{at}.rows[{place}]", f"has {len(row)} columns instead of {width}")
        for column, cell in enumerate(row):
            open_end = table["match"] == "range" and column == 1 and cell is None and row is table["rows"][-1]
            if not open_end and not (table["match"] == "exact" and column == 0):
                _number(f"{at}.rows[{place}][{column}]", cell)
    if table["match"] == "exact":
        for place, row in enumerate(table["rows"]):
            _text(f"{at}.rows[{place}][0]", row[0])
        _check_once(f"{at}.rows", {row[0].casefold() for row in table["rows"]}, len(table["rows"]))
        return
    if table["match"] == "linear" and len(table["rows"]) < 2:
        _refuse(f"{at}.rows", "a line needs two points")
    ends = [row[:2] if table["match"] == "range" else row[:1] for row in table["rows"]]
    bounds = [Fraction(end) for row in ends for end in row if end is not None]
    if any(low > high for low, high in pairwise(bounds)) or any(
        Fraction(before[-1]) >= Fraction(after[0]) for before, after in pairwise(ends)
    ):
        _refuse(f"{at}.rows", "must rise from row to row and not overlap")


def _check_step(at: str, step: Mapping[str, Any], questions: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    operands = sorted({"value", "answer", "table", "steps"} & set(step))
    if operands not in (["value"], ["answer"], ["answer", "table"], ["steps"]):
        _refuse(at, "has one operand: a value, an answer, a table with an answer, or steps")
    if "when" in step:
        _check_condition(f"{at}.when", step["when"], questions)
    if step["op"] in ("divide", "round") and Fraction(step.get("value", 1)) <= 0:
        _refuse(f"{at}.value", "must be more than 0")
    if "table" in step:
        if step["table"] not in tables:
            _refuse(f"{at}.table", f"there is no table {step['table']}")
        numeric = tables[step["table"]]["match"] != "exact"
        _check_answer(f"{at}.answer", step["answer"], questions, numeric=numeric)
    elif "answer" in step:
        _check_answer(f"{at}.answer", step["answer"], questions, numeric=True)


def _check_answer(at: str, code: str, questions: Mapping[str, Any], *, numeric: bool) -> None:
    """The answer exists whenever it is used, and is a number if it must be."""
    if code not in questions:
        _refuse(at, f"there is no question {code}")
    question = questions[code]
    if not question.get("required", True) and "default" not in question:
        _refuse(at, f"the question {code} is optional and has no default")
    if numeric and not _is_numeric(question):
        _refuse(at, f"the answer to {code} is not a number")


def _check_condition(at: str, condition: Mapping[str, Any], questions: Mapping[str, Any]) -> None:
    if condition["answer"] not in questions:
        _refuse(f"{at}.answer", f"there is no question {condition['answer']}")
    if len(condition) < 2:
        _refuse(at, 'says nothing of the answer: "is", "at_least" or "at_most"')
    if {"at_least", "at_most"} & set(condition) and not _is_numeric(questions[condition["answer"]]):
        _refuse(at, f"the answer to {condition['answer']} is not a number")


def _is_numeric(question: Mapping[str, Any]) -> bool:
    if question["type"] == "choice":
        return all(re.fullmatch(_DECIMAL, choice) for choice in question["choices"])
    return question["type"] in ("integer", "money", "date")


def _steps(at: str, steps: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each step and its place, those inside others too."""
    for place, step in enumerate(steps):
        yield f"{at}[{place}]", step
        yield from _steps(f"{at}[{place}].steps", step.get("steps", []))


def _amounts(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each amount of money in the definition's own currency, and its place."""
    yield "minimum_premium", definition["minimum_premium"]
    if "amount" in definition["initial_reserve"]:
        yield "initial_reserve.amount", definition["initial_reserve"]["amount"]
    for place, row in enumerate(definition["fees"]):
        yield f"fees[{place}].amount", row["amount"]
    for plan, terms in definition.get("plan_terms", {}).items():
        if "fee" in terms:
            yield f"plan_terms.{plan}.fee", terms["fee"]
    for place, row in enumerate(definition["coverages"]):
        for part in ("limit", "deductible"):
            if "value" in row[part]:
                yield f"coverages[{place}].{part}.value", row[part]["value"]


# What each part looks like, as checks made of checks.


def _refuse(at: str, problem: str) -> None:
    raise RuleBroken(f"{at or 'The definition'}: {problem}", field=at or None)


def _text(at: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        _refuse(at, "must be text")


def _code(at: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        _refuse(at, "must be a code of small letters, digits and _")


_DECIMAL = r"-?[0-9]{1,15}(\.[0-9]{1,15})?"


def _number(at: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(_DECIMAL, value):
        _refuse(at, 'must be a number written as text, such as "0.05"')


def _rate(at: str, value: Any) -> None:
    _number(at, value)
    if not 0 <= Fraction(value) <= 1:
        _refuse(at, "must lie between 0 and 1")


def _not_negative(at: str, value: Any) -> None:
    _number(at, value)
    if Fraction(value) < 0:
        _refuse(at, "can't be negative")


def _day(at: str, value: Any) -> None:
    _text(at, value)
    try:
        parse_date(value)
    except RuleBroken as error:
        _refuse(at, error.message)


def _flag(at: str, value: Any) -> None:
    if type(value) is not bool:
        _refuse(at, "must be true or false")


def _anything(_at: str, _value: Any) -> None:
    """Checked elsewhere, together with what it belongs to."""


def _count(least: int, most: int) -> Check:
    def check(at: str, value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            _refuse(at, f"must be a whole number from {least} through {most}")

    return check


def _one_of(*words: str) -> Check:
    def check(at: str, value: Any) -> None:
        if value not in words:
            _refuse(at, f"must be one of {', '.join(sorted(words))}")

    return check


def _each(check_item: Check, *, least: int = 0) -> Check:
    def check(at: str, value: Any) -> None:
        if not isinstance(value, list) or len(value) < least:
            _refuse(at, f"must be a list of at least {least}" if least else "must be a list")
        for place, item in enumerate(value):
            check_item(f"{at}[{place}]", item)

    return check


def _by_name(check_item: Check, check_name: Check = _code) -> Check:
    def check(at: str, value: Any) -> None:
        if not isinstance(value, dict):
            _refuse(at, "must be an object")
        for name, item in value.items():
            check_name(f"{at}: {name}", name)
            check_item(f"{at}.{name}", item)

    return check


def _object(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    known = {**required, **(optional or {})}

    def check(at: str, value: Any) -> None:
        if not isinstance(value, dict):
            _refuse(at, "must be an object")
        for name in required:
            if name not in value:
                _refuse(f"{at}.{name}".lstrip("."), "is missing")
        for name, item in value.items():
            if name not in known:
                _refuse(f"{at}.{name}".lstrip("."), "is not known here")
            known[name](f"{at}.{name}".lstrip("."), item)

    return check


def _either(choices: Mapping[str, Check]) -> Check:
    check_members = _object({}, choices)

    def check(at: str, value: Any) -> None:
        check_members(at, value)
        if len(value) != 1:
            _refuse(at, f"must hold one of {', '.join(choices)}")

    return check


def _check_once(at: str, different: Any, count: int) -> None:
    if len(different) != count:
        _refuse(at, "holds the same one twice")


_CONDITION = _object({"answer": _text}, {"is": _each(_text, least=1), "at_least": _number, "at_most": _number})
_RULE = _object({"when": _CONDITION, "words": _text})
_SOURCE = _either({"value": _number, "answer": _text})


def _step(at: str, value: Any) -> None:
    _object(
        {"label": _text, "op": _one_of(*OPERATIONS)},
        {"value": _number, "answer": _text, "table": _text, "when": _CONDITION, "steps": _step_list},
    )(at, value)


def _step_list(at: str, value: Any) -> None:
    """A step may hold steps of its own, so these two checks name each other."""
    _each(_step, least=1)(at, value)
    if value[0]["op"] not in ("constant", "add"):
        _refuse(f"{at}[0].op", "the first step sets the amount: constant or add")


_QUESTION = _object(
    {"code": _code, "label": _text, "type": _one_of(*TYPES)},
    {
        "hint": _text,
        "required": _flag,
        "default": _anything,
        "missing": _text,
        "minimum": _number,
        "maximum": _number,
        "choices": _by_name(_text, _text),
        "suggestions": _each(_text),
        "from": _one_of("birth_date"),
    },
)
_TABLE = _object({"match": _one_of("exact", "range", "linear"), "rows": _each(_each(_anything))}, {"default": _number})


def _test(at: str, value: Any) -> None:
    _object({"answers": _by_name(_anything), "on": _day}, {"premium": _number, "refused": _flag})(at, value)
    if ("premium" in value) == value.get("refused", False):
        _refuse(at, "expects either a premium or to be refused")


_PLAN_TERMS = _object(
    {},
    {
        "fee": _not_negative,
        "down_payment_rate": _rate,
        "due_day": _count(1, 31),
        "remainder": _one_of("first", "last"),
    },
)
_DEFINITION = _object(
    {
        "code": _code,
        "name": _text,
        "line": _code,
        "currency": _one_of(*CURRENCIES),
        "term_months": _count(1, 120),
        "questions": _each(_QUESTION, least=1),
        "coverages": _each(_object({"code": _code, "name": _text, "limit": _SOURCE, "deductible": _SOURCE}), least=1),
        "tables": _by_name(_TABLE),
        "steps": _step_list,
        "minimum_premium": _not_negative,
        "taxes": _each(_object({"label": _text, "rate": _rate}, {"refundable": _flag})),
        "fees": _each(_object({"label": _text, "amount": _not_negative})),
        "refuse": _each(_RULE),
        "refer": _each(_RULE),
        "payment_plans": _each(_one_of(*PLANS), least=1),
        "cancellation": _object(
            {"method": _one_of(*CANCELLATION_METHODS)},
            {
                "table": _each(_each(_count(0, 1000)), least=1),
                "minimum_earned": _either({"rate": _rate, "amount": _not_negative}),
            },
        ),
        "initial_reserve": _either({"rate": _rate, "amount": _not_negative}),
        "notice_days": _count(0, 365),
        "quote_valid_days": _count(1, 365),
        "tests": _each(_test, least=1),
    },
    {"description": _text, "plan_terms": _by_name(_PLAN_TERMS, _one_of(*PLANS))},
)

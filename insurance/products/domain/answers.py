"""Answers to a product's questions: text and numbers as people and programs give them, read by each question's type."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from operator import gt, lt
from typing import Any

from ...core.dates import age_on, parse_date
from ...core.errors import RuleBroken
from ...core.money import Money

Answer = int | Money | str | date | bool
Answers = dict[str, Answer]

TYPES = ("integer", "money", "text", "choice", "date", "boolean")
LONGEST_TEXT = 200


def read_answers(definition: Mapping[str, Any], answers: Mapping[str, Any]) -> Answers:
    """The answers as values of their questions' types; what is missing has its default or, if optional, stays out."""
    questions = {question["code"]: question for question in definition["questions"]}
    for code in answers:
        if code not in questions:
            raise RuleBroken("This product does not ask for this.", field=code)
    read: Answers = {}
    for code, question in questions.items():
        given = answers.get(code)
        if given is None or (isinstance(given, str) and not given.strip()):
            given = question.get("default")
        if given is not None:
            read[code] = read_answer(question, given, definition["currency"])
        elif question.get("required", True):
            raise RuleBroken(
                question.get("missing", f"{question['label']} is needed to work out the premium."), field=code
            )
    return read


def read_answer(question: Mapping[str, Any], given: Any, currency: str) -> Answer:
    """One answer as a value of its question's type, within the question's minimum and maximum."""
    try:
        value = _READERS[question["type"]](question, given, currency)
    except RuleBroken as error:
        raise RuleBroken(error.message, field=question["code"]) from error
    for bound, broken, words in (("minimum", lt, "at least"), ("maximum", gt, "at most")):
        if bound in question and broken(number(value), Fraction(question[bound])):
            raise RuleBroken(f"{question['label']} must be {words} {question[bound]}.", field=question["code"])
    return value


def add_age(
    definition: Mapping[str, Any], answers: Mapping[str, Any], birth_date: date | None, on: date
) -> dict[str, Any]:
    """The answers with the policyholder's completed years for each question `"from": "birth_date"`, whoever
    answered it: on record counts.
    """
    ages = [question["code"] for question in definition["questions"] if question.get("from") == "birth_date"]
    if ages and birth_date is None:
        raise RuleBroken("The premium depends on the age: enter the date of birth first.", field="birth_date")
    return {**answers, **{code: age_on(birth_date, on) for code in ages if birth_date}}


def number(value: Answer, on: date | None = None) -> Fraction:
    """What an answer counts for: figures as they are, a date as the completed years since, on the day `on`."""
    if isinstance(value, Money):
        return Fraction(value.decimal)
    if isinstance(value, date):
        if on is None:
            raise TypeError("a date counts for years only on a day")
        return Fraction(age_on(value, on))
    return Fraction(value)


def text(value: Answer) -> str:
    """An answer as tables and conditions name it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _as_text(given: Any) -> str:
    """A number from JSON as it is written; text without the blanks around it."""
    if isinstance(given, Decimal):
        return f"{given:f}"
    return str(given).strip()


def _integer(_question: Mapping[str, Any], given: Any, _currency: str) -> int:
    figures = _as_text(given)
    if not re.fullmatch(r"-?[0-9]{1,15}", figures):
        raise RuleBroken("Enter a whole number in figures.")
    return int(figures)


def _money(_question: Mapping[str, Any], given: Any, currency: str) -> Money:
    return Money.parse(_as_text(given), currency)


def _text(_question: Mapping[str, Any], given: Any, _currency: str) -> str:
    if not isinstance(given, str) or len(given.strip()) > LONGEST_TEXT or not given.strip().isprintable():
        raise RuleBroken(f"Enter a text of at most {LONGEST_TEXT} characters on one line.")
    return given.strip()


def _choice(question: Mapping[str, Any], given: Any, _currency: str) -> str:
    chosen = _as_text(given)
    if chosen not in question["choices"]:
        raise RuleBroken(f"Choose one of: {', '.join(question['choices'].values())}.")
    return chosen


def _date(_question: Mapping[str, Any], given: Any, _currency: str) -> date:
    return given if type(given) is date else parse_date(_as_text(given))


def _boolean(_question: Mapping[str, Any], given: Any, _currency: str) -> bool:
    words = {"yes": True, "true": True, "no": False, "false": False}
    if _as_text(given).lower() not in words:
        raise RuleBroken("Answer yes or no.")
    return words[_as_text(given).lower()]


_READERS: dict[str, Callable[[Mapping[str, Any], Any, str], Answer]] = {
    "integer": _integer,
    "money": _money,
    "text": _text,
    "choice": _choice,
    "date": _date,
    "boolean": _boolean,
}

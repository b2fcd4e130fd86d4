"""JSON that comes in: read strictly, so that nothing is taken for something else, and shaped by models."""

import json
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from flask import current_app, request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from ..core.dates import parse_date
from ..core.errors import Refusal, RuleBroken
from ..core.money import Money
from ..web.arguments import LARGEST
from ..web.forms import clean_text
from ..web.forms.texts import is_phone_number, plain_address
from .problems import FieldError, Invalid

LONGEST = 1024 * 1024
LARGEST_EXPONENT = 30

WORDS = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such member.",
    "int_type": "Send a whole number.",
    "string_type": "Send a text.",
    "string_unicode": "This has characters that cannot be kept.",
    "bool_type": "Send true or false.",
    "dict_type": "Send an object.",
    "model_type": "Send an object.",
}


class Body(BaseModel):
    """What an operation takes. Members have the API's names as aliases, and the services' names in Python."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    @property
    def given(self) -> dict[str, Any]:
        """The members that were sent, by the services' names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class _Unusable:
    """Stands for a value that JSON's grammar lets through and that nothing here can mean."""

    def __init__(self, why: str) -> None:
        self.why = why


def read_json() -> dict[str, Any]:
    """The body as an object, with decimals for all figures that are no whole numbers; empty if nothing was sent."""
    request.max_content_length = LONGEST
    data = request.get_data()
    if not data:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send JSON, as Content-Type: application/json.")
    try:
        body = json.loads(
            data.decode(),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=lambda name: _Unusable(f"is {name}"),
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        raise BadRequest("The body is not readable as JSON.") from None
    if not isinstance(body, dict):
        raise RuleBroken("Send an object: {…}.", "body")
    return body


def read(model: type[Body], given: dict[str, Any]) -> Body:
    """The body as the model has it, or everything that is wrong with it."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Invalid([_said(detail) for detail in error.errors(include_url=False)]) from None


def names(model: type[Body] | None) -> dict[str, str]:
    """What the services call the members of a model, and what the API calls them."""
    return {name: field.alias or name for name, field in model.model_fields.items()} if model else {}


def _said(detail: Any) -> FieldError:
    field = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "body"
    message = WORDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    return {"field": field, "message": message}


def _integer(figures: str) -> Any:
    number = int(figures) if len(figures) < 20 else None
    return number if number is not None and abs(number) <= LARGEST else _Unusable("is larger than any number here")


def _decimal(figures: str) -> Any:
    try:
        number = Decimal(figures)
    except InvalidOperation:
        return _Unusable("is larger than any number here")
    # Written out, 1e999999999 has a billion figures.
    return number if abs(number.adjusted()) <= LARGEST_EXPONENT else _Unusable("is out of all bounds")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if _unkeepable(name):
            raise RuleBroken("A member's name has characters that cannot be kept.", ascii(name))
        if name in found:
            raise RuleBroken("This member is there twice.", name)
        _check(name, value)
        found[name] = value
    return found


def _check(name: str, value: Any) -> None:
    for part in _flat(value):
        if isinstance(part, _Unusable):
            raise RuleBroken(f"This is no number that can be kept: it {part.why}.", name)
        if isinstance(part, str) and _unkeepable(part):
            raise RuleBroken("This has characters that cannot be kept.", name)


def _flat(value: Any) -> Iterable[Any]:
    """The value, or the values in an array; those in objects were checked with them."""
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _unkeepable(text: str) -> bool:
    return re.search("[\x00\ud800-\udfff]", text) is not None


# Types of members


def filled(text: str) -> str:
    """Refuse what is empty, or was nothing but blanks."""
    if not text:
        raise ValueError("This must not be empty.")
    return text


def _amount(given: Any) -> Money:
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        raise ValueError('Send an amount as text, such as "2400.00", or as a number.')
    text = f"{given:f}" if isinstance(given, Decimal) else str(given)
    try:
        return Money.parse(text, current_app.config["CURRENCY"])
    except RuleBroken as refusal:
        raise ValueError(refusal.message) from None


def _positive(amount: Money) -> Money:
    if amount.minor <= 0:
        raise ValueError("Send an amount above 0.")
    return amount


def _not_negative(amount: Money) -> Money:
    if amount.minor < 0:
        raise ValueError("Send 0 or more.")
    return amount


def _day(given: Any) -> date:
    try:
        return parse_date(given if isinstance(given, str) else "")
    except Refusal as refusal:
        raise ValueError(refusal.message) from None


def _line(text: str) -> str:
    try:
        return clean_text(text)
    except ValueError:
        raise ValueError("This must be one line without control characters.") from None


def _story(text: str) -> str:
    try:
        return clean_text(text, lines=True)
    except ValueError:
        raise ValueError("This has characters that cannot be kept.") from None


def _email(text: str) -> str:
    if text and not (text := plain_address(text) or ""):
        raise ValueError("Send one address like name@example.com.")
    return text


def _phone(text: str) -> str:
    if text and not is_phone_number(text):
        raise ValueError("Send a phone number like +1 800 555 0142.")
    return text


_FIGURES = "[0-9]{1,13}(\\.[0-9]{1,2})?"
_AMOUNT = {
    "anyOf": [{"type": "string", "pattern": f"^{_FIGURES}$"}, {"type": "number", "minimum": 0, "maximum": 10**13}],
    "examples": ["2400.00"],
}
_DATE = {"type": "string", "format": "date", "examples": ["2026-06-01"]}

AnyAmount = Annotated[Money, PlainValidator(_amount), AfterValidator(_not_negative), WithJsonSchema(_AMOUNT)]
Amount = Annotated[Money, PlainValidator(_amount), AfterValidator(_positive), WithJsonSchema(_AMOUNT)]
Day = Annotated[date, PlainValidator(_day), WithJsonSchema(_DATE)]
Id = Annotated[int, Field(ge=1, le=LARGEST)]
Text = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Name = Annotated[Text, Field(min_length=1), AfterValidator(filled)]
Story = Annotated[str, Field(max_length=4000), AfterValidator(_story)]
Reason = Annotated[Story, Field(min_length=1), AfterValidator(filled)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_line), AfterValidator(_email)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_line), AfterValidator(_phone)]
Nothing = AfterValidator(lambda given: given or "")
"""Reads null as the empty text."""


def left_out(**facts: Any) -> Any:
    """A member that may be left out, and is then not among those given; null says no more than it does elsewhere."""
    return Field(default_factory=lambda: None, **facts)

"""The shape of input: one form class, and fields that refuse in words whatever a column should not hold."""

import re
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import current_app, render_template, request
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError
from werkzeug.datastructures import CombinedMultiDict, FileStorage
from wtforms.fields import Field
from wtforms.utils import unset_value
from wtforms.validators import StopValidation, ValidationError
from wtforms.widgets import HiddenInput

from insurance.core import clock
from insurance.core.dates import in_words
from insurance.core.errors import Refusal, RuleBroken
from insurance.core.money import LIMIT_MINOR, Money
from insurance.web.filters import symbol
from insurance.web.uploads import CleanFile, check_upload

STALE = "This page was open too long, or it was changed on its way. Open it again and send it once more."
MOST_NUMBER = 10**15
_SURROGATE = re.compile("[\ud800-\udfff]")
# U+2028 and U+2029 end lines as well, for whoever splits lines in Python.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean_text(text: str, *, lines: bool = False) -> str:
    """The text stripped and in Unicode's NFC; ValueError if it has control characters, or half of one (a surrogate).

    With `lines`, line breaks and tabs may be in it.
    """
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", text.strip())
    if (_CONTROL_IN_LINES if lines else _CONTROL).search(text):
        raise ValueError("control characters")
    return text if any(map(str.isprintable, text)) else ""  # a name of zero-width spaces is no name


class Form(FlaskForm):
    """A form that says what is wrong in words, at the field or, for the form as a whole, above it."""

    def __init__(self, obj: Any = None, **kwargs: Any) -> None:
        # Left to itself Flask-WTF takes an empty body for "not submitted" and reads JSON.
        sent: list[Any] = [request.files, request.form]
        kwargs.setdefault("formdata", CombinedMultiDict(sent) if self.is_submitted() else None)
        super().__init__(obj=obj, **kwargs)

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether all fields are in shape. A forged or stale form is refused whole, as CSRFError (400)."""
        if "csrf_token" in self and not self["csrf_token"].validate(self):
            raise CSRFError(STALE)
        return super().validate(extra_validators)

    @property
    def shown_fields(self) -> list[Any]:
        """The fields that a person fills in, as declared."""
        return [field for field in self if not isinstance(field.widget, HiddenInput)]

    @property
    def errors_in_order(self) -> list[tuple[str, str]]:
        """Pairs of the HTML id to go to and the message: fields as declared, then the form as a whole ("main")."""
        shown = self.shown_fields
        at_fields = [(field.focus_id, message) for field in shown for message in field.errors]
        unseen = [message for field in self if field not in shown for message in field.errors]
        return at_fields + [("main", message) for message in dict.fromkeys([*unseen, *self.form_errors])]

    def refuse(self, error: Refusal) -> None:
        """Show a refusal at the field that it names, or above the form."""
        if error.field in self:
            self[error.field].errors = [*self[error.field].errors, error.message]
        else:
            self.form_errors.append(error.message)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Show what a service refuses in this form, and go on after the block."""
        try:
            yield
        except RuleBroken as error:
            self.refuse(error)

    def page(self, template: str, **context: Any) -> tuple[str, int]:
        """The form's page; its status is 422 if something in it was refused."""
        return render_template(template, form=self, **context), 422 if self.errors else 200


class Input(Field):
    """What all fields share. `noun` is how messages name the field, if not by its label.

    The empty answer is "" for texts and None for all else.
    """

    kind = "text"
    width = ""
    inputmode = ""
    rows = 0
    verb = "Enter"
    lines = False
    empty: Any = None

    def __init__(
        self,
        label: str = "",
        *,
        hint: str = "",
        optional: bool = False,
        max: int = 200,
        noun: str = "",
        missing: str = "",
        autocomplete: str = "",
        width: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.hint = hint
        self.optional = optional
        self.maxlength: int | None = max
        self.noun = noun or (f"The answer to “{label}”" if label.endswith("?") else label)
        self.missing = missing or f"{self.verb} {_with_article(self.noun)}"
        self.autocomplete = autocomplete
        self.width = width or self.width
        self.typed: str | None = None

    @property
    def focus_id(self) -> str:
        """The id of the element that a message about this field leads to."""
        return self.id

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Turn what was typed into `data`, or refuse it with a ValueError in words."""
        self.data = self.empty
        typed = _first_text(valuelist)
        self.typed = _CONTROL_IN_LINES.sub("", typed)
        text = self.clean(typed)
        if text:
            self.data = self.parse(text)
        elif not self.optional:
            raise ValueError(self.missing)

    def clean(self, typed: str) -> str:
        """The text to parse: of a length and of characters that can be kept."""
        too_long = ValueError(f"{self.noun} must be {self.maxlength} characters or fewer")
        # Asked first as well, for composing very long runs of accents takes very long.
        if self.maxlength and len(typed) > 4 * self.maxlength:
            raise too_long
        try:
            text = clean_text(typed, lines=self.lines)
        except ValueError:
            raise ValueError(
                f"{self.noun} must not contain control characters. Type it instead of pasting it"
            ) from None
        if self.maxlength and len(text) > self.maxlength:
            raise too_long
        return text

    def parse(self, text: str) -> Any:
        """The value that a text that is not empty stands for; ValueError says why it stands for none."""
        return text

    def pre_validate(self, form: Form) -> None:  # noqa: ARG002 (WTForms calls it so)
        """Ask nothing more of what could not be read."""
        if self.errors:
            raise StopValidation

    def show(self, value: Any) -> str:
        """How a value that was not typed stands in the box."""
        return str(value)

    def _value(self) -> str:
        if self.typed is not None:
            return self.typed
        return "" if self.data is None else self.show(self.data)


class TextField(Input):
    """One line of text."""

    empty = ""


class TextAreaField(Input):
    """Some lines of text."""

    kind = "textarea"
    lines = True
    empty = ""

    def __init__(self, label: str = "", *, rows: int = 5, max: int = 4000, **kwargs: Any) -> None:
        super().__init__(label, max=max, **kwargs)
        self.rows = rows


class EmailField(TextField):
    """One e-mail address in lower case and ASCII, so that mail and comparison need no care."""

    kind = "email"
    inputmode = "email"

    def __init__(
        self, label: str = "Email address", *, max: int = 254, autocomplete: str = "email", **kwargs: Any
    ) -> None:
        super().__init__(label, max=max, autocomplete=autocomplete, **kwargs)

    def parse(self, text: str) -> str:
        """Refuse what is not exactly one address; whether it receives mail is not asked."""
        try:
            address = validate_email(text, check_deliverability=False, allow_smtputf8=False).ascii_email
        except EmailNotValidError:
            address = None
        if not address:
            raise ValueError(f"{self.noun} must be one address like name@example.com")
        return address.lower()


class PasswordField(Input):
    """A password: any characters, kept as typed and never shown again."""

    kind = "password"
    empty = ""

    def __init__(
        self, label: str = "Password", *, max: int = 1024, autocomplete: str = "current-password", **kwargs: Any
    ) -> None:
        super().__init__(label, max=max, autocomplete=autocomplete, **kwargs)

    def clean(self, typed: str) -> str:
        """Only what could not be hashed, or not in reasonable time, is refused."""
        if len(typed) > (self.maxlength or 0):
            raise ValueError(f"{self.noun} must be {self.maxlength} characters or fewer")
        if _SURROGATE.search(typed):
            raise ValueError(f"{self.noun} has characters that cannot be kept")
        return typed

    def _value(self) -> str:
        return ""


class TelField(TextField):
    """A phone number as people write them."""

    kind = "tel"
    inputmode = "tel"

    def __init__(self, label: str = "Phone number", *, max: int = 40, autocomplete: str = "tel", **kwargs: Any) -> None:
        super().__init__(label, max=max, autocomplete=autocomplete, **kwargs)

    def parse(self, text: str) -> str:
        """Refuse what nobody could dial."""
        number, _, extension = re.sub(r" *(?:x|ext\.?) *(?=[0-9]+$)", "x", text).partition("x")
        written_so = re.fullmatch(r"\+?[0-9 ().\-/]+", number) and re.fullmatch("[0-9]{0,6}", extension)
        if not written_so or not 6 <= len(re.findall("[0-9]", number)) <= 15:
            raise ValueError(f"{self.noun} must be a phone number like +1 800 555 0142")
        return text


class WholeNumberField(Input):
    """A whole number in ASCII digits, between `min` and `max`."""

    kind = "number"
    width = "short"
    inputmode = "numeric"

    def __init__(self, label: str = "", *, min: int = 0, max: int = MOST_NUMBER, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        if not -MOST_NUMBER <= min <= max <= MOST_NUMBER:
            raise ValueError(f"{label}: bounds that a column of 64 bits may not hold")
        self.maxlength = None
        self.min, self.max = min, max

    def parse(self, text: str) -> int:
        """Read the digits and keep to the bounds."""
        match = re.fullmatch("(-?)0*([0-9]+)", text)
        if not match:
            raise ValueError(f"{self.noun} must be a whole number in figures, such as {max(self.min, 12)}")
        # A number of more digits than any bound has is out of them, whatever it is.
        number = int(match[1] + match[2][:20])
        if self.min <= number <= self.max:
            return number
        if self.max == MOST_NUMBER:
            raise ValueError(f"{self.noun} must be {self.min} or more")
        raise ValueError(f"{self.noun} must be between {self.min} and {self.max}")


class MoneyField(Input):
    """An amount of money in one currency (the system's, if none is named), such as 1,204.00."""

    kind = "money"
    width = "money"
    inputmode = "decimal"

    def __init__(
        self,
        label: str = "",
        *,
        currency: str = "",
        min_minor: int = 1,
        max_minor: int = LIMIT_MINOR,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.maxlength = None
        self.currency = currency or current_app.config["CURRENCY"]
        self.min, self.max = Money(min_minor, self.currency), Money(max_minor, self.currency)

    @property
    def symbol(self) -> str:
        """What stands before the box."""
        return symbol(self.currency)

    def parse(self, text: str) -> Money:
        """Read digits, well-placed thousands commas and the currency's decimals; nothing else is an amount."""
        plain = text.removeprefix(self.symbol).lstrip()
        match = re.fullmatch(r"(-?)([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]+))?", plain)
        if not match:
            raise ValueError(f"{self.noun} must be an amount in figures, such as {Money.rounded(1200, self.currency)}")
        if len(match[3] or "") > self.min.digits:
            most = f"at most {self.min.digits} decimals" if self.min.digits else "no decimals"
            raise ValueError(f"{self.noun} must have {most}")
        try:
            amount = Money.parse(plain.replace(",", ""), self.currency)
        except RuleBroken:  # too large for any amount
            amount = None
        if amount is None or amount > self.max:
            raise ValueError(f"{self.noun} must be {self._said(self.max)} or less")
        if amount < self.min:
            raise ValueError(f"{self.noun} must be {self._said(self.min)} or more")
        return amount

    def show(self, value: Money) -> str:
        """The amount as it would be typed."""
        return f"{value.decimal:,f}"

    def _said(self, amount: Money) -> str:
        return f"{self.symbol}{amount.decimal:,f}"


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
        not_before: "date | Callable[[], date] | str | None" = None,
        not_after: "date | Callable[[], date] | str | None" = None,
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
            whole = _first_text(formdata.getlist(self.name))
            values = [_first_text(formdata.getlist(f"{self.name}-{part}")) for part in ("year", "month", "day")]
            values = [*whole.split("-", 2), "", ""] if whole.strip() else values
            self._boxes = dict(
                zip(("year", "month", "day"), (_CONTROL.sub("", value) for value in values), strict=False)
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

    def pre_validate(self, form: Form) -> None:
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
    def _bound(form: Form, bound: "date | Callable[[], date] | str | None") -> tuple[date | None, str]:
        """The bound and how a message says it. A field that was left empty, or refused, bounds nothing."""
        if isinstance(bound, str):
            other = form[bound]
            return other.data, f"the same as {_with_article(other.noun)}"
        day = bound() if callable(bound) else bound
        return day, in_words(day) if day else ""

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


class ChoiceField(Input):
    """One of `choices`: (value, words), or (value, words, hint). `data` is the value itself: text, number or enum.

    A view may set `choices` after the form is made. A select gets a first line for "nothing chosen" where it needs one.
    """

    kind = "select"
    verb = "Choose"

    def __init__(
        self, label: str = "", *, choices: Iterable[tuple[Any, ...]] = (), as_radio: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(label, **kwargs)
        self.kind = "radio" if as_radio else "select"
        self.choices = list(choices)

    @property
    def choices(self) -> list[tuple[Any, ...]]:
        """What is offered, in the order given."""
        if self.kind == "radio" or not (self.optional or self.data is None):
            return self._choices
        return [("", "Not chosen" if self.optional else "Choose one"), *self._choices]

    @choices.setter
    def choices(self, choices: Iterable[tuple[Any, ...]]) -> None:
        self._choices = list(choices)

    def pre_validate(self, form: Form) -> None:
        """Take nothing that was not offered."""
        super().pre_validate(form)
        if self.data is None:
            return
        offered = {str(value): value for value, *_ in self._choices}
        if self.data not in offered:
            raise StopValidation(f"{self.noun} must be one of those listed")
        self.data = offered[self.data]


class CheckField(Input):
    """A box to tick: True or False. One with `must_tick` is refused without its tick."""

    kind = "checkbox"

    def __init__(self, label: str = "", *, must_tick: bool = False, missing: str = "", **kwargs: Any) -> None:
        super().__init__(label, missing=missing or f"Tick “{label}” to go on", **kwargs)
        self.must_tick = must_tick

    def process_formdata(self, valuelist: list[Any]) -> None:
        """A box without its tick is not sent at all."""
        self.data = bool(_first_text(valuelist))
        if self.must_tick and not self.data:
            raise ValueError(self.missing)

    def _value(self) -> str:
        return "yes"


class FilesField(Input):
    """Files to keep; `data` is a list of CleanFile, checked and cleaned, even where only one may be sent."""

    kind = "files"
    verb = "Add"

    def __init__(
        self,
        label: str = "",
        *,
        multiple: bool = True,
        most: int = 10,
        accept: str = ".pdf,.jpg,.jpeg,.png",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.multiple, self.accept = multiple, accept
        self.most = most if multiple else 1
        self.data: list[CleanFile]

    def process_data(self, value: Any) -> None:
        """Nothing stands in the box before files are chosen."""
        self.data = value or []

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Keep what came; a look inside waits until the form is known to be ours."""
        self.data = []
        self._sent = [file for file in valuelist if isinstance(file, FileStorage) and file.filename]
        if not self._sent and not self.optional:
            raise ValueError(self.missing)
        if len(self._sent) > self.most:
            raise ValueError(
                f"{self.noun} must be {self.most} files or fewer" if self.multiple else "Add one file only"
            )

    def pre_validate(self, form: Form) -> None:
        """Look inside each file, and name each that is refused."""
        super().pre_validate(form)
        for file in self._sent:
            try:
                self.data.append(check_upload(file.stream, file.filename or ""))
            except RuleBroken as error:
                self.errors.append(error.message)

    def _value(self) -> str:
        return ""


class HiddenField(Input):
    """What travels with the form unseen. If it does not come back whole, the form has to be opened again."""

    kind = "hidden"
    widget = HiddenInput()

    def __init__(self, label: str = "", **kwargs: Any) -> None:
        super().__init__(label, missing=STALE, **kwargs)

    def clean(self, typed: str) -> str:
        """The parsers below let through nothing that needs cleaning."""
        return typed


class KeyField(HiddenField):
    """The idempotency key: new with each form that is opened, kept while that form is sent again."""

    def __init__(self, label: str = "", **kwargs: Any) -> None:
        super().__init__(label, default=lambda: uuid.uuid4().hex, **kwargs)

    def parse(self, text: str) -> str:
        """Accept no key that was not made by a form of ours."""
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", text):
            raise ValueError(STALE)
        return text


class VersionField(HiddenField):
    """The version of the record that the form was filled from."""

    def parse(self, text: str) -> int:
        """Read a small whole number."""
        if not re.fullmatch("[0-9]{1,9}", text):
            raise ValueError(STALE)
        return int(text)


def _first_text(values: Sequence[Any]) -> str:
    """The first text; a file sent under a text's name counts as nothing."""
    return next((value for value in values if isinstance(value, str)), "")


def _with_article(noun: str) -> str:
    """A field's name within a sentence: "Full name" becomes "the full name", "Your name" "your name"."""
    if not noun[1:2].isupper():  # but "VIN" stays
        noun = noun[:1].lower() + noun[1:]
    return noun if re.match("(the|a|an|any|your|their) ", noun) else f"the {noun}"


__all__ = [
    "CheckField",
    "ChoiceField",
    "DateField",
    "EmailField",
    "FilesField",
    "Form",
    "KeyField",
    "MoneyField",
    "PasswordField",
    "TelField",
    "TextAreaField",
    "TextField",
    "ValidationError",
    "VersionField",
    "WholeNumberField",
    "clean_text",
]

"""What all fields share: a text comes in, is cleaned, and is parsed or refused."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from wtforms.fields import Field
from wtforms.validators import StopValidation

SURROGATE = re.compile("[\ud800-\udfff]")
# U+2028 and U+2029 end lines as well, for whoever splits lines in Python.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean_text(text: str, *, lines: bool = False) -> str:
    """The text stripped and in Unicode's NFC; ValueError if it has control characters, or half of one (a surrogate).

    With `lines`, line breaks and tabs may be in it.
    """
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", text.strip())
    if (CONTROL_IN_LINES if lines else CONTROL).search(text):
        raise ValueError("control characters")
    return text if any(map(str.isprintable, text)) else ""  # a name of zero-width spaces is no name


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
        self.missing = missing or f"{self.verb} {with_article(self.noun)}"
        self.autocomplete = autocomplete
        self.width = width or self.width
        self.typed: str | None = None
        self.now = ""

    @property
    def focus_id(self) -> str:
        """The id of the element that a message about this field leads to."""
        return self.id

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Turn what was typed into `data`, or refuse it with a ValueError in words."""
        self.data = self.empty
        typed = first_text(valuelist)
        self.typed = CONTROL_IN_LINES.sub("", typed)
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

    def pre_validate(self, form: Any) -> None:  # noqa: ARG002 (WTForms calls it so)
        """Ask nothing more of what could not be read."""
        if self.errors:
            raise StopValidation

    def show(self, value: Any) -> str:
        """How a value that was not typed stands in the box."""
        return str(value)

    def in_words(self, value: Any) -> str:
        """How a sentence says a value."""
        return self.show(value) if value or value == 0 else "empty"

    def _value(self) -> str:
        if self.typed is not None:
            return self.typed
        return "" if self.data is None else self.show(self.data)


def first_text(values: Sequence[Any]) -> str:
    """The first text; a file sent under a text's name counts as nothing."""
    return next((value for value in values if isinstance(value, str)), "")


def with_article(noun: str) -> str:
    """A field's name within a sentence: "Full name" becomes "the full name", "Your name" "your name"."""
    if not noun[1:2].isupper():  # but "VIN" stays
        noun = noun[:1].lower() + noun[1:]
    return noun if re.match("(the|a|an|any|your|their) ", noun) else f"the {noun}"

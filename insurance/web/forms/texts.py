"""Fields for texts: names, stories, addresses, numbers to call, passwords."""

import re
from typing import Any

from email_validator import EmailNotValidError, validate_email

from .field import SURROGATE, Input


def plain_address(text: str) -> str | None:
    """One e-mail address in lower case and ASCII; none if it is not exactly one."""
    try:
        address = validate_email(text, check_deliverability=False, allow_smtputf8=False).ascii_email
    except EmailNotValidError:
        return None
    return address and address.lower()


def is_phone_number(text: str) -> bool:
    """Whether somebody could dial this, as people write it."""
    number, _, extension = re.sub(r" *(?:x|ext\.?) *(?=[0-9]+$)", "x", text).partition("x")
    written_so = re.fullmatch(r"\+?[0-9 ().\-/]+", number) and re.fullmatch("[0-9]{0,6}", extension)
    return bool(written_so) and 6 <= len(re.findall("[0-9]", number)) <= 15


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
        address = plain_address(text)
        if not address:
            raise ValueError(f"{self.noun} must be one address like name@example.com")
        return address


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
        if SURROGATE.search(typed):
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
        if not is_phone_number(text):
            raise ValueError(f"{self.noun} must be a phone number like +1 800 555 0142")
        return text

"""Fields that travel with a form unseen."""

import re
import uuid
from typing import Any

from wtforms.widgets import HiddenInput

from .field import Input

STALE = "This page was open too long, or it was changed on its way. Open it again and send it once more."


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

"""Fields to choose, to tick, and to add files."""

from collections.abc import Iterable
from typing import Any

from werkzeug.datastructures import FileStorage
from wtforms.validators import StopValidation

from ...core.errors import RuleBroken
from ..scanner import refuse_infected
from ..uploads import MOST_BYTES, CleanFile, check_upload, clean_name
from .field import Input, first_text


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

    def in_words(self, value: Any) -> str:
        """The words of a choice."""
        return {str(choice): words for choice, words, *_ in self._choices}.get(str(value), "not chosen")

    def pre_validate(self, form: Any) -> None:
        """Take nothing that was not offered."""
        super().pre_validate(form)
        if self.data is None:
            return
        offered = {str(value): value for value, *_ in self._choices}
        self.data = offered.get(str(self.data))
        if self.data is None:
            raise StopValidation(f"{self.noun} must be one of those listed")


class CheckField(Input):
    """A box to tick: True or False. One with `must_tick` is refused without its tick."""

    kind = "checkbox"

    def __init__(self, label: str = "", *, must_tick: bool = False, missing: str = "", **kwargs: Any) -> None:
        super().__init__(label, missing=missing or f"Tick “{label}” to go on", **kwargs)
        self.must_tick = must_tick

    def process_formdata(self, valuelist: list[Any]) -> None:
        """A box without its tick is not sent at all."""
        self.data = bool(first_text(valuelist))
        if self.must_tick and not self.data:
            raise ValueError(self.missing)

    def in_words(self, value: Any) -> str:
        """Whether it is ticked."""
        return "ticked" if value else "not ticked"

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
        accept: str = "image/jpeg,image/png,.pdf",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.multiple, self.accept = multiple, accept
        self.most = most if multiple else 1
        self.data: list[CleanFile]

    def process_data(self, value: Any) -> None:
        """Nothing stands in the box before files are chosen."""
        self.data = value or []
        self._sent: list[FileStorage] = []

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

    def pre_validate(self, form: Any) -> None:
        """Look inside each file, and name each that is refused."""
        super().pre_validate(form)
        for file in self._sent:
            try:
                data = file.stream.read(MOST_BYTES + 1)
                refuse_infected(data, clean_name(file.filename or ""))
                self.data.append(check_upload(data, file.filename or ""))
            except RuleBroken as error:
                self.errors.append(error.message)

    def _value(self) -> str:
        return ""

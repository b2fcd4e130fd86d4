"""The form: all fields together, and what is wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g, render_template, request
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError
from werkzeug.datastructures import CombinedMultiDict
from wtforms.widgets import HiddenInput

from ...core.errors import NotFound, Refusal, RuleBroken, Stale
from .field import Input
from .hidden import STALE, VersionField


class Form(FlaskForm):
    """A form that says what is wrong in words, at the field or, for the form as a whole, above it."""

    def __init__(self, obj: Any = None, **kwargs: Any) -> None:
        # Left to itself Flask-WTF takes an empty body for "not submitted" and reads JSON.
        sent: list[Any] = [request.files, request.form]
        kept = g.get("kept_fields")
        kwargs.setdefault("formdata", CombinedMultiDict(sent) if self.is_submitted() else kept)
        super().__init__(obj=obj, **kwargs)
        self.status = RuleBroken.status

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
        """Show a refusal at the field that it names, or above the form; the page answers with its status."""
        self.status = error.status
        if isinstance(error, Stale):
            self._show_present_values()
        if error.field in self:
            self[error.field].errors = [*self[error.field].errors, error.message]
        else:
            self.form_errors.append(error.message)

    def _show_present_values(self) -> None:
        """Beside each answer that differs, show what the record says now; sent again, the form replaces it."""
        for field in self:
            if isinstance(field, VersionField):
                field.typed = None
                field.data = field.object_data
            elif isinstance(field, Input) and (field.data or None) != (field.object_data or None):
                field.now = field.in_words(field.object_data)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Show what a service refuses in this form, with nothing lost, and go on after the block."""
        try:
            yield
        except NotFound:
            raise
        except Refusal as error:
            self.refuse(error)

    def page(self, template: str, **context: Any) -> tuple[str, int]:
        """The form's page; its status is that of the refusal, if something in it was refused."""
        return render_template(template, form=self, **context), self.status if self.errors else 200

"""What is asked of whoever sends feedback, and of the admin who answers."""

from ..web.forms import (
    ChoiceField,
    EmailField,
    FilesField,
    Form,
    HiddenField,
    KeyField,
    TextAreaField,
    TextField,
    VersionField,
)
from .domain import KIND_WORDS


class FeedbackForm(Form):
    """Feedback of somebody who is signed in. `about` is the path of the page."""

    kind = ChoiceField("What is it?", choices=list(KIND_WORDS.items()), as_radio=True, missing="Choose what it is")
    text = TextAreaField("Your feedback", max=4000)
    screenshot = FilesField(
        "Screenshot", multiple=False, optional=True, hint="If it helps. JPG, PNG or PDF, up to 10 MB."
    )
    about = HiddenField(optional=True)
    key = KeyField()


class VisitorForm(FeedbackForm):
    """Feedback of somebody whom we do not know."""

    name = TextField("Your name", optional=True, autocomplete="name")
    email = EmailField("Your email address", optional=True, hint="Only if you would like an answer.")


class AnswerForm(Form):
    """The answer."""

    answer = TextAreaField("Your answer", max=4000, rows=8)
    version = VersionField()

"""What is asked of whoever wants to be erased, decides about it, or reviews who has access."""

from ..web.forms import Form, TextAreaField, VersionField


class RequestForm(Form):
    """Why a person should be erased."""

    reason = TextAreaField("Reason", rows=3, max=500, optional=True)


class DecisionForm(Form):
    """Yes: erase this person."""

    version = VersionField()


class DeclineForm(Form):
    """No, and why."""

    note = TextAreaField("Why not?", rows=3, max=500)
    version = VersionField()


class ReviewForm(Form):
    """What a review found, and what is done about it."""

    notes = TextAreaField("What you found, and what you do about it", rows=4, max=4000)


class ActForm(Form):
    """A button that changes something."""

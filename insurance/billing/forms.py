"""What staff change about an invoice."""

from ..web.forms import DateField, Form, TextField, VersionField


class ReasonForm(Form):
    """Why something is done that is asked about later."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()


class HoldForm(Form):
    """How long notices wait."""

    until = DateField("Wait through", hint="Left empty, notices go out again.", optional=True)
    reason = TextField("Reason", hint="Staff only.", max=200, optional=True)
    version = VersionField()


class ActForm(Form):
    """A button that changes something."""


class DueForm(Form):
    """Another day to pay by, and why."""

    due_on = DateField("Due date")
    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()

"""What staff change about an invoice."""

from ..web.forms import DateField, Form, TextField, VersionField


class DueForm(Form):
    """Another day to pay by, and why."""

    due_on = DateField("Due date")
    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()

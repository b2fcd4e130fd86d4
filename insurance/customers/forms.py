"""What is asked about a customer."""

from ..web.forms import (
    ChoiceField,
    DateField,
    EmailField,
    Form,
    HiddenField,
    KeyField,
    TelField,
    TextAreaField,
    TextField,
    VersionField,
)
from .models import CustomerKind


class CustomerForm(Form):
    """A person or an organisation."""

    kind = ChoiceField(
        "What is the customer?",
        choices=[(CustomerKind.PERSON, "A person"), (CustomerKind.ORGANISATION, "An organisation")],
        as_radio=True,
        default=CustomerKind.PERSON,
    )
    name = TextField("Full name", max=200)
    birth_on = DateField(
        "Date of birth", hint="For example, 23 11 1986. Needed to work out most premiums.", optional=True, past=True
    )
    email = EmailField("Email address", hint="Invoices and receipts go here.", optional=True)
    phone = TelField(optional=True)
    address = TextAreaField("Address", rows=3, max=500, optional=True)
    key = KeyField()
    anyway = HiddenField(optional=True)
    version = VersionField()


class ContactForm(Form):
    """What customers change themselves."""

    phone = TelField(optional=True)
    address = TextAreaField("Address", rows=3, max=500, optional=True)
    version = VersionField()


class TransferForm(Form):
    """Whose book the customer goes to."""

    agent_id = ChoiceField("Agent", choices=[])


class ActForm(Form):
    """A button that changes something."""

"""What staff enter when money came in, and what a customer sends to pay."""

from ..core import clock
from ..web.forms import (
    ChoiceField,
    DateField,
    Form,
    KeyField,
    MoneyField,
    TextAreaField,
    TextField,
    VersionField,
)
from .domain import METHOD_WORDS, PaymentMethod

BY_HAND = [
    (method, METHOD_WORDS[method]) for method in (PaymentMethod.BANK_TRANSFER, PaymentMethod.CASH, PaymentMethod.CHEQUE)
]


class PaymentForm(Form):
    """Money that staff received."""

    amount = MoneyField("Amount received")
    method = ChoiceField("How was it paid?", choices=BY_HAND, as_radio=True)
    paid_on = DateField("Date of payment", past=True, default=clock.today)
    reference = TextField(
        "Reference", hint="The cheque's number, or what the bank statement says", max=100, optional=True
    )
    note = TextAreaField("Note", rows=2, max=500, optional=True)
    key = KeyField()


class PaymentNoteForm(Form):
    """What staff may change about a payment."""

    reference = TextField("Reference", max=100, optional=True)
    note = TextAreaField("Note", hint="Staff only. The customer does not see it.", rows=3, max=500, optional=True)
    version = VersionField()


class PayForm(Form):
    """The button that pays."""

    key = KeyField()


class GatewayForm(Form):
    """The two buttons of the test gateway."""

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


class ReasonForm(Form):
    """Why something is done that is asked about later."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()


CREDIT = "credit"
"""Where money goes that is moved to no invoice."""


class ReallocateForm(Form):
    """What is moved from which invoice to which."""

    invoice_id = ChoiceField("From invoice")
    to_invoice_id = ChoiceField("To invoice")
    amount = MoneyField("Amount to move")
    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()


class ClearForm(Form):
    """What came to the bank; the payments are ticked in the page's table."""

    charge = MoneyField("What the gateway kept", hint="Its own charge, if it took one", optional=True)
    reference = TextField("Reference", hint="What the bank statement says", max=100)
    key = KeyField()


class SuspenseForm(Form):
    """Money that came and matches nothing."""

    amount = MoneyField("Amount received")
    received_on = DateField("Received", past=True, default=clock.today)
    payer = TextField("Who sent it", hint="As the bank statement says", max=200)
    reference = TextField("Reference", hint="As the bank statement says", max=100, optional=True)
    key = KeyField()


class MatchForm(Form):
    """Whose money it is."""

    number = TextField("Number of the invoice or policy", hint="Such as INV-2026-000042", max=40)


class WhyForm(Form):
    """Why money is sent back."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)


class PayForm(Form):
    """The button that pays."""

    key = KeyField()


class AutopayForm(Form):
    """The button that switches autopay on or off."""


class GatewayForm(Form):
    """The two buttons of the test gateway."""

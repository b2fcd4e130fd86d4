"""What staff enter about refunds, batches and statements."""

from typing import Any

from wtforms.validators import ValidationError

from ...core import clock
from ...core.errors import RuleBroken
from ...web.forms import (
    CheckField,
    ChoiceField,
    DateField,
    FilesField,
    Form,
    Input,
    KeyField,
    MoneyField,
    TextField,
    VersionField,
)
from ...web.scanner import refuse_infected
from ...web.uploads import MOST_BYTES, clean_name
from .statements import DATE_FORMATS, DECIMALS


class RefundForm(Form):
    """How much credit is paid back, to whom and where."""

    amount = MoneyField("Amount to pay back")
    payee_name = TextField("Payee", hint="As the bank knows them", max=70)
    account_number = TextField("IBAN or account number", max=50)
    bic = TextField("BIC", hint="Needed for most accounts without an IBAN", max=11, optional=True)
    key = KeyField()


class PaymentRefundForm(RefundForm):
    """How much of one payment is paid back, and why; a payment by card goes back to its card."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)
    version = VersionField()


class ActForm(Form):
    """A button that changes something."""


class SentForm(Form):
    """When the bank was given a file."""

    on = DateField("Given to the bank on", past=True, default=clock.today)


class CreditedForm(Form):
    """When the bank has credited a file."""

    on = DateField("Credited by the bank on", past=True, default=clock.today)


class MandateForm(Form):
    """A mandate that was signed on paper."""

    holder_name = TextField("Account holder", hint="As the bank knows them", max=70)
    account_number = TextField("IBAN", max=50)
    bic = TextField("BIC", max=11, optional=True)
    signed_on = DateField("Signed on", past=True, default=clock.today)


class OwnMandateForm(Form):
    """A mandate that a customer gives by ticking the box."""

    holder_name = TextField("Account holder", hint="As your bank knows you", max=70, autocomplete="name")
    account_number = TextField("IBAN", max=50)
    bic = TextField("BIC", max=11, optional=True)
    agreed = CheckField(
        "I give this mandate", must_tick=True, missing="Tick “I give this mandate” if you agree to its text"
    )


class DiscardForm(Form):
    """Why a file is not used."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)


class StatementField(FilesField):
    """A statement's file, read as it is: what is in it is looked at by the reader of its format."""

    def pre_validate(self, form: Any) -> None:
        """Take the bytes; `data` is a list of at most one (name, bytes)."""
        Input.pre_validate(self, form)
        read: Any = [(clean_name(file.filename or ""), file.stream.read(MOST_BYTES + 1)) for file in self._sent]
        if any(len(content) > MOST_BYTES for _, content in read):
            raise ValidationError("The file must be 10 MB or smaller. Import it in parts")
        for name, content in read:
            try:
                refuse_infected(content, name)
            except RuleBroken as refusal:
                raise ValidationError(refusal.message) from None
        self.data = read


class UploadForm(Form):
    """A file from the bank."""

    file = StatementField(
        "Statement", hint="CSV or camt.053 (XML), 10 MB at most", multiple=False, accept=".csv,.xml,.txt"
    )


class MappingForm(Form):
    """Which column says what; the view offers the file's own headings."""

    date = ChoiceField("Day of booking")
    amount = ChoiceField("Amount", hint="Money that went must be below zero")
    reference = ChoiceField("Reference")
    party = ChoiceField("Payer or payee", optional=True)
    date_format = ChoiceField("Days are written as", choices=list(DATE_FORMATS.items()))
    decimal = ChoiceField("Amounts are written as", choices=list(DECIMALS.items()))

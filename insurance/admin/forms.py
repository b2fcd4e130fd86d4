"""What admins send from pages of their own."""

import re
from typing import Any

from ..core import clock, formats
from ..web.forms import (
    ChoiceField,
    DateField,
    EmailField,
    Form,
    HiddenField,
    Input,
    TelField,
    TextAreaField,
    TextField,
    VersionField,
    WholeNumberField,
)


class ResendForm(Form):
    """Where a mail goes when it is sent again."""

    recipient = EmailField("Send to")


class CompanyForm(Form):
    """How the company is named everywhere."""

    name = TextField("Name of the company", max=100, autocomplete="organization")
    phone = TelField()
    address = TextAreaField("Address", rows=3, max=300)
    version = VersionField()


class BankForm(Form):
    """The account that the company pays from and is paid into."""

    name = TextField("Account holder", max=70)
    account_number = TextField("IBAN or account number", max=50)
    bic = TextField("BIC", max=11, optional=True)
    creditor_id = TextField(
        "Creditor identifier", hint="Without one, no direct debits are collected", max=50, optional=True
    )
    version = VersionField()


class FormatsForm(Form):
    """How amounts, numbers and days are written."""

    locale = ChoiceField("Locale", choices=formats.LOCALES.items())
    version = VersionField()


class DunningForm(Form):
    """On which day each notice about an unpaid invoice is due."""

    reminder = WholeNumberField("Reminder, days before the due day", min=1, max=60)
    overdue = WholeNumberField("Overdue notice, days after it", min=1, max=60)
    second = WholeNumberField("Second notice, days after it", min=2, max=120)
    cancellation = WholeNumberField("Notice of cancellation, days after it", min=3, max=200)
    grace = WholeNumberField("Cover ends, days after it at the earliest", min=4, max=365)
    version = VersionField()


class DaysField(Input):
    """Some days, as numbers with commas between; `data` is a tuple."""

    empty = ()

    def parse(self, text: str) -> Any:
        """Each number, or a refusal of all of it."""
        found = tuple(part.strip() for part in text.split(","))
        if not all(re.fullmatch("[0-9]{1,3}", part) for part in found):
            raise ValueError("Enter whole numbers with commas between, such as 0, 3, 7, 14")
        return tuple(map(int, found))

    def show(self, value: Any) -> str:
        """The numbers with commas between."""
        return ", ".join(map(str, value))


class CollectionForm(Form):
    """On which days autopay and direct debit take what is due, and when they stop."""

    autopay_days = DaysField(
        "Days after the due day on which a card is charged",
        hint="0 is the due day. After the last, autopay ends.",
        max=60,
    )
    lead_days = WholeNumberField(
        "Working days before the due day on which a direct debit is begun",
        hint="The payer is told then, and the bank gets the file in between",
        min=1,
        max=10,
    )
    most_returns = WholeNumberField("Returned direct debits that end a mandate", min=1, max=10)
    version = VersionField()


class MailForm(Form):
    """The words of a mail."""

    subject = TextField("Subject", max=150)
    body = TextAreaField("Text", rows=14, max=5000)
    version = VersionField()


class LettersField(TextField):
    """The letters before a number, in capitals however they are typed."""

    width = "4"

    def parse(self, text: str) -> str:
        """Make capitals of what was typed."""
        return text.upper()


class NumberingForm(Form):
    """The letters of each series, under the series' own name."""

    POL = LettersField("Policies and quotes", max=3)
    INV = LettersField("Invoices", max=3)
    RCT = LettersField("Receipts", max=3)
    CRN = LettersField("Credit notes", max=3)
    NOT = LettersField("Payment notices", max=3)
    BAT = LettersField("Batches for the bank", max=3)
    MND = LettersField("Mandates for direct debit", max=3)
    CLM = LettersField("Claims", max=3)
    CUS = LettersField("Customers", max=3)
    version = VersionField()


class CloseForm(Form):
    """Nothing but the wish to close the month that the page names."""

    month = HiddenField()


class ReopenForm(CloseForm):
    """Why a closed month is opened again."""

    reason = TextField("Reason", hint="The audit trail keeps it.", max=200)


class ActForm(Form):
    """A button that changes something."""


class EndForm(Form):
    """Why a disbursement ends here."""

    reason = TextField("Reason", hint="Staff only. The audit trail keeps it.", max=200)


class SendForm(Form):
    """When money left or arrived, and how the bank calls it."""

    on = DateField("Day", past=True, default=clock.today)
    reference = TextField("Reference", hint="The bank's, or the cheque's number", max=100, optional=True)


class PayeeForm(Form):
    """Whom to pay, and where."""

    payee_name = TextField("Payee", hint="As the bank knows them", max=70)
    account_number = TextField("IBAN or account number", max=50)
    bic = TextField("BIC", hint="Needed for most accounts without an IBAN", max=11, optional=True)

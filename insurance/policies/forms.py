"""What is asked for a quote and to bind it."""

from ..billing.domain import PLAN_WORDS
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
    WholeNumberField,
)


class FindCustomerForm(Form):
    """Whom the quote is for."""

    q = TextField("Name, number or e-mail address")


class QuoteForm(Form):
    """Cover and term."""

    policy_type = TextField("Type of policy", hint="Comprehensive, or any other type in your own words", max=60)
    coverage_amount = MoneyField(
        "Coverage amount", hint="The most that is paid for losses in the term", noun="The coverage amount"
    )
    start_date = DateField("First day of cover", default=clock.today)
    end_date = DateField(
        "Last day of cover", hint="Left empty, cover runs for 12 months.", optional=True, not_before="start_date"
    )
    key = KeyField()
    version = VersionField()


class BindForm(Form):
    """How it is paid."""

    payment_plan = ChoiceField("How will the customer pay?", choices=list(PLAN_WORDS.items()), as_radio=True)
    version = VersionField()


class PlanForm(Form):
    """How what is not billed yet is paid."""

    payment_plan = ChoiceField("How will the customer pay?", choices=list(PLAN_WORDS.items()), as_radio=True)
    due_day = WholeNumberField(
        "Day of the month",
        hint="On which instalments are due. 31 is the last day of each month.",
        min=1,
        max=31,
        optional=True,
    )
    version = VersionField()


class ActForm(Form):
    """A button that changes something."""


class NoteForm(Form):
    """The note on a policy."""

    text = TextAreaField("Note", hint="Staff only. The customer does not see it.", max=4000, optional=True)
    version = VersionField()

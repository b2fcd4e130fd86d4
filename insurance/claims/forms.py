"""What is asked about a claim, by the customer and by staff."""

from ..core import clock
from ..web.forms import (
    ChoiceField,
    DateField,
    FilesField,
    Form,
    KeyField,
    MoneyField,
    TextAreaField,
    TextField,
    VersionField,
)
from .domain import CAUSES

STORY_HINT = "Where you were, who else was involved and what was damaged. Do not worry about fault."
FILES_HINT = "JPG, PNG or PDF, up to 10 MB each. On a phone you can use the camera."
READS = "The customer reads it."


class PolicyForm(Form):
    """Which policy the claim is on."""

    policy_id = ChoiceField("Which policy is it about?", choices=[], as_radio=True, missing="Choose a policy")
    key = KeyField()


class WhenForm(Form):
    """When it happened and why."""

    loss_on = DateField("When did it happen?", noun="The date it happened", past=True)
    cause = ChoiceField(
        "What kind of damage is it?",
        choices=list(CAUSES.items()),
        as_radio=True,
        missing="Choose what kind of damage it is",
    )


class StoryForm(Form):
    """What happened."""

    description = TextAreaField(
        "Tell us what happened, in your own words", hint=STORY_HINT, max=4000, missing="Tell us what happened"
    )


class AmountForm(Form):
    """What it costs and who gets the money."""

    claimed = MoneyField("How much do you claim?", hint="An estimate is fine.", noun="The amount you claim")
    payee_name = TextField("Who is to be paid?", noun="The name of who is to be paid")


class PhotosForm(Form):
    """Photos and documents, on the way to filing."""

    files = FilesField("Photos and documents", hint=FILES_HINT, optional=True)


class FilesForm(Form):
    """Photos and documents for a claim that was filed."""

    files = FilesField("Photos and documents", hint=FILES_HINT, missing="Choose at least one file")


class ActForm(Form):
    """A button."""


class FactsForm(Form):
    """What staff correct until the decision."""

    loss_on = DateField("Date of loss", past=True)
    cause = ChoiceField("Cause", choices=list(CAUSES.items()))
    claimed = MoneyField("Amount claimed")
    payee_name = TextField("Payee")
    description = TextAreaField("What happened", max=4000)
    version = VersionField()


class NewClaimForm(Form):
    """The whole notice on one page, for staff."""

    loss_on = DateField("Date of loss", past=True)
    cause = ChoiceField("Cause", choices=list(CAUSES.items()))
    claimed = MoneyField("Amount claimed")
    payee_name = TextField("Payee")
    description = TextAreaField("What happened", max=4000)
    files = FilesField("Photos and documents", hint=FILES_HINT, optional=True)
    key = KeyField()


class ApproveForm(Form):
    """The amount and the reason."""

    amount = MoneyField("Amount to pay", noun="The amount to pay")
    notes = TextAreaField("Reason", hint=READS, max=2000)
    version = VersionField()


class RejectForm(Form):
    """The reason."""

    notes = TextAreaField("Reason", hint=f"{READS} Say which condition was not met.", max=2000)
    version = VersionField()


class AskForm(Form):
    """A question to the customer."""

    question = TextAreaField("Question", hint="The customer gets it by e-mail and answers in the portal.", max=2000)


class AnswerForm(Form):
    """The answer to a question."""

    text = TextAreaField("Your answer", max=4000)
    files = FilesField("Photos and documents", hint=FILES_HINT, optional=True)


class NoteForm(Form):
    """A note for staff."""

    text = TextAreaField("Note", hint="Staff only. The customer does not see it.", max=4000)


class SettleForm(Form):
    """How the payout was made."""

    on = DateField("Paid on", noun="The date of payment", past=True, default=clock.today)
    reference = TextField("Reference", hint="As the bank statement says", max=100, optional=True)

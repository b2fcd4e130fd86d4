"""What people type to register, sign in and look after their account."""

import re

from ..core.permissions import Role
from ..web.forms import (
    CheckField,
    ChoiceField,
    DateField,
    EmailField,
    Form,
    HiddenField,
    MoneyField,
    PasswordField,
    TextField,
    VersionField,
)
from .models import COLLECTIONS, Theme

HOW_TO_CHOOSE = "At least 12 characters. Several words are easy to keep."


class LoginForm(Form):
    """The two fields that the contract names."""

    email = EmailField("Email address", autocomplete="username")
    password = PasswordField("Password", autocomplete="current-password")
    next = HiddenField(optional=True)


class SignInAgainForm(Form):
    """The password once more, and where to go on."""

    password = PasswordField()
    next = HiddenField(optional=True)


class CodeField(TextField):
    """A code of the second step: six figures from an app, or a recovery code, however they are spaced."""

    inputmode = "text"

    def parse(self, text: str) -> str:
        """The code alone."""
        code = re.sub(r"[\s-]", "", text).lower()
        if not re.fullmatch("[0-9]{6}|[a-z2-7]{24}", code):
            raise ValueError(f"{self.noun} must have 6 figures, or the 24 letters and figures of a recovery code")
        return code


class CodeForm(Form):
    """The second step by a code, and where to go on."""

    code = CodeField(
        "Code",
        hint="The 6 figures that your app shows now, or one of your recovery codes",
        autocomplete="one-time-code",
        max=40,
    )
    next = HiddenField(optional=True)


class PasskeyForm(Form):
    """What a passkey has signed, which a script puts in, and where to go on."""

    credential = HiddenField(optional=True)
    next = HiddenField(optional=True)


class NewPasskeyForm(Form):
    """A new passkey, and what it is called."""

    name = TextField("What is it called?", hint="The phone or key that holds it, such as “My phone”", max=100)
    credential = HiddenField(optional=True)


class AppForm(Form):
    """The first code of an app; the secret travels with it, sealed."""

    code = CodeField("Code", hint="The 6 figures that the app shows now", autocomplete="one-time-code", max=40)
    secret = HiddenField()


class RegisterForm(Form):
    """A new customer's account."""

    name = TextField("Full name", max=200, autocomplete="name")
    email = EmailField("Email address", hint="We send a link to confirm it.")
    password = PasswordField("Password", hint=HOW_TO_CHOOSE, autocomplete="new-password")


class ConfirmForm(Form):
    """The password chosen with the registration, asked of a browser other than the one that registered."""

    password = PasswordField("The password that you chose", hint="To be sure that it was you who registered.")


class ForgotForm(Form):
    """Where to mail the link."""

    email = EmailField("Email address")


class PasswordForm(Form):
    """A first password, or a new one."""

    password = PasswordField("New password", hint=HOW_TO_CHOOSE, autocomplete="new-password")


class ChangePasswordForm(Form):
    """The present password and the new one."""

    old_password = PasswordField("Present password", autocomplete="current-password")
    password = PasswordField("New password", hint=HOW_TO_CHOOSE, autocomplete="new-password")


class ThemeForm(Form):
    """The look."""

    theme = ChoiceField(
        "How pages look",
        choices=[(Theme.AUTO, "As my device is set"), (Theme.LIGHT, "Light"), (Theme.DARK, "Dark")],
        as_radio=True,
    )


class ActForm(Form):
    """A button that changes something: the request token alone."""


class KeyForm(Form):
    """A new API key: what it is called, how long it is good, and what it may do with each kind of record."""

    name = TextField("What is the key for?", hint="The program's name, for example", max=100)
    expires_on = DateField("Last day", hint="Within a year. Make a new key before then.", noun="The last day")

    @property
    def scopes(self) -> list[str]:
        """What was chosen."""
        return [f"{name}:{self[name].data}" for name in COLLECTIONS if self[name].data]


for _name in COLLECTIONS:
    _choices = [("read", "Read"), ("write", "Read and change")]
    setattr(KeyForm, _name, ChoiceField(_name.capitalize(), choices=_choices, optional=True))


class InviteUserForm(Form):
    """A new user, whom a mail invites."""

    name = TextField("Full name")
    email = EmailField("Email address")
    role = ChoiceField("Role", choices=[(Role.AGENT, "Agent"), (Role.ADMIN, "Admin")], as_radio=True)
    authority = MoneyField(
        "May approve claims up to", hint="0 means that somebody else approves every claim.", min_minor=0
    )


class UserForm(Form):
    """What an admin may change about a user."""

    name = TextField("Full name")
    role = ChoiceField(
        "Role", choices=[(Role.CUSTOMER, "Customer"), (Role.AGENT, "Agent"), (Role.ADMIN, "Admin")], as_radio=True
    )
    authority = MoneyField(
        "May approve claims up to", hint="0 means that somebody else approves every claim.", min_minor=0
    )
    wide_sight = CheckField("Sees every customer, not only their own book", optional=True)
    active = CheckField("May sign in", optional=True)
    version = VersionField()

"""The shape of input: one form class, and fields that refuse in words whatever a column should not hold."""

from wtforms.validators import ValidationError

from .choices import CheckField, ChoiceField, FilesField
from .dates import DateField
from .field import Input, clean_text
from .form import Form
from .hidden import HiddenField, KeyField, VersionField
from .numbers import MoneyField, WholeNumberField
from .texts import EmailField, PasswordField, TelField, TextAreaField, TextField

__all__ = [
    "CheckField",
    "ChoiceField",
    "DateField",
    "EmailField",
    "FilesField",
    "Form",
    "HiddenField",
    "Input",
    "KeyField",
    "MoneyField",
    "PasswordField",
    "TelField",
    "TextAreaField",
    "TextField",
    "ValidationError",
    "VersionField",
    "WholeNumberField",
    "clean_text",
]

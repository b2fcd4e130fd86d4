"""The numbers of bank accounts and of those who collect: what can be right, and how little of one is shown."""

import re

from stdnum import bic as bics
from stdnum import iban
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10

from ...core.errors import RuleBroken
from ...core.person_keys import ERASED

LIKE_IBAN = re.compile("[A-Z]{2}[0-9]{2}")
SEPA = re.compile(
    "AD|AL|AT|BE|BG|CH|CY|CZ|DE|DK|EE|ES|FI|FR|GB|GI|GR|HR|HU|IE|IS|IT|LI|LT|LU|LV|MC|MD|ME|MK|MT|NL|NO|PL|PT|RO|RS|SE|SI|"
    "SK|SM|VA"
)
"""The countries whose accounts a SEPA direct debit can reach, as an IBAN begins."""


def check_account(number: str, bic: str = "") -> tuple[str, str]:
    """The account's number and BIC as banks write them, or a refusal. What begins like an IBAN must be one."""
    number, bic = (re.sub("[ -]", "", text).upper() for text in (number, bic))
    if is_iban(number):
        try:
            iban.validate(number)
        except ValidationError:
            raise RuleBroken("This IBAN has a mistake in it. Check it digit by digit.", "account_number") from None
    elif not re.fullmatch("[A-Z0-9]{4,34}", number):
        raise RuleBroken("Enter an IBAN, or an account number of 4 to 34 letters and digits.", "account_number")
    if bic and not bics.is_valid(bic):
        raise RuleBroken("A BIC has 8 or 11 characters, such as HARBUS33.", "bic")
    return number, bic


def check_debtor_account(number: str, bic: str = "") -> tuple[str, str]:
    """The IBAN and BIC of an account that a SEPA direct debit can be collected from, or a refusal."""
    number, bic = check_account(number, bic)
    if not is_iban(number) or not SEPA.match(number):
        raise RuleBroken(
            "Enter the IBAN of an account in a SEPA country, such as DE89 3704 0044 0532 0130 00.", "account_number"
        )
    return number, bic


def check_creditor_id(text: str) -> str:
    """A SEPA creditor identifier as banks write it, or a refusal. Its business code counts for nothing in the check."""
    creditor_id = re.sub("[ -]", "", text).upper()
    found = re.fullmatch("([A-Z]{2}[0-9]{2})[A-Z0-9]{3}([A-Z0-9]{1,28})", creditor_id)
    if not found or not mod_97_10.is_valid(found[2] + found[1]):
        raise RuleBroken(
            "This creditor identifier has a mistake in it. One reads like DE98ZZZ09999999999.", "creditor_id"
        )
    return creditor_id


def is_iban(number: str) -> bool:
    """Whether an account number means to be an IBAN."""
    return bool(LIKE_IBAN.match(number))


def masked(number: str) -> str:
    """An account's number with all but its last four characters hidden, or that it was erased."""
    return number if number in ("", ERASED) else f"•••• {number[-4:]}"

"""The numbers of bank accounts: what can be right, and how little of one is shown."""

import re

from stdnum import bic as bics
from stdnum import iban
from stdnum.exceptions import ValidationError

from ...core.errors import RuleBroken

LIKE_IBAN = re.compile("[A-Z]{2}[0-9]{2}")


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


def is_iban(number: str) -> bool:
    """Whether an account number means to be an IBAN."""
    return bool(LIKE_IBAN.match(number))


def masked(number: str) -> str:
    """An account's number with all but its last four characters hidden."""
    return f"•••• {number[-4:]}" if number else ""

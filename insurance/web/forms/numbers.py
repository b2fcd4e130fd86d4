"""Fields for whole numbers and for money."""

import re
from typing import Any

from flask import current_app

from ...core import formats
from ...core.errors import RuleBroken
from ...core.money import LIMIT_MINOR, Money
from .field import Input

MOST_NUMBER = 10**15


class WholeNumberField(Input):
    """A whole number in ASCII digits, between `min` and `max`."""

    kind = "number"
    width = "short"
    inputmode = "numeric"

    def __init__(self, label: str = "", *, min: int = 0, max: int = MOST_NUMBER, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        if not -MOST_NUMBER <= min <= max <= MOST_NUMBER:
            raise ValueError(f"{label}: bounds that a column of 64 bits may not hold")
        self.maxlength = None
        self.min, self.max = min, max

    def parse(self, text: str) -> int:
        """Read the digits and keep to the bounds."""
        match = re.fullmatch("(-?)0*([0-9]+)", text)
        if not match:
            raise ValueError(f"{self.noun} must be a whole number in figures, such as {max(self.min, 12)}")
        # A number of more digits than any bound has is out of them, whatever it is.
        number = int(match[1] + match[2][:20])
        if self.min <= number <= self.max:
            return number
        if self.max == MOST_NUMBER:
            raise ValueError(f"{self.noun} must be {self.min} or more")
        raise ValueError(f"{self.noun} must be between {self.min} and {self.max}")


class MoneyField(Input):
    """An amount of money in one currency (the system's, if none is named), as the locale writes it: 1,204.00."""

    kind = "money"
    width = "money"
    inputmode = "decimal"

    def __init__(
        self,
        label: str = "",
        *,
        currency: str = "",
        min_minor: int = 1,
        max_minor: int = LIMIT_MINOR,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.maxlength = None
        self.currency = currency or current_app.config["CURRENCY"]
        self.min, self.max = Money(min_minor, self.currency), Money(max_minor, self.currency)

    @property
    def symbol(self) -> str:
        """What stands before the box."""
        return formats.symbol(self.currency, formats.current())

    def parse(self, text: str) -> Money:
        """Read digits, well-placed thousands separators and the currency's decimals; nothing else is an amount."""
        typed = formats.without_symbol(text, self.symbol)
        plain = formats.plain(typed, self.min.digits)
        if plain is None:
            example = str(Money.rounded(1200, self.currency)).replace(".", formats.point())
            raise ValueError(f"{self.noun} must be an amount in figures, such as {example}")
        if len(plain.partition(".")[2]) > self.min.digits:
            most = f"at most {self.min.digits} decimals" if self.min.digits else "no decimals"
            raise ValueError(f"{self.noun} must have {most}")
        try:
            amount = Money.parse(plain, self.currency)
        except RuleBroken:  # too large for any amount
            amount = None
        if amount is None or amount > self.max:
            raise ValueError(f"{self.noun} must be {self.max.in_words} or less")
        if amount < self.min:
            raise ValueError(f"{self.noun} must be {self.min.in_words} or more")
        return amount

    def in_words(self, value: Any) -> str:
        """The amount with its sign."""
        return value.in_words if value else "empty"

    def show(self, value: Money) -> str:
        """The amount as it would be typed."""
        return formats.number(value.decimal)

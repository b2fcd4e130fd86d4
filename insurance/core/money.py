"""Money: whole minor units and a currency, rounded in one place, never a float."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import total_ordering
from typing import Literal

from . import formats
from .errors import RuleBroken

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

DIGITS = dict.fromkeys(_NO_DECIMALS.split(), 0) | dict.fromkeys(_THREE_DECIMALS.split(), 3)
"""Decimals of the currencies that have other than two (ISO 4217)."""
CURRENCIES = frozenset(_TWO_DECIMALS.split()) | frozenset(DIGITS)
LIMIT_MINOR = 10**15
"""The largest amount that people may enter, in minor units; sums of many still fit a database column."""

Exact = int | Fraction | Decimal


def exact(value: Exact) -> Fraction:
    """The number as a fraction; a float refuses, for it has been rounded already."""
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float, which is never exact")
    return Fraction(value)


def half_up(value: Exact) -> int:
    """The nearest whole number; halves go away from zero. Everything that is rounded is rounded here."""
    number = exact(value)
    nearest = (2 * abs(number.numerator) + number.denominator) // (2 * number.denominator)
    return nearest if number >= 0 else -nearest


def decimal_text(minor: int, currency: str) -> str:
    """Minor units as a plain decimal with the currency's decimals: 240000 of USD are 2400.00.

    Lists have hundreds of amounts, and a Decimal for each would cost more than the query.
    """
    digits = DIGITS.get(currency, 2)
    if digits == 2 and minor >= 0:  # almost always, and to say so is faster
        return f"{minor // 100}.{minor % 100:02}"
    if minor < 0:
        return f"-{decimal_text(-minor, currency)}"
    whole, part = divmod(minor, 10**digits)
    return f"{whole}.{part:0{digits}}" if digits else str(whole)


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency in its minor units (cents, or whole yen). Mixed currencies refuse."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are whole numbers, not {self.minor!r}")
        if self.currency not in CURRENCIES:
            raise RuleBroken("This is not a currency that we know.", field="currency")

    @classmethod
    def parse(cls, text: str, currency: str) -> "Money":
        """Read a plain decimal such as "2400.00" or "-5"; whatever else a number might look like refuses."""
        digits = cls(0, currency).digits
        match = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?", text)
        if not match:
            raise RuleBroken("Enter an amount in figures, such as 1200.50, without spaces or other signs.")
        sign, whole, decimals = match[1], match[2], match[3] or ""
        if len(decimals) > digits:
            most = f"at most {digits} decimals" if digits else "no decimals"
            raise RuleBroken(f"Amounts in {currency} have {most}.")
        figures = (whole + decimals.ljust(digits, "0")).lstrip("0") or "0"
        if len(figures) > len(str(LIMIT_MINOR)) or int(figures) > LIMIT_MINOR:
            raise RuleBroken(f"The largest amount possible is {cls(LIMIT_MINOR, currency).decimal:,f} {currency}.")
        return cls(int(sign + figures), currency)

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """Nothing, in a currency."""
        return cls(0, currency)

    @classmethod
    def rounded(cls, amount: Exact, currency: str) -> "Money":
        """The money nearest to an exact amount in whole units (2400, not 240000 cents), half up."""
        return cls(half_up(exact(amount) * 10 ** cls(0, currency).digits), currency)

    @property
    def digits(self) -> int:
        """How many decimals the currency has."""
        return DIGITS.get(self.currency, 2)

    @property
    def decimal(self) -> Decimal:
        """The amount in whole units, with the currency's decimals."""
        return Decimal(self.minor).scaleb(-self.digits)

    @property
    def in_words(self) -> str:
        """The amount as sentences say it: $1,204.00, or −$5.00 below zero; by the locale that holds."""
        return formats.money(self.decimal, self.currency, self.digits)

    def __str__(self) -> str:
        return decimal_text(self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same_currency(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same_currency(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __abs__(self) -> "Money":
        return Money(abs(self.minor), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same_currency(other)

    def times(self, factor: Exact) -> "Money":
        """The amount times an exact factor, rounded half up. Multiply factors first: each call rounds."""
        return Money(half_up(self.minor * exact(factor)), self.currency)

    def share(self, numerator: int, denominator: int) -> "Money":
        """The amount × numerator ÷ denominator, rounded half up."""
        return self.times(Fraction(numerator, denominator))

    def split(self, parts: int, remainder: Literal["first", "last"] = "first") -> tuple["Money", ...]:
        """Equal parts that add up to the amount: what is over goes unit by unit to the first, or all to the last."""
        if parts < 1:
            raise RuleBroken("An amount is split into at least one part.")
        if remainder not in ("first", "last"):
            raise RuleBroken('What is left over goes to the "first" parts or to the "last".')
        sign = -1 if self.minor < 0 else 1
        each, over = divmod(abs(self.minor), parts)
        if remainder == "first":
            minors = [each + 1] * over + [each] * (parts - over)
        else:
            minors = [each] * (parts - 1) + [each + over]
        return tuple(Money(sign * minor, self.currency) for minor in minors)

    def _same_currency(self, other: "Money") -> int:
        if not isinstance(other, Money):
            raise TypeError(f"money goes with money, not {other!r}")
        if other.currency != self.currency:
            raise RuleBroken(f"{self.currency} and {other.currency} can't be reckoned together.")
        return other.minor

"""How amounts, numbers and days are written: by the locale that admins choose. Words stay English, digits Latin."""

import re
from collections.abc import Callable
from copy import copy
from datetime import date
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.dates import format_skeleton
from babel.numbers import NumberPattern, format_decimal, get_currency_symbol, get_decimal_symbol, get_group_symbol

STANDARD = "en_US"
LOCALES = {
    name: Locale.parse(name).get_display_name("en") or name
    for name in (
        STANDARD, "en_GB", "en_IN", "ar", "de_CH", "de_DE", "es_ES", "fr_FR", "it_IT", "ja_JP", "nl_NL", "pt_BR",
    )
}  # fmt: skip
"""The locales to choose from, with their names."""
_MARKS = re.compile("[\u061c\u200e\u200f]")
"""Marks that turn the direction of writing: among English words they only confuse."""

_chosen: list[Callable[[], str]] = []


def choose_by(chosen: Callable[[], str]) -> None:
    """Let a function say which locale holds; until then it is the standard one."""
    _chosen[:] = [chosen]


def current() -> str:
    """The locale that holds now."""
    return _chosen[0]() if _chosen else STANDARD


def money(amount: Decimal, currency: str, digits: int, locale: str | None = None) -> str:
    """$1,204.00 in the United States, 1.204,00 $ in Germany; a true minus below zero."""
    locale = locale or current()
    if locale == STANDARD:  # as babel writes it, at a twentieth of the time: lists have many amounts
        return f"{'−' if amount < 0 else ''}{symbol(currency, locale)}{abs(amount):,f}"
    written = _currency_pattern(locale, digits).apply(amount, locale, currency=currency, currency_digits=False)
    return _MARKS.sub("", written).replace("-", "−")


@cache
def _currency_pattern(locale: str, digits: int) -> NumberPattern:
    pattern = copy(Locale.parse(locale).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


@cache
def symbol(currency: str, locale: str | None = None) -> str:
    """$ for USD; the code itself where a currency has no sign of its own."""
    return _MARKS.sub("", get_currency_symbol(currency, locale=locale or STANDARD))


def number(value: int | Decimal, locale: str | None = None) -> str:
    """1,204 or 1.204; decimals as many as there are."""
    locale = locale or current()
    if locale == STANDARD:
        return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    digits = max(0, -int(value.as_tuple().exponent)) if isinstance(value, Decimal) else 0
    pattern = copy(Locale.parse(locale).decimal_formats[None])
    pattern.frac_prec = (digits, digits)
    return _MARKS.sub("", format_decimal(value, format=pattern, locale=locale))


def day(when: date, locale: str | None = None) -> str:
    """24 Nov 2026; in figures where the locale's words are not English, such as 24.11.2026."""
    locale = locale or current()
    if locale.startswith("en"):
        return f"{when.day} {when:%b %Y}"
    return _MARKS.sub("", format_skeleton("yMd", when, locale=locale))


def point(locale: str | None = None) -> str:
    """What stands before the decimals."""
    return get_decimal_symbol(locale or current())


def without_symbol(typed: str, sign: str, locale: str | None = None) -> str:
    """A typed amount without the currency's sign, where the locale writes it."""
    after = Locale.parse(locale or current()).currency_formats["standard"].pattern.rstrip("\u200f").endswith("¤")
    return typed.removesuffix(sign).rstrip() if after else typed.removeprefix(sign).lstrip()


def plain(typed: str, digits: int, locale: str | None = None) -> str | None:
    """A typed number as 1234.50, where the locale's way and the plain way cannot mean two amounts; else None.

    "1.234" is 1234 in Germany, unless the currency has three decimals: then it could be either, and is refused.
    """
    locale = locale or current()
    local = _read(typed, point(locale), get_group_symbol(locale), lakhs=locale == "en_IN")
    simple = _read(typed, ".", "," if locale == STANDARD else "")
    if local is None or simple is None or local == simple:
        return local if local is not None else simple
    return None if len(simple.partition(".")[2]) <= digits else local


def _read(typed: str, mark: str, group: str, *, lakhs: bool = False) -> str | None:
    """A number by its separators; lakhs are groups of two before the last of three."""
    others = {" ": " ", "’": "'"}.get("" if not group else " " if group.isspace() else group, "")
    between = f"[{re.escape(group + others)}]"
    grouped = rf"|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" if group else ""
    if lakhs:
        grouped += rf"|[0-9]{{1,2}}(?:{between}[0-9]{{2}})*{between}[0-9]{{3}}"
    match = re.fullmatch(rf"(-?)([0-9]+{grouped})(?:{re.escape(mark)}([0-9]+))?", typed)
    if not match:
        return None
    whole = re.sub("[^0-9]", "", match[2])
    return f"{match[1]}{whole}" + (f".{match[3]}" if match[3] else "")

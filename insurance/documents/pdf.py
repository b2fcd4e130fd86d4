"""Documents as PDF: the same data gives the same bytes, on every machine, as long as the shipped fonts can write it."""

import json
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

FONTS = (
    "noto_cjk_sans_otc",
    "fontpkg_noto_sans_thai",
    "fontpkg_noto_sans_arabic",
    "fontpkg_noto_sans_devanagari",
)
"""Packages of fonts for writing that typst's own fonts lack."""
TEMPLATES = Path(__file__).parents[2] / "templates" / "documents"


def render(kind: str, data: dict[str, Any], *, issued_on: date) -> bytes:
    """A document of a kind, of plain data; every amount and date in it is text already.

    All kinds: company {name, phone, address}, customer {name, address, number}, policy_number, product, number,
    issued_on, and worksheet [{label, text, amount}], the lines that say why the amount is what it is.
    An invoice: also due_on, instalment ("Instalment 1 of 12" or ""), items [{text, period, amount}], total, pay_url,
    and collected {amount, collect_on, account, mandate, creditor, creditor_id}, empty where its payer pays it.
    A receipt: also amount, method, paid_on, reference, allocations [{invoice, amount}], credit ("" if none is left).
    A payout: also kind, reason, amount, payee, account, reference, status, sent_on ("" if it was not sent yet).
    A statement: also first, last, opening, lines [{on, what, number, added, taken_off, balance}], added, taken_off,
    closing_balance, and closing with closing_words, which say whether it is owed or credit.

    The PDF is accessible (PDF/UA) and fit to keep (PDF/A). Writing that neither typst's fonts nor those of `FONTS`
    have is set in the machine's own, without that promise: a name is never refused.
    """
    inputs = {"data": json.dumps(data, ensure_ascii=False), "issued_on": issued_on.isoformat()}
    issued_at = datetime.combine(issued_on, time(), UTC)
    try:
        return _compile(kind, inputs, issued_at, promise=True)
    except typst.TypstError:
        return _compile(kind, inputs, issued_at, promise=False)


def _compile(kind: str, inputs: dict[str, str], issued_at: datetime, *, promise: bool) -> bytes:
    return typst.compile(
        TEMPLATES / f"{kind}.typ",
        root=TEMPLATES,
        font_paths=_fonts(system=not promise),
        sys_inputs=inputs,
        pdf_standards=["ua-1", "a-2a"] if promise else [],
        timestamp=issued_at,
    )


@cache
def _fonts(*, system: bool) -> typst.Fonts:
    return typst.Fonts(include_system_fonts=system, font_paths=[Path(str(files(package))) for package in FONTS])

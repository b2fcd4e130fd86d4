"""Reading what a bank says came and went: camt.053, and CSV with the bank's own columns."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from typing import Any

from lxml import etree

from ...core.errors import RuleBroken
from ...core.money import Money

MOST_ROWS = 20_000
DATE_FORMATS = {"%Y-%m-%d": "2026-11-24", "%d.%m.%Y": "24.11.2026", "%d/%m/%Y": "24/11/2026", "%m/%d/%Y": "11/24/2026"}
DECIMALS = {".": "1,204.50", ",": "1.204,50"}


@dataclass(frozen=True)
class Line:
    """One booking: above zero it came, below it went. `key` tells it from all others on the same account."""

    key: str
    account_number: str
    booked_on: date
    amount: Money
    reference: str
    party: str


@dataclass(frozen=True)
class RowError:
    """What is wrong with a row of the file, counted as a spreadsheet counts."""

    row: int
    message: str


@dataclass(frozen=True)
class Reading:
    """What could be read, and what could not."""

    lines: list[Line]
    errors: list[RowError]


@dataclass(frozen=True)
class Mapping:
    """Which column of a CSV file says what, and how it writes days and amounts."""

    date: str
    amount: str
    reference: str
    party: str = ""
    date_format: str = "%Y-%m-%d"
    decimal: str = "."


def is_xml(data: bytes) -> bool:
    """Whether a file means to be camt.053 rather than CSV."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


# CSV


def csv_rows(data: bytes) -> list[list[str]]:
    """The rows of a CSV file with commas, semicolons or tabs; the first one has the headings."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    if "\x00" in text:
        raise RuleBroken("This is no CSV file. Save the statement as CSV or camt.053.", "file")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(StringIO(text), delimiter=separator) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise RuleBroken(f"This is no CSV file: {error}.", "file") from None
    if len(rows) < 2 or len(rows[0]) < 2:
        raise RuleBroken("The file needs a row of headings and at least one row below it.", "file")
    if len(rows) > MOST_ROWS:
        raise RuleBroken(f"The file has more than {MOST_ROWS:,} rows. Import it in parts.", "file")
    return rows


def read_csv(rows: Sequence[Sequence[str]], mapping: Mapping, *, account_number: str, currency: str) -> Reading:
    """The bookings of a CSV file. Equal rows are told apart by how often they came before within the file."""
    headings = [cell.strip() for cell in rows[0]]
    missing = {mapping.date, mapping.amount, mapping.reference} - set(headings)
    if missing:
        raise RuleBroken(f"The file has no column “{min(missing)}”.")
    lines, errors, seen = [], [], Counter[str]()
    for number, row in enumerate(rows[1:], start=2):
        cells = dict(zip(headings, (cell.strip() for cell in row), strict=False))
        try:
            booked_on = _day(cells.get(mapping.date, ""), mapping.date_format)
            amount = _amount(cells.get(mapping.amount, ""), mapping.decimal, currency)
        except ValueError as error:
            errors.append(RowError(number, str(error)))
            continue
        print_ = _hash(booked_on.isoformat(), amount, *row)
        seen[print_] += 1
        lines.append(
            Line(
                key=_hash(print_, seen[print_]),
                account_number=account_number,
                booked_on=booked_on,
                amount=amount,
                reference=_text(cells.get(mapping.reference, ""), 500),
                party=_text(cells.get(mapping.party, ""), 200),
            )
        )
    return Reading(lines, errors)


def _day(text: str, date_format: str) -> date:
    try:
        day = datetime.strptime(text, date_format).date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        raise ValueError(f"“{text[:40]}” is no day like {DATE_FORMATS[date_format]}") from None
    if not 1990 <= day.year <= 2200:
        raise ValueError(f"“{text[:40]}” is no year of a statement")
    return day


def _amount(text: str, decimal: str, currency: str) -> Money:
    thousands = "," if decimal == "." else "."
    plain = re.sub(r"[\s'’]", "", text).replace("−", "-")
    number = plain.removeprefix("+").replace(thousands, "").replace(decimal, ".")
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", number):
        raise ValueError(f"“{text[:40]}” is no amount like {DECIMALS[decimal]}")
    try:
        amount = Money.parse(number, currency)
    except (RuleBroken, ValueError):
        raise ValueError(f"“{text[:40]}” is no amount in {currency}") from None
    if not amount:
        raise ValueError("the amount is zero")
    return amount


# camt.053


def read_camt(data: bytes) -> Reading:
    """The booked entries of a camt.053 file of any version. What refers to anything outside itself is refused."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        raise RuleBroken("This file is not whole XML. Download the statement from the bank again.", "file") from None
    if root.getroottree().docinfo.doctype or not etree.QName(root).namespace or "camt.053" not in str(root.tag):
        raise RuleBroken("This is no camt.053 statement.", "file")
    for element in root.iter(etree.Element):
        element.tag = etree.QName(element).localname
    lines, errors, seen, row = [], [], Counter[str](), 0
    for statement in root.iter("Stmt"):
        account = _find(statement, "Acct/Id/IBAN") or _find(statement, "Acct/Id/Othr/Id")
        for entry in statement.iterfind("Ntry"):
            row += 1
            status = _find(entry, "Sts/Cd") or _find(entry, "Sts")
            if status and status != "BOOK":
                continue
            try:
                lines += _entry(entry, account, seen)
            except ValueError as error:
                errors.append(RowError(row, str(error)))
    if not row:
        raise RuleBroken("The statement has no entries.", "file")
    return Reading(lines, errors)


def _entry(entry: Any, account: str, seen: Counter[str]) -> list[Line]:
    """The lines of an entry: one for each transaction of a collective booking."""
    details = entry.findall("NtryDtls/TxDtls")
    parts = details if len(details) > 1 and all(_amount_of(part) is not None for part in details) else [None]
    booked = _find(entry, "BookgDt/Dt") or _find(entry, "BookgDt/DtTm")[:10] or _find(entry, "ValDt/Dt")
    booked_on = _day(booked, "%Y-%m-%d")
    lines = []
    for part in parts:
        amount = _amount_of(entry if part is None else part)
        if amount is None:
            raise ValueError("an entry has no amount")
        went = _find(entry, "CdtDbtInd") == "DBIT"
        about = part if part is not None else (details[0] if details else entry)
        reference = " ".join(
            dict.fromkeys(
                text.strip()
                for path in ("Refs/EndToEndId", "RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref")
                for text in (found.text or "" for found in about.iterfind(path))
                if text.strip() not in ("", "NOTPROVIDED")
            )
        ) or _find(entry, "AddtlNtryInf")
        side = "Cdtr" if went else "Dbtr"
        party = _find(about, f"RltdPties/{side}/Nm") or _find(about, f"RltdPties/{side}/Pty/Nm")
        bank_ref = _find(about, "Refs/AcctSvcrRef") or _find(entry, "AcctSvcrRef") or _find(entry, "NtryRef")
        print_ = _hash(bank_ref, booked_on.isoformat(), amount, went, *(() if bank_ref else (reference, party)))
        seen[print_] += 1
        lines.append(
            Line(
                key=_hash(print_, seen[print_]),
                account_number=account[:34],
                booked_on=booked_on,
                amount=-amount if went else amount,
                # What was read first is in the key, so what helps to match is added here and changes no key.
                reference=_text(" ".join(filter(None, (reference, *_also_said(entry, about, reference)))), 500),
                party=_text(party, 200),
            )
        )
    return lines


def _also_said(entry: Any, about: Any, reference: str) -> list[str]:
    """The file of ours that an entry answers, and why a bank sends something back, if the reference does not say so."""
    said = [_find(about, "Refs/PmtInfId"), _find(entry, "NtryDtls/Btch/PmtInfId"), _find(about, "RtrInf/Rsn/Cd")]
    return [text for text in dict.fromkeys(said) if text and text not in reference]


def _amount_of(element: Any) -> Money | None:
    found = element.find("Amt")
    if found is None:
        found = element.find("AmtDtls/TxAmt/Amt")
    if found is None:
        return None
    currency = found.get("Ccy", "")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ValueError("an amount has no currency")
    return _amount(found.text or "", ".", currency)


def _find(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _text(text: str, most: int) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:most].strip()


def _hash(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()

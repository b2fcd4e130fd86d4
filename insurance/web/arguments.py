"""What the address of a page names, in its path or after its question mark: ids, days, and other pages."""

from datetime import date
from urllib.parse import urlsplit

from flask import request
from werkzeug.routing import IntegerConverter

from ..core.dates import parse_date
from ..core.errors import Refusal

LARGEST = 2**63 - 1


class IdConverter(IntegerConverter):
    """A number in a path, of no more digits than a column of 64 bits holds for sure: no record has a larger one."""

    regex = "[0-9]{1,18}"


def find_id(name: str) -> int | None:
    """The id that the address gives under a name; none if it gives nothing that could be one."""
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(LARGEST)) else None


def get_id(name: str, refusal: str) -> int:
    """The id that the address must give, or the refusal in words."""
    found = find_id(name)
    if found is None:
        raise Refusal(refusal)
    return found


def find_day(name: str) -> date | None:
    """The day that the address gives under a name; none if it gives nothing. What is no day is refused."""
    text = request.args.get(name, "")
    return parse_date(text) if text else None


def inside(address: str | None) -> str:
    """The address if it leads to a page of this site, else ""."""
    if not address or not address.startswith("/") or address.startswith(("//", "/\\")):
        return ""
    parts = urlsplit(address)
    return address if not parts.scheme and not parts.netloc and address.isprintable() else ""

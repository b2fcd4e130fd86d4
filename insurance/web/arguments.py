"""Ids that the address of a page names after its question mark."""

from flask import request

from ..core.errors import Refusal


def find_id(name: str) -> int | None:
    """The id that the address gives under a name; none if it gives nothing that could be one."""
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def get_id(name: str, refusal: str) -> int:
    """The id that the address must give, or the refusal in words."""
    found = find_id(name)
    if found is None:
        raise Refusal(refusal)
    return found

"""Rules about customers as people: how names compare."""

import unicodedata
from difflib import SequenceMatcher


def search_form(name: str) -> str:
    """The name as it is searched and sorted: lower case, without accents."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return plain.casefold()[:200]


def words(name: str, email: str) -> set[str]:
    """What a customer is found by: each word of the name, and the e-mail address."""
    return {*search_form(name).split(), *search_form(email).split()}


def similar(name: str, other: str) -> bool:
    """Whether two names may be of one person: the same words in any order, or nearly the same letters."""
    one, two = (sorted(search_form(text).split()) for text in (name, other))
    return one == two or SequenceMatcher(None, " ".join(one), " ".join(two)).ratio() > 0.85

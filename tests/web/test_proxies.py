"""The client's address is what the trusted proxies saw, never what the client says of itself."""

import pytest
from flask import Flask
from sqlalchemy import select

from insurance import create_app
from insurance.accounts.models import SignInTry
from insurance.core.db import db


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("proxies", "seen"), [(0, "127.0.0.1"), (1, "203.0.113.5"), (2, "198.51.100.9"), (3, "192.0.2.66")]
)
def test_wrong_passwords_count_for_the_address_that_so_many_proxies_saw(app: Flask, proxies: int, seen: str) -> None:
    behind = create_app({**app.config, "TRUSTED_PROXIES": proxies})
    answer = behind.test_client().post(
        "/login",
        data={"email": "nobody@example.com", "password": "wrong-password-1"},
        headers={"X-Forwarded-For": "192.0.2.66, 198.51.100.9, 203.0.113.5", "X-Forwarded-Host": "evil.example"},
    )
    assert answer.status_code == 422, answer.text
    with behind.app_context():
        db.engine.dispose()
    db.session.rollback()  # so that the test reads what was written meanwhile
    assert db.session.scalars(select(SignInTry.address)).one() == seen

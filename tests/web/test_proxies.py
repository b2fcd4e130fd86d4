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


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("proxies", "scheme", "status"), [(1, "http", 403), (1, "https", 401), (1, "", 401), (0, "http", 401)]
)
def test_what_came_to_the_api_in_the_clear_is_refused_and_not_led_to_https(
    app: Flask, proxies: int, scheme: str, status: int
) -> None:
    behind = create_app({**app.config, "TRUSTED_PROXIES": proxies, "SESSION_COOKIE_SECURE": True})
    headers = {"X-Forwarded-Proto": scheme} if scheme else {}
    answer = behind.test_client().get("/api/v1/policies", headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    with behind.app_context():
        db.engine.dispose()

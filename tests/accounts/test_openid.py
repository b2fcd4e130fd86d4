"""Staff sign in with their company's account, by a provider that tells the truth, and by one that does not."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from sqlalchemy import func, select

from insurance.accounts import queries
from insurance.accounts.models import SignInSession, User
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.permissions import Actor, Role
from tests import factories
from tests.accounts.fake_provider import CLIENT, SECRET, Provider
from tests.soft_key import registered

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(app: Flask, served: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    facts = {"OIDC_ISSUER": served.issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET, "OIDC_NAME": "Acme"}
    for name, value in facts.items():
        monkeypatch.setitem(app.config, name, value)
    app.extensions.pop("openid", None)
    served.changes, served.discovered, served.signed_with = {}, {}, served.key
    return served


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT, email="ann@example.com")


def go(browser: FlaskClient, provider: Provider, then: str = ""):
    """There and back."""
    away = browser.get("/login/openid", query_string={"next": then})
    back = urlsplit(provider.authorize(away.location))
    return browser.get(f"{back.path}?{back.query}")


def subject_of(actor: Actor) -> str | None:
    db.session.expire_all()
    return queries.get_user(actor.id or 0).openid_subject


def test_a_verified_address_links_the_account_and_then_the_providers_id_counts(client, provider, agent) -> None:
    assert "sign in with Acme" in client.get("/login").text
    answer = go(client, provider, then="/customers?q=x")
    assert (answer.status_code, answer.location) == (303, "/customers?q=x")
    assert client.get("/account").status_code == 200
    assert subject_of(agent)
    provider.changes = {"email": "new-name@example.com", "email_verified": False}
    assert go(factories.current_app.test_client(), provider).location == "/agent"
    provider.changes = {"sub": "43"}
    other = factories.current_app.test_client()
    assert go(other, provider).location == "/login", "somebody else with the same address"
    assert other.get("/account").status_code == 303


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody else"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"exp": -1},
        {"exp": None},
        {"sub": None},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email": "nobody@example.com"},
        {"email": None},
        {"email": ["ann@example.com"]},
    ],
)
def test_what_is_not_said_for_us_now_and_surely_opens_nothing(client, provider, agent, changes) -> None:
    if changes.get("exp") == -1:
        changes = {"exp": int(clock.unix_time()) - 600}
    provider.changes = changes
    answer = go(client, provider)
    assert answer.location == "/login"
    assert "flash-bad" in client.get("/login").text
    assert subject_of(agent) is None
    assert db.session.scalar(select(func.count()).select_from(SignInSession)) == 0
    assert db.session.scalar(select(func.count()).select_from(User)) == 1


def test_a_token_signed_by_somebody_else_opens_nothing(client, provider, agent) -> None:
    provider.signed_with = RSAKey.generate_key(2048, {"kid": "1"})
    assert go(client, provider).location == "/login"
    assert subject_of(agent) is None


def test_discovery_of_another_issuer_opens_nothing(client, provider, agent) -> None:
    provider.discovered = {"issuer": "https://evil.example.com"}
    provider.changes = {"iss": "https://evil.example.com"}
    assert go(client, provider).location == "/login"
    assert subject_of(agent) is None


def test_the_way_back_belongs_to_the_browser_that_went_and_is_good_once(client, provider, agent) -> None:
    away = client.get("/login/openid")
    back = urlsplit(provider.authorize(away.location))
    other = factories.current_app.test_client()
    assert other.get(f"{back.path}?{back.query}").location == "/login"
    assert client.get(f"{back.path}?{back.query.replace('state=', 'state=x')}").location == "/login"
    assert client.get(f"{back.path}?{back.query}").location == "/agent"
    assert client.get(f"{back.path}?{back.query}").location == "/login"
    for query in ("", "?error=access_denied&state=x", "?code=x"):
        assert client.get(back.path + query).location == "/login"


@pytest.mark.parametrize("facts", [{"active": False}, {"role": Role.CUSTOMER}])
def test_who_may_not_sign_in_or_is_no_staff_does_not_get_in_even_if_linked(client, provider, agent, facts) -> None:
    go(client, provider)
    with transaction():
        user = queries.get_user(agent.id)
        for name, value in facts.items():
            setattr(user, name, value)
    assert go(factories.current_app.test_client(), provider).location == "/login"


def test_the_second_step_is_asked_all_the_same(client, provider, agent) -> None:
    registered(agent)
    assert go(client, provider, then="/customers").location == "/two-step?next=/customers"
    assert client.get("/account").status_code == 303


def test_signing_out_offers_to_sign_out_there_too(client, provider, agent) -> None:
    go(client, provider)
    client.post("/logout")
    assert 'href="/logout/openid"' in client.get("/login").text
    assert 'href="/logout/openid"' not in client.get("/login").text
    there = urlsplit(client.get("/logout/openid").location)
    assert f"{there.scheme}://{there.netloc}{there.path}" == f"{provider.issuer}/leave"
    assert parse_qs(there.query)["post_logout_redirect_uri"] == ["http://127.0.0.1:8000/login"]


def test_asked_again_the_provider_asks_its_user_too(client, provider, agent) -> None:
    away = client.get("/login/openid?again=1")
    assert "prompt=login" in away.location
    assert "prompt" not in client.get("/login/openid").location


def test_without_a_provider_there_is_no_door_and_a_dead_one_is_said_in_words(client, app, agent, monkeypatch) -> None:
    assert "Staff: sign in" not in client.get("/login").text
    for path in ("/login/openid", "/login/openid/return", "/logout/openid"):
        assert client.get(path).location == "/login"
    monkeypatch.setitem(app.config, "OIDC_ISSUER", "http://127.0.0.1:9")
    app.extensions.pop("openid", None)
    assert client.get("/login/openid").location == "/login"
    assert "That did not work" in client.get("/login").text

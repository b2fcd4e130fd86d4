"""How programs sign in, stay in, and are put out."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import current_app
from sqlalchemy import select

from insurance.accounts import passwords, tokens
from insurance.accounts import services as accounts
from insurance.accounts.models import ApiKey, SignInSession
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db
from insurance.core.permissions import Actor, Role
from tests import factories
from tests.conftest import TODAY
from tests.programs import Program, problem

PASSWORD = "several words of my own"
HASH = passwords.hash_password(PASSWORD)


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT, password_hash=HASH)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN)


def sign_in(actor: Actor, **more: str) -> dict[str, Any]:
    answer = Program().post("/auth/token", {"email": actor.email, "password": PASSWORD, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json
    return answer.json


def works(access: str) -> bool:
    status = Program(secret=access).get("/customers").status_code
    assert status in (200, 401)
    return status == 200


def test_the_right_password_gives_two_tokens_and_one_of_them_opens_the_api(agent) -> None:
    got = sign_in(agent, otp="")
    assert got["token_type"] == "Bearer"
    assert got["expires_in"] == 3600
    assert works(got["access_token"])
    assert not works(got["refresh_token"])
    assert not works("")


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(agent) -> None:
    wrong = problem(Program().post("/auth/token", {"email": agent.email, "password": "wrong"}), 401, "password")
    unknown = problem(Program().post("/auth/token", {"email": "x@example.com", "password": "wrong"}), 401, "password")
    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


def test_wrong_tries_are_counted_together_with_those_on_the_page(agent) -> None:
    for _ in range(5):
        problem(Program().post("/auth/token", {"email": agent.email, "password": "wrong"}), 401)
        current_app.test_client().post("/login", data={"email": agent.email, "password": "wrong"})
    answer = Program().post("/auth/token", {"email": agent.email, "password": PASSWORD})
    problem(answer, 429)
    assert int(answer.headers["Retry-After"]) == 300


def test_a_refresh_token_is_good_once_and_one_that_comes_twice_ends_the_session(agent) -> None:
    first = sign_in(agent)
    second = Program().post("/auth/refresh", {"refresh_token": first["refresh_token"]}).json
    assert second
    assert works(first["access_token"])
    assert works(second["access_token"])
    problem(Program().post("/auth/refresh", {"refresh_token": first["refresh_token"]}), 401)
    assert not works(second["access_token"])
    problem(Program().post("/auth/refresh", {"refresh_token": second["refresh_token"]}), 401)
    assert db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first() == "refresh_reused"


def test_an_access_token_lasts_an_hour_and_a_refresh_token_a_day(agent) -> None:
    got = sign_in(agent)
    claims = {
        name: jwt.decode(got[f"{name}_token"], options={"verify_signature": False}) for name in ("access", "refresh")
    }
    assert claims["access"]["exp"] - claims["access"]["iat"] == 60 * 60
    assert claims["refresh"]["exp"] - claims["refresh"]["iat"] == 24 * 60 * 60
    with clock.at(TODAY + timedelta(days=1)):
        assert not works(got["access_token"])
        problem(Program().post("/auth/refresh", {"refresh_token": got["refresh_token"]}), 401)


def forged(agent: Actor, *, algorithm: str = "HS256", secret: bytes | None = None, **claims: Any) -> str:
    """A token that is right but for what is said."""
    session = db.session.scalars(select(SignInSession.id).order_by(SignInSession.id.desc())).first()
    now = int(clock.now().timestamp())
    right = {
        "iss": current_app.config["PUBLIC_URL"], "aud": "insurance-api", "sub": str(agent.id), "sid": session,
        "jti": "x", "type": "access", "iat": now, "exp": now + 3600,
    }  # fmt: skip
    own = hmac.digest(current_app.config["SECRET_KEY"].encode(), b"api tokens", "sha256")
    content = {name: value for name, value in (right | claims).items() if value is not None}
    return jwt.encode(content, None if algorithm == "none" else secret or own, algorithm)


@pytest.mark.filterwarnings("ignore:The HMAC key")
def test_a_token_counts_only_if_everything_about_it_is_right(agent) -> None:
    sign_in(agent)
    assert works(forged(agent)), "the forger knows the secret, so what follows is refused for what it says"
    now = int(clock.now().timestamp())
    for wrong in (
        forged(agent, algorithm="none"),
        forged(agent, algorithm="HS512"),
        forged(agent, secret=current_app.config["SECRET_KEY"].encode()),
        forged(agent, aud="somebody-else"),
        forged(agent, iss="https://elsewhere.example.com"),
        forged(agent, type="refresh"),
        forged(agent, type=None),
        forged(agent, exp=now - 1),
        forged(agent, exp=None),
        forged(agent, sid=2**40),
        forged(agent)[:-2],
        "x.y.z",
        "key_unknown",
    ):
        assert not works(wrong), wrong


def test_logging_out_ends_both_tokens_at_once(agent) -> None:
    for send in (
        lambda got: Program().post("/auth/revoke", {"refresh_token": got["refresh_token"]}),
        lambda got: Program(secret=got["access_token"]).post("/auth/revoke"),
    ):
        got = sign_in(agent)
        assert send(got).status_code == 204
        assert not works(got["access_token"])
        problem(Program().post("/auth/refresh", {"refresh_token": got["refresh_token"]}), 401)
    assert Program().post("/auth/revoke", {"refresh_token": "nonsense"}).status_code == 204


def test_deactivation_a_new_role_and_a_new_password_put_programs_out_at_the_next_request(agent, admin) -> None:
    def edit(**changes: Any) -> None:
        version = 1 if changes.get("active") is False else 2
        facts = {"name": agent.name, "role": Role.AGENT, "active": True, "wide_sight": False, "authority_minor": 0}
        accounts.edit_user(user_id=agent.id, version=version, **facts | changes, actor=admin)

    got = sign_in(agent)
    edit(active=False)
    assert not works(got["access_token"])
    problem(Program().post("/auth/refresh", {"refresh_token": got["refresh_token"]}), 401)
    problem(Program().post("/auth/token", {"email": agent.email, "password": PASSWORD}), 401)
    edit(active=True)
    got = sign_in(agent)
    accounts.change_password(old=PASSWORD, new="quite another password", token="", actor=agent)
    assert not works(got["access_token"])
    program = Program(agent)
    assert program.get("/customers").status_code == 200
    version = 3
    accounts.edit_user(
        user_id=agent.id, version=version, name=agent.name, role=Role.CUSTOMER, active=True, wide_sight=False,
        authority_minor=0, actor=admin,
    )  # fmt: skip
    assert program.get("/customers").status_code == 401


def test_the_account_page_shows_programs_and_ends_their_sessions(agent) -> None:
    got = sign_in(agent)
    browser = factories.browser(agent)
    assert "A program at 127.0.0.1" in browser.get("/account").text
    session = db.session.scalars(select(SignInSession).where(SignInSession.by_api)).one()
    browser.post(f"/account/sessions/{session.id}/end")
    assert not works(got["access_token"])


def test_what_a_token_carries_makes_no_cookie(agent) -> None:
    got = sign_in(agent)
    name = jwt.decode(got["refresh_token"], options={"verify_signature": False})["jti"]
    session = db.session.scalars(select(SignInSession).where(SignInSession.by_api)).one()
    assert session.token_hash == hashlib.sha256(name.encode()).hexdigest()
    browser = current_app.test_client()
    browser.set_cookie(current_app.config["SIGN_IN_COOKIE_NAME"], name)
    assert browser.get("/account").status_code == 303


# API keys


def key(actor: Actor, *scopes: str, days: int = 30) -> str:
    return tokens.create_key(
        name="Ledger", scopes=list(scopes), expires_on=clock.today() + timedelta(days=days), actor=actor
    )


def newest_key() -> int:
    return db.session.scalars(select(ApiKey.id).order_by(ApiKey.id.desc())).first() or 0


def test_a_key_does_what_its_scopes_say_and_no_more_than_its_user_may(agent) -> None:
    reads = Program(secret=key(agent, "customers:read"))
    assert reads.get("/customers").status_code == 200
    problem(reads.post("/customers", {"name": "Maria"}), 403)
    problem(reads.get("/policies"), 403)
    writes = Program(secret=key(agent, "customers:write", "users:write"))
    assert writes.get("/customers").status_code == 200
    assert writes.post("/customers", {"name": "Maria"}).status_code == 201
    problem(writes.get("/users"), 403)


def test_a_key_is_kept_hashed_and_ends_with_its_day_its_user_and_when_it_is_revoked(agent, admin) -> None:
    secret = key(agent, "customers:read", days=2)
    kept = [str(value) for row in db.session.connection().exec_driver_sql("SELECT * FROM api_keys") for value in row]
    assert not any(secret in value for value in kept)
    assert works(secret)
    with clock.at(TODAY + timedelta(days=1)):
        assert works(secret)
    with clock.at(TODAY + timedelta(days=2)):
        assert not works(secret)
    factories.browser(agent).post(f"/account/keys/{newest_key()}/revoke")
    assert not works(secret)
    other = key(agent, "customers:read")
    accounts.edit_user(
        user_id=agent.id, version=1, name=agent.name, role=Role.AGENT, active=False, wide_sight=False,
        authority_minor=0, actor=admin,
    )  # fmt: skip
    assert not works(other)


def test_a_key_is_made_on_the_account_page_and_shown_once(agent, admin) -> None:
    browser = factories.browser(agent)
    data = {"name": "Book-keeping", "expires_on": "2026-08-01", "payments": "read", "claims": "write"}
    made = browser.post("/account/keys/new", data=data, follow_redirects=True).text
    secret = made[made.index("key_") :].partition("<")[0]
    assert browser.get("/account/keys/made").status_code == 302
    page = browser.get("/account").text
    assert "Book-keeping" in page
    assert "payments read, claims write" in page
    assert secret[:10] in page
    assert secret not in page
    assert Program(secret=secret).get("/payments").status_code == 200
    for wrong in ({**data, "expires_on": "2026-06-01"}, {**data, "expires_on": "2027-07-01"}, {"name": "x"}):
        assert browser.post("/account/keys/new", data=wrong).status_code == 422
    assert browser.post("/account/keys/new", data={**data, "payments": "", "claims": ""}).status_code == 422
    other = factories.browser(factories.user(Role.AGENT))
    assert other.post(f"/account/keys/{newest_key()}/revoke").status_code == 404
    office = factories.browser(admin)
    assert "Book-keeping" in office.get(f"/admin/users/{agent.id}").text
    assert office.post(f"/admin/users/{agent.id}/keys/{newest_key()}/revoke").status_code == 303
    assert Program(secret=secret).get("/payments").status_code == 401

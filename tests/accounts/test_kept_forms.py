"""What somebody had filled in when their session ended comes back after they have signed in again."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from insurance.accounts import passwords
from insurance.accounts.models import KeptForm, SignInSession
from insurance.core import clock
from insurance.core.db import Base, db, transaction
from insurance.core.permissions import Role
from tests import factories

PASSWORD = "four quiet green boats"
IBAN = "DE89370400440532013000"
HASH = passwords.hash_password(PASSWORD)
NEW = {"kind": "person", "name": "Ana Novak", "email": "ana@example.com", "key": "k1", "birth_on-day": "31"}


@pytest.fixture
def agent(app):
    return factories.user(Role.AGENT, password_hash=HASH)


@pytest.fixture
def browser(agent) -> FlaskClient:
    """A browser whose session has ended while a form was open."""
    browser = factories.browser(agent)
    with transaction() as session:
        session.execute(update(SignInSession).values(ended_at=clock.now()))
    return browser


def sign_in(browser: FlaskClient, actor) -> str:
    """Where the sign-in leads."""
    page = browser.post("/login", data={"email": actor.email, "password": PASSWORD, "next": "/customers/new"})
    assert page.status_code == 303, page.text
    return page.location


def test_a_form_comes_back_as_it_was_typed_and_nothing_was_done(browser, agent) -> None:
    asked = browser.post("/customers/new", data=NEW)
    assert (asked.status_code, asked.location) == (303, "/login?next=/customers/new")
    assert sign_in(browser, agent) == "/customers/new"
    page = browser.get("/customers/new").text
    assert "What you had filled in is back" in page
    for typed in ('value="Ana Novak"', 'value="ana@example.com"', 'value="31"', 'value="k1"'):
        assert typed in page
    assert "There is a problem" not in page
    assert "Ana Novak" not in browser.get("/customers/new").text  # once
    assert "Ana Novak" not in browser.get("/customers").text
    assert browser.post("/customers/new", data={**NEW, "birth_on-day": ""}).status_code == 303


def test_somebody_else_in_the_same_browser_gets_nothing_of_it(browser) -> None:
    browser.post("/customers/new", data=NEW)
    sign_in(browser, factories.user(Role.AGENT, password_hash=HASH))
    assert "Ana Novak" not in browser.get("/customers/new").text


def test_passwords_and_tokens_are_never_kept(browser, agent) -> None:
    data = {"old_password": PASSWORD, "password": "seven loud red trains", "csrf_token": "x"}
    browser.post("/account/password", data=data)
    assert db.session.query(KeptForm).one().fields == {}


def test_it_waits_for_an_hour(browser, agent) -> None:
    browser.post("/customers/new", data=NEW)
    with transaction() as session:
        session.execute(update(KeptForm).values(kept_at=clock.now() - timedelta(minutes=61)))
    sign_in(browser, agent)
    assert "Ana Novak" not in browser.get("/customers/new").text


@pytest.mark.parametrize("path", ["/customers/1/deactivate", "/logout", "/no-such-page"])
def test_what_is_no_form_is_not_kept(browser, path) -> None:
    assert browser.post(path, data=NEW).status_code in (303, 404)
    assert db.session.query(KeptForm).count() == 0


def test_of_a_stranger_nothing_is_kept(client) -> None:
    client.set_cookie("session", "made up")
    assert client.post("/customers/new", data=NEW).status_code == 303
    assert db.session.query(KeptForm).count() == 0


@pytest.mark.sqlite_only
def test_bank_data_comes_back_and_stands_in_no_table(app) -> None:
    browser = factories.browser(factories.user(Role.ADMIN, password_hash=HASH))
    with transaction() as session:
        session.execute(update(SignInSession).values(created_at=clock.now() - timedelta(minutes=11)))
    sent = {"name": "Harbor & Sons", "account_number": IBAN, "bic": "DEUTDEFF", "version": "0"}
    asked = browser.post("/admin/settings/bank", data=sent)
    assert asked.location == "/login/again?next=/admin/settings/bank"
    tables = (db.session.execute(table.select()).all() for table in Base.metadata.sorted_tables)
    assert not any(IBAN in str(row) for rows in tables for row in rows)
    browser.post(asked.location, data={"password": PASSWORD, "next": "/admin/settings/bank"})
    assert f'value="{IBAN}"' in browser.get("/admin/settings/bank").text

"""What is sent to a page that asks for a fresh sign-in comes through with the password, and is stored nowhere."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from insurance.accounts import passwords
from insurance.accounts.models import KeptForm, SignInSession
from insurance.core import clock, settings
from insurance.core.db import Base, db, transaction
from insurance.core.permissions import Role
from tests import factories
from tests.world import Page, fill

PASSWORD = "four quiet green boats"
HASH = passwords.hash_password(PASSWORD)
IBAN = "DE89370400440532013000"
SENT = {"name": "Harbor & Sons", "account_number": IBAN, "bic": "DEUTDEFF", "creditor_id": "", "version": "0"}
HERE = "/admin/settings/bank"


@pytest.fixture
def browser(app) -> FlaskClient:
    """An admin's browser whose sign-in is older than ten minutes."""
    browser = factories.browser(factories.user(Role.ADMIN, password_hash=HASH))
    with transaction() as session:
        session.execute(update(SignInSession).values(created_at=clock.now() - timedelta(minutes=11)))
    return browser


def held_in_tables(word: str) -> list[str]:
    db.session.rollback()
    return [
        table.name
        for table in Base.metadata.sorted_tables
        if any(word in str(row) for row in db.session.execute(text(f'SELECT * FROM "{table.name}"')))
    ]


def test_what_was_sent_waits_in_the_page_and_is_saved_with_the_password(browser) -> None:
    asked = browser.post(HERE, data=SENT)
    assert "Enter your password again" in asked.text
    assert held_in_tables(IBAN) == []
    [form] = [form for form in Page(HERE, asked.text).forms if "password_again" in form.fields]
    assert {name: form.data[name] for name in SENT} == SENT
    wrong = browser.post(HERE, data=fill(form) | {"password_again": "not this one"})
    assert wrong.status_code == 422
    [form] = [form for form in Page(HERE, wrong.text).forms if "password_again" in form.fields]
    assert PASSWORD not in wrong.text
    saved = browser.post(HERE, data=form.data | {"password_again": PASSWORD})
    assert saved.location == "/admin/settings"
    assert settings.get("bank")["account_number"] == IBAN
    assert browser.get(HERE).status_code == 200  # the sign-in is fresh now


def test_what_the_page_refuses_then_stands_in_it_as_typed(browser) -> None:
    answer = browser.post(HERE, data=SENT | {"account_number": "DE00", "password_again": PASSWORD})
    assert answer.status_code == 422
    assert 'value="DE00"' in answer.text


@pytest.mark.sqlite_only
def test_a_form_kept_over_the_end_of_a_session_is_kept_without_bank_data(browser) -> None:
    with transaction() as session:
        session.execute(update(SignInSession).values(ended_at=clock.now()))
    assert browser.post(HERE, data=SENT | {"password_again": PASSWORD}).status_code == 303
    assert set(db.session.query(KeptForm).one().fields) == {"name", "creditor_id", "version"}
    for secret in (IBAN, PASSWORD):
        assert held_in_tables(secret) == []

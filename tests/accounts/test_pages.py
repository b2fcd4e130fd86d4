"""The pages to get an account, sign in and out and look after it, and those on which an admin changes users."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import current_app
from flask.testing import FlaskClient
from sqlalchemy import select, update

from insurance.accounts import passwords, queries, services
from insurance.accounts.models import Link, LinkPurpose, MailRequest, SignInSession, SignInTry, User
from insurance.core import clock
from insurance.core.db import Base, db, transaction
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.customers.models import Customer
from insurance.messages import rendering
from tests import factories
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only

PASSWORD = "four quiet green boats"
OTHER = "seven loud red trains"
HASH = passwords.hash_password(PASSWORD)
EMAIL = "maria@example.com"
FORM = {"name": "Maria Lopez", "email": EMAIL, "password": PASSWORD}
PATHS = {LinkPurpose.CONFIRM: "/confirm", LinkPurpose.RESET: "/reset", LinkPurpose.INVITATION: "/invitation"}


@pytest.fixture
def person(app) -> Actor:
    """A customer who can sign in with the password."""
    return factories.user(Role.CUSTOMER, email=EMAIL, name="Maria Lopez", password_hash=HASH)


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN)


def mails() -> list[tuple[str, str]]:
    return [(mail.template, mail.recipient) for mail in db.session.scalars(select(Mail).order_by(Mail.id))]


def mailed_path() -> str:
    """The path of the link in the last mail."""
    mail = db.session.scalars(select(Mail).order_by(Mail.id.desc())).first()
    assert mail
    return services.link_url(mail.data["link_id"]).removeprefix(current_app.config["PUBLIC_URL"])


def path_of(actor: Actor, purpose: LinkPurpose) -> str:
    """The path of a new link for a user."""
    with transaction():
        link = services.make_link(db.session.get_one(User, actor.id), purpose)
        link.password_hash = HASH
    return services.link_url(link.id).removeprefix(current_app.config["PUBLIC_URL"])


def user_row(email: str = EMAIL) -> User:
    user = queries.find_user(email)
    assert user
    return user


def sign_in(browser: FlaskClient, email: str = EMAIL, password: str = PASSWORD, address: str = "192.0.2.1", **data):
    return browser.post(
        "/login", data={"email": email, "password": password, **data}, environ_overrides={"REMOTE_ADDR": address}
    )


def cookie(browser: FlaskClient) -> str:
    """The token that a browser keeps, or ""."""
    kept = browser.get_cookie(current_app.config["SIGN_IN_COOKIE_NAME"])
    return kept.value if kept else ""


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/account").status_code == 200


def error_at(page, field: str) -> str:
    """What the page says is wrong with a field, or ""."""
    match = re.search(rf'id="{field}-error"><span class="visually-hidden">Error: </span>(.*?)</p>', page.text)
    return unescape(match[1]) if match else ""


def value_in(page, name: str) -> str:
    """What stands in an input."""
    match = re.search(rf'name="{name}"[^>]*value="([^"]*)"', page.text)
    assert match
    return unescape(match[1])


def shows_no_password(page) -> bool:
    """Whether the boxes for passwords are there, and empty."""
    boxes = re.findall('<input[^>]*type="password"[^>]*>', page.text)
    return bool(boxes) and not any(" value=" in box for box in boxes)


def everything() -> dict[str, list]:
    """Every row of every table."""
    return {
        table.name: [tuple(row) for row in db.session.execute(table.select().order_by(*table.primary_key))]
        for table in Base.metadata.sorted_tables
    }


def set_back(column, by: timedelta) -> None:
    """Let what a column says be so much longer ago, in every row."""
    with transaction():
        for row in db.session.scalars(select(column.class_)):
            setattr(row, column.key, getattr(row, column.key) - by)


# Registering


def test_somebody_registers_confirms_signs_in_and_is_a_customer(client) -> None:
    answer = client.post("/register", data=FORM)
    assert (answer.status_code, answer.location) == (303, "/register/mailed")
    assert EMAIL in client.get(answer.location).text
    page = client.get(mailed_path())
    assert EMAIL in page.text
    assert 'name="password"' not in page.text
    answer = client.post(mailed_path())
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "Your address is confirmed" in client.get("/login").text
    answer = sign_in(client)
    assert (answer.status_code, answer.location) == (303, "/portal")
    assert client.get("/portal").status_code == 200
    assert db.session.query(Customer).one().user_id == user_row().id


def test_a_registration_is_answered_the_same_whether_the_address_is_known_or_not(app, person) -> None:
    answers = []
    for email in (EMAIL, "nobody@example.com"):
        browser = app.test_client()
        first = browser.post("/register", data={**FORM, "email": email})
        last = browser.get(first.location)
        answers.append((first.status_code, first.location, last.status_code, last.text.replace(email, "")))
    assert answers[0] == answers[1]
    assert mails() == [("already_registered", EMAIL), ("confirm", "nobody@example.com")]


def test_another_browser_is_asked_for_the_password_chosen_then(app, client) -> None:
    client.post("/register", data=FORM)
    other = app.test_client()
    assert 'name="password"' in other.get(mailed_path()).text
    for wrong in (OTHER, ""):
        refused = other.post(mailed_path(), data={"password": wrong})
        assert refused.status_code == 422
        assert error_at(refused, "password")
    assert user_row().confirmed_at is None
    assert other.post(mailed_path(), data={"password": PASSWORD}).status_code == 303
    assert sign_in(other).location == "/portal"


def test_of_two_who_registered_an_address_the_owner_of_the_mailbox_gets_the_account(app, client) -> None:
    attacker = app.test_client()
    client.post("/register", data=FORM)
    hers = mailed_path()
    attacker.post("/register", data={**FORM, "password": OTHER})
    attackers = mailed_path()
    assert 'name="password"' in client.get(attackers).text
    assert 'name="password"' not in client.get(hers).text
    assert client.post(hers).status_code == 303
    assert [attacker.get(attackers).status_code, attacker.post(attackers).status_code] == [404, 404]
    assert sign_in(attacker, password=OTHER).status_code == 422
    assert sign_in(client).status_code == 303


@pytest.mark.parametrize(
    ("answers", "field", "said"),
    [
        ({"name": ""}, "name", "Enter the full name"),
        ({"name": "x" * 201}, "name", "200 characters or fewer"),
        ({"email": "maria"}, "email", "one address like"),
        ({"email": "maria@example.com, b@example.com"}, "email", "one address like"),
        ({"password": ""}, "password", "Enter the password"),
        ({"password": "elevenchars"}, "password", "at least 12 characters"),
        ({"password": "Password1234"}, "password", "easy to guess"),
        ({"password": EMAIL.upper()}, "password", "easy to guess"),
        ({"password": "four quiet green boats".ljust(1025, "x")}, "password", "1024 characters or fewer"),
    ],
)
def test_a_registration_is_refused_at_its_field_and_filled_in_again_without_the_password(
    client, answers, field, said
) -> None:
    filled = {**FORM, **answers}
    page = client.post("/register", data=filled)
    assert page.status_code == 422
    assert said in error_at(page, field)
    assert "<title>Error:" in page.text
    for kept in ("name", "email"):
        assert value_in(page, kept) == filled[kept]
    assert shows_no_password(page)
    assert not filled["password"] or filled["password"] not in page.text
    assert (db.session.query(User).count(), mails()) == (0, [])


@pytest.mark.parametrize("password", ["twelve chars", "正しい馬の電池と四つの緑の舟", "boats, green".ljust(1024, "x")])
def test_a_password_of_any_script_with_spaces_and_up_to_1024_characters_is_taken(client, password) -> None:
    assert client.post("/register", data={**FORM, "password": password}).status_code == 303
    client.post(mailed_path())
    assert sign_in(client, password=password).location == "/portal"


# Links


@pytest.mark.parametrize("purpose", LinkPurpose)
def test_a_link_may_be_opened_any_number_of_times_and_followed_once(app, client, person, purpose) -> None:
    path = path_of(person, purpose)
    before = everything()
    for _ in range(2):
        page = client.get(path)
        assert page.status_code == 200
        assert client.head(path).status_code == 200
    assert everything() == before
    assert person.email in page.text
    password = PASSWORD if purpose is LinkPurpose.CONFIRM else OTHER
    followed = client.post(path, data={"password": password})
    assert (followed.status_code, followed.location) == (303, "/login")
    assert [client.get(path).status_code, client.post(path, data={"password": password}).status_code] == [404, 404]
    assert sign_in(client, password=password).status_code == 303


@pytest.mark.parametrize(
    ("purpose", "days"), [(LinkPurpose.CONFIRM, 3), (LinkPurpose.RESET, 1), (LinkPurpose.INVITATION, 15)]
)
def test_a_link_that_is_too_old_is_no_page(client, person, purpose, days) -> None:
    path = path_of(person, purpose)
    with clock.at(TODAY + timedelta(days=days)):
        assert client.get(path).status_code == 404
        assert client.post(path, data={"password": OTHER}).status_code == 404
    assert user_row().password_hash == HASH
    assert client.get(path).status_code == 200


def test_a_link_to_set_a_password_is_good_for_an_hour(client, person) -> None:
    client.post("/forgot", data={"email": EMAIL})
    path = mailed_path()
    set_back(Link.expires_at, timedelta(minutes=59))
    assert client.get(path).status_code == 200
    set_back(Link.expires_at, timedelta(minutes=1))
    assert client.post(path, data={"password": OTHER}).status_code == 404


@pytest.mark.parametrize("purpose", LinkPurpose)
def test_a_tampered_link_or_one_of_another_purpose_is_no_page(client, person, purpose) -> None:
    token = path_of(person, purpose).rpartition("/")[2]
    wrong = [f"{PATHS[purpose]}/{bad}" for bad in (token[:-1], token + "x", "x" + token, "1", "1.x", "%F0%9F%9A%A2.x")]
    wrong += [f"{path}/{token}" for other, path in PATHS.items() if other is not purpose]
    for path in wrong:
        assert client.get(path).status_code == 404, path
        assert client.post(path, data={"password": OTHER}).status_code == 404, path
    assert user_row().password_hash == HASH


@pytest.mark.parametrize("path", ["/reset", "/invitation"])
def test_a_password_that_is_refused_leaves_the_link_good(client, person, path) -> None:
    purpose = LinkPurpose(path.strip("/"))
    path = path_of(person, purpose)
    for bad in ("", "short", EMAIL, "x" * 1025):
        page = client.post(path, data={"password": bad})
        assert page.status_code == 422
        assert error_at(page, "password")
        assert shows_no_password(page)
    assert client.post(path, data={"password": OTHER}).status_code == 303


def test_a_mailed_link_leads_to_the_public_url_whatever_the_request_calls_itself(app, client, person) -> None:
    for path, data in (("/forgot", {"email": EMAIL}), ("/register", {**FORM, "email": "new@example.com"})):
        client.post(path, data=data, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        mail = db.session.scalars(select(Mail).order_by(Mail.id.desc())).first()
        assert mail
        written = rendering.render(mail)
        assert f"{app.config['PUBLIC_URL']}{mailed_path()}" in written.text
        for text in (written.subject, written.text, written.html):
            assert "evil.example" not in text


# A new password


@pytest.mark.parametrize("facts", [None, {"confirmed_at": None}, {"active": False}, {}])
def test_who_forgot_the_password_is_answered_the_same_whether_there_is_an_account_or_not(app, client, facts) -> None:
    if facts is not None:
        factories.user(Role.CUSTOMER, email=EMAIL, password_hash=HASH)
    if facts:
        with transaction():
            db.session.execute(update(User).values(**facts))
    answer = client.post("/forgot", data={"email": EMAIL.upper()})
    assert (answer.status_code, answer.location) == (303, "/forgot/mailed")
    assert f"If <strong>{EMAIL}</strong> has an account" in client.get(answer.location).text
    assert mails() == ([("reset", EMAIL)] if facts == {} else [])


@pytest.mark.parametrize("path", ["/forgot", "/register"])
def test_nobody_has_many_mails_sent_and_the_refusal_does_not_tell_who_has_an_account(app, client, person, path) -> None:
    for email in (EMAIL, "nobody@example.com"):
        for _ in range(queries.MOST_MAILS):
            assert client.post(path, data={**FORM, "email": email}).status_code == 303
        before = len(mails())
        refused = client.post(path, data={**FORM, "email": email.upper()})
        assert (refused.status_code, len(mails())) == (429, before)
        assert "Many mails went to this address within an hour" in refused.text
    set_back(MailRequest.at, timedelta(hours=1))
    assert client.post(path, data={**FORM, "email": EMAIL}).status_code == 303
    assert db.session.query(MailRequest).count() == 1, "what is old is not kept"


def test_from_one_place_so_many_mails_are_asked_for_and_no_more(app, client) -> None:
    for number in range(queries.MOST_MAILS_OF_ADDRESS):
        services.ask_for_mail(email=f"person{number}@example.com", address="192.0.2.1")
    from_there = {"REMOTE_ADDR": "192.0.2.1"}
    for path in ("/forgot", "/register"):
        refused = client.post(path, data={**FORM, "email": "new@example.com"}, environ_base=from_there)
        assert (refused.status_code, mails()) == (429, [])
    assert client.post("/forgot", data={"email": "new@example.com"}).status_code == 303


def test_setting_a_new_password_signs_every_browser_out(app, client, person) -> None:
    browsers = [app.test_client() for _ in range(2)]
    for browser in browsers:
        sign_in(browser)
    client.post("/forgot", data={"email": EMAIL})
    client.post(mailed_path(), data={"password": OTHER})
    assert not any(is_signed_in(browser) for browser in browsers)
    assert sign_in(client).status_code == 422
    assert sign_in(client, password=OTHER).status_code == 303


# Signing in and out


@pytest.mark.parametrize(
    ("facts", "email", "password"),
    [
        ({}, EMAIL, OTHER),
        ({}, "nobody@example.com", PASSWORD),
        ({"confirmed_at": None}, EMAIL, PASSWORD),
        ({"active": False}, EMAIL, PASSWORD),
    ],
    ids=["wrong", "unknown", "not confirmed", "deactivated"],
)
def test_whoever_cannot_sign_in_is_told_the_same(client, person, facts, email, password) -> None:
    if facts:
        with transaction():
            db.session.execute(update(User).values(**facts))
    page = sign_in(client, email, password)
    assert page.status_code == 422
    assert error_at(page, "password") == "The e-mail address or the password is not right."
    assert error_at(page, "email") == ""
    assert value_in(page, "email") == email
    assert shows_no_password(page)
    assert cookie(client) == ""


def test_the_cookie_is_new_at_every_sign_in_for_the_server_alone_and_stored_hashed(app, client, person) -> None:
    tokens = set()
    for _ in range(3):
        (header,) = [
            line
            for line in sign_in(client, EMAIL.upper()).headers.getlist("Set-Cookie")
            if line.startswith(f"{app.config['SIGN_IN_COOKIE_NAME']}=")
        ]
        attributes = {part.strip().lower() for part in header.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= attributes
        tokens.add(cookie(client))
    assert len(tokens) == 3
    stored = str(everything()["sign_in_sessions"])
    for token in tokens:
        assert token not in stored
        assert queries.hash_token(token) in stored


@pytest.mark.parametrize(("role", "home"), [("customer", "/portal"), ("agent", "/agent"), ("admin", "/admin")])
def test_each_role_comes_to_its_home(client, role, home) -> None:
    factories.user(role, email=EMAIL, password_hash=HASH)
    assert sign_in(client).location == home
    assert client.get(home).status_code == 200
    assert client.get("/login").location == home


@pytest.mark.parametrize(
    ("address", "followed"),
    [
        ("/account", True),
        ("/portal/payments?status=paid&x=1", True),
        ("/account?back=https://evil.example", True),
        ("", False),
        ("account", False),
        ("https://evil.example", False),
        ("https:/evil.example", False),
        ("//evil.example", False),
        ("///evil.example", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("/\t/evil.example", False),
        ("/\n/evil.example", False),
        ("/\r\nSet-Cookie: x=y", False),
        (" //evil.example", False),
        ("\t//evil.example", False),
        ("javascript:alert(1)", False),
        ("/\u2028/evil.example", False),
    ],
)
def test_who_signs_in_goes_on_where_they_were_but_never_to_another_site(client, person, address, followed) -> None:
    page = client.get(f"/login?next={quote(address)}")
    assert page.status_code == 200
    assert value_in(page, "next") == (address if followed else "")
    answer = sign_in(client, next=address)
    assert (answer.status_code, answer.location) == (303, address if followed else "/portal")


def test_the_page_asked_for_without_being_signed_in_is_shown_after_signing_in(client, person) -> None:
    asked = client.get("/account?x=1&y=2")
    assert asked.status_code == 303
    page = client.get(asked.location)
    assert sign_in(client, next=value_in(page, "next")).location == "/account?x=1&y=2"


def test_signing_out_ends_the_session_and_takes_the_cookie(app, client, person) -> None:
    sign_in(client)
    token = cookie(client)
    assert client.get("/logout").status_code == 405
    assert is_signed_in(client)
    assert client.get("/account").headers["Cache-Control"] == "no-store"
    answer = client.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "You are signed out" in client.get("/login").text
    assert cookie(client) == ""
    thief = app.test_client()
    thief.set_cookie(app.config["SIGN_IN_COOKIE_NAME"], token)
    assert not is_signed_in(thief)
    assert client.post("/logout").status_code == 303


# The throttle


def tried(times: int, *, email: str = EMAIL, address: str = "192.0.2.1") -> None:
    """So many wrong tries just now."""
    with transaction():
        db.session.add_all(SignInTry(email=email, address=address, at=clock.now()) for _ in range(times))


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"], ids=["known", "unknown"])
def test_after_ten_wrong_tries_an_address_is_refused_for_that_account(client, person, email) -> None:
    for _ in range(10):
        assert sign_in(client, email, OTHER).status_code == 422
    for password in (OTHER, PASSWORD):
        page = sign_in(client, email, password)
        assert page.status_code == 429
        assert "Too many wrong tries" in page.text
    assert sign_in(client, email, OTHER, "198.51.100.7").status_code == 429
    if email == EMAIL:
        assert sign_in(client, address="198.51.100.7").status_code == 303
    set_back(SignInTry.at, timedelta(minutes=6))
    assert sign_in(client, email).status_code == (303 if email == EMAIL else 422)


def test_after_fifty_wrong_tries_an_address_is_refused_for_every_account(client, person) -> None:
    for number in range(10):
        tried(5, email=f"somebody{number}@example.com")
    assert sign_in(client).status_code == 429
    assert sign_in(client, address="198.51.100.7").status_code == 303
    set_back(SignInTry.at, timedelta(minutes=6))
    assert sign_in(client).status_code == 303


# Sessions


@pytest.mark.parametrize(("role", "minutes"), [(Role.CUSTOMER, 30), (Role.AGENT, 30), (Role.ADMIN, 15)])
def test_who_does_nothing_for_a_while_is_signed_out(app, role, minutes) -> None:
    browser = factories.browser(factories.user(role))
    set_back(SignInSession.seen_at, timedelta(minutes=minutes - 1))
    assert is_signed_in(browser)  # which is a use
    set_back(SignInSession.seen_at, timedelta(minutes=minutes - 1))
    assert is_signed_in(browser)
    set_back(SignInSession.seen_at, timedelta(minutes=minutes + 1))
    assert not is_signed_in(browser)
    assert not is_signed_in(browser)


def test_a_session_ends_after_twelve_hours_of_use(person) -> None:
    browser = factories.browser(person)
    set_back(SignInSession.ends_at, timedelta(hours=12))
    assert not is_signed_in(browser)


@pytest.mark.parametrize(("seconds", "written"), [(30, False), (90, True)])
def test_that_a_session_is_in_use_is_written_once_a_minute_at_most(person, seconds, written) -> None:
    browser = factories.browser(person)
    set_back(SignInSession.seen_at, timedelta(seconds=seconds))
    before = db.session.query(SignInSession).one().seen_at
    for _ in range(2):
        assert is_signed_in(browser)
    seen_at = db.session.query(SignInSession).one().seen_at
    assert (seen_at > before) is written
    first = everything()
    assert is_signed_in(browser)
    assert everything() == first


def test_a_token_that_nobody_was_given_signs_nobody_in(app, client, person) -> None:
    factories.browser(person)
    stored = db.session.query(SignInSession).one().token_hash
    for token in ("x", stored, "é", "x" * 3000):
        client.set_cookie(app.config["SIGN_IN_COOKIE_NAME"], token)
        assert client.get("/account").status_code == 303


# The account


def test_the_account_lists_where_one_is_signed_in_and_signs_another_browser_out(app, client, person) -> None:
    other = app.test_client()
    other.post("/login", data={"email": EMAIL, "password": PASSWORD}, headers={"User-Agent": "<b>Other</b>/1.0"})
    sign_in(client)
    page = client.get("/account").text
    assert page.count("This browser") == 1
    assert "<p>&lt;b&gt;Other&lt; · last used" in page
    (action,) = re.findall(r'action="(/account/sessions/\d+/end)"', page)
    answer = client.post(action)
    assert (answer.status_code, answer.location) == (303, "/account")
    page = client.get("/account").text
    assert "That browser is signed out" in page
    assert "/account/sessions/" not in page
    assert not is_signed_in(other)


def test_nobody_ends_somebody_elses_session(person, agent, admin) -> None:
    browser = factories.browser(person)
    session_id = db.session.query(SignInSession).one().id
    for other in (agent, admin):
        assert factories.browser(other).post(f"/account/sessions/{session_id}/end").status_code == 404
    assert factories.browser(agent).get(f"/account/sessions/{session_id}/end").status_code == 405
    assert is_signed_in(browser)


def test_changing_the_password_keeps_this_browser_and_signs_the_others_out(app, client, person) -> None:
    other = app.test_client()
    sign_in(client)
    sign_in(other)
    for old, new, field in ((OTHER, OTHER, "old_password"), ("", OTHER, "old_password"), (PASSWORD, "x", "password")):
        page = client.post("/account/password", data={"old_password": old, "password": new})
        assert page.status_code == 422
        assert error_at(page, field)
        assert shows_no_password(page)
    assert is_signed_in(other)
    answer = client.post("/account/password", data={"old_password": PASSWORD, "password": OTHER})
    assert (answer.status_code, answer.location) == (303, "/account")
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert sign_in(other, password=OTHER).status_code == 303


@pytest.mark.parametrize(("theme", "shown"), [("auto", "light"), ("light", "light"), ("dark", "dark")])
def test_the_theme_is_kept_and_every_page_has_it(app, person, theme, shown) -> None:
    browser = factories.browser(person)
    assert browser.post("/account/theme", data={"theme": theme}).location == "/account"
    for other in (browser, factories.browser(person)):
        for path in ("/account", "/portal"):
            page = other.get(path).text
            assert f'<html lang="en" data-theme-pref="{theme}" data-bs-theme="{shown}">' in page
    assert re.search(rf'value="{theme}"[^>]* checked', browser.get("/account").text)
    browser.post("/account/theme", data={"theme": "pink"})
    assert user_row().theme == theme


# What an admin does


def entry(browser: FlaskClient, user: Actor, **answers: str) -> dict[str, str]:
    """The form of a user as it is opened, with some answers changed; "" unticks a box."""
    page = browser.get(f"/admin/users/{user.id}/edit")
    row = queries.get_user(user.id)  # type: ignore[arg-type]
    ticked = {"active": "y" if row.active else "", "wide_sight": "y" if row.wide_sight else ""}
    kept = {"name": row.name, "role": row.role.value, **ticked}
    return {**kept, "authority": value_in(page, "authority"), "version": value_in(page, "version"), **answers}


def edited(admin: Actor, user: Actor, **answers: str):
    browser = factories.browser(admin)
    return browser.post(f"/admin/users/{user.id}/edit", data=entry(browser, user, **answers))


@pytest.mark.parametrize(
    ("answers", "ends"),
    [
        ({"active": ""}, True),
        ({"role": "admin"}, True),
        ({"role": "customer"}, True),
        ({"authority": "5.00"}, False),
        ({"wide_sight": "y"}, False),
        ({"name": "New Name"}, False),
    ],
)
def test_a_change_of_role_or_access_signs_the_user_out_and_any_other_holds_at_once(agent, admin, answers, ends) -> None:
    browser = factories.browser(agent)
    factories.customer(name="Of Nobody's Book")
    assert "Of Nobody" not in browser.get("/customers").text
    answer = edited(admin, agent, **answers)
    assert (answer.status_code, answer.location) == (303, f"/admin/users/{agent.id}")
    assert is_signed_in(browser) is not ends
    assert ("Of Nobody" in browser.get("/customers").text) is ("wide_sight" in answers)


@pytest.mark.parametrize("answers", [{"role": "agent"}, {"active": ""}])
def test_an_admin_who_takes_their_own_role_or_access_away_is_refused(admin, answers) -> None:
    page = edited(admin, admin, **answers)
    assert page.status_code == 403
    assert "You cannot take your own role or access away" in page.text
    row = queries.get_user(admin.id)  # type: ignore[arg-type]
    assert (row.role, row.active, row.version) == (Role.ADMIN, True, 1)
    assert edited(admin, admin, name="New Name").status_code == 303


def test_the_page_of_a_stale_edit_shows_both_values_and_a_second_send_replaces(agent, admin) -> None:
    browser = factories.browser(admin)
    address = f"/admin/users/{agent.id}/edit"
    mine = entry(browser, agent, name="My Name", authority="1.00")
    edited(factories.user(Role.ADMIN), agent, name="Their Name", authority="2.00")
    stale = browser.post(address, data=mine)
    assert stale.status_code == 409
    assert "Somebody else changed this record" in stale.text
    assert (value_in(stale, "name"), value_in(stale, "authority")) == ("My Name", "1.00")
    for now in ("Their Name", "$2.00"):
        assert f"<strong>Now:</strong> {now}" in stale.text
    assert stale.text.count("<strong>Now:</strong>") == 2
    assert browser.post(address, data={**mine, "version": value_in(stale, "version")}).status_code == 303
    assert queries.get_user(agent.id).name == "My Name"  # type: ignore[arg-type]


def test_the_record_of_a_user_shows_who_changed_what(agent, admin) -> None:
    edited(admin, agent, name="New Name")
    browser = factories.browser(admin)
    page = browser.get(f"/admin/users/{agent.id}").text
    (entry_path,) = re.findall(r'href="(/admin/audit/\d+)">Edit<', page)
    page = browser.get(entry_path).text
    for shown in (admin.name, agent.name, "New Name"):
        assert shown in page


def test_an_admin_invites_a_user_and_sends_the_link_again(client, admin) -> None:
    browser = factories.browser(admin)
    form = {"name": "Sam Reed", "email": "Sam@Example.com", "role": "agent", "authority": "500.00"}
    answer = browser.post("/admin/users/new", data=form)
    user = user_row("sam@example.com")
    assert (answer.status_code, answer.location) == (303, f"/admin/users/{user.id}")
    assert (user.role, user.authority_minor) == (Role.AGENT, 500_00)
    assert browser.post(f"/admin/users/{user.id}/reset").status_code == 303
    assert "Sam Reed" in client.get(mailed_path()).text
    client.post(mailed_path(), data={"password": PASSWORD})
    assert sign_in(client, "sam@example.com").location == "/agent"
    browser.post(f"/admin/users/{user.id}/reset")
    to = "sam@example.com"
    assert mails() == [("invitation", to), ("invitation", to), ("reset", to)]
    known = browser.post("/admin/users/new", data=form)
    assert known.status_code == 422
    assert "has an account already" in error_at(known, "email")
    assert (value_in(known, "name"), value_in(known, "authority")) == ("Sam Reed", "500.00")


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.AGENT])
def test_the_pages_of_users_are_for_admins_alone(person, role) -> None:
    browser = factories.browser(factories.user(role))
    for path in ("", ".csv", "/new", f"/{person.id}", f"/{person.id}/edit"):
        assert browser.get(f"/admin/users{path}").status_code == 403, path
    for path in ("/new", f"/{person.id}/edit", f"/{person.id}/reset"):
        assert browser.post(f"/admin/users{path}").status_code == 403, path
    assert mails() == []


# Every page


def test_every_page_answers_whoever_asks(app, person, agent, admin) -> None:
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("accounts.") and "GET" in rule.methods and "passkey_id" not in rule.arguments
    ]
    elsewhere = {"/login", "/two-step", "/login/openid", "/login/openid/return", "/logout/openid"}
    assert len(rules) >= 10
    for browser in (app.test_client(), *map(factories.browser, (person, agent, admin))):
        for rule in rules:
            name = rule.endpoint.removeprefix("accounts.")
            path = path_of(person, LinkPurpose(name)) if "token" in rule.arguments else rule.rule
            answer = browser.get(path)
            assert answer.status_code in (200, 302, 303), path
            if cookie(browser) and path not in elsewhere:
                assert answer.status_code == 200, path
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/account", "/account/password", "/account?x=1"])
def test_who_is_not_signed_in_is_asked_to_before_the_account_is_shown(client, path) -> None:
    answer = client.get(path)
    asked = urlsplit(answer.location)
    assert (answer.status_code, asked.path, parse_qs(asked.query)) == (303, "/login", {"next": [path]})


@pytest.mark.parametrize("path", ["/account/theme", "/account/password", "/account/sessions/1/end"])
def test_what_was_sent_without_being_signed_in_is_not_sent_again(client, path) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer.location) == (303, "/login")

"""The second step as people do it: with a passkey in the browser, and with an app where there is no JavaScript."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession, Page, expect

from insurance.accounts import passwords, queries, two_step
from insurance.accounts.models import AuthenticatorApp
from insurance.core import clock, encryption
from insurance.core.db import db
from insurance.core.permissions import Actor, Role
from tests import factories
from tests.browser.conftest import press, sees
from tests.browser.test_pages import NARROW, WIDE, Crawl

pytestmark = pytest.mark.sqlite_only

PASSWORD = "seven blue harbors"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def named_site(site: str) -> str:
    """The site by a name: passkeys are bound to no number."""
    return site.replace("127.0.0.1", "localhost")


@pytest.fixture
def agent(app: Flask) -> Actor:
    return factories.user(Role.AGENT, email="ann@example.com", password_hash=passwords.hash_password(PASSWORD))


@pytest.fixture
def page(browser: Browser, named_site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=named_site, viewport=WIDE, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def device(page: Page) -> tuple[CDPSession, str]:
    """An authenticator in the browser, as a phone or a laptop has one."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return session, added["authenticatorId"]


def give_password(page: Page, email: str = "ann@example.com") -> None:
    page.goto("/login")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()


def secret_of(actor: Actor) -> pyotp.TOTP:
    db.session.rollback()
    kept = db.session.get_one(AuthenticatorApp, actor.id).secret
    return pyotp.TOTP(encryption.unseal(kept, f"authenticator app of {actor.id}"))


def test_a_passkey_is_added_used_alone_and_after_the_password_and_missed(page, device, agent) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    session, authenticator = device
    give_password(page)
    page.wait_for_url("**/agent")
    page.goto("/account")
    page.get_by_role("region", name="Two-step sign-in").get_by_role("link").click()
    press(page, "Add a passkey")
    page.fill("#name", "Ann's laptop")
    press(page, "Add the passkey")
    page.wait_for_url("**/account/two-step/codes")
    with page.expect_download() as saved:
        press(page, "Save as a file")
    assert saved.value.suggested_filename == "recovery-codes.txt"
    codes = Path(saved.value.path()).read_text().split("\n\n")[1].split("\n")
    assert codes[0] in page.locator("main").text_content()
    press(page, "I have kept them")
    sees(page, "Ann's laptop")

    press(page, "Sign out")
    page.wait_for_url("**/login")
    press(page, "Sign in with a passkey")
    page.wait_for_url("**/agent")

    press(page, "Sign out")
    give_password(page)
    page.wait_for_url("**/two-step")
    press(page, "Use a passkey")
    page.wait_for_url("**/agent")

    press(page, "Sign out")
    session.send("WebAuthn.clearCredentials", {"authenticatorId": authenticator})
    give_password(page)
    press(page, "Use a passkey")
    expect(page.get_by_role("alert")).to_contain_text("Your browser gave no passkey")
    page.fill("#code", codes[0])
    press(page, "Go on")
    page.wait_for_url("**/agent")
    assert said == []


def test_an_app_is_set_up_and_used_without_javascript(browser, named_site, agent) -> None:
    page = browser.new_context(base_url=named_site, java_script_enabled=False).new_page()
    give_password(page)
    page.goto("/account/two-step/passkeys/new")
    sees(page, "This browser can't make passkeys")
    expect(page.locator("#name")).to_be_hidden()
    press(page, "Set up an authenticator app")
    totp = pyotp.TOTP((page.locator("code.secret").text_content() or "").replace(" ", ""))
    page.fill("#code", totp.now())
    press(page, "Set up")
    sees(page, "Your recovery codes")
    press(page, "I have kept them")
    press(page, "Sign out")
    give_password(page)
    sees(page, "Enter your code")
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    page.fill("#code", totp.at(int(clock.unix_time()) + 30))
    press(page, "Go on")
    page.wait_for_url("**/agent")


@pytest.mark.thorough
def test_every_page_of_the_second_step_can_be_used_by_everybody(
    app, named_site, page, device, agent, monkeypatch
) -> None:
    monkeypatch.setitem(app.config, "OIDC_ISSUER", "https://id.example.com")
    monkeypatch.setitem(app.config, "OIDC_NAME", "Acme")
    crawl = Crawl(app, named_site, page, "agent")
    look(crawl, "/login")
    give_password(page)
    page.wait_for_url("**/agent")
    for path in ("", "/app", "/passkeys/new"):
        look(crawl, f"/account/two-step{path}")
    page.set_viewport_size(WIDE)
    page.goto("/account/two-step/passkeys/new")
    page.fill("#name", "Ann's laptop")
    press(page, "Add the passkey")
    page.wait_for_url("**/account/two-step/codes")
    for width, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page.set_viewport_size(width)
        page.emulate_media(color_scheme=scheme)
        crawl._keep("/new-codes", f"{width['width']}-{scheme}")
    db.session.rollback()
    with app.app_context():
        two_step.set_up_app(**_first_code(agent), actor=agent)
    passkey = queries.second_steps_of(agent.id or 0)[1][0].id
    paths = ["", "/app/remove", f"/passkeys/{passkey}/remove", "/codes"]
    for path in [f"/account/two-step{path}" for path in paths] + ["/account", "/login/again"]:
        look(crawl, path)
    page.context.clear_cookies()
    give_password(page)
    page.wait_for_url("**/two-step")
    look(crawl, "/two-step")
    page.context.clear_cookies()
    admin = factories.user(Role.ADMIN, email="pat@example.com", password_hash=passwords.hash_password(PASSWORD))
    assert admin.id
    give_password(page, "pat@example.com")
    page.wait_for_url("**/admin")
    for path in (f"/admin/users/{agent.id}", f"/admin/users/{agent.id}/two-step"):
        look(crawl, path)
    assert not crawl.problems, "\n".join(crawl.problems)


def look(crawl: Crawl, path: str) -> None:
    crawl.look_at(path, ("second step " + path, ""))


def _first_code(actor: Actor) -> dict[str, str]:
    sealed = two_step.new_secret(actor)
    return {"sealed": sealed, "code": pyotp.TOTP(two_step.read_secret(sealed, actor)).now()}

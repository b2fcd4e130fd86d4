"""A real browser on a served application, and a mail server that keeps what it is given."""

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright
from werkzeug.serving import make_server

from insurance.core.db import db
from insurance.messages import services as messages

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests are skipped, and counted; where one is required they fail."""
    if CHROMIUM is None and not os.environ.get("REQUIRE_CHROMIUM"):
        for item in items:
            if item.path.parent.name == "browser":
                item.add_marker(pytest.mark.skip(reason="no Chromium to be found on this machine"))


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def last_to(self, address: str, words: str) -> EmailMessage:
        """The latest mail to an address whose subject has these words; the worker delivers first."""
        db.session.remove()  # what this thread has read is old by now
        while messages.deliver_due():
            pass
        found = [mail for mail in self.mails if mail["To"] == address and words.lower() in mail["Subject"].lower()]
        assert found, [(mail["To"], mail["Subject"]) for mail in self.mails]
        return found[-1]


@pytest.fixture
def mailbox(app: Flask) -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port)
    yield box
    app.config.update(MAIL_SERVER=None, MAIL_PORT=25)
    server.stop()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    before = app.config["PUBLIC_URL"]
    app.config.update(WTF_CSRF_ENABLED=True, PUBLIC_URL=url)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield url
    server.shutdown()
    server.server_close()
    app.config.update(WTF_CSRF_ENABLED=False, PUBLIC_URL=before)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is required here and was not found"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser that nobody has used yet; to start one for each test would take longer than most tests."""
    yield chromium
    for context in chromium.contexts:
        context.close()


def sign_in(page: Page, site: str, email: str, password: str) -> Page:
    """Sign in as a person does."""
    page.goto(f"{site}/login")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("main button[type=submit]")
    expect(page).not_to_have_url(re.compile("/login"))
    return page


def body(mail: EmailMessage) -> str:
    """What the mail says."""
    part = mail.get_body(("plain",))
    assert part is not None
    return part.get_content()


def fill_date(page: Page, name: str, day: date) -> None:
    """Fill the three boxes of a date."""
    for part in ("day", "month", "year"):
        page.fill(f"#{name}-{part}", str(getattr(day, part)))


def press(page: Page, words: str) -> None:
    """Click the button or the link with these words."""
    page.get_by_role("button", name=words).or_(page.get_by_role("link", name=words)).first.click()


def sees(page: Page, words: str, where: str = "main") -> None:
    """Wait until the page says so."""
    expect(page.locator(where)).to_contain_text(words)


def photo() -> FilePayload:
    """A picture to choose for a claim."""
    picture = BytesIO()
    Image.new("RGB", (60, 40), "red").save(picture, "PNG")
    return {"name": "bumper.png", "mimeType": "image/png", "buffer": picture.getvalue()}

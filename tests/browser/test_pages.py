"""Every page that a role can reach, looked at as its people see it: wide and narrow, light and dark."""

import os
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.exceptions import HTTPException

from insurance.accounts import queries as accounts
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import db
from insurance.core.money import Money
from insurance.core.permissions import PERMISSIONS, Role
from insurance.customers.models import Customer
from insurance.demo import portfolio
from insurance.policies.models import Policy
from insurance.web.guard import PUBLIC, permissions_of
from tests.browser.conftest import sign_in

PASSWORD = "correct-demo-password"
ROLES = {
    "visitor": ("", ["/", "/no-such-page"]),
    "customer": ("customer@example.com", ["/portal", "/no-such-page", "/admin"]),
    "agent": ("agent@example.com", ["/agent", "/no-such-page", "/admin"]),
    "admin": ("admin@example.com", ["/admin", "/no-such-page", "/portal"]),
}
"""Who signs in, and where each begins; what they may not see is looked at too."""
AXE_RUNS: dict[tuple[int, str], dict[str, Any]] = {
    (1280, "light"): {},
    (1280, "dark"): {"runOnly": ["color-contrast"]},
    (390, "light"): {"rules": {"color-contrast": {"enabled": False}}},
    (390, "dark"): {"runOnly": ["color-contrast"]},
}
"""What axe looks at on each page: contrast takes most of its time, and what is light is as light on a phone."""
FOR_OTHERS_TOO = {(1280, "light"): {"rules": {"color-contrast": {"enabled": False}}}}
"""What is left to look at on a page that another role's test looks at with all of the above."""
EACH = int(os.environ.get("PAGES_OF_A_KIND", "1"))
"""How many pages of one kind are looked at."""
RUN_AXE = """
options => axe.run(document, options).then(
    found => found.violations.map(rule => [rule.id, rule.nodes.map(node => node.target.join(" "))])
)
"""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RAW = re.compile(r"\bNone\b|\bnan\b|\b[a-z]+_[a-z_]+\b|\d{4}-\d\d-\d\dT\d\d|<[A-Z]\w+\.|Undefined")
"""What leaks from code: None, names with underscores, stamps, enums."""
MOST_BYTES, MOST_REQUESTS = 100_000, 8


@pytest.mark.thorough
@pytest.mark.sqlite_only
@pytest.mark.parametrize("role", ROLES)
def test_every_page_can_be_used_by_everybody_and_says_everything_in_words(
    app: Flask, site: str, browser: Browser, role: str
) -> None:
    app.config["DEMO_PASSWORD"] = PASSWORD
    portfolio.load(policies=20, seed=1, if_empty=False)
    _begin_claims()
    email, begins = ROLES[role]
    page = browser.new_context(viewport=WIDE, reduced_motion="reduce").new_page()
    crawl = Crawl(app, site, page, role)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    if email:
        sign_in(page, site, email, PASSWORD)
        crawl.paths |= {"/login", "/register", "/forgot"}  # which lead home
    for path in begins:
        crawl.look(path)
    problems = crawl.problems + [
        text for text in said if "404 (NOT FOUND)" not in text and "403 (FORBIDDEN)" not in text
    ]
    assert crawl.seen.total() > 5
    assert not problems, "\n".join(problems)


def _begin_claims() -> None:
    """A claim that waits at each desk: a draft and a question at the customer's, a payout at the admin's."""
    admin, agent, maria = (accounts.find_user(f"{name}@example.com").actor() for name in ("admin", "agent", "customer"))
    [policy] = db.session.query(Policy).join(Customer).filter(Customer.user_id == maria.id)
    facts = {"cause": "theft", "description": "Two bicycles are gone.", "payee_name": maria.name}
    loss_on = clock.today() - timedelta(days=1)
    for amount, act in ((900, None), (700, "ask"), (20_000, "approve")):
        draft = claims.start(policy_id=policy.id, actor=maria)
        claimed = Money.rounded(amount, "USD")
        claims.save(claim_id=draft.id, loss_on=loss_on, claimed=claimed, **facts, actor=maria)
        if act:
            claims.submit(claim_id=draft.id, actor=maria)
            claims.review(claim_id=draft.id, actor=agent)
        if act == "ask":
            claims.ask(claim_id=draft.id, question="Which make are they?", actor=agent)
        if act == "approve":
            claims.approve(claim_id=draft.id, amount=claimed, notes="Covered in full.", actor=admin)
    db.session.remove()


class Crawl:
    """Follows links from page to page and notes what is wrong with each."""

    def __init__(self, app: Flask, site: str, page: Page, role: str) -> None:
        self.app, self.role = app, role
        self.routes = app.url_map.bind("127.0.0.1")
        self.site, self.page = site, page
        self.seen: Counter[tuple[str, str]] = Counter()
        self.paths: set[str] = set()
        self.titles: dict[str, str] = {}
        self.problems: list[str] = []
        self.folder = os.environ.get("SCREENSHOTS")

    def look(self, start: str) -> None:
        """Look at a page and at what it leads to, a few of each kind."""
        ahead = [start]
        while ahead:
            path = ahead.pop(0)
            kind = self._kind(path)
            if path in self.paths or kind is None or self.seen[kind] >= EACH:
                continue
            self.paths.add(path)
            self.seen[kind] += 1
            self.look_at(path, kind)
            ahead += self.page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
            ahead = [
                link.removeprefix(self.site).partition("#")[0] for link in ahead if link.startswith((self.site, "/"))
            ]

    def _kind(self, path: str) -> tuple[str, str] | None:
        """The endpoint and the step of a page; none for what is no page, or would be left by it."""
        parts = urlsplit(path)
        if parts.path.endswith((".csv", ".pdf", ".beancount", ".json")) or "/files/" in parts.path:
            return None
        try:
            endpoint, values = self.routes.match(parts.path)
        except HTTPException:
            return (parts.path, "")
        return endpoint, str(values.get("step", ""))

    def look_at(self, path: str, kind: tuple[str, str]) -> None:
        page = self.page
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")
        answer = page.goto(self.site + path)
        heads = page.locator("h1").count()
        if heads != 1:
            self._note(path, f"{heads} main headings")
        title = page.title()
        if answer and answer.ok and self.titles.setdefault(title, kind[0]) != kind[0]:
            self._note(path, f"has the title of {self.titles[title]}: {title}")
        text = page.evaluate(
            "() => { const main = document.querySelector('main').cloneNode(true);"
            " main.querySelectorAll('pre, code').forEach(node => node.remove()); return main.textContent }"
        )
        for leak in set(RAW.findall(text)):
            self._note(path, f"says {leak}")
        self._weigh(path)
        page.evaluate(AXE_SCRIPT)
        runs = self._runs(kind[0])
        for size, scheme in AXE_RUNS:
            if (size, scheme) in runs or self.folder:
                page.set_viewport_size(WIDE if size == WIDE["width"] else NARROW)
                page.emulate_media(color_scheme=scheme)
                self._keep(path, f"{size}-{scheme}")
            if (size, scheme) in runs:
                self._axe(path, f"{size} {scheme}", runs[size, scheme])
        page.set_viewport_size({"width": 320, "height": 800})
        across = page.evaluate("document.documentElement.scrollWidth")
        if across > 320:
            self._note(path, f"is {across} pixels wide on a phone of 320")

    def _runs(self, endpoint: str) -> dict[tuple[int, str], dict[str, Any]]:
        """How axe looks at a page: in every way in the test of the first role that can open it."""
        allowed = permissions_of(self.app, endpoint) if endpoint in self.app.view_functions else ()
        seen_by_agents = self.role == "admin" and PERMISSIONS[Role.AGENT].intersection(allowed)
        if seen_by_agents or (self.role != "visitor" and PUBLIC in allowed):
            return FOR_OTHERS_TOO
        return AXE_RUNS

    def _weigh(self, path: str) -> None:
        """What a first view costs: bytes as sent, and requests."""
        sizes = self.page.evaluate(
            "() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map(entry => entry.transferSize)"
        )
        if sum(sizes) > MOST_BYTES or len(sizes) > MOST_REQUESTS:
            self._note(path, f"costs {sum(sizes)} bytes in {len(sizes)} requests")

    def _axe(self, path: str, form: str, rules: dict[str, Any]) -> None:
        for rule, places in self.page.evaluate(RUN_AXE, {"resultTypes": ["violations"], **rules}):
            self._note(path, f"{form}: {rule} at {'; '.join(places[:3])}")

    def _keep(self, path: str, form: str) -> None:
        if self.folder:
            name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "front"
            self.page.screenshot(path=Path(self.folder) / f"{name}-{form}.png", full_page=True)

    def _note(self, path: str, problem: str) -> None:
        self.problems.append(f"{path} {problem}")

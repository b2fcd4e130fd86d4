"""What people, scripts and accidents send: every form that the pages have, every field, hostile values.

The forms are found by following the links of each role; every field of every form gets something hostile, and every
hostile value is sent in fields of every kind. Nothing may end in a fault; what is refused changes nothing, says so
above the form, and keeps what was typed.
"""

import os
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from insurance.core.db import db
from insurance.operations import verify
from tests import world as worlds
from tests.world import BOX, FormField, Page, PageForm, World

SCRIPT = "<script>alert(1)</script>"
HALF = b"\xed\xa0\x80"
"""A surrogate, as bytes that are no UTF-8."""

TEXTS: list[str | bytes] = [
    "",
    "a" * 5000,
    "a\x00b",
    "😀",
    "שלום עולם",
    HALF,
    SCRIPT,
    "'; DROP TABLE users; --",
    "{{7*7}}",
    "../../etc/passwd",
    "=1+1",
]
NUMBERS: list[str | bytes] = [
    "",
    "1e30",
    "-1",
    "NaN",
    "Infinity",
    "1.234",
    "١٢٣",
    "1_000",
    "9" * 20,
    "0",
    "a\x00b",
    HALF,
    SCRIPT,
]
BOXES: list[str | bytes] = ["", "a\x00b", "-1", "1e3", "١٢", "9" * 20, HALF, SCRIPT]
CHOICES: list[str | bytes] = ["", "99999999999999999999", "nobody", "a\x00b", HALF, SCRIPT]
HIDDEN: list[str | bytes] = ["", "x" * 5000, "a\x00b", HALF, SCRIPT, "-1", "0", "999999", "9" * 20]
DAYS = [("31", "2", "2026"), ("0", "0", "0"), ("1", "1", "99999"), ("1", "1", "1")]
FILES = [
    ("empty.png", b""),
    ("text.png", b"hello"),
    ("broken.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64),
    ("broken.pdf", b"%PDF-1.7\n%%EOF"),
    ("../../etc/passwd.pdf", b"%PDF-1.4 1 0 obj"),
    ("a\x00b.png", b"\x89PNG\r\n\x1a\n"),
    ("שלום 😀.exe", b"MZ" + b"\x00" * 100),
    ("x" * 5000 + ".png", b"\x89PNG"),
]
TYPED = {"text", "email", "tel", "search", "password"}


def hostile(entry: FormField) -> list[str | bytes]:
    """What is sent in a field of this kind."""
    if BOX.match(entry.name):
        return BOXES
    if entry.kind in ("select", "radio", "checkbox", "submit"):
        return CHOICES
    if entry.kind == "hidden":
        return HIDDEN
    if entry.kind == "password":
        return [TEXTS[0], "a" * 5000, "a\x00b", HALF, SCRIPT]  # hashing takes its time
    return NUMBERS if entry.inputmode in ("decimal", "numeric") else TEXTS


FEW: set[str | bytes] = {"", "a" * 5000, "a\x00b", HALF, SCRIPT, "9" * 20}
"""What fields get in turn."""
FOR_DATABASES: set[str | bytes] = {"a" * 5000, "a\x00b", HALF, "9" * 20}
"""What databases take differently; the second one is asked about these alone, once for a kind of field in a form."""
EVERYTHING = "FUZZ" in os.environ
"""`make fuzz` sends every value in every field."""


@dataclass
class Choice:
    """What is sent in which field: all of its kind's values in the first field of a kind on the site.

    Then three of the few in the first of a kind in a form, and one of them in each other field, going on from form to
    form with the next ones: so each value comes to some fields of each kind.
    """

    sqlite: bool
    known: set[Any] = field(default_factory=set)
    turn: int = 0

    def values(self, entry: FormField, in_form: set[Any]) -> list[str | bytes]:
        """What is sent in the next field of a form, in which there have been some kinds already."""
        kind = entry.kind, entry.inputmode, bool(BOX.match(entry.name))
        few = [value for value in hostile(entry) if value in (FEW if self.sqlite else FOR_DATABASES)]
        new, first = kind not in self.known, kind not in in_form
        self.known.add(kind)
        in_form.add(kind)
        if new or EVERYTHING:
            return hostile(entry) if self.sqlite else few
        many = 3 if first else 1
        self.turn += many
        chosen = [few[(self.turn + place) % len(few)] for place in range(many)] if few else []
        return chosen if self.sqlite else chosen[:first]


def sendings(form: PageForm, choice: Choice) -> list[dict[str, str | bytes]]:
    """The form filled in, each time with something hostile in it."""
    good: dict[str, Any] = worlds.fill(form)
    found: list[dict[str, str | bytes]] = []
    kinds: set[Any] = set()
    for name, entry in form.fields.items():
        if entry.kind != "file":
            found += [{**good, name: value} for value in choice.values(entry, kinds)]
    if not choice.sqlite:
        return found
    dates = sorted({match[1] for name in form.fields if (match := BOX.match(name))})
    for name in dates:
        found += [
            {**good, f"{name}-day": day, f"{name}-month": month, f"{name}-year": year} for day, month, year in DAYS
        ]
    if {"start_date", "end_date"} <= set(dates):
        found.append({**good, "start_date-year": "2027", "end_date-year": "2026"})
    everything: dict[str, Any] = dict.fromkeys(good, SCRIPT)
    return [*found, everything, {}]


@dataclass
class Tally:
    """What was sent, and what was wrong with the answers."""

    browser: FlaskClient
    before: worlds.Snapshot
    forms: int = 0
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    verified: set[str] = field(default_factory=set)

    def send(self, form: PageForm, data: dict[str, Any], files: dict[str, Any] | None = None) -> None:
        """Send one form and judge the answer."""
        self.sent += 1
        body: Any = {**data, **files} if files else urlencode(data)
        content_type = "multipart/form-data" if files else "application/x-www-form-urlencoded"
        answer = self.browser.post(form.action, data=body, content_type=content_type, buffered=True)
        said = [*_judge(answer, form, data)]
        if answer.status_code in (302, 303):
            self.accepted += 1
            if form.action not in self.verified:  # each act leaves whole books, whatever the words in it
                self.verified.add(form.action)
                said += [str(violation) for result in verify.run() for violation in result.violations]
            if answer.location.startswith("/"):
                shown = self.browser.get(answer.location, buffered=True)
                said += ["a fault after it was accepted"] if shown.status_code >= 500 else []
                said += ["script that runs"] if SCRIPT in shown.text else []
        elif answer.headers.get("Content-Disposition", "").startswith("attachment"):
            self.accepted += 1  # a download may note who had it
        else:
            self.refused += answer.status_code >= 400
            touched = set(self.before.changed()) - {"sign_in_tries"}
            said += [f"refused, but {touched} changed"] if touched else []
        self.before.restore()
        told = {name: value if len(value) < 60 else f"{value[:20]!r}…" for name, value in data.items()}
        self.wrong += [f"{form.action} {told}: {answer.status_code}, {what}" for what in said]


def _judge(answer: Any, form: PageForm, data: dict[str, Any]) -> list[str]:
    status = answer.status_code
    if status not in (200, 302, 303, 400, 403, 404, 409, 413, 422, 429):
        return ["which is no answer"]
    if SCRIPT in answer.text:
        return ["script that runs"]
    visible = [entry for entry in form.fields.values() if entry.kind not in ("hidden", "submit")]
    if status != 422 or not visible:
        return []
    page = Page(form.action, answer.text)
    if not page.summary.strip():
        return ["refused without a word above the form"]
    again = [other for other in page.forms if set(other.fields) >= {entry.name for entry in visible}]
    if not again:
        return ["refused without the form"]
    kept = [entry.name for entry in visible if entry.kind in ({*TYPED, "textarea"} - {"password"})]
    return [
        f"lost what was typed in {name}"
        for name in kept
        if isinstance(data.get(name), str) and data[name].isprintable() and again[0].fields[name].value != data[name]
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("who", ["anonymous", "customer A", "agent A", "admin"])
def test_no_form_of_any_page_falls_over_whatever_is_sent(world, who) -> None:
    browser = worlds.browsers(world)[who]
    with worlds.snapshot() as before:
        tally = Tally(browser, before)
        choice = Choice(sqlite := db.engine.dialect.name == "sqlite")
        same = forms_of(worlds.browsers(world)["agent A"], world, "agent A") if who == "admin" else {}
        for kind, form in forms_of(browser, world, who).items():
            if kind in same:  # which the agent sends
                continue
            tally.forms += 1
            for data in sendings(form, choice):
                tally.send(form, data)
            for name, entry in form.fields.items():
                if entry.kind == "file" and sqlite:
                    good: dict[str, Any] = worlds.fill(form)
                    for file_name, content in FILES:
                        tally.send(form, good, {name: (BytesIO(content), file_name)})
                    tally.send(form, good, {name: [(BytesIO(b"x"), f"{number}.png") for number in range(12)]})
    assert not tally.wrong, "\n".join(tally.wrong[:40])
    assert tally.forms
    assert tally.refused
    assert tally.accepted or not sqlite
    assert [violation for result in verify.run() for violation in result.violations] == []


def forms_of(browser: FlaskClient, world: World, who: str) -> dict[tuple, PageForm]:
    """Each form that somebody finds by following links, once; but not the one that signs them out."""
    found: dict[tuple, PageForm] = {}
    for page in worlds.crawl(browser, worlds.starts(world)[who]):
        for form in page.forms:
            if form.action != "/logout":
                found.setdefault((worlds.address_kind(form.action), tuple(form.fields)), form)
    return found


# Whole requests


REFUSED = {400, 413, 422, 431}


@pytest.fixture
def customer(world: World) -> FlaskClient:
    return worlds.browsers(world)["customer A"]


PARTS = "\r\n".join(f'--b\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\nx' for number in range(1001))


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f"{PARTS}\r\n--b--\r\n".encode(), "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="phone"\r\n\r\nnever ends', "multipart/form-data; boundary=b"),
        (b"no boundary at all", "multipart/form-data"),
        (b"--other--\r\n", "multipart/form-data; boundary=b"),
        (b"\x00\xff" * 100, "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X: " + b"y" * 100_000, "multipart/form-data; boundary=b"),
        (b'{"phone": 1}', "application/json"),
        (b"{" * 1000, "application/json"),
        (b"<phone/>", "text/xml"),
        (b"phone=1", ""),
        (b"phone=1", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"%%%=%ED%A0%80&=&&&phone", "application/x-www-form-urlencoded"),
        (b"phone=" + b"a" * (2 * 2**20), "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_no_form_is_refused_and_changes_nothing(customer, body, content_type) -> None:
    with worlds.snapshot() as before:
        for address in ("/portal/profile", "/portal/claims/new/policy", "/login", "/account/password"):
            answer = customer.post(address, data=body, content_type=content_type)
            assert answer.status_code in REFUSED, address
            assert before.changed() == []


@pytest.mark.sqlite_only
def test_a_body_of_70_megabytes_is_refused_unread(customer) -> None:
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        answer = customer.post(
            "/portal/profile",
            input_stream=BytesIO(b"phone=1"),
            content_type=content_type,
            environ_overrides={"CONTENT_LENGTH": str(70 * 2**20)},
        )
        assert answer.status_code == 413


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "query",
    [
        "a" * 100_000,
        "&".join(f"a{number}=1" for number in range(5000)),
        "page=" + "9" * 5000,
        "page=-1&sort=%00",
        "sort=" + "-" * 1000,
        "q=" + "%25" * 5000,
        "status=%F0%9F%98%80",
        "q=%D7%A9&status=x&page=1e30",
        "%ED%A0%80=%ED%A0%80",
        "q=%00",
        "customer=%D9%A1%D9%A2&policy=-1&invoice=1e3&account=NaN&claim=" + "9" * 30,
    ],
)
def test_no_query_makes_a_page_fall_over(app, world, query) -> None:
    everybody = worlds.browsers(world)
    with worlds.snapshot() as before:
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and not rule.arguments:
                who = "customer A" if rule.rule.startswith("/portal") else "admin"
                answer = everybody[who].get(f"{rule.rule}?{query}", buffered=True)
                assert answer.status_code < 500, f"{who}: {rule.rule}"
        assert before.changed() == []


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Cookie", "session=\xff\xfe; form=\x80abc"),
        ("Cookie", "session=" + "a" * 10_000),
        ("Cookie", "form=eyJfZnJlc2giOnRydWV9.x.y; session=;;;=;,"),
        ("Cookie", 'session="unclosed; form=\\'),
        ("If-None-Match", "x" * 50_000),
        ("If-None-Match", '"unclosed, W/"", *'),
        ("If-Modified-Since", "Thu, 99 Foo 99999 99:99:99 GMT"),
        ("Range", "bytes=9999999999999-1,-"),
        ("Accept-Encoding", "gzip;q=banana, br;q=, *"),
        ("Accept-Language", ",,;;q=9"),
        ("User-Agent", "\xff" * 5000),
        ("Referer", "javascript:alert(1)\xff"),
        ("Authorization", "Basic \xff"),
        ("Authorization", "Digest x=\"y"),
        ("X-Forwarded-For", "a" * 5000),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Request-ID", "a" * 5000),
        ("X-Request-ID", '"}\t{"'),
        ("X-Request-ID", "\xff\xfe"),
        ("X-Request-ID", "١٢٣".encode().decode("latin-1")),
        ("Content-Length", "0"),
        ("Host", "a" * 300),
        ("Host", "x y"),
    ],
)  # fmt: skip
def test_no_header_makes_a_page_fall_over(customer, header, value) -> None:
    for address in ("/", "/login", "/portal", "/static/css/site.css", "/nowhere", "/healthz"):
        answer = customer.get(address, headers={header: value}, buffered=True)
        assert answer.status_code < 400 or answer.status_code in {*REFUSED, 404, 416}, address
        given = answer.headers["X-Request-ID"]
        assert given.isascii()
        assert given.isalnum()
        assert len(given) <= 64
    answer = customer.post("/login", data={}, headers={header: value})
    assert answer.status_code in REFUSED


@pytest.mark.sqlite_only
def test_a_plain_request_id_of_the_proxy_is_kept(client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc123"}).headers["X-Request-ID"] == "abc123"


@pytest.mark.sqlite_only
def test_a_host_that_is_not_ours_is_refused(app, client) -> None:
    app.config["TRUSTED_HOSTS"] = ["insurance.example", ".insurance.example"]
    try:
        for host in ("evil.example", "insurance.example.evil.example", "localhost", "insurance.example@evil.example"):
            for address in ("/login", "/portal", "/nowhere", "/static/css/site.css"):
                answer = client.get(address, headers={"Host": host}, buffered=True)
                assert answer.status_code == 400, f"{host}{address}"
                assert "evil" not in answer.text
        for address in ("/healthz", "/readyz", "/metrics"):  # probes know a process by its address alone
            assert client.get(address, headers={"Host": "10.0.0.7:8000"}).status_code == 200
        for host in ("insurance.example", "www.insurance.example", "insurance.example:8000"):
            assert client.get("/login", headers={"Host": host}).status_code == 200
    finally:
        app.config["TRUSTED_HOSTS"] = None


@pytest.mark.sqlite_only
def test_trace_and_folders_are_refused_and_every_text_says_its_characters(client: FlaskClient) -> None:
    assert client.open("/login", method="TRACE").status_code == 405
    for path in ("/static/", "/static/js/", "/static/..%2fconfig.py", "/.git/config"):
        assert client.get(path).status_code == 404, path
    for path in ("/login", "/nowhere", "/static/css/site.css", "/static/js/site.js", "/api/v1/nowhere"):
        with client.get(path) as answer:
            content_type = answer.headers["Content-Type"]
        assert "charset=utf-8" in content_type or content_type.endswith("json"), path


@pytest.mark.sqlite_only
def test_a_value_said_twice_counts_once_and_never_from_the_address(client: FlaskClient) -> None:
    """A form reads its own body alone, and of one field the first value."""
    twice = {"email": ["a@example.com", "c@example.com"]}
    assert client.post("/forgot?email=b@example.com", data=twice).location == "/forgot/mailed"
    page = client.get("/forgot/mailed").text
    assert "a@example.com" in page
    assert "b@example.com" not in page
    assert "c@example.com" not in page


@pytest.mark.sqlite_only
def test_every_answer_tells_the_browser_what_it_may_not_do(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", True)
    for path in ("/login", "/nowhere", "/static/css/site.css", "/api/v1/nowhere", "/customers"):
        with client.get(path) as answer:
            said = answer.headers
        policy = said["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy)
        assert said["X-Content-Type-Options"] == "nosniff"
        assert said["Referrer-Policy"] == "same-origin"
        assert said["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"

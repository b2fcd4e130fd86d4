"""The pages of feedback: sending it from any page, and reading, answering and tracking it."""

import csv
import re
from io import BytesIO, StringIO

import pytest
from flask import Flask
from PIL import Image

from insurance.accounts import services as accounts
from insurance.core.audit import AuditEntry
from insurance.core.db import db
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.feedback import services
from insurance.feedback.domain import FeedbackKind
from insurance.feedback.models import Feedback
from insurance.jobs import services as jobs
from tests import factories
from tests.agents.test_pages import statements
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, name="Ada Admin")


@pytest.fixture
def desk(admin):
    return factories.browser(admin)


def key_of(page) -> str:
    return re.search(r'name="key" value="([^"]+)"', page.text)[1]


def version_of(page) -> str:
    return re.search(r'name="version" value="([^"]+)"', page.text)[1]


def said(text: str = "Bigger figures, please.", **facts) -> Feedback:
    return services.send(**{"kind": FeedbackKind.IDEA, "text": text, "actor": services.VISITOR, **facts})


def png() -> BytesIO:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    data.seek(0)
    return data


def kept() -> Feedback:
    return db.session.query(Feedback).order_by(Feedback.id.desc()).first()


# Sending


@pytest.mark.parametrize("path", ["/", "/help", "/login", "/no-such-page"])
def test_the_foot_of_every_page_leads_to_feedback_about_it(client, path) -> None:
    href = re.search(r'href="(/feedback[^"]*)">Send feedback', client.get(path).text)[1]
    page = client.get(href).text
    assert f'About the page <span class="lines">{path}</span>' in page
    assert f'name="about" value="{path}"' in page


@pytest.mark.parametrize(("role", "path"), [(Role.CUSTOMER, "/portal"), (Role.AGENT, "/agent"), (Role.ADMIN, "/admin")])
def test_the_link_is_in_every_shell(app, role, path) -> None:
    assert f'href="/feedback?page=%2F{path[1:]}"' in factories.browser(factories.user(role)).get(path).text


def test_the_path_of_a_mailed_link_is_not_handed_on(client) -> None:
    accounts.register(name="Maria", email="maria@example.com", password="four quiet green boats", browser="b")
    url = accounts.link_url(db.session.query(Mail).one().data["link_id"])
    page = client.get(url.removeprefix(client.application.config["PUBLIC_URL"]))
    assert page.status_code == 200
    assert 'href="/feedback">Send feedback' in page.text


@pytest.mark.parametrize(
    ("asked", "kept_as"),
    [
        ("/policies?status=quoted&q=Maria", "/policies"),
        ("/policies#top", "/policies"),
        ("/" + "x" * 300, "/" + "x" * 199),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("https://evil.example/", ""),
        ("javascript:alert(1)", ""),
        ("/a\nb", ""),
        ("", ""),
    ],
)
def test_only_the_path_of_a_page_of_this_site_is_kept(client, asked, kept_as) -> None:
    page = client.get("/feedback", query_string={"page": asked})
    assert f'name="about" value="{kept_as}"' in page.text
    assert ("About the page" in page.text) is bool(kept_as)
    client.post("/feedback", data={"kind": "idea", "text": "x", "about": asked, "key": "k1"})
    assert kept().page == kept_as


def test_a_visitor_sends_feedback_and_is_told_what_happens_next(client) -> None:
    page = client.get("/feedback?page=/help")
    form = {"kind": "problem", "text": "A link is broken.", "about": "/help", "key": key_of(page)}
    sent = client.post("/feedback?page=/help", data={**form, "name": "Zoë", "email": "Zoe@Example.com"})
    assert (sent.status_code, sent.location) == (303, "/feedback/sent")
    feedback = kept()
    assert (feedback.kind, feedback.text, feedback.page) == ("problem", "A link is broken.", "/help")
    assert (feedback.user_id, feedback.name, feedback.email) == (None, "Zoë", "zoe@example.com")
    assert feedback.address == "127.0.0.1"
    thanks = client.get("/feedback/sent").text
    assert "Thank you for your feedback" in thanks
    assert f"<strong>{feedback.id}</strong>" in thanks
    assert "we write to <strong>zoe@example.com</strong>" in thanks
    assert 'href="/help">Back to the page' in thanks


def test_a_visitor_without_an_address_is_told_that_there_is_no_answer(client) -> None:
    client.post("/feedback", data={"kind": "praise", "text": "Good.", "key": "k1"})
    assert "You left no email address, so we cannot answer." in client.get("/feedback/sent").text


def test_the_thanks_of_nobody_lead_to_the_form(client) -> None:
    assert client.get("/feedback/sent").location == "/feedback"


def test_who_is_signed_in_types_neither_name_nor_address(app) -> None:
    person = factories.user(Role.CUSTOMER, name="Maria Lopez")
    browser = factories.browser(person)
    page = browser.get("/feedback?page=/portal")
    assert 'name="email"' not in page.text
    form = {"kind": "idea", "text": "More blue.", "about": "/portal", "key": key_of(page)}
    sent = browser.post(
        "/feedback", data={**form, "name": "Somebody", "email": "else@example.com", "screenshot": (png(), "s.png")}
    )
    assert sent.status_code == 303
    feedback = kept()
    assert (feedback.user_id, feedback.name, feedback.email) == (person.id, "Maria Lopez", person.email)
    assert feedback.file_id
    assert db.session.query(AuditEntry).filter_by(subject="feedback").one().actor_id == person.id


def test_the_button_pressed_twice_sends_once(client) -> None:
    form = {"kind": "idea", "text": "More blue.", "key": key_of(client.get("/feedback"))}
    for _ in range(2):
        assert client.post("/feedback", data=form).location == "/feedback/sent"
    assert db.session.query(Feedback).count() == 1
    assert client.post("/feedback", data={**form, "text": "Less blue."}).status_code == 422


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"kind": ""}, "Choose what it is"),
        ({"kind": "complaint"}, "one of those listed"),
        ({"text": " "}, "Enter your feedback"),
        ({"text": "x" * 4001}, "4000 characters or fewer"),
        ({"email": "zoe"}, "one address like"),
        ({"name": "x" * 201}, "200 characters or fewer"),
        ({"screenshot": (b"MZ not a picture", "virus.png")}, "virus.png must be a PDF, JPG or PNG"),
        ({"screenshot": (b"", "empty.png")}, "empty.png is empty"),
        ({"screenshot": (b"<svg onload=alert(1)>", "x.svg")}, "x.svg must be a PDF, JPG or PNG"),
        ({"key": "<script>"}, "open too long"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words_and_nothing_typed_is_lost(client, answers, words) -> None:
    form = {"kind": "idea", "text": "More blue.", "about": "/help", "key": "k1", **answers}
    if "screenshot" in answers:
        data, name = answers["screenshot"]
        form["screenshot"] = (BytesIO(data), name)
    refused = client.post("/feedback", data=form)
    assert refused.status_code == 422
    assert words in refused.text
    assert "About the page" in refused.text
    if "text" not in answers:
        assert "More blue." in refused.text
    assert db.session.query(Feedback).count() == 0


def test_the_eleventh_within_an_hour_is_refused_with_what_was_typed(client) -> None:
    for number in range(10):
        assert (
            client.post("/feedback", data={"kind": "idea", "text": str(number), "key": f"k{number}"}).status_code == 303
        )
    refused = client.post("/feedback", data={"kind": "idea", "text": "My eleventh idea", "key": "k10"})
    assert refused.status_code == 429
    assert "Send yours later" in refused.text
    assert "My eleventh idea" in refused.text


# Reading it


@pytest.mark.parametrize("path", ["", ".csv", "/1", "/1/files/screenshot", "/1/answer"])
@pytest.mark.parametrize("role", [Role.AGENT, Role.CUSTOMER, None])
def test_nobody_else_reads_feedback(app, client, role, path) -> None:
    assert said().id
    browser = factories.browser(factories.user(role)) if role else client
    answer = browser.get(f"/admin/feedback{path}")
    assert answer.status_code == (403 if role else 303)
    assert "Bigger figures" not in answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"idea", "praise", "question"}),
        ("?status=new", {"idea", "praise"}),
        ("?status=closed", {"question"}),
        ("?kind=praise", {"praise"}),
        ("?q=FIGURES", {"idea"}),
        ("?q=zoë", {"praise"}),
        ("?q=zoe@", {"praise"}),
        ("?q=/portal", {"question"}),
        ("?q=%25", set()),
        ("?q=good&kind=idea", set()),
        ("?sort=received", {"idea", "praise", "question"}),
    ],
)
def test_feedback_is_found_on_the_page_and_in_the_file(desk, admin, query, found) -> None:
    said("Bigger figures, please.")
    said("Good work.", kind=FeedbackKind.PRAISE, name="zoë", email="zoe@example.com")
    asked = said("How do I pay?", kind=FeedbackKind.QUESTION, page="/portal/payments")
    services.close(feedback_id=asked.id, actor=admin)
    texts = {"idea": "Bigger figures, please.", "praise": "Good work.", "question": "How do I pay?"}
    page = desk.get(f"/admin/feedback{query}").text
    assert {kind for kind, text in texts.items() if f">{text}</a>" in page} == found
    rows = list(csv.reader(StringIO(desk.get(f"/admin/feedback.csv{query}").data.decode("utf-8-sig"))))[1:]
    assert {row[0] for row in rows} == {texts[kind] for kind in found}


@pytest.mark.parametrize("query", ["?status=lost", "?kind=rant", "?sort=email", "?after=x"])
def test_what_the_list_cannot_mean_is_refused_in_words(desk, query) -> None:
    for path in ("/admin/feedback", "/admin/feedback.csv"):
        if "after" not in query or not path.endswith(".csv"):
            assert desk.get(f"{path}{query}").status_code == 400


def test_nothing_that_a_visitor_types_acts_as_a_formula(desk) -> None:
    said("=1+1", name="@SUM(A1)", email="+x@example.com")
    [row] = list(csv.reader(StringIO(desk.get("/admin/feedback.csv").data.decode("utf-8-sig"))))[1:]
    assert row[0] == "'=1+1"
    assert not [cell for cell in row if cell.startswith(("=", "+", "@"))]


def test_nothing_that_a_visitor_types_acts_as_markup(desk, client) -> None:
    text = "<script>alert(1)</script>"
    client.post("/feedback", data={"kind": "idea", "text": text, "name": text, "about": f"/{text}", "key": "k1"})
    for path in ("/admin/feedback", f"/admin/feedback/{kept().id}"):
        page = desk.get(path).text
        assert text not in page
        assert "&lt;script&gt;" in page


def test_the_record_shows_all_there_is(desk, app) -> None:
    person = factories.user(Role.CUSTOMER, name="Maria Lopez")
    browser = factories.browser(person)
    form = {
        "kind": "problem",
        "text": "It is\nbroken.",
        "about": "/portal",
        "key": "k1",
        "screenshot": (png(), "s.png"),
    }
    browser.post("/feedback", data=form)
    address = f"/admin/feedback/{kept().id}"
    page = desk.get(address).text
    for shown in (
        f"Feedback {kept().id}", "New", 'Problem · <span class="lines">Maria Lopez</span>',
        '<span class="lines">/portal</span>', person.email,
        f'<a href="/admin/users/{person.id}">', "It is\nbroken.", "s.png", "Nobody yet", ">Sent</a>",
    ):  # fmt: skip
        assert shown in page, shown
    file = desk.get(f"{address}/files/screenshot")
    assert file.mimetype == "image/png"
    assert file.headers["Content-Disposition"] == "attachment; filename=s.png"
    assert "sandbox" in file.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("page", "opens"),
    [
        ("/help", True),
        ("/policies", True),
        ("/portal", False),
        ("/no-such-page", False),
        ("/logout", False),
        ("", False),
    ],
)
def test_the_page_is_a_link_where_an_admin_may_follow_it(desk, page, opens) -> None:
    shown = desk.get(f"/admin/feedback/{said(page=page).id}").text
    assert (f'<a class="lines" href="{page}">{page}</a>' in shown) is opens


def test_what_is_not_there_has_no_page(desk) -> None:
    bare = said()
    for path in ("99", "99/answer", "99/files/screenshot", f"{bare.id}/files/screenshot"):
        assert desk.get(f"/admin/feedback/{path}").status_code == 404


# Handling it


def test_the_buttons_are_those_that_the_status_allows(desk) -> None:
    address = f"/admin/feedback/{said().id}"
    buttons = {"answer": ">Answer</a>", "read": ">Mark as read<", "close": ">Close<", "reopen": ">Reopen<"}
    for act, possible in (
        (None, {"answer", "read", "close"}),
        ("read", {"answer", "close"}),
        ("close", {"reopen"}),
        ("reopen", {"answer", "close"}),
    ):
        if act:
            assert desk.post(f"{address}/{act}").location == address
        page = desk.get(address).text
        assert {name for name, button in buttons.items() if button in page} == possible
    assert "Ada Admin" in page


def test_an_act_that_is_not_possible_says_so(desk, admin) -> None:
    feedback = said()
    address = f"/admin/feedback/{feedback.id}"
    assert "New feedback can&#39;t be reopened." in desk.post(f"{address}/reopen").text
    services.close(feedback_id=feedback.id, actor=admin)
    for refused in (
        desk.get(f"{address}/answer"),
        desk.post(f"{address}/answer", data={"answer": "x", "version": "2"}),
    ):
        assert refused.status_code == 409
        assert "Closed feedback can&#39;t be answered." in refused.text


@pytest.mark.parametrize("act", ["read", "answer", "close", "reopen"])
def test_an_act_is_for_admins(app, act) -> None:
    feedback = said()
    for role in (Role.AGENT, Role.CUSTOMER):
        browser = factories.browser(factories.user(role))
        assert browser.post(f"/admin/feedback/{feedback.id}/{act}").status_code == 403
    assert kept().version == 1


def test_an_answer_is_mailed_and_seen_on_the_record(desk) -> None:
    address = f"/admin/feedback/{said(name='Zoë', email='zoe@example.com').id}"
    page = desk.get(f"{address}/answer")
    assert "mailed to zoe@example.com" in page.text
    answered = desk.post(
        f"{address}/answer", data={"answer": "We did.", "version": version_of(page)}, follow_redirects=True
    )
    assert "on its way to zoe@example.com" in answered.text
    assert "We did." in answered.text
    mail = db.session.query(Mail).one()
    preview = desk.get(f"/admin/outbox/{mail.id}").text
    for shown in ("Our answer to your feedback", "Hello Zoë,", "We did.", "Bigger figures, please."):
        assert shown in preview


def test_an_answer_that_cannot_be_mailed_says_so(desk) -> None:
    address = f"/admin/feedback/{said().id}"
    page = desk.get(f"{address}/answer")
    assert "the answer cannot be mailed" in page.text
    answered = desk.post(f"{address}/answer", data={"answer": "We did.", "version": "1"}, follow_redirects=True)
    assert "Without an address it could not be mailed." in answered.text
    assert "not mailed: there is no address" in answered.text
    assert db.session.query(Mail).count() == 0


def test_an_empty_or_stale_answer_is_not_sent(desk, admin) -> None:
    feedback = said(email="zoe@example.com")
    address = f"/admin/feedback/{feedback.id}/answer"
    version = version_of(desk.get(address))
    empty = desk.post(address, data={"answer": "", "version": version})
    assert (empty.status_code, "Enter your answer" in empty.text) == (422, True)
    services.read(feedback_id=feedback.id, actor=admin)
    stale = desk.post(address, data={"answer": "We did.", "version": version})
    assert stale.status_code == 409
    assert "We did." in stale.text
    assert db.session.query(Mail).count() == 0
    assert desk.post(address, data={"answer": "We did.", "version": version_of(stale)}).status_code == 303
    assert db.session.query(Mail).count() == 1


def test_new_feedback_needs_attention(desk, admin) -> None:
    jobs.run_nightly(TODAY, lambda line: None)
    assert "Nothing: all is as it should be." in desk.get("/admin").text
    first, _ = said(), said()
    page = desk.get("/admin").text
    assert "2 new pieces of feedback" in page
    assert 'href="/admin/feedback?status=new"' in page
    services.read(feedback_id=first.id, actor=admin)
    assert "1 new piece of feedback" in desk.get("/admin").text


@pytest.mark.sqlite_only
def test_pages_of_feedback_ask_the_database_no_more_the_more_there_is(app: Flask, desk, admin) -> None:
    counted = []
    for more in (2, 28):
        for number in range(more):
            first = said(f"{more} {number}", actor=admin)
        count = {}
        for path in ("/admin", "/admin/feedback", "/admin/feedback.csv", f"/admin/feedback/{first.id}", "/feedback"):
            with statements() as asked:
                assert desk.get(path).status_code == 200
            count[path.rstrip("0123456789")] = len(asked)
        counted.append(count)
    assert counted[0] == counted[1]
    assert counted[0]["/admin"] <= 8
    assert max(counted[0][path] for path in counted[0] if path != "/admin") <= 4

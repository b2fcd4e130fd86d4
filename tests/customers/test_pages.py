"""The staff pages of customers: enter, look up, change, transfer, deactivate, delete, invite."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from insurance.core.db import db, transaction
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.customers import services
from insurance.customers.models import Customer
from tests import factories
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, wide_sight=True)


@pytest.fixture
def pages(agent: Actor) -> FlaskClient:
    return factories.browser(agent)


def hidden(page, name: str) -> str:
    match = re.search(rf'name="{name}"[^>]*value="([^"]*)"', page.text)
    assert match
    return match[1]


def day(name: str, value) -> dict[str, str]:
    return {f"{name}-day": str(value.day), f"{name}-month": str(value.month), f"{name}-year": str(value.year)}


def entry(**facts: str) -> dict[str, str]:
    return {"kind": "person", "name": "Maria Lopez", "email": "", "phone": "", "address": "", "key": "k1", **facts}


def entered(pages: FlaskClient, **facts: str):
    """Fill in and send the form of a new customer."""
    return pages.post("/customers/new", data=entry(key=hidden(pages.get("/customers/new"), "key"), **facts))


def test_an_agent_enters_a_customer_and_comes_to_the_record(agent, pages) -> None:
    answer = entered(pages, email="Maria@Example.com", phone="555 0142 00", address="1 Square\nHarbor")
    made = db.session.query(Customer).one()
    assert (answer.status_code, answer.location) == (303, f"/customers/{made.id}")
    assert made.agent_id == agent.id
    page = pages.get(answer.location).text
    for shown in ("Maria Lopez", made.number, "maria@example.com", "555 0142 00", agent.name, "No account yet"):
        assert shown in page


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": ""}, "Enter the full name"),
        ({"name": "x" * 201}, "200 characters or fewer"),
        ({"email": "maria@"}, "one address like"),
        ({"phone": "call me"}, "a phone number like"),
        ({"kind": "robot"}, "one of those listed"),
        (day("birth_on", TODAY + timedelta(days=1)), "today or in the past"),
        ({"birth_on-day": "30", "birth_on-month": "2", "birth_on-year": "1990"}, "a real date"),
        ({"key": ""}, "open too long"),
    ],
)
def test_what_is_refused_is_said_at_the_form_and_nothing_is_entered(pages, facts: dict, said: str) -> None:
    answer = pages.post("/customers/new", data=entry(**facts))
    assert answer.status_code == 422
    assert said in answer.text
    assert "<title>Error:" in answer.text
    assert db.session.query(Customer).count() == 0


def test_a_form_sent_twice_enters_one_customer_and_with_other_values_is_refused(pages) -> None:
    first, again = (pages.post("/customers/new", data=entry()) for _ in range(2))
    assert first.location == again.location
    other = pages.post("/customers/new", data=entry(name="Somebody Else"))
    assert other.status_code == 422
    assert "already sent with other values" in other.text
    assert db.session.query(Customer).count() == 1


@pytest.mark.parametrize(
    "known",
    [{"email": "maria@example.com"}, {"name": "Lopez María"}],
    ids=["same address", "same birth date and similar name"],
)
def test_who_may_be_known_already_is_pointed_out_and_entered_at_the_second_send(agent, pages, known: dict) -> None:
    other = factories.customer(agent=agent, **{"name": "Somebody Else", "email": "", **known})
    facts = entry(email="maria@example.com", **day("birth_on", other.birth_on))
    first = pages.post("/customers/new", data=facts)
    assert first.status_code == 200
    assert "This may be somebody whom we know" in first.text
    assert f'href="/customers/{other.id}"' in first.text
    assert db.session.query(Customer).count() == 1
    second = pages.post("/customers/new", data={**facts, "anyway": hidden(first, "anyway")})
    assert second.status_code == 303
    assert db.session.query(Customer).count() == 2


def test_the_page_of_a_stale_edit_shows_both_values_and_a_second_send_replaces(agent, pages) -> None:
    customer = factories.customer(agent=agent, name="Maria Lopez", email="")
    address = f"/customers/{customer.id}/edit"
    seen = hidden(pages.get(address), "version")
    services.edit(customer_id=customer.id, phone="555 0100 00", actor=agent)
    mine = entry(phone="555 0200 00", **day("birth_on", customer.birth_on))
    stale = pages.post(address, data={**mine, "version": seen})
    assert stale.status_code == 409
    assert 'value="555 0200 00"' in stale.text
    assert "<strong>Now:</strong> 555 0100 00" in stale.text
    assert "Somebody else changed this record" in stale.text
    assert stale.text.count("<strong>Now:</strong>") == 1
    again = pages.post(address, data={**mine, "version": hidden(stale, "version")})
    assert (again.status_code, again.location) == (303, f"/customers/{customer.id}")
    assert db.session.get_one(Customer, customer.id, populate_existing=True).phone == "555 0200 00"


def test_agents_see_their_own_book_only_and_those_with_wide_sight_all(app, agent, admin) -> None:
    customer = factories.customer(agent=agent, name="Maria Lopez", email="maria@example.com")
    other, wide = factories.user(Role.AGENT), factories.user(Role.AGENT, wide_sight=True)
    lists = ("/customers", "/customers?q=maria", "/customers.csv", "/customers?status=active", "/policies/new?q=maria")
    for actor, sees in ((agent, True), (wide, True), (admin, True), (other, False)):
        browser = factories.browser(actor)
        for path in lists:
            page = browser.get(path)
            assert page.status_code == 200
            assert ("Maria Lopez" in page.text) is sees, (actor.name, path)
        for path in ("", "/edit", "/delete"):
            assert browser.get(f"/customers/{customer.id}{path}").status_code == (200 if sees else 404)
        if not sees:
            for act in ("edit", "delete", "invite", "deactivate", "activate"):
                assert browser.post(f"/customers/{customer.id}/{act}", data=entry(version="1")).status_code == 404
    assert db.session.query(Customer).one().active


def test_an_admin_transfers_a_customer_with_all_that_hangs_on_them(agent, admin) -> None:
    other = factories.user(Role.AGENT)
    left = factories.user(Role.AGENT, active=False, name="Who Left")
    policy = factories.bound_policy(customer=factories.customer(agent=agent))
    address = f"/customers/{policy.customer_id}/transfer"
    assert factories.browser(agent).get(address).status_code == 403
    assert factories.browser(agent).post(address, data={"agent_id": other.id}).status_code == 403
    browser = factories.browser(admin)
    form = browser.get(address).text
    assert other.name in form
    assert left.name not in form
    assert browser.post(address, data={"agent_id": left.id}).status_code == 422
    assert browser.post(address, data={"agent_id": other.id}).location == f"/customers/{policy.customer_id}"
    invoice = factories.first_invoice(policy)
    for path in (
        f"/customers/{policy.customer_id}",
        f"/policies/{policy.id}",
        f"/invoices/{invoice.id}",
        f"/documents/{invoice.document_id}.pdf",
    ):
        assert factories.browser(agent).get(path).status_code == 404
        assert factories.browser(other).get(path).status_code == 200


def test_a_customer_is_deactivated_and_taken_back_by_the_record(agent, pages) -> None:
    customer = factories.customer(agent=agent)
    policy = factories.bound_policy(customer=customer)
    home = f"/customers/{customer.id}"
    assert pages.post(f"{home}/deactivate").location == home
    page = pages.get(home).text
    assert "Deactivated" in page
    assert policy.number in page
    assert f"/policies/new/cover?customer={customer.id}" not in page
    refused = pages.post(
        f"/policies/new/cover?customer={customer.id}",
        data={"policy_type": "basic", "coverage_amount": "1000", **day("start_date", TODAY), "key": "k1"},
    )
    assert refused.status_code == 422
    assert "This customer is deactivated" in refused.text
    assert pages.post(f"{home}/activate").location == home
    assert f"/policies/new/cover?customer={customer.id}" in pages.get(home).text


def test_a_customer_without_history_is_deleted_after_a_question(agent, pages) -> None:
    customer = factories.customer(agent=agent, name="Maria Lopez")
    assert f'href="/customers/{customer.id}/delete"' in pages.get(f"/customers/{customer.id}").text
    assert "Delete Maria Lopez?" in pages.get(f"/customers/{customer.id}/delete").text
    assert pages.post(f"/customers/{customer.id}/delete").location == "/customers"
    assert "Maria Lopez is deleted" in pages.get("/customers").text
    assert pages.get(f"/customers/{customer.id}").status_code == 404


def test_a_customer_with_a_policy_is_not_deleted_and_the_page_says_so_before(agent, pages) -> None:
    customer = factories.customer(agent=agent)
    factories.bound_policy(customer=customer)
    question = pages.get(f"/customers/{customer.id}/delete").text
    assert "This customer has a history, which must be kept:" in question
    assert ">Delete customer</button>" not in question
    refused = pages.post(f"/customers/{customer.id}/delete")
    assert refused.status_code == 409
    assert "Deactivate the customer instead" in refused.text
    assert pages.get(f"/customers/{customer.id}").status_code == 200


def test_a_customer_is_invited_by_the_record(agent, pages) -> None:
    customer = factories.customer(agent=agent)
    home = f"/customers/{customer.id}"
    assert "Invite to the portal" in pages.get(home).text
    sent = pages.post(f"{home}/invite", follow_redirects=True)
    assert f"The invitation is on its way to {customer.email}" in sent.text
    assert "Has an account" in sent.text
    assert "Invite to the portal" not in sent.text
    again = pages.post(f"{home}/invite")
    assert again.status_code == 409
    assert "has an account already" in again.text
    assert db.session.query(Mail).count() == 1


def test_a_customer_without_an_address_is_not_invited(agent, pages) -> None:
    customer = factories.customer(agent=agent, email="")
    assert "Enter an e-mail address to invite" in pages.get(f"/customers/{customer.id}").text
    refused = pages.post(f"/customers/{customer.id}/invite")
    assert refused.status_code == 422
    assert "e-mail address first" in refused.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Zoë One", "Maria Two", "=1+1"}),
        ("?q=zoe", {"Zoë One"}),
        ("?q=%25", set()),
        ("?q=_", set()),
        ("?q=z%40", {"Zoë One"}),
        ("?status=inactive", {"Maria Two"}),
        ("?status=active&sort=-name", {"Zoë One", "=1+1"}),
        ("?sort=number", {"Zoë One", "Maria Two", "=1+1"}),
    ],
)
def test_the_list_and_its_file_have_the_same_rows(agent, pages, query: str, names: set[str]) -> None:
    factories.customer(agent=agent, name="Zoë One", email="z@example.com")
    gone = factories.customer(agent=agent, name="Maria Two", email="m@example.com")
    factories.customer(agent=agent, name="=1+1", email="f@example.com")
    services.set_active(customer_id=gone.id, active=False, actor=agent)
    every = {"Zoë One", "Maria Two", "=1+1"}
    page, file = pages.get(f"/customers{query}").text, pages.get(f"/customers.csv{query}").text
    assert {name for name in every if f">{name}</a>" in page} == names
    assert {name for name in every if name in file} == names
    assert "\r\n=1+1" not in file
    assert ("'=1+1" in file) is ("=1+1" in names)


@pytest.mark.parametrize("query", ["status=gone", "sort=email", "sort=colour", "after=x", "q=%00"])
def test_what_the_list_cannot_mean_is_refused_in_words(pages, query: str) -> None:
    for path in ("/customers", "/customers.csv"):
        if "after" in query and path.endswith("csv"):
            continue
        answer = pages.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert "<h1>We could not read that</h1>" in answer.text


def test_sixty_customers_are_walked_forwards_and_backwards_each_once(agent, pages) -> None:
    with transaction():
        for number in range(60):
            services.create(name=f"Customer {number % 7}", actor=agent)

    def walk(address: str | None, rel: str) -> tuple[list[list[str]], str]:
        seen = []
        while address:
            here, page = address, pages.get(address).text
            seen.append(re.findall(r'href="/customers/([0-9]+)"', page))
            link = re.search(rf'<a href="([^"]+)" rel="{rel}"', page)
            address = link and link[1].replace("&amp;", "&")
        return seen, here

    forwards, last = walk("/customers", "next")
    assert [len(rows) for rows in forwards] == [25, 25, 10]
    assert len({row for rows in forwards for row in rows}) == 60
    backwards, _ = walk(last, "prev")
    assert backwards == forwards[::-1]

"""The pages of quotes and policies, as staff go through them."""

import re
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient

from insurance.core import clock
from insurance.core.db import db
from insurance.core.permissions import Actor, Role
from insurance.policies import queries, services
from insurance.policies.models import Policy
from tests import factories
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only

DAY = timedelta(days=1)


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def customer(agent, person):
    return factories.customer(agent=agent, user=person, name="Zoë Lopez")


@pytest.fixture
def pages(agent: Actor) -> FlaskClient:
    return factories.browser(agent)


def hidden(page, name: str) -> str:
    match = re.search(rf'name="{name}"[^>]*value="([^"]*)"', page.text)
    assert match
    return match[1]


def boxes(name: str, value: date) -> dict[str, str]:
    return {f"{name}-day": str(value.day), f"{name}-month": str(value.month), f"{name}-year": str(value.year)}


def badge(page) -> str:
    """The status in the heading of a record."""
    return re.search(r'<span class="st [^"]*">([^<]+)</span>', page.text)[1]


def cover(**answers: str) -> dict[str, str]:
    """The answers of a quote for 2,400.00."""
    return {
        "policy_type": "comprehensive",
        "coverage_amount": "100,000.00",
        **boxes("start_date", TODAY),
        "key": "k1",
        **answers,
    }


# Quote


def test_a_quote_begins_with_the_customer_whom_a_search_finds(customer, pages) -> None:
    page = pages.get("/policies/new?q=zoe").text
    assert f"/policies/new/cover?customer={customer.id}" in page
    assert "Nobody matches" in pages.get("/policies/new?q=nobody").text
    assert "Nobody matches" not in pages.get("/policies/new").text
    assert pages.get(f"/policies/new?customer={customer.id}").location.endswith(f"customer={customer.id}")


def test_the_price_is_shown_before_anything_is_saved(customer, pages) -> None:
    address = f"/policies/new/cover?customer={customer.id}"
    page = pages.post(address, data=cover(go="price"))
    assert page.status_code == 200
    assert "$2,400.00" in page.text
    assert "Why this amount?" in page.text
    assert db.session.query(Policy).count() == 0


def test_a_saved_quote_has_a_record_that_says_why_it_costs_what_it_costs(customer, pages) -> None:
    address = f"/policies/new/cover?customer={customer.id}"
    first, again = (pages.post(address, data=cover()) for _ in range(2))
    quote = db.session.query(Policy).one()
    assert (first.status_code, first.location, again.location) == (
        303,
        f"/policies/{quote.id}",
        f"/policies/{quote.id}",
    )
    page = pages.get(first.location).text
    for shown in (
        f"Quote {quote.number}",
        "Quoted",
        "$2,400.00",
        "$100,000.00",
        "1 Jun 2026",
        "31 May 2027",
        "1 Jul 2026",
        "Base rate",
        "Zoë Lopez",
        f"/policies/{quote.id}/bind",
    ):
        assert shown in page, shown
    assert "None" not in page


@pytest.mark.parametrize(
    ("answers", "said", "at"),
    [
        ({"policy_type": ""}, "Enter the type of policy", "policy_type"),
        ({"coverage_amount": "0"}, "0.01 or more", "coverage_amount"),
        ({"coverage_amount": "much"}, "amount in figures", "coverage_amount"),
        (boxes("end_date", TODAY - DAY), "the same as the first day of cover or later", "end_date-day"),
        ({"start_date-day": "31"}, "a real date", "start_date-day"),
        (boxes("start_date", date(1999, 12, 31)), "not sold for cover that starts on that day", "start_date-day"),
        ({"key": ""}, "open too long", "main"),
    ],
)
def test_what_is_refused_is_said_at_its_field_and_nothing_is_saved(customer, pages, answers, said, at) -> None:
    answer = pages.post(f"/policies/new/cover?customer={customer.id}", data=cover(**answers))
    assert answer.status_code == 422
    assert said in answer.text
    assert f'href="#{at}"' in answer.text
    assert db.session.query(Policy).count() == 0


def test_without_a_birth_date_the_page_says_what_to_do_first(agent, pages) -> None:
    nobody = factories.customer(agent=agent, birth_on=None)
    address = f"/policies/new/cover?customer={nobody.id}"
    assert f'href="/customers/{nobody.id}/edit"' in pages.get(address).text
    for go in ("price", "save"):
        answer = pages.post(address, data=cover(go=go))
        assert answer.status_code == 422
        assert "enter the date of birth first" in answer.text


def test_a_quote_for_another_agents_customer_has_no_page(pages) -> None:
    other = factories.customer(agent=factories.user(Role.AGENT))
    address = f"/policies/new/cover?customer={other.id}"
    assert pages.get(address).status_code == 404
    assert pages.post(address, data=cover()).status_code == 404
    assert db.session.query(Policy).count() == 0


@pytest.mark.parametrize("query", ["", "?customer=x", "?customer=-1", "?customer=" + "9" * 30])
def test_an_address_that_names_no_customer_is_refused(pages, query: str) -> None:
    assert pages.get(f"/policies/new/cover{query}").status_code == 400


# Changing


def test_a_changed_quote_is_priced_anew_and_a_stale_change_shows_both_values(agent, customer, pages) -> None:
    quote = factories.quote(customer=customer)
    address = f"/policies/{quote.id}/edit"
    form = pages.get(address)
    assert 'value="100,000.00"' in form.text
    seen = hidden(form, "version")
    done = pages.post(address, data=cover(coverage_amount="50000", version=seen))
    assert (done.status_code, done.location) == (303, f"/policies/{quote.id}")
    assert "$1,200.00" in pages.get(done.location).text
    stale = pages.post(address, data=cover(coverage_amount="60000", version=seen))
    assert stale.status_code == 409
    assert 'value="60000"' in stale.text
    assert "<strong>Now:</strong> 50,000.00" in stale.text or "<strong>Now:</strong> $50,000.00" in stale.text
    again = pages.post(address, data=cover(coverage_amount="60000", version=hidden(stale, "version")))
    assert again.status_code == 303
    assert "$1,440.00" in pages.get(again.location).text


def test_what_is_bound_has_no_page_to_change_it_like_a_quote(agent, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    refused = pages.get(f"/policies/{policy.id}/edit")
    assert refused.status_code == 409
    assert "changes by endorsements" in refused.text
    assert f'href="/policies/{policy.id}/edit"' not in pages.get(f"/policies/{policy.id}").text


# Binding


def test_a_quote_is_bound_with_monthly_payments(agent, customer, pages) -> None:
    quote = factories.quote(customer=customer)
    address = f"/policies/{quote.id}/bind"
    form = pages.get(address)
    for shown in ("12 × 200.00 USD, the first 200.00", "2,400.00 USD in one payment", customer.email):
        assert shown in form.text, shown
    done = pages.post(address, data={"payment_plan": "monthly", "version": hidden(form, "version")})
    assert (done.status_code, done.location) == (303, f"/policies/{quote.id}")
    page = pages.get(done.location).text
    invoice = factories.first_invoice(queries.get_policy(quote.id, agent))
    for shown in (f"Policy {quote.number}", "Active", invoice.number, "$200.00", "New business"):
        assert shown in page, shown
    assert pages.get(f"/documents/{invoice.document_id}.pdf").data.startswith(b"%PDF")
    again = pages.post(address, data={"payment_plan": "monthly", "version": "2"})
    assert again.status_code == 409
    assert "bound" in again.text


def test_a_plan_that_is_not_offered_and_a_stale_version_are_refused(agent, customer, pages) -> None:
    quote = factories.quote(customer=customer)
    address = f"/policies/{quote.id}/bind"
    for plan in ("weekly", ""):
        assert pages.post(address, data={"payment_plan": plan, "version": "1"}).status_code == 422
    assert pages.post(address, data={"payment_plan": "annual", "version": "7"}).status_code == 409
    assert queries.get_policy(quote.id, agent).account_id is None


def test_a_withdrawn_or_expired_quote_is_not_bound_and_says_why(agent, customer, pages) -> None:
    withdrawn, late = factories.quote(customer=customer), factories.quote(customer=customer)
    assert pages.post(f"/policies/{withdrawn.id}/withdraw").location == f"/policies/{withdrawn.id}"
    bind = {"payment_plan": "annual"}
    refused = pages.post(f"/policies/{withdrawn.id}/bind", data={**bind, "version": "2"})
    assert refused.status_code == 409
    assert "A withdrawn quote can&#39;t be bound." in refused.text
    with clock.at(TODAY + 31 * DAY):
        browser = factories.browser(agent)
        refused = browser.post(f"/policies/{late.id}/bind", data={**bind, "version": "1"})
        assert refused.status_code == 409
        assert "An expired quote can&#39;t be bound." in refused.text
        assert "Price it anew" in browser.get(f"/policies/{late.id}").text


def test_a_note_is_for_staff(agent, person, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    address = f"/policies/{policy.id}/note"
    seen = hidden(pages.get(address), "version")
    assert pages.post(address, data={"text": "Call before noon.", "version": seen}).status_code == 303
    assert "Call before noon." in pages.get(f"/policies/{policy.id}").text
    assert "Call before noon." not in factories.browser(person).get(f"/portal/policies/{policy.id}").text
    stale = pages.post(address, data={"text": "Never call.", "version": seen})
    assert stale.status_code == 409
    assert "Call before noon." in stale.text
    assert "Never call." in stale.text
    assert pages.post(address, data={"text": "Never call."}).status_code == 422


# The calendar, without any job


@pytest.mark.parametrize(
    ("day", "staff", "theirs"),
    [
        (date(2026, 6, 9), "Pending", "Starts soon"),
        (date(2026, 6, 10), "Active", "You are covered"),
        (date(2026, 7, 9), "Active", "You are covered"),
        (date(2026, 7, 10), "Expired", "Ended"),
    ],
)
def test_the_status_is_right_on_every_page_without_any_job(agent, person, customer, day, staff, theirs) -> None:
    policy = factories.bound_policy(customer=customer, start_on=date(2026, 6, 10), last_day_on=date(2026, 7, 9))
    with clock.at(day):
        pages, portal = factories.browser(agent), factories.browser(person)
        others = {"Pending", "Active", "Expired"} - {staff}
        assert policy.number in pages.get(f"/policies?status={staff.lower()}").text
        assert f",{staff}," in pages.get("/policies.csv").text
        for other in others:
            assert policy.number not in pages.get(f"/policies?status={other.lower()}").text
            assert policy.number not in pages.get(f"/policies.csv?status={other.lower()}").text
        assert badge(pages.get(f"/policies/{policy.id}")) == staff
        assert f">{staff}</span></td>" in pages.get(f"/customers/{customer.id}").text
        for path in ("/portal", "/portal/policies", f"/portal/policies/{policy.id}"):
            assert theirs in portal.get(path).text
    assert queries.get_policy(policy.id, agent).status == "pending"


def test_a_quote_expires_on_the_list_after_its_validity(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    for day, status in ((TODAY + 30 * DAY, "quoted"), (TODAY + 31 * DAY, "quote_expired")):
        with clock.at(day):
            pages = factories.browser(agent)
            for asked in ("quoted", "quote_expired"):
                assert (quote.number in pages.get(f"/policies?status={asked}").text) is (asked == status)


# List and sight


def test_the_list_and_its_file_show_the_agents_own_book(agent, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    other = factories.bound_policy()
    for path in ("/policies", "/policies.csv", "/policies?q=zoe", f"/policies?q={policy.number}", "/policies?sort=end"):
        page = pages.get(path).text
        assert policy.number in page
        assert other.number not in page
    assert (
        f"{policy.number},Zoë Lopez,comprehensive,2026-06-01,2027-05-31,Active,2400.00"
        in pages.get("/policies.csv").text
    )
    wide = factories.browser(factories.user(Role.AGENT, wide_sight=True))
    assert other.number in wide.get("/policies").text


@pytest.mark.parametrize("query", ["status=dead", "sort=type", "sort=--number", "after=x"])
def test_what_the_list_cannot_mean_is_refused_in_words(pages, query: str) -> None:
    answer = pages.get(f"/policies?{query}")
    assert answer.status_code == 400
    assert "Choose one of" in answer.text or "Open the list again" in answer.text


def test_a_policy_out_of_sight_has_no_page_and_no_act(customer) -> None:
    quote = factories.quote(customer=customer)
    stranger = factories.browser(factories.user(Role.AGENT))
    for path in ("", "/edit", "/bind", "/note"):
        assert stranger.get(f"/policies/{quote.id}{path}").status_code == 404
    for act in ("edit", "bind", "note", "withdraw"):
        assert stranger.post(f"/policies/{quote.id}/{act}", data={"version": "1"}).status_code == 404
    assert services.withdraw(policy_id=quote.id, actor=factories.SYSTEM_ACTOR).status == "withdrawn"

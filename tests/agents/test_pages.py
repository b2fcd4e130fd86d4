"""The agents' work queue and search; and that no page asks the database more the more there is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event

from insurance.billing.domain import PaymentPlan
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from tests import factories
from tests.conftest import TODAY

DAY = timedelta(days=1)
NOT_COUNTED = ("BEGIN", "PRAGMA", "SET", "COMMIT", "ROLLBACK")


@contextmanager
def statements() -> Iterator[list[str]]:
    """What a block asks the database, without what begins and ends its transactions."""
    asked: list[str] = []

    def note(connection, cursor, statement, *_) -> None:
        if not statement.lstrip().upper().startswith(NOT_COUNTED):
            asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def pages(agent):
    return factories.browser(agent)


def filed(policy, *, claimed: str = "100.00", actor: Actor = factories.SYSTEM_ACTOR):
    return claims.file(
        policy_id=policy.id,
        loss_on=TODAY - DAY,
        cause="collision",
        description="Rear-ended.",
        claimed=Money.parse(claimed, "USD"),
        payee_name="Maria Lopez",
        actor=actor,
    )


def figures(page: str) -> dict[str, tuple[str, str]]:
    """The figures at the top of a page: by label, the value and the note under it."""
    return {
        label: (value, re.sub(r"<span class=\"d-inline.*?</span>", "", note).strip())
        for label, value, note in re.findall(
            r'<span class="label">(.*?)</span>\s*<span class="value">(.*?)</span>\s*'
            r'(?:<span class="note[^"]*">((?:<span.*?</span>)?[^<]*)</span>)?',
            page,
        )
    }


# Work queue


def test_an_empty_book_has_an_empty_queue(pages) -> None:
    page = pages.get("/agent").text
    assert figures(page) == {
        "Policies in force": ("0", "0 quotes open"),
        "Written this month": ("$0.00", ""),
        "Ending in 30 days": ("0", ""),
        "Overdue invoices": ("0", "nothing owed"),
    }
    assert "No claim waits for you." in page
    assert "Nobody is late." in page


def test_the_figures_count_the_agents_own_book_by_the_calendar(agent, pages) -> None:
    mine, theirs = factories.customer(agent=agent), factories.customer(agent=factories.user(Role.AGENT))
    for customer in (mine, theirs):
        factories.bound_policy(customer=customer)
        factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY, last_day_on=TODAY + 29 * DAY)
        factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY, last_day_on=TODAY + 30 * DAY)
        factories.bound_policy(customer=customer, start_on=TODAY + DAY)
        factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY, last_day_on=TODAY - DAY)
        factories.quote(customer=customer)
        factories.quote(customer=customer)
    assert figures(pages.get("/agent").text) == {
        "Policies in force": ("3", "2 quotes open"),
        "Written this month": ("$12,000.00", ""),
        "Ending in 30 days": ("1", ""),
        "Overdue invoices": ("0", "nothing owed"),
    }
    wide = factories.browser(factories.user(Role.AGENT, wide_sight=True))
    assert figures(wide.get("/agent").text)["Policies in force"] == ("6", "4 quotes open")
    with clock.at(TODAY + DAY):
        late = figures(factories.browser(agent).get("/agent").text)
    assert late["Policies in force"] == ("4", "2 quotes open")
    assert late["Overdue invoices"][0] == "4"
    assert "$9,600.00 owed" in late["Overdue invoices"][1]


def test_what_is_overdue_is_what_is_still_open(agent) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent), plan=PaymentPlan.MONTHLY)
    account_id, invoice = policy.account_id, factories.first_invoice(policy)
    for amount, count, owed in (("50.00", "1", "$150.00 owed"), ("150.00", "0", "nothing owed")):
        payments.record(
            account_id=account_id,
            amount=Money.parse(amount, "USD"),
            method=PaymentMethod.CASH,
            paid_on=TODAY,
            actor=agent,
        )
        with clock.at(TODAY + 3 * DAY):
            page = factories.browser(agent).get("/agent").text
        value, note = figures(page)["Overdue invoices"]
        assert (value, owed in note) == (count, True)
        assert ("3 days late" in page) is (count == "1")
        assert (f"/payments/new?invoice={invoice.id}" in page) is (count == "1")


def test_late_invoices_come_the_latest_first_and_of_the_own_book_only(agent) -> None:
    mine = factories.customer(agent=agent)
    newer = factories.first_invoice(factories.bound_policy(customer=mine, start_on=TODAY + 2 * DAY)).number
    older = factories.first_invoice(factories.bound_policy(customer=mine)).number
    other = factories.first_invoice(factories.bound_policy()).number
    with clock.at(TODAY + 5 * DAY):
        page = factories.browser(agent).get("/agent").text
    assert page.index(older) < page.index(newer)
    assert other not in page


def test_claims_of_the_own_book_wait_until_they_are_decided(agent, pages) -> None:
    start = TODAY - 30 * DAY
    claim = filed(factories.bound_policy(customer=factories.customer(agent=agent), start_on=start))
    other = filed(factories.bound_policy(start_on=start))
    page = pages.get("/agent").text
    assert claim.number in page
    assert "$100.00" in page
    assert other.number not in page
    claims.reject(claim_id=claim.id, notes="Older damage.", actor=agent)
    assert "No claim waits for you." in pages.get("/agent").text


# Search


def test_a_number_leads_straight_to_its_record(agent, pages) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent), start_on=TODAY - 30 * DAY)
    claim, invoice = filed(policy), factories.first_invoice(policy)
    newcomer, quoted = factories.customer(agent=agent), factories.quote(customer=factories.customer(agent=agent))
    for number, path in (
        (newcomer.number, f"/customers/{newcomer.id}"),
        (quoted.number, f"/policies/{quoted.id}"),
        (invoice.number, f"/invoices/{invoice.id}"),
        (invoice.number.lower(), f"/invoices/{invoice.id}"),
        (claim.number, f"/claims/{claim.id}"),
    ):
        answer = pages.get("/agent/search", query_string={"q": f" {number} "})
        assert (answer.status_code, answer.location) == (302, path), number


def test_a_name_lists_all_that_it_finds(agent, pages) -> None:
    customer = factories.customer(agent=agent, name="Zoë Lopez")
    policy = factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY)
    claim = filed(policy)
    page = pages.get("/agent/search?q=zoe").text
    assert "4 results for “zoe”" in page
    for number in (customer.number, policy.number, factories.first_invoice(policy).number, claim.number):
        assert number in page


def test_a_search_without_words_or_without_results_says_what_to_type(pages) -> None:
    empty = pages.get("/agent/search")
    assert empty.status_code == 200
    assert "<h1>Search</h1>" in empty.text
    nothing = pages.get("/agent/search?q=nobody").text
    assert "0 results for “nobody”" in nothing
    assert "Try a policy, claim or invoice number, or part of a name." in nothing


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", "<b>x</b>", "x" * 5000, "٣", "سفينة"])
def test_any_words_may_be_searched_for(agent, pages, q: str) -> None:
    factories.quote(customer=factories.customer(agent=agent))
    answer = pages.get("/agent/search", query_string={"q": q})
    assert answer.status_code == 200
    assert "0 results" in answer.text
    assert "<b>x</b>" not in answer.text


def test_nothing_out_of_sight_is_found(agent) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent, name="Zoë"), start_on=TODAY - 30 * DAY)
    claim, invoice = filed(policy), factories.first_invoice(policy)
    stranger = factories.browser(factories.user(Role.AGENT))
    for q in ("zoe", policy.number, invoice.number, claim.number):
        assert "0 results" in stranger.get(f"/agent/search?q={q}").text
    admin = factories.browser(factories.user(Role.ADMIN, wide_sight=True))
    assert claim.number in admin.get(f"/agent/search?q={claim.number}", follow_redirects=True).text


# How much is asked


@pytest.mark.sqlite_only
def test_pages_ask_the_database_no_more_the_more_there_is(agent, pages) -> None:
    customer = factories.customer(agent=agent, name="Zoë Lopez")
    policy = factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY)
    invoice, payment = factories.first_invoice(policy), None
    lists = ("/customers", "/policies", "/invoices", "/payments", "/claims")
    counted: list[dict[str, int]] = []
    for more in (2, 27):
        with transaction():  # one, since thirty commits take their time
            for _ in range(more):
                other = factories.customer(agent=agent, name="Zoë Other")
                factories.bound_policy(customer=other)
                factories.quote(customer=customer)
                filed(policy, claimed="1.00")
                payment = payments.record(
                    account_id=policy.account_id,
                    amount=Money.parse("1.00", "USD"),
                    method=PaymentMethod.CASH,
                    actor=agent,
                )
        count = {}
        for path in (
            *lists,
            *(f"{path}.csv" for path in lists),
            "/agent",
            "/agent/search?q=zoe",
            "/policies/new?q=zoe",
            f"/customers/{customer.id}",
            f"/policies/{policy.id}",
            f"/policies/{policy.id}/bind",
            f"/invoices/{invoice.id}",
            f"/payments/{payment.id}",
        ):
            with statements() as asked:
                assert pages.get(path).status_code == 200
            count[path.replace(str(payment.id), "…") if path.startswith("/payments/") else path] = len(asked)
        counted.append(count)
    assert counted[0] == counted[1]
    for path, number in counted[0].items():
        assert number <= (5 if path in lists or path.endswith(".csv") else 8), (path, number)

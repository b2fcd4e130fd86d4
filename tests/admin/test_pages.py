"""The pages that only admins see: the overview, users, outbox, audit, jobs and products."""

import csv
import re
from io import StringIO

import pytest
from flask.testing import FlaskClient

from insurance.accounts import queries as accounts
from insurance.accounts import services as account_services
from insurance.accounts.models import User
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.audit import AuditEntry, opened
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.core.outbox import Mail, MailStatus
from insurance.core.permissions import Actor, Role
from insurance.customers import services as customers
from insurance.jobs import services as jobs
from insurance.products import queries as products
from tests import factories
from tests.agents.test_pages import DAY, figures, filed, statements
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, wide_sight=True, name="Ada Admin", authority_minor=1_000_000_00)


@pytest.fixture
def pages(admin: Actor) -> FlaskClient:
    return factories.browser(admin)


def rows(pages: FlaskClient, path: str) -> list[list[str]]:
    """The rows of a file, without its heading."""
    return list(csv.reader(StringIO(pages.get(path).data.decode("utf-8-sig"))))[1:]


def version_in(page) -> str:
    return re.search(r'name="version"[^>]*value="([0-9]+)"', page.text)[1]


# Overview


def test_the_overview_of_an_empty_business_says_what_is_missing(pages) -> None:
    page = pages.get("/admin").text
    assert figures(page) == {
        "Policies in force": ("0", "0 start later"),
        "Open quotes": ("0", ""),
        "Overdue invoices": ("0", "nothing owed"),
        "Mails waiting": ("0", "none failed"),
    }
    assert "The nightly run has not been made today" in page


def test_the_overview_counts_the_whole_business(pages) -> None:
    factories.bound_policy(customer=factories.customer(agent=factories.user(Role.AGENT)))
    factories.bound_policy(start_on=TODAY + DAY)
    factories.quote()
    with transaction():
        db.session.query(Mail).first().status = MailStatus.DEAD
    page = pages.get("/admin").text
    counted = figures(page)
    assert counted["Policies in force"] == ("1", "1 start later")
    assert counted["Open quotes"][0] == "1"
    assert counted["Mails waiting"][0] == "1"
    assert "1 failed" in counted["Mails waiting"][1]
    assert "1 mail has failed" in page
    assert "2 customers have no agent" in page


def test_the_overview_shows_what_waits_for_an_admin_and_nothing_else(pages, admin) -> None:
    agent = factories.user(Role.AGENT, authority_minor=1_000_000_00)
    policy = factories.bound_policy(customer=factories.customer(agent=agent, email=""), start_on=TODAY - 30 * DAY)
    claim = filed(policy, claimed="20000.00")
    assert claim.number in pages.get("/admin").text
    claims.approve(claim_id=claim.id, amount=Money.parse("20000.00", "USD"), notes="Covered.", actor=agent)
    jobs.run_nightly(TODAY, lambda line: None)
    page = pages.get("/admin").text
    assert f"Approve the payout of claim {claim.number}" in page
    assert f"$20,000.00 to Maria Lopez, ordered by {agent.name}" in page
    assert "The nightly run has not been made today" not in page
    claims.approve_payout(claim_id=claim.id, actor=admin)
    assert "Approve the payout" not in pages.get("/admin").text


def test_an_overview_where_all_is_done_says_so(pages) -> None:
    jobs.run_nightly(TODAY, lambda line: None)
    assert "Nothing: all is as it should be." in pages.get("/admin").text


# Users


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Ada Admin", "Ben Agent", "Cleo Customer", "Dora Gone"}),
        ("?role=agent", {"Ben Agent", "Dora Gone"}),
        ("?role=admin", {"Ada Admin"}),
        ("?role=customer&q=cleo", {"Cleo Customer"}),
        ("?q=BEN@", {"Ben Agent"}),
        ("?q=nobody", set()),
        ("?sort=-since", {"Ada Admin", "Ben Agent", "Cleo Customer", "Dora Gone"}),
    ],
)
def test_users_are_found_by_role_name_and_address_on_the_page_and_in_the_file(pages, query, names) -> None:
    factories.user(Role.AGENT, name="Ben Agent", email="ben@example.com")
    factories.user(Role.CUSTOMER, name="Cleo Customer")
    factories.user(Role.AGENT, name="Dora Gone", active=False)
    page = pages.get(f"/admin/users{query}").text
    every = {"Ada Admin", "Ben Agent", "Cleo Customer", "Dora Gone"}
    assert {name for name in every if f">{name}</a>" in page} == names
    assert {row[0] for row in rows(pages, f"/admin/users.csv{query}")} == names


def test_a_user_is_invited(pages, admin) -> None:
    form = {"name": "Ben Agent", "email": "Ben@Example.com", "role": "agent", "authority": "5000"}
    sent = pages.post("/admin/users/new", data=form)
    user = accounts.find_user("ben@example.com")
    assert (sent.status_code, sent.location) == (303, f"/admin/users/{user.id}")
    assert (user.role, user.authority_minor, user.confirmed_at) == (Role.AGENT, 5000_00, None)
    page = pages.get(sent.location).text
    for shown in ("Ben Agent", "ben@example.com", "$5,000.00", "Their own book", "Not yet", "May sign in"):
        assert shown in page, shown
    mail = db.session.query(Mail).one()
    assert (mail.template, mail.recipient, mail.data["invited_by"]) == ("invitation", "ben@example.com", "Ada Admin")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"email": "ada@example.com"}, "has an account already"),
        ({"email": "ben"}, "one address like"),
        ({"name": ""}, "Enter the full name"),
        ({"role": "customer"}, "one of those listed"),
        ({"role": ""}, "Choose"),
        ({"authority": "-1"}, "0.00 or more"),
    ],
)
def test_an_invitation_that_is_refused_says_why_and_sends_nothing(app, answers: dict, said: str) -> None:
    browser = factories.browser(factories.user(Role.ADMIN, email="ada@example.com"))
    form = {"name": "Ben Agent", "email": "ben@example.com", "role": "agent", "authority": "0", **answers}
    refused = browser.post("/admin/users/new", data=form)
    assert refused.status_code == 422
    assert said in refused.text
    assert db.session.query(Mail).count() == 0
    assert db.session.query(User).count() == 1


def test_an_edited_user_has_the_new_rights_from_their_next_click_on(pages) -> None:
    agent = factories.user(Role.AGENT, name="Ben Agent")
    theirs = factories.browser(agent)
    assert theirs.get("/agent").status_code == 200
    address = f"/admin/users/{agent.id}/edit"
    facts = {"name": "Ben Gone", "role": "agent", "authority": "100", "version": version_in(pages.get(address))}
    assert pages.post(address, data=facts).location == f"/admin/users/{agent.id}"
    page = pages.get(f"/admin/users/{agent.id}").text
    assert "Ben Gone" in page
    assert "Deactivated" in page
    assert ["Ben Gone", agent.email, "Agent", "Deactivated"] in [row[:4] for row in rows(pages, "/admin/users.csv")]
    assert theirs.get("/agent").status_code == 303
    stale = pages.post(address, data={**facts, "name": "Ben Back", "active": "y"})
    assert stale.status_code == 409
    assert "<strong>Now:</strong> Ben Gone" in stale.text


def test_nobody_takes_their_own_rights_away(pages, admin) -> None:
    address = f"/admin/users/{admin.id}/edit"
    facts = {"name": "Ada", "authority": "0", "version": version_in(pages.get(address))}
    for answers in ({"role": "agent", "active": "y"}, {"role": "admin"}):
        refused = pages.post(address, data={**facts, **answers})
        assert refused.status_code == 403
        assert "cannot take your own role or access away" in refused.text
    assert accounts.get_user(admin.id).role is Role.ADMIN


def test_a_user_is_mailed_the_link_that_fits(pages) -> None:
    agent = factories.user(Role.AGENT)
    invited = account_services.invite(
        email="ben@example.com", name="Ben", role=Role.AGENT, actor=factories.SYSTEM_ACTOR
    )
    for user_id, template in ((agent.id, "reset"), (invited.id, "invitation")):
        assert pages.post(f"/admin/users/{user_id}/reset").status_code == 303
        assert db.session.query(Mail).order_by(Mail.id.desc()).first().template == template


@pytest.mark.parametrize("path", ["users/99", "users/99/edit", "outbox/99", "audit/99", "products/99"])
def test_what_does_not_exist_has_no_page(pages, path: str) -> None:
    assert pages.get(f"/admin/{path}").status_code == 404


# Outbox


def test_the_outbox_lists_filters_and_finds_mails(pages, admin) -> None:
    customers.invite(customer_id=factories.customer(email="zoe@example.com").id, actor=admin)
    customers.invite(customer_id=factories.customer(email="ann@example.com").id, actor=admin)
    with transaction():
        db.session.query(Mail).filter_by(recipient="ann@example.com").one().status = MailStatus.DEAD
    for query, recipients in (
        ("", {"zoe@example.com", "ann@example.com"}),
        ("?status=dead", {"ann@example.com"}),
        ("?status=due", {"zoe@example.com"}),
        ("?q=ZOE", {"zoe@example.com"}),
        ("?q=z_e", set()),
        ("?q=%25", set()),
    ):
        page = pages.get(f"/admin/outbox{query}").text
        assert {address for address in ("zoe@example.com", "ann@example.com") if address in page} == recipients
        assert {row[1] for row in rows(pages, f"/admin/outbox.csv{query}")} == recipients


def test_a_preview_shows_the_mail_without_the_link_that_lets_its_reader_in(pages, admin) -> None:
    customers.invite(customer_id=factories.customer(name="Zoë").id, actor=admin)
    mail = db.session.query(Mail).one()
    page = pages.get(f"/admin/outbox/{mail.id}").text
    assert "Hello Zoë," in page
    assert "(a link that only the recipient sees)" in page
    assert account_services.link_url(mail.data["link_id"]) not in page
    assert account_services.link_url(mail.data["link_id"]).rpartition("/")[2] not in page


def test_a_mail_that_failed_is_sent_to_the_corrected_address(pages, admin) -> None:
    customers.invite(customer_id=factories.customer(email="zoo@example.com").id, actor=admin)
    with transaction():
        mail = db.session.query(Mail).one()
        mail.status, mail.last_error, mail.attempts = MailStatus.DEAD, "550 nobody here", 6
    address = f"/admin/outbox/{mail.id}"
    page = pages.get(address).text
    assert "550 nobody here" in page
    assert 'value="zoo@example.com"' in page
    refused = pages.post(f"{address}/resend", data={"recipient": "zoe"})
    assert refused.status_code == 422
    assert "one address like" in refused.text
    assert pages.post(f"{address}/resend", data={"recipient": "zoe@example.com"}).location == address
    mail = db.session.get_one(Mail, mail.id, populate_existing=True)
    assert (mail.recipient, mail.status, mail.attempts, mail.last_error) == ("zoe@example.com", "due", 0, "")
    entry = db.session.query(AuditEntry).filter_by(action="resend").one()
    before, after = opened(entry)
    assert (before["recipient"], after["recipient"]) == ("zoo@example.com", "zoe@example.com")


# Audit


def test_the_audit_trail_is_found_by_record_and_by_person(pages, admin) -> None:
    customer = factories.customer(agent=factories.user(Role.AGENT), name="Maria Lopez")
    customers.edit(customer_id=customer.id, phone="555 0100", actor=admin)
    for query, sees in ((f"?q={customer.number}", True), ("?q=ada", True), ("?q=nobody", False)):
        assert (customer.number in pages.get(f"/admin/audit{query}").text) is sees
        assert (customer.number in {row[0] for row in rows(pages, f"/admin/audit.csv{query}")}) is sees
    assert "Customer: edit" in pages.get(f"/admin/audit?q={customer.number}").text


def test_an_audit_entry_shows_before_and_after(pages, admin) -> None:
    customer = factories.customer(phone="555 0100")
    customers.edit(customer_id=customer.id, phone="555 0200", address="", actor=admin)
    entry = db.session.query(AuditEntry).filter_by(action="edit").one()
    page = pages.get(f"/admin/audit/{entry.id}").text
    assert f"Customer: edit, {customer.number}" in page
    assert re.search(r'data-label="Before">555 0100</td><td data-label="After">555 0200</td>', page)
    assert "Ada Admin" in page


def test_what_is_done_by_a_page_is_noted_with_address_and_request(pages) -> None:
    pages.post("/customers/new", data={"kind": "person", "name": "Maria Lopez", "key": "k1"})
    entry = db.session.query(AuditEntry).filter_by(subject="customers").one()
    assert (entry.address, entry.actor_name) == ("127.0.0.1", "Ada Admin")
    assert entry.request_id


# Jobs and products


def test_jobs_are_listed_with_what_came_of_them(pages) -> None:
    assert "No job has run yet." in pages.get("/admin/jobs").text
    jobs.run_nightly(TODAY, lambda line: None)
    assert "0 invoices issued" in pages.get("/admin/jobs").text
    [row] = rows(pages, "/admin/jobs.csv")
    assert row[:2] == ["nightly", "2026-06-01"]


def test_products_are_shown_with_how_their_premium_is_worked_out(pages) -> None:
    version = products.version_on("standard", TODAY)
    page = pages.get("/admin/products").text
    assert f'href="/admin/products/{version.id}"' in page
    record = pages.get(f"/admin/products/{version.id}").text
    for shown in ("Standard cover, version 1", "Published", "12 months", "30 days", "monthly", "Base rate"):
        assert shown in record, shown


# Every list


@pytest.mark.parametrize(
    "address",
    [
        "users?role=boss",
        "users?sort=role",
        "users?after=x",
        "outbox?status=lost",
        "outbox?sort=to",
        "audit?sort=who",
        "audit?before=x",
        "jobs?sort=result",
        "users.csv?role=boss",
        "outbox.csv?status=lost",
        "audit.csv?sort=who",
    ],
)
def test_what_a_list_cannot_mean_is_refused_in_words(pages, address: str) -> None:
    answer = pages.get(f"/admin/{address}")
    assert answer.status_code == 400
    assert "We could not read that" in answer.text
    assert "Choose one of" in answer.text or "Open the list again" in answer.text


def test_no_name_in_a_file_acts_as_a_formula(pages, admin) -> None:
    person = factories.user(Role.CUSTOMER, name="=1+1")
    policy = factories.bound_policy(
        customer=factories.customer(user=person, name="=1+1"), start_on=TODAY - 30 * DAY, policy_type="@SUM(A1)"
    )
    filed(policy)
    for path in ("/customers.csv", "/policies.csv", "/invoices.csv", "/claims.csv", "/admin/users.csv"):
        cells = [cell for row in rows(pages, path) for cell in row]
        assert "'=1+1" in cells, path
        assert not [cell for cell in cells if cell.startswith(("=", "@"))], path


@pytest.mark.sqlite_only
def test_admin_pages_ask_the_database_no_more_the_more_there_is(pages, admin) -> None:
    first = factories.user(Role.AGENT)
    counted: list[dict[str, int]] = []
    lists = ("/admin/users", "/admin/outbox", "/admin/audit", "/admin/jobs")
    for more in (3, 27):
        with transaction():  # one, since thirty commits take their time
            for _ in range(more):
                user = factories.user(Role.AGENT)
                account_services.send_reset(user_id=user.id, actor=admin)
                account_services.send_reset(user_id=first.id, actor=admin)
                jobs.run_nightly(TODAY, lambda line: None)
        mail, entry = db.session.query(Mail).first(), db.session.query(AuditEntry).first()
        version = products.version_on("standard", clock.today())
        records = {
            "user": f"/admin/users/{first.id}",
            "mail": f"/admin/outbox/{mail.id}",
            "entry": f"/admin/audit/{entry.id}",
            "product": f"/admin/products/{version.id}",
            "products": "/admin/products",
        }
        count = {}
        for name, path in [
            *((path, path) for path in lists),
            *((f"{path}.csv",) * 2 for path in lists),
            *records.items(),
        ]:
            with statements() as asked:
                assert pages.get(path).status_code == 200
            count[name] = len(asked)
        counted.append(count)
    assert counted[0] == counted[1]
    for name, number in counted[0].items():
        assert number <= (8 if name in records else 5), (name, number)

"""The customer's home, policies, documents and profile; and that nobody meets what is not theirs."""

import re
from datetime import timedelta

import pytest

from insurance.billing.domain import PaymentPlan
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import transaction
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.customers import queries as customers
from insurance.customers import services as customer_services
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from tests import factories
from tests.agents.test_pages import filed, statements
from tests.conftest import TODAY

DAY = timedelta(days=1)


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER, name="Maria Lopez")


@pytest.fixture
def customer(agent, person):
    return factories.customer(agent=agent, user=person, name="Maria Lopez")


@pytest.fixture
def pages(person):
    return factories.browser(person)


def todo(page: str) -> list[tuple[str, str]]:
    """What the home page asks to do, with the address that each button leads to, in order."""
    found = re.findall(r"<li>\s*<span class=\"disc.*?<h3>(.*?)</h3>.*?href=\"([^\"]+)\"", page, re.DOTALL)
    return [(heading, address.replace("&amp;", "&")) for heading, address in found]


# Home


def test_a_customer_with_nothing_sees_that_nothing_is_to_do_and_whom_to_call(app, customer, pages) -> None:
    page = pages.get("/portal").text
    for shown in ("Hello, Maria", "1 June 2026", "Nothing needs you today.", "You have no policy with us yet."):
        assert shown in page
    assert app.config["COMPANY_PHONE"] in page
    assert todo(page) == []
    for path, said in (
        ("/portal/policies", "You have no policy with us yet."),
        ("/portal/documents", "No documents yet."),
        ("/portal/payments", "Nothing is due."),
        ("/portal/claims", ""),
    ):
        answer = pages.get(path)
        assert answer.status_code == 200
        assert said in answer.text
        assert "None" not in answer.text


def test_home_says_what_to_pay_first_and_leads_there(customer, pages) -> None:
    later = factories.bound_policy(customer=customer, start_on=TODAY + 10 * DAY)
    sooner = factories.bound_policy(customer=customer, plan=PaymentPlan.MONTHLY)
    first, second = factories.first_invoice(sooner), factories.first_invoice(later)
    assert todo(pages.get("/portal").text) == [
        ("Pay $200.00 by 1 Jun 2026", f"/portal/pay/{first.id}"),
        ("Pay $2,400.00 by 11 Jun 2026", f"/portal/pay/{second.id}"),
    ]
    assert "Pay $200.00 now" in pages.get(f"/portal/pay/{first.id}").text


def test_home_says_what_is_late(person, customer) -> None:
    invoice = factories.first_invoice(factories.bound_policy(customer=customer))
    with clock.at(TODAY + DAY):
        page = factories.browser(person).get("/portal").text
        assert todo(page) == [("Pay $2,400.00 now, it was due on 1 Jun 2026", f"/portal/pay/{invoice.id}")]


def test_what_is_paid_is_no_longer_to_do(agent, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    payments.record(
        account_id=policy.account_id,
        amount=Money.parse("2400.00", "USD"),
        method=PaymentMethod.CASH,
        paid_on=TODAY,
        actor=agent,
    )
    assert todo(pages.get("/portal").text) == []
    paid = pages.get(f"/portal/pay/{factories.first_invoice(policy).id}").text
    assert "This invoice is already paid" in paid


def test_home_leads_back_to_a_claim_that_was_begun(person, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    draft = claims.start(policy_id=policy.id, actor=person)
    assert ("Finish your claim", f"/portal/claims/new/check?claim={draft.id}") in todo(pages.get("/portal").text)


def test_home_leads_to_our_question_about_a_claim(agent, person, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY)
    claim = filed(policy, actor=person)
    page = pages.get("/portal").text
    assert f"Your claim {claim.number}" in page
    assert "What happens next:" in page
    claims.review(claim_id=claim.id, actor=agent)
    claims.ask(claim_id=claim.id, question="Who drove?", actor=agent)
    assert ("Answer our question", f"/portal/claims/{claim.id}") in todo(pages.get("/portal").text)


def test_home_shows_policies_that_run_before_what_is_over(customer, pages) -> None:
    running = factories.bound_policy(customer=customer)
    over = factories.bound_policy(customer=customer, start_on=TODAY - 400 * DAY, last_day_on=TODAY - 40 * DAY)
    page = pages.get("/portal").text
    assert page.index(running.number) < page.index(over.number, page.index("My policies"))
    assert f"/portal/claims/new/policy?policy={running.id}" in page
    assert f"/portal/claims/new/policy?policy={over.id}" not in page


# Policies and documents


def test_the_page_of_a_policy_says_what_is_covered_and_why_it_costs_what_it_costs(customer, pages) -> None:
    policy = factories.bound_policy(customer=customer, plan=PaymentPlan.MONTHLY)
    invoice = factories.first_invoice(policy)
    page = pages.get(f"/portal/policies/{policy.id}").text
    for shown in (
        f"Policy {policy.number}",
        "You are covered",
        "$100,000.00",
        "1 Jun 2026",
        "31 May 2027",
        "Base rate",
        invoice.number,
        f"/portal/pay/{invoice.id}",
        f"/documents/{invoice.document_id}.pdf",
        "Report a claim",
    ):
        assert shown in page, shown


def test_the_customer_downloads_their_own_documents_and_nobody_elses(agent, customer, pages) -> None:
    mine = factories.first_invoice(factories.bound_policy(customer=customer))
    theirs = factories.first_invoice(factories.bound_policy(customer=factories.customer(agent=agent)))
    page = pages.get("/portal/documents").text
    assert f"/documents/{mine.document_id}.pdf" in page
    assert theirs.number not in page
    download = pages.get(f"/documents/{mine.document_id}.pdf")
    assert download.mimetype == "application/pdf"
    assert download.data.startswith(b"%PDF")
    assert pages.get(f"/documents/{theirs.document_id}.pdf").status_code == 404


# Profile


def test_customers_change_how_they_are_reached_and_nothing_else(person, customer, pages) -> None:
    form = pages.get("/portal/profile")
    version = re.search(r'name="version"[^>]*value="([0-9]+)"', form.text)[1]
    assert 'name="name"' not in form.text
    answers = {
        "phone": "555 0142 00",
        "address": "2 Quay",
        "version": version,
        "name": "Other",
        "birth_on-year": "1950",
    }
    assert pages.post("/portal/profile", data=answers).location == "/account"
    own = customers.find_own(person)
    assert (own.phone, own.address, own.name, own.birth_on) == (
        "555 0142 00",
        "2 Quay",
        customer.name,
        customer.birth_on,
    )
    account = pages.get("/account").text
    assert "555 0142 00" in account
    stale = pages.post("/portal/profile", data={**answers, "phone": "555 0143 00"})
    assert stale.status_code == 409
    assert "<strong>Now:</strong> 555 0142 00" in stale.text
    assert pages.post("/portal/profile", data={**answers, "phone": "call me"}).status_code == 422


def test_a_user_who_is_no_customer_yet_reads_whom_to_call(app, person, pages) -> None:
    home = pages.get("/portal")
    assert home.status_code == 200
    assert f"Call {app.config['COMPANY_PHONE']}" in home.text
    profile = pages.get("/portal/profile")
    assert profile.status_code == 404
    assert "Your account is not linked to a customer yet. Call us." in profile.text
    for path in ("policies", "claims", "payments", "documents", "claims/new/policy"):
        assert pages.get(f"/portal/{path}").status_code == 200
    assert pages.get("/account").status_code == 200


# Who may come here


def test_what_is_another_customers_does_not_exist(agent, person, customer, pages) -> None:
    other = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(customer=factories.customer(agent=agent, user=other), start_on=TODAY - 30 * DAY)
    invoice = factories.first_invoice(policy)
    claim, draft = filed(policy, actor=other), claims.start(policy_id=policy.id, actor=other)
    receipt = payments.record(
        account_id=policy.account_id,
        amount=Money.parse("1.00", "USD"),
        method=PaymentMethod.CASH,
        paid_on=TODAY,
        actor=agent,
    )
    theirs = factories.browser(other)
    for path in (
        f"policies/{policy.id}",
        f"claims/{claim.id}",
        f"claims/{claim.id}/sent",
        f"claims/new/check?claim={draft.id}",
        f"claims/new/photos?claim={draft.id}",
        f"pay/{invoice.id}",
        f"payments/{receipt.id}",
    ):
        assert pages.get(f"/portal/{path}").status_code == 404, path
        assert theirs.get(f"/portal/{path}").status_code == 200, path
    assert pages.post(f"/portal/pay/{invoice.id}", data={"key": "k1"}).status_code == 404
    assert pages.post(f"/portal/claims/new/what?claim={draft.id}", data={"description": "Mine"}).status_code == 404
    assert pages.post(f"/claims/{claim.id}/withdraw").status_code == 404
    for path in ("", "/policies", "/claims", "/payments", "/documents"):
        assert policy.number not in pages.get(f"/portal{path}").text


PORTAL = ["", "/policies", "/claims", "/payments", "/documents", "/profile"]
STAFF = [
    "/customers",
    "/customers.csv",
    "/customers/new",
    "/policies/new",
    "/invoices",
    "/payments",
    "/agent",
    "/agent/search",
]
ADMIN = [
    "/admin",
    "/admin/users",
    "/admin/users.csv",
    "/admin/outbox",
    "/admin/audit",
    "/admin/jobs",
    "/admin/products",
]


@pytest.mark.parametrize("role", [Role.AGENT, Role.ADMIN])
def test_staff_are_refused_on_the_pages_of_customers(app, role: Role) -> None:
    browser = factories.browser(factories.user(role))
    for path in PORTAL:
        answer = browser.get(f"/portal{path}")
        assert answer.status_code == 403, path
        assert "You may not do this" in answer.text


def test_customers_are_refused_on_the_pages_of_staff_and_agents_on_those_of_admins(agent, customer, pages) -> None:
    for path in STAFF + ADMIN:
        assert pages.get(path).status_code == 403, path
    for path in (f"/customers/{customer.id}", f"/customers/{customer.id}/edit"):
        assert pages.get(path).status_code == 403
    staff = factories.browser(agent)
    for path in ADMIN:
        assert staff.get(path).status_code == 403, path


def test_whoever_is_not_signed_in_is_led_to_sign_in_and_back(app) -> None:
    for path in [f"/portal{path}" for path in PORTAL] + STAFF + ADMIN:
        answer = app.test_client().get(path)
        assert answer.status_code == 303
        assert answer.location.startswith("/login?next=%2F") or answer.location.startswith("/login?next=/")


def test_a_deactivated_customer_still_sees_what_is_theirs(agent, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer)
    customer_services.set_active(customer_id=customer.id, active=False, actor=agent)
    assert policy.number in pages.get("/portal").text


@pytest.mark.sqlite_only
def test_pages_ask_the_database_no_more_the_more_there_is(agent, person, customer, pages) -> None:
    policy = factories.bound_policy(customer=customer, start_on=TODAY - 30 * DAY)
    counted: list[dict[str, int]] = []
    for more in (2, 27):
        with transaction():  # one, since thirty commits take their time
            for _ in range(more):
                factories.bound_policy(customer=customer, plan=PaymentPlan.MONTHLY)
                claim = filed(policy, claimed="1.00")
                claims.reject(claim_id=claim.id, notes="Older damage.", actor=agent)
                payments.record(
                    account_id=policy.account_id,
                    amount=Money.parse("1.00", "USD"),
                    method=PaymentMethod.CASH,
                    actor=agent,
                )
        count = {}
        for path in ("", "/policies", f"/policies/{policy.id}", "/claims", "/payments", "/documents", "/profile"):
            with statements() as asked:
                assert pages.get(f"/portal{path}").status_code == 200
            count[path] = len(asked)
        counted.append(count)
    assert counted[0] == counted[1]
    assert max(counted[0].values()) <= 8, counted[0]

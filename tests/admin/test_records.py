"""What staff may change about records, what admins see of what was done, and what stands in the way of deleting."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from insurance.accounts import queries as accounts
from insurance.accounts.models import SignInSession
from insurance.billing.domain import InvoiceStatus
from insurance.billing.models import Invoice
from insurance.billing.services import invoices as billing
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken, Stale
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.customers import services as customers
from insurance.customers.models import Customer
from insurance.documents.models import Document
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from tests import factories
from tests.agents.test_pages import DAY, filed, statements
from tests.conftest import TODAY
from tests.races import together

pytestmark = pytest.mark.sqlite_only

LATER = TODAY + timedelta(days=20)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, wide_sight=True, name="Ada Admin")


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT, name="Ben Agent")


@pytest.fixture
def pages(agent: Actor) -> FlaskClient:
    return factories.browser(agent)


@pytest.fixture
def policy(agent: Actor):
    return factories.bound_policy(customer=factories.customer(agent=agent), start_on=TODAY - 30 * DAY)


@pytest.fixture
def invoice(policy) -> Invoice:
    return factories.first_invoice(policy)


def pay(policy, amount: str = "100.00") -> Payment:
    return payments.record(
        account_id=policy.account_id,
        amount=Money.parse(amount, "USD"),
        method=PaymentMethod.CHEQUE,
        reference="Cheque 7",
        actor=factories.SYSTEM_ACTOR,
    )


def version_in(page) -> str:
    return re.search(r'name="version"[^>]*value="([0-9]+)"', page.text)[1]


def send(pages: FlaskClient, address: str, /, **answers: str):
    """Fill in a form as opened now."""
    return pages.post(address, data={"version": version_in(pages.get(address)), **answers})


def entry(action: str) -> AuditEntry:
    return db.session.query(AuditEntry).filter_by(action=action).one()


# Invoices: the due date


def test_the_due_date_of_an_open_invoice_is_changed_with_a_reason(pages, agent, invoice) -> None:
    home, address, old = f"/invoices/{invoice.id}", f"/invoices/{invoice.id}/due", invoice.due_on
    assert f'href="{address}"' in pages.get(home).text
    assert "The due date was changed" not in pages.get(home).text
    assert send(pages, address, due_on=LATER.isoformat(), reason="Asked by phone").location == home
    page = pages.get(home).text
    assert "21 Jun 2026" in page
    assert "The PDF keeps what it said: 1 Jun 2026." in page
    assert db.session.get_one(Document, invoice.document_id).data["due_on"] == "1 Jun 2026"
    noted = entry("change_due")
    assert (noted.subject_id, noted.label, noted.actor_id) == (invoice.id, invoice.number, agent.id)
    assert (noted.before, noted.after) == (
        {"due_on": old.isoformat()},
        {"due_on": LATER.isoformat(), "reason": "Asked by phone"},
    )


def test_an_invoice_is_overdue_by_its_new_date(pages, agent, invoice) -> None:
    billing.change_due(invoice_id=invoice.id, version=1, due_on=LATER, reason="R", actor=agent)
    for day, overdue in ((LATER, False), (LATER + DAY, True)):
        with clock.at(day):
            assert (invoice.number in factories.browser(agent).get("/invoices?status=overdue").text) is overdue


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"due_on": "2026-05-31"}, "before it was issued, on 1 Jun 2026"),
        ({"due_on": "2026-02-30"}, "a real date"),
        ({"due_on": ""}, "Enter the due date"),
        ({"reason": ""}, "Enter the reason"),
        ({"reason": "x" * 201}, "200 characters or fewer"),
    ],
)
def test_a_due_date_that_cannot_be_is_refused_at_its_field(pages, invoice, answers: dict, said: str) -> None:
    refused = send(pages, f"/invoices/{invoice.id}/due", **{"due_on": LATER.isoformat(), "reason": "R", **answers})
    assert refused.status_code == 422
    assert said in refused.text
    assert db.session.query(AuditEntry).filter_by(action="change_due").count() == 0


def test_a_paid_invoice_has_no_due_date_to_change(pages, agent, policy, invoice) -> None:
    pay(policy, "2400.00")
    assert "Change due date" not in pages.get(f"/invoices/{invoice.id}").text
    now = db.session.get_one(Invoice, invoice.id).version
    with pytest.raises(Conflict, match="Nothing is open"):
        billing.change_due(invoice_id=invoice.id, version=now, due_on=LATER, reason="R", actor=agent)
    for status in (InvoiceStatus.CREDITED, InvoiceStatus.VOID, InvoiceStatus.WRITTEN_OFF):
        with transaction():
            db.session.get_one(Invoice, invoice.id).status = status
        refused = send(pages, f"/invoices/{invoice.id}/due", due_on=LATER.isoformat(), reason="R")
        assert refused.status_code == 409


def test_a_part_paid_invoice_still_has_one(agent, policy, invoice) -> None:
    pay(policy)
    now = db.session.get_one(Invoice, invoice.id).version
    assert billing.change_due(invoice_id=invoice.id, version=now, due_on=LATER, reason="R", actor=agent).due_on == LATER


def test_of_two_who_change_a_due_date_one_is_told(app, pages, agent, admin, invoice) -> None:
    invoice_id, address = invoice.id, f"/invoices/{invoice.id}/due"
    old = version_in(pages.get(address))
    outcomes = together(
        app,
        [
            lambda actor=actor: billing.change_due(
                invoice_id=invoice_id, version=1, due_on=LATER, reason="R", actor=actor
            )
            for actor in (agent, admin)
        ],
    )
    assert sorted(type(outcome) is Stale for outcome in outcomes) == [False, True]
    stale = pages.post(address, data={"due_on": "2026-07-01", "reason": "Mine", "version": old})
    assert stale.status_code == 409
    assert "<strong>Now:</strong> 21 Jun 2026" in stale.text


# Payments: reference and note


def test_reference_and_note_of_a_payment_are_changed_and_nothing_else(pages, agent, policy) -> None:
    payment = pay(policy)
    home, address = f"/payments/{payment.id}", f"/payments/{payment.id}/edit"
    assert f'href="{address}"' in pages.get(home).text
    answers = {"reference": "Cheque 8", "note": "Came late", "amount": "1.00", "paid_on": "2020-01-01"}
    assert send(pages, address, **answers).location == home
    page = pages.get(home).text
    assert "Cheque 8" in page
    assert "Came late" in page
    payment = db.session.get_one(Payment, payment.id, populate_existing=True)
    assert (payment.amount, payment.paid_on, payment.version) == (Money.parse("100.00", "USD"), TODAY, 2)
    assert db.session.query(Document).filter_by(kind="receipt").one().data["reference"] == "Cheque 7"
    noted = entry("edit")
    assert (noted.subject, noted.subject_id, noted.actor_id) == ("payments", payment.id, agent.id)
    assert noted.before == {"reference": "Cheque 7", "note": ""}
    assert noted.after == {"reference": "Cheque 8", "note": "Came late"}
    stale = pages.post(address, data={"reference": "Cheque 9", "note": "", "version": "1"})
    assert stale.status_code == 409
    assert "<strong>Now:</strong> Cheque 8" in stale.text


def test_of_two_who_change_a_payment_one_is_told(app, agent, admin, policy) -> None:
    payment_id = pay(policy).id
    outcomes = together(
        app,
        [
            lambda actor=actor: payments.edit(
                payment_id=payment_id, version=1, reference=actor.name, note="", actor=actor
            )
            for actor in (agent, admin)
        ],
    )
    assert sorted(type(outcome) is Stale for outcome in outcomes) == [False, True]


# Who may, and what they see


def test_only_staff_and_only_in_their_book(app, admin, policy, invoice) -> None:
    payment, person = pay(policy), factories.user(Role.CUSTOMER)
    now = db.session.get_one(Invoice, invoice.id).version
    acts = (
        lambda actor: billing.change_due(invoice_id=invoice.id, version=now, due_on=LATER, reason="R", actor=actor),
        lambda actor: payments.edit(payment_id=payment.id, version=1, reference="R", note="", actor=actor),
    )
    with transaction():
        db.session.get_one(Customer, policy.customer_id).user_id = person.id
    for actor, refusal in ((person, NotAllowed), (factories.user(Role.AGENT), NotFound)):
        for act in acts:
            with pytest.raises(refusal):
                act(actor)
        for address in (f"/invoices/{invoice.id}/due", f"/payments/{payment.id}/edit"):
            assert factories.browser(actor).get(address).status_code == refusal.status
    for act in acts:
        act(admin)


def test_a_payment_is_taken_from_the_record_of_the_policy(pages, policy, agent) -> None:
    address = f"/payments/new?account={policy.account_id}"
    assert f'href="{address}"' in pages.get(f"/policies/{policy.id}").text
    sent = pages.post(address, data={"amount": "50", "method": "cash", "paid_on": TODAY.isoformat(), "key": "k1"})
    assert sent.status_code == 303
    assert db.session.query(Payment).one().account_id == policy.account_id
    quote = factories.quote(customer=factories.customer(agent=agent))
    assert "Take payment" not in pages.get(f"/policies/{quote.id}").text


# Users: their sessions


def test_an_admin_ends_somebodys_session(app, admin, agent) -> None:
    theirs, pages = factories.browser(agent), factories.browser(admin)
    [session] = accounts.sessions_of(agent)
    page = pages.get(f"/admin/users/{agent.id}").text
    end = f"/admin/users/{agent.id}/sessions/{session.id}/end"
    assert f'action="{end}"' in page
    assert theirs.get("/agent").status_code == 200
    assert pages.post(end).location == f"/admin/users/{agent.id}"
    assert theirs.get("/agent").status_code == 303
    assert "Nowhere." in pages.get(f"/admin/users/{agent.id}").text
    noted = entry("end_session")
    assert (noted.subject, noted.subject_id, noted.actor_name) == ("users", agent.id, "Ada Admin")
    assert noted.after == {"address": "127.0.0.1", "browser": "test"}


def test_no_session_is_ended_under_anothers_name_or_by_others(app, admin, agent) -> None:
    factories.browser(agent)
    pages = factories.browser(admin)
    [session] = accounts.sessions_of(agent)
    assert pages.post(f"/admin/users/{admin.id}/sessions/{session.id}/end").status_code == 404
    assert pages.post(f"/admin/users/{agent.id}/sessions/999/end").status_code == 404
    assert factories.browser(agent).post(f"/admin/users/{agent.id}/sessions/{session.id}/end").status_code == 403
    assert db.session.get_one(SignInSession, session.id, populate_existing=True).ended_at is None


# The audit trail of a record


def records(policy) -> dict[str, tuple[str, str]]:
    """Of each kind of record, its page and its audit trail."""
    claim, payment, invoice = filed(policy), pay(policy), factories.first_invoice(policy)
    agent_id = db.session.get_one(Customer, policy.customer_id).agent_id
    return {
        f"/customers/{policy.customer_id}": ("customers", policy.customer_id),
        f"/policies/{policy.id}": ("policies", policy.id),
        f"/invoices/{invoice.id}": ("invoices", invoice.id),
        f"/payments/{payment.id}": ("payments", payment.id),
        f"/claims/{claim.id}": ("claims", claim.id),
        f"/admin/users/{agent_id}": ("users", agent_id),
    }


def test_each_record_leads_admins_to_what_was_done_to_it_and_to_nothing_else(admin, pages, policy) -> None:
    other = factories.bound_policy(start_on=TODAY - 30 * DAY)
    filed(other)
    pay(other)
    browser = factories.browser(admin)
    for path, (subject, record_id) in records(policy).items():
        trail = f"/admin/audit?subject={subject}&amp;id={record_id}"
        assert trail in browser.get(path).text, path
        shown = {
            int(found)
            for found in re.findall(r'href="/admin/audit/([0-9]+)"', browser.get(trail.replace("amp;", "")).text)
        }
        meant = {row.id for row in db.session.query(AuditEntry).filter_by(subject=subject, subject_id=record_id)}
        assert shown == meant != set(), path
        assert "What was done to one record" in browser.get(trail.replace("amp;", "")).text
        if not path.startswith("/admin"):
            assert "/admin/audit" not in pages.get(path).text, path


def test_the_audit_trail_is_filtered_by_kind_and_keeps_the_record_in_its_file(admin, policy) -> None:
    browser = factories.browser(admin)
    assert "Policy: bind" in browser.get("/admin/audit?subject=policies").text
    assert "Invoice: issue" not in browser.get("/admin/audit?subject=policies").text
    address = f"/admin/audit?subject=policies&id={policy.id}"
    assert f"/admin/audit.csv?subject=policies&amp;id={policy.id}" in browser.get(address).text
    assert policy.number in browser.get(address.replace("audit?", "audit.csv?")).text
    assert browser.get("/admin/audit?subject=nonsense").status_code == 400


@pytest.mark.sqlite_only
def test_records_ask_the_database_no_more_for_an_admin(admin, policy) -> None:
    browser = factories.browser(admin)
    for path, (subject, record_id) in records(policy).items():
        for address, most in ((path, 8), (f"/admin/audit?subject={subject}&id={record_id}", 5)):
            with statements() as asked:
                assert browser.get(address).status_code == 200
            assert len(asked) <= most, (address, asked)


# Customers: the same twice, and deleting


FACTS = {"kind": "person", "name": "Maria Lopez", "email": "", "birth_on": "1986-01-01", "phone": "", "address": ""}


def test_an_edit_points_out_who_may_be_the_same_but_never_the_record_itself(pages, agent) -> None:
    known = factories.customer(agent=agent, name="Maria Lopez", email="maria@example.com")
    other = factories.customer(agent=agent, name="Somebody Else", email="")
    address = f"/customers/{other.id}/edit"
    answers = {**FACTS, "name": "Other", "email": "maria@example.com", "key": "k1", "version": "1"}
    asked = pages.post(address, data=answers)
    assert asked.status_code == 200
    assert f'href="/customers/{known.id}">Maria Lopez, {known.number}</a>' in asked.text
    assert "send again to save all the same" in asked.text
    assert db.session.get_one(Customer, other.id, populate_existing=True).name == "Somebody Else"
    anyway = re.search(r'name="anyway" value="([^"]+)"', asked.text)[1]
    assert pages.post(address, data={**answers, "anyway": anyway}).location == f"/customers/{other.id}"
    assert db.session.get_one(Customer, other.id, populate_existing=True).email == "maria@example.com"
    alone = factories.customer(agent=agent, name="Ann Lee", email="ann@example.com")
    same = {**FACTS, "name": "Ann Lee", "email": "ann@example.com", "key": "k2", "version": "1"}
    assert pages.post(f"/customers/{alone.id}/edit", data=same).status_code == 303


def test_who_is_deleted_without_a_history_is_told_what_goes(pages, agent) -> None:
    customer = factories.customer(agent=agent)
    page = pages.get(f"/customers/{customer.id}/delete").text
    assert "goes for good, with name, address" in page
    assert ">Delete customer</button>" in page
    assert "must be kept" not in page


def test_what_hangs_on_a_customer_is_counted_before_anything_is_pressed(pages, agent, policy) -> None:
    customer_id = policy.customer_id
    factories.quote(customer=db.session.get_one(Customer, customer_id))
    factories.bound_policy(customer=factories.customer(agent=agent))  # somebody else's counts for nothing
    filed(policy)
    pay(policy)
    customers.invite(customer_id=customer_id, actor=agent)
    home = f"/customers/{customer_id}"
    assert f'href="{home}/delete"' in pages.get(home).text
    page = pages.get(f"{home}/delete").text
    counts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert counts == {
        "Policies and quotes": "2",
        "Invoices": "1",
        "Payments": "1",
        "Claims": "1",
        "Documents": "2",
        "Portal account": "1",
    }
    assert ">Delete customer</button>" not in page
    assert pages.post(f"{home}/deactivate").location == home
    assert "deactivated already" in pages.get(f"{home}/delete").text


def test_a_portal_account_alone_keeps_a_customer(agent) -> None:
    customer = factories.customer(agent=agent)
    customers.invite(customer_id=customer.id, actor=agent)
    with pytest.raises(Conflict, match="has a portal account"):
        customers.delete(customer_id=customer.id, actor=agent)
    assert db.session.query(Customer).count() == 1


def test_a_due_date_before_issue_is_refused_by_the_service_too(agent, invoice) -> None:
    with pytest.raises(RuleBroken) as refusal:
        billing.change_due(invoice_id=invoice.id, version=1, due_on=invoice.issued_on - DAY, reason="R", actor=agent)
    assert refusal.value.field == "due_on"
    same_day = billing.change_due(invoice_id=invoice.id, version=1, due_on=invoice.issued_on, reason="R", actor=agent)
    assert same_day.due_on == invoice.issued_on

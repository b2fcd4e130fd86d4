"""Copies, erasure and the night's clearing away: what goes, what stays, and that the books stay whole."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from insurance.accounts import queries as accounts
from insurance.accounts import services as account_services
from insurance.accounts.models import ApiKey, KeptForm, Link, Passkey, SignInSession, SignInTry, User
from insurance.billing.models import BillingAccount, Invoice
from insurance.claims import queries as claim_queries
from insurance.claims import services as claims
from insurance.claims.models import Claim
from insurance.core import audit, clock, outbox, person_keys
from insurance.core.audit import AuditEntry
from insurance.core.db import Base, add, db, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken
from insurance.core.outbox import Mail, MailStatus
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.core.person_keys import PersonKey
from insurance.customers import services as customers
from insurance.customers.models import Customer
from insurance.documents import services as documents
from insurance.documents.models import DeletedFile, Document, StoredFile
from insurance.feedback import services as feedback
from insurance.feedback.domain import FeedbackKind
from insurance.feedback.models import Feedback
from insurance.messages import services as messages
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import GatewayEvent, Payment
from insurance.payments.queries.gateway import dispute_was_won
from insurance.policies.models import Policy
from insurance.privacy.domain import ErasureStatus
from insurance.privacy.models import Erasure
from insurance.privacy.queries import access
from insurance.privacy.services import access as access_services
from insurance.privacy.services import erasure, export, retention
from tests import factories, soft_key
from tests.conftest import TODAY
from tests.races import together
from tests.world import photo, usd

START = date(2025, 1, 1)
SAID = "Zoraida Quilantan"
EMAIL = "zoraida@example.com"


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, name="Ada Admin", authority_minor=1_000_000_00)


@pytest.fixture
def zoraida(app, admin) -> Customer:
    """Somebody whose one policy ended last year, with all that a person can leave."""
    with clock.at(START):
        person = factories.user(Role.CUSTOMER, name=SAID, email=EMAIL)
        agent = factories.user(Role.AGENT, authority_minor=1_000_000_00)
        customer = factories.customer(
            agent=agent, user=person, name=SAID, phone="+1 800 555 0142", address=f"{SAID}, 1 Quay"
        )
        policy = factories.bound_policy(customer=customer, start_on=START, last_day_on=date(2025, 12, 30), actor=agent)
        invoice = factories.first_invoice(policy)
        payments.record(
            account_id=invoice.account_id, amount=invoice.open, method=PaymentMethod.CASH, actor=agent, key="k"
        )
        facts = {"loss_on": START, "cause": "collision", "description": f"{SAID} was hit.", "payee_name": SAID}
        claim = claims.file(
            policy_id=policy.id,
            claimed=usd("10.00"),
            files=[photo()],
            actor=person,
            **facts,  # type: ignore[arg-type]
        )
        claims.reject(claim_id=claim.id, notes="Not covered.", actor=agent)
        documents.archive_due(100)
    factories.browser(person)
    soft_key.registered(person)
    account_services.keep_form(user_id=person.id, path="/portal/profile", fields={"phone": ["1"]})  # type: ignore[arg-type]
    factories.quote(customer=customer, actor=agent)
    feedback.send(
        kind=FeedbackKind.IDEA, text=f"I am {SAID}", name=SAID, email=EMAIL, screenshot=photo(), actor=person, key="f"
    )
    account_services.count_failure(EMAIL, "127.0.0.1")
    return db.session.get_one(Customer, customer.id)


def person_of(customer: Customer) -> Actor:
    return db.session.get_one(User, customer.user_id).actor()


def erased(customer: Customer, admin: Actor) -> Erasure:
    request = erasure.request(customer_id=customer.id, actor=person_of(customer))
    return erasure.approve(erasure_id=request.id, actor=admin)


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []
    assert list(audit.breaks()) == []


def holding(*words: str) -> set[str]:
    """The tables that hold one of these words anywhere."""
    found = set()
    for table in Base.metadata.sorted_tables:
        rows = db.session.execute(select(table)).all()
        if any(word.casefold() in repr(row).casefold() for row in rows for word in words):
            found.add(table.name)
    return found


# Copies


def test_a_copy_holds_everything_about_a_person_and_nothing_about_another(zoraida, admin) -> None:
    other = factories.customer(name="Nobody Else", user=factories.user(Role.CUSTOMER))
    feedback.send(kind=FeedbackKind.IDEA, text="A visitor's", actor=feedback.VISITOR, key="v")
    copy = export.export_person(customer_id=zoraida.id, actor=person_of(zoraida))
    said = json.dumps(copy)
    assert copy["person"]["name"] == copy["user"]["name"] == SAID
    some = ("addresses", "policies", "quotes", "invoices", "payments", "receipts", "claims", "claim_history", "files",
            "documents", "messages", "feedback", "sessions", "passkeys", "audit")  # fmt: skip
    assert {name: len(copy[name]) for name in some if not copy[name]} == {}
    assert copy["invoices"][0]["total"] == copy["payments"][0]["amount"]
    assert copy["invoices"][0]["currency"] == "USD"
    assert len(copy["documents"][0]["sha256"]) == len(copy["files"][0]["sha256"]) == 64
    assert not any(word in said for word in (other.name, other.number, "A visitor's", "password", "token_hash"))
    assert {entry["by"] for entry in copy["audit"]} == {"us", "you"}
    assert SAID in [entry["after"].get("name") for entry in copy["audit"]]
    assert '"sealed"' not in said
    read = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert (read.subject, read.subject_id, read.actor_id) == ("customers", zoraida.id, zoraida.user_id)


def test_somebody_without_a_user_gets_nothing_of_visitors_or_of_the_system(app, admin) -> None:
    feedback.send(kind=FeedbackKind.IDEA, text="A visitor's", actor=feedback.VISITOR, key="v")
    customer = factories.customer()
    copy = export.export_person(customer_id=customer.id, actor=admin)
    assert (copy["user"], copy["feedback"], copy["sessions"]) == (None, [], [])
    assert [entry["action"] for entry in copy["audit"]] == ["create"]


def test_what_came_to_an_address_that_two_share_is_neithers(app, admin) -> None:
    one, other = (factories.customer(email="family@example.com") for _ in range(2))
    with transaction():
        outbox.enqueue("reset", to="family@example.com", name="Who?", link_id=1)
    assert export.export_person(customer_id=one.id, actor=admin)["messages"] == []
    request = erasure.request(customer_id=other.id, actor=SYSTEM)
    erasure.approve(erasure_id=request.id, actor=admin)
    assert db.session.scalars(select(Mail.recipient)).all() == ["family@example.com"]


def test_a_copy_is_for_the_person_and_for_admins(zoraida) -> None:
    with pytest.raises(NotFound):
        export.export_person(customer_id=zoraida.id, actor=factories.user(Role.CUSTOMER))
    with pytest.raises(NotAllowed):
        export.export_person(customer_id=zoraida.id, actor=factories.user(Role.AGENT, wide_sight=True))


# Erasure


def test_an_erased_person_is_nowhere_but_where_the_law_or_the_chain_keeps_them(zoraida, admin) -> None:
    number, minor = zoraida.number, db.session.scalar(select(func.sum(Payment.amount_minor)))
    made = erased(zoraida, admin)
    assert made.status is ErasureStatus.DONE
    customer = db.session.get_one(Customer, zoraida.id, populate_existing=True)
    assert customer.name == f"Erased person {number}"
    assert (customer.email, customer.phone, customer.address, customer.birth_on) == ("", "", "", None)
    assert not customer.active
    assert customer.keep_until == date(2035, 12, 31)  # her policy ended in 2025
    user = db.session.get_one(User, customer.user_id)
    assert (user.active, user.password_hash, user.email) == (False, None, f"user-{user.id}@erased.invalid")
    assert accounts.sessions_of(user.actor()) == []
    for model in (Passkey, KeptForm, SignInTry):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0, model
    assert db.session.scalars(select(Policy.number).where(Policy.bound_at.is_(None))).all() == []
    assert holding(SAID, EMAIL) <= {"documents", "claims", "disbursements", "claim_events"}
    told = db.session.scalars(
        select(AuditEntry).where(AuditEntry.subject == "customers", AuditEntry.action == "create")
    )
    assert audit.opened(told.one())[1]["name"] == person_keys.ERASED
    assert db.session.scalars(select(PersonKey)).all() == []
    assert db.session.scalar(select(func.sum(Payment.amount_minor))) == minor
    assert documents.pdf(db.session.scalars(select(Document)).first())  # type: ignore[arg-type]
    assert len(claim_queries.attachments(db.session.scalars(select(Claim.id)).one())) == 1
    check_books()


def test_mails_to_an_erased_person_are_sent_no_more_and_say_nothing(zoraida, admin) -> None:
    erased(zoraida, admin)
    assert messages.deliver_due() == 0
    for mail in db.session.scalars(select(Mail)):
        assert (mail.recipient, mail.data, mail.status) == ("", {}, MailStatus.DEAD)
        assert messages.preview(mail).text == messages.CLEARED
        with pytest.raises(Conflict):
            messages.resend(mail_id=mail.id, recipient=EMAIL, actor=admin)


def test_nobody_fills_an_erased_person_in_again(zoraida, admin) -> None:
    erased(zoraida, admin)
    for act in (
        lambda: customers.edit(customer_id=zoraida.id, name=SAID, actor=admin),
        lambda: customers.set_active(customer_id=zoraida.id, active=True, actor=admin),
        lambda: customers.invite(customer_id=zoraida.id, actor=admin),
        lambda: erasure.request(customer_id=zoraida.id, actor=admin),
    ):
        with pytest.raises(Conflict, match="erased"):
            act()


def test_whoever_asked_does_not_approve_and_a_customer_decides_nothing(zoraida, admin) -> None:
    request = erasure.request(customer_id=zoraida.id, reason="She wrote.", actor=admin)
    with pytest.raises(NotAllowed, match="Somebody else"):
        erasure.approve(erasure_id=request.id, actor=admin)
    with pytest.raises(NotAllowed):
        erasure.approve(erasure_id=request.id, actor=person_of(zoraida))
    with pytest.raises(Conflict, match="waits for a decision already"):
        erasure.request(customer_id=zoraida.id, actor=admin)
    erasure.decline(erasure_id=request.id, note="It was not she.", actor=admin)
    assert db.session.get_one(Customer, zoraida.id).name == SAID
    with pytest.raises(Conflict):
        erasure.approve(erasure_id=request.id, actor=factories.user(Role.ADMIN))


def test_the_database_itself_refuses_a_maker_who_approves(zoraida, admin) -> None:
    request = erasure.request(customer_id=zoraida.id, actor=admin)
    change = "UPDATE erasures SET status = 'done', decided_by_id = requested_by_id WHERE id = :id"
    with pytest.raises(Exception, match="maker_not_checker"), transaction() as session:
        session.execute(text(change), {"id": request.id})


def test_two_who_approve_at_once_erase_once(app, zoraida, admin) -> None:
    request_id = erasure.request(customer_id=zoraida.id, actor=person_of(zoraida)).id
    ended = together(app, [lambda: erasure.approve(erasure_id=request_id, actor=admin)] * 2)
    assert sorted(isinstance(one, Conflict) for one in ended) == [False, True]
    check_books()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("cover", "gives cover until 31 May 2027"),
        ("invoice", "is not paid"),
        ("claim", "is open"),
        ("credit", "credit on policy"),
        ("payment", "is on its way"),
        ("staff", "signs in as staff"),
    ],
)
def test_what_is_open_hinders_an_erasure_in_words(zoraida, admin, what: str, said: str) -> None:
    account = db.session.scalars(select(BillingAccount)).one()
    with transaction():
        if what == "staff":
            db.session.get_one(User, zoraida.user_id).role = Role.AGENT
        if what == "claim":
            db.session.execute(text("UPDATE claims SET status = 'under_review'"))
        if what == "credit":
            db.session.get_one(BillingAccount, account.id).credit_minor = 1
    if what in ("cover", "invoice"):
        factories.bound_policy(customer=zoraida)
    if what == "payment":
        bound = factories.bound_policy(customer=zoraida)
        payments.start_card(
            invoice_id=db.session.scalars(select(Invoice.id).where(Invoice.account_id == bound.account_id)).one(),
            key="card",
            actor=person_of(zoraida),
        )
    with pytest.raises(Conflict, match=said):
        erasure.request(customer_id=zoraida.id, actor=admin)


def test_what_opened_after_the_request_hinders_its_approval(zoraida, admin) -> None:
    request = erasure.request(customer_id=zoraida.id, actor=person_of(zoraida))
    factories.bound_policy(customer=zoraida)
    with pytest.raises(Conflict, match="gives cover"):
        erasure.approve(erasure_id=request.id, actor=admin)
    assert db.session.get_one(Erasure, request.id).status is ErasureStatus.REQUESTED


# The night


def count(model: Any, *conditions: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


def test_the_night_clears_away_what_is_over_and_nothing_before(zoraida, admin) -> None:
    account_services.register(
        name="Never", email="never@example.com", password="four quiet green boats", browser="hers"
    )
    with transaction():
        for type_, status in (("charge.updated", "ok"), ("charge.dispute.closed", "won")):
            payload = {"data": {"object": {"status": status, "name": SAID}}}
            add(
                GatewayEvent(
                    event_id=type_, type=type_, charge_id="ch_1", payload=payload, received_at=clock.now(),
                    handled_at=clock.now(),
                )
            )  # fmt: skip
        for mail in db.session.scalars(select(Mail)):
            mail.status = MailStatus.SENT
    feedback.send(kind=FeedbackKind.IDEA, text="!", address="10.0.0.1", actor=feedback.VISITOR, key="v")
    soon, later = TODAY + timedelta(days=200), TODAY + timedelta(days=1000)
    retention.run(soon)
    assert (count(SignInTry), count(Link), count(KeptForm)) == (0, 0, 0)
    assert count(User, User.email == "never@example.com") == 0
    assert count(Feedback, Feedback.address != "") == 0
    assert count(SignInSession) == 1
    assert count(Policy, Policy.bound_at.is_(None)) == 1
    assert count(Feedback, Feedback.file_id.is_not(None)) == 1
    retention.run(later)
    assert count(SignInSession) == count(Policy, Policy.bound_at.is_(None)) == 0
    assert count(Feedback, Feedback.file_id.is_not(None)) == 0
    assert {str(data) for data in db.session.scalars(select(Mail.data))} == {"{}"}
    assert holding(SAID) >= {"customers", "claims"}
    assert SAID not in str(db.session.scalars(select(GatewayEvent.payload)).all())
    assert dispute_was_won("ch_1")
    gone = db.session.scalars(select(StoredFile).join(DeletedFile, DeletedFile.file_id == StoredFile.id)).one()
    assert not (documents.folder() / gone.path).exists()
    with pytest.raises(NotFound, match="its time was over"):
        documents.read(gone)
    assert retention.run(later) == 0
    check_books()


def test_after_the_legal_period_the_files_and_words_of_an_erased_person_go_too(zoraida, admin) -> None:
    erased(zoraida, admin)
    until = db.session.get_one(Customer, zoraida.id).keep_until
    assert until
    retention.run(until)
    assert holding(SAID) >= {"claims"}
    assert count(DeletedFile) == 1  # the screenshot
    retention.run(until + timedelta(days=1))
    assert "claims" not in holding(SAID, EMAIL)
    assert count(DeletedFile) == count(StoredFile)
    assert not any(path.is_file() for path in documents.folder().rglob("*"))
    check_books()


def test_a_night_that_was_broken_off_between_row_and_file_is_made_good(zoraida, admin, monkeypatch) -> None:
    monkeypatch.setattr(documents, "remove_deleted", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        retention.run(TODAY + timedelta(days=1000))
    check_books()
    monkeypatch.undo()
    retention.run(TODAY + timedelta(days=1000))
    assert count(DeletedFile, DeletedFile.gone_at.is_(None)) == 0
    check_books()


def test_nights_at_once_on_two_machines_delete_each_quote_once(app, zoraida, admin) -> None:
    cleared = together(app, [lambda: retention.run(TODAY + timedelta(days=1000))] * 2)
    assert sum(cleared) == 5
    assert count(AuditEntry, AuditEntry.subject == "policies", AuditEntry.action == "delete") == 1
    check_books()


# Who has access


def test_a_review_sees_everybody_of_the_staff_and_is_noted(app, zoraida, admin) -> None:
    with transaction():
        add(
            ApiKey(
                user_id=admin.id, name="Ledger", beginning="k", key_hash="h", scopes=["claims:read"],
                created_at=clock.now(), expires_at=clock.now() + timedelta(days=9),
            )
        )  # fmt: skip
    factories.browser(admin)
    staff = {one.name: one for one in access.staff()}
    assert SAID not in staff
    agent = next(one for one in staff.values() if one.role == Role.AGENT)
    ada = staff["Ada Admin"]
    assert (ada.sessions, ada.signed_in_on, ada.customers, agent.customers) == (1, TODAY, 0, 1)
    assert ada.flags(TODAY) == ["no second step", "can approve own payouts up to the limit", "key never used: Ledger"]
    made = access_services.review(notes="All needed.", actor=admin)
    assert (made.users, made.flagged) == (len(staff), 2)
    assert access.last_review() == made.reviewed_at
    with pytest.raises(NotAllowed):
        access_services.review(notes="", actor=factories.user(Role.AGENT))


def test_the_last_change_of_a_role_and_who_made_the_user_come_from_the_trail(app, admin) -> None:
    user = account_services.invite(email="new@example.com", name="Newt", role=Role.AGENT, actor=admin)
    facts = {"active": True, "wide_sight": False, "authority_minor": 0, "actor": admin}
    account_services.edit_user(user_id=user.id, version=1, name="Newton", role=Role.AGENT, **facts)  # type: ignore[arg-type]
    newt = next(one for one in access.staff() if one.name == "Newton")
    assert (newt.created_by, newt.role_changed_on) == ("Ada Admin", None)
    account_services.edit_user(user_id=user.id, version=2, name="Newton", role=Role.ADMIN, **facts)  # type: ignore[arg-type]
    assert next(one for one in access.staff() if one.name == "Newton").role_changed_on == TODAY


# Commands


@pytest.mark.sqlite_only
def test_commands_copy_erase_and_review(app, zoraida, admin) -> None:
    run = app.test_cli_runner().invoke
    number = zoraida.number
    assert json.loads(run(args=["privacy", "export", number]).output)["person"]["name"] == SAID
    assert run(args=["privacy", "export", "CUS-1999-000001"]).exit_code == 1
    assert "no administrator" in run(args=["privacy", "erase", number, "--by", EMAIL]).output
    assert "is erased" in run(args=["privacy", "erase", number, "--by", admin.email]).output
    assert "Quotes never bound" in run(args=["privacy", "due"]).output
    assert "no second step" in run(args=["access", "review"]).output
    assert json.loads(run(args=["access", "review", "--json"]).output)[0]["flags"]
    with pytest.raises(RuleBroken):
        erasure.erase_by_command(number=number, email=EMAIL, actor=SYSTEM)

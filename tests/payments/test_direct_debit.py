"""Direct debit: a mandate lets each invoice be collected once; what the bank says settles it or opens it again."""

from datetime import date, timedelta

import pytest
from lxml import etree
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from insurance.admin import services as settings
from insurance.billing.domain import CollectionPlan, PaymentPlan, check_creditor_id, check_debtor_account
from insurance.billing.models import DunningNotice, Invoice, Mandate
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, NotFound, RuleBroken
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Role
from insurance.jobs import services as jobs
from insurance.operations import verify
from insurance.payments import batches, statements
from insurance.payments import services as payments
from insurance.payments.bank import queries
from insurance.payments.bank.matching import debit_id
from insurance.payments.bank.models import BankBatch
from insurance.payments.bank.statements import read_camt
from insurance.payments.domain import PaymentMethod, PaymentStatus
from insurance.payments.gateways import Method
from insurance.payments.models import Collection, Payment, Receipt, SuspenseItem
from insurance.payments.services import autopay, direct_debit
from insurance.policies import services as policies
from insurance.products import services as products
from insurance.products import shipped
from tests import factories
from tests.agents.test_pages import statements as counted
from tests.conftest import TODAY
from tests.payments.test_bank import imported
from tests.payments.test_bank_files import camt, entry
from tests.payments.test_money_out import check_books
from tests.races import together

COMPANY = {
    "name": "Harbor Mutual",
    "account_number": "DE89370400440532013000",
    "bic": "",
    "creditor_id": "DE98ZZZ09999999999",
}
IBAN = "NL91ABNA0417164300"


@pytest.fixture
def euro(app, monkeypatch):
    """A product in euro, and the business with it."""
    monkeypatch.setitem(app.config, "CURRENCY", "EUR")
    definition = {**shipped()["standard"], "code": "euro", "name": "Euro cover", "currency": "EUR"}
    monkeypatch.setattr(products, "shipped", lambda: {"euro": definition})
    products.publish_shipped()


@pytest.fixture
def admin(euro):
    made = factories.user(Role.ADMIN, authority_minor=1_000_000_00)
    settings.change_bank(version=0, **COMPANY, actor=made)
    return made


@pytest.fixture
def person(euro):
    return factories.user(Role.CUSTOMER)


def euro_policy(**facts):
    quoted = policies.quote(
        customer_id=factories.customer(**facts).id,
        policy_type="comprehensive",
        coverage=Money.parse("100000", "EUR"),
        start_on=clock.today(),
        product="euro",
        actor=SYSTEM,
    )
    return policies.bind(policy_id=quoted.id, plan=PaymentPlan.MONTHLY, actor=SYSTEM)


@pytest.fixture
def invoice(admin, person) -> Invoice:
    """An invoice of 200.00 that is due today, of somebody with a mandate."""
    policy = euro_policy(user=person)
    give(policy.account_id, person)
    return factories.first_invoice(policy)


def give(account_id: int, actor, **facts) -> Mandate:
    usual = {"holder_name": "Maria Lopez", "account_number": "nl91 abna 0417 1643 00"}
    return direct_debit.give(account_id=account_id, **usual | facts, actor=actor)


def night(on: date) -> None:
    with clock.at(on):
        jobs.run_nightly(on, lambda line: None)


def mails(template: str) -> list[dict]:
    return [mail.data for mail in db.session.query(Mail).filter_by(template=template).order_by(Mail.id)]


def only_payment() -> Payment:
    db.session.rollback()
    return db.session.scalars(select(Payment)).one()


def at_bank(admin) -> BankBatch:
    """A file with what is due today, handed in."""
    direct_debit.collect_due(on=TODAY)
    [day, *_] = [row.collect_on for row in queries.waiting_to_collect()]
    batch = batches.collect(on=day, actor=admin)
    return batches.send(batch_id=batch.id, on=TODAY, actor=admin)


def invoice_state(invoice: Invoice) -> tuple[str, int]:
    db.session.rollback()
    found = db.session.get_one(Invoice, invoice.id)
    return found.status.value, found.open_minor


# Rules


@pytest.mark.parametrize(
    ("due", "today", "on"),
    [
        (date(2026, 6, 10), date(2026, 6, 8), date(2026, 6, 10)),
        (date(2026, 6, 13), date(2026, 6, 8), date(2026, 6, 15)),
        (date(2026, 6, 1), date(2026, 6, 5), date(2026, 6, 9)),
    ],
)
def test_a_debit_is_on_the_due_day_or_the_next_working_day_and_never_without_its_lead(due, today, on):
    assert CollectionPlan().collect_on(due, today) == on


@pytest.mark.parametrize(
    "facts",
    [{"autopay_days": ()}, {"autopay_days": (3, 3)}, {"autopay_days": (0, 61)}, {"lead_days": 0}, {"most_returns": 0}],
)
def test_a_plan_that_never_comes_to_an_end_is_refused(facts):
    with pytest.raises(RuleBroken):
        CollectionPlan(**facts)


@pytest.mark.parametrize("number", ["12345678", "DE89370400440532013001", "BR1800360305000010009795493C1", ""])
def test_only_an_account_that_sepa_reaches_can_be_collected_from(number):
    with pytest.raises(RuleBroken):
        check_debtor_account(number)


def test_creditor_identifiers_are_checked_without_their_business_code():
    assert check_creditor_id("de98 abc 0999 9999 999") == "DE98ABC09999999999"
    for wrong in ("DE97ZZZ09999999999", "DE98", "x" * 50):
        with pytest.raises(RuleBroken):
            check_creditor_id(wrong)


# Mandates


def test_a_mandate_is_given_once_confirmed_and_never_changed(app, invoice, person):
    mandate = db.session.scalars(select(Mandate)).one()
    assert (mandate.number, mandate.account_number) == ("MND-2026-000001", IBAN)
    said = mails("mandate_given")[0]
    assert (said["account"], said["creditor_id"]) == ("•••• 4300", COMPANY["creditor_id"])
    with pytest.raises(Conflict):
        give(invoice.account_id, person)
    with pytest.raises(IntegrityError), transaction() as session:
        session.execute(text("UPDATE mandates SET account_number = 'DE00'"))
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.subject == "mandates"))
    assert not any(IBAN in str(vars(one)) for one in entries)


def test_a_mandate_needs_euro_a_creditor_an_address_and_the_account_in_sight(app, admin, person):
    policy = euro_policy(user=person)
    for actor, refusal in ((factories.user(Role.CUSTOMER), NotFound), (factories.user(Role.AGENT), NotFound)):
        with pytest.raises(refusal):
            give(policy.account_id, actor)
    for account_id, facts, said in (
        (factories.bound_policy().account_id, {}, "euro"),
        (euro_policy(email="").account_id, {}, "e-mail"),
        (policy.account_id, {"signed_on": TODAY + timedelta(days=1)}, "today or in the past"),
    ):
        with pytest.raises(RuleBroken, match=said):
            give(account_id, admin, **facts)
    settings.change_bank(version=1, **COMPANY | {"creditor_id": ""}, actor=admin)
    with pytest.raises(RuleBroken, match="creditor"):
        give(policy.account_id, admin)
    settings.change_bank(version=2, **COMPANY, actor=admin)
    give(policy.account_id, admin)
    with pytest.raises(RuleBroken, match="in force"):
        settings.change_bank(version=3, **COMPANY | {"creditor_id": ""}, actor=admin)


def test_two_who_give_a_mandate_at_once_give_one(app, admin, person):
    account_id = euro_policy(user=person).account_id
    done = together(app, [lambda: give(account_id, person)] * 3)
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "Conflict", "Mandate"]
    check_books()


def test_a_card_and_a_mandate_do_not_both_collect(app, admin, person):
    policy = euro_policy(user=person)
    ordered = autopay.order(account_id=policy.account_id, actor=person)
    autopay.save(token=ordered.token, method=Method("test", "test-good", "Test card"))
    give(policy.account_id, person)
    db.session.refresh(ordered)
    assert not ordered.active
    with pytest.raises(RuleBroken, match="Revoke the mandate"):
        autopay.order(account_id=policy.account_id, actor=person)
    autopay.save(token=ordered.token, method=Method("test", "test-good", "Test card"))  # it came late from the gateway
    assert autopay.charge_due(on=TODAY) == 0


def test_who_revokes_is_collected_from_no_more_but_for_what_the_bank_has(app, admin, invoice, person):
    direct_debit.collect_due(on=TODAY)
    direct_debit.revoke(account_id=invoice.account_id, reason="Mine", actor=person)
    assert only_payment().status is PaymentStatus.FAILED
    assert mails("mandate_revoked")[0]["still"] == "Nothing more is collected."
    with pytest.raises(Conflict):
        direct_debit.revoke(account_id=invoice.account_id, reason="Mine", actor=person)
    give(invoice.account_id, person)
    at_bank(admin)
    direct_debit.revoke(account_id=invoice.account_id, reason="Mine", actor=person)
    assert db.session.scalars(select(Payment).order_by(Payment.id.desc())).first().status is PaymentStatus.PENDING
    assert mails("mandate_revoked")[1]["still"] == "Only this is with the bank already: €200.00 on 3 Jun 2026."
    check_books()


# Collecting


def test_two_nights_at_once_begin_each_debit_once(app, invoice):
    together(app, [lambda: direct_debit.collect_due(on=TODAY)] * 4)
    payment = only_payment()
    assert (payment.status, payment.amount_minor, payment.method) == ("pending", 200_00, "direct_debit")
    assert db.session.scalar(select(func.count()).select_from(Collection)) == 1
    assert len(mails("collection_announced")) == 1
    check_books()


def test_each_debit_is_announced_with_day_amount_mandate_and_creditor(app, admin, invoice):
    night(TODAY)
    said = mails("collection_announced")[0]
    assert (said["amount"], said["collect_on"], said["mandate"]) == ("€200.00", "3 Jun 2026", "MND-2026-000001")
    night(date(2026, 6, 17))  # the invoice of July: its own mail announces it
    announced = mails("invoice_collected")[0]
    assert (announced["collect_on"], announced["creditor_id"]) == ("1 Jul 2026", COMPANY["creditor_id"])
    night(date(2026, 6, 26))
    assert db.session.scalar(select(func.count()).select_from(Payment)) == 1
    night(date(2026, 6, 29))
    assert db.session.scalar(select(func.count()).select_from(Payment)) == 2
    assert len(mails("collection_announced")) == 1
    check_books()


def test_nobody_is_warned_while_a_debit_is_on_its_way(app, admin, invoice):
    for days in range(60):
        night(TODAY + timedelta(days=days))
    assert db.session.scalar(select(func.count()).select_from(DunningNotice)) == 0
    payment = db.session.scalars(select(Payment).order_by(Payment.id)).first()
    batch = batches.collect(on=db.session.get_one(Collection, payment.id).collect_on, actor=admin)
    batches.send(batch_id=batch.id, on=TODAY, actor=admin)
    for later in db.session.scalars(select(Payment).where(Payment.id > payment.id)):
        with transaction():
            db.session.get_one(Payment, later.id).status = PaymentStatus.FAILED
    payments.return_(payment_id=payment.id, version=None, reason="AC04", actor=admin)
    night(TODAY + timedelta(days=60))
    assert db.session.scalars(select(DunningNotice.step).where(DunningNotice.invoice_id == invoice.id)).all() == [
        "overdue"
    ]


def test_the_file_says_whom_to_collect_from_and_each_debit_is_in_one_file(app, admin, invoice):
    direct_debit.collect_due(on=TODAY)
    day = date(2026, 6, 3)
    made = [one for one in together(app, [lambda: batches.collect(on=day, actor=admin)] * 3) if one]
    assert [type(one) for one in made] == [BankBatch]
    batch = db.session.scalars(select(BankBatch)).one()
    root = etree.fromstring(batch.content)
    texts = {etree.QName(one).localname: one.text for one in root.iter(etree.Element)}
    assert (texts["InstdAmt"], texts["MndtId"], texts["ReqdColltnDt"]) == ("200.00", "MND-2026-000001", "2026-06-03")
    assert (texts["EndToEndId"], texts["IBAN"]) == (debit_id(only_payment().id), IBAN)
    with pytest.raises(Conflict, match="not been given"):
        payments.return_(payment_id=only_payment().id, version=None, reason="R", actor=admin)
    batches.discard(batch_id=batch.id, reason="Wrong day", actor=admin)
    with clock.at(date(2026, 6, 9)):  # too late for the day that was announced: the next working day
        assert batches.collect(on=day, actor=admin).collect_on == date(2026, 6, 10)
    with pytest.raises(NotAllowed):
        batches.collect(on=day, actor=factories.user(Role.AGENT))
    check_books()


def test_what_was_paid_another_way_meanwhile_is_not_collected_too(app, admin, invoice):
    direct_debit.collect_due(on=TODAY)
    pay = {"account_id": invoice.account_id, "method": PaymentMethod.BANK_TRANSFER, "actor": admin}
    payments.record(amount=Money.parse("50", "EUR"), **pay)
    batch = batches.collect(on=date(2026, 6, 3), actor=admin)
    assert batch.total_minor == 150_00
    batches.discard(batch_id=batch.id, reason="R", actor=admin)
    payments.record(amount=Money.parse("150", "EUR"), **pay)
    assert batches.collect(on=date(2026, 6, 3), actor=admin) is None
    assert queries.waiting_to_collect() == []
    check_books()


# What the bank says


def test_the_credit_of_a_file_settles_all_of_it_with_one_receipt_each(app, admin, invoice):
    other = factories.first_invoice(euro_policy())
    give(other.account_id, admin)
    batch = at_bank(admin)
    line = entry(amount="400.00").replace('Ccy="USD"', 'Ccy="EUR"').replace("INV-2026-000042", batch.number)
    [line] = imported(admin, line)
    [proposal] = queries.proposals([line])[line.id]
    assert (proposal.act, proposal.target_id) == ("collect_all", batch.id)
    act = lambda: statements.confirm(line_id=line.id, act="collect_all", target_id=batch.id, actor=admin)  # noqa: E731
    done = together(app, [act] * 3)
    assert sum(not isinstance(one, Exception) for one in done) == 1
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 2
    assert {one.paid_on for one in db.session.scalars(select(Payment))} == {date(2026, 5, 24)}
    assert [invoice_state(one) for one in (invoice, other)] == [("paid", 0)] * 2
    check_books()


def test_each_entry_settles_its_debit_and_never_pays_the_invoice_twice(app, admin, invoice):
    at_bank(admin)
    line = entry(amount="200.00", e2e=debit_id(only_payment().id)).replace('"USD"', '"EUR"')
    [line] = imported(admin, line.replace("INV-2026-000042", invoice.number))
    assert [one.act for one in queries.proposals([line])[line.id]] == ["collect"]
    statements.confirm(line_id=line.id, act="collect", target_id=only_payment().id, actor=admin)
    assert invoice_state(invoice) == ("paid", 0)
    check_books()


@pytest.mark.parametrize("settled", [False, True])
def test_a_returned_debit_opens_its_invoice_and_keeps_the_mandate(app, admin, invoice, settled):
    batch = at_bank(admin)
    if settled:
        batches.settle(batch_id=batch.id, on=TODAY, actor=admin)
        check_books()
    [line] = imported(
        admin, entry(amount="200.00", side="DBIT", e2e=debit_id(only_payment().id)).replace('"USD"', '"EUR"')
    )
    [proposal] = queries.proposals([line])[line.id]
    assert proposal.act == "fail"
    statements.confirm(line_id=line.id, act="fail", target_id=proposal.target_id, actor=admin)
    assert only_payment().status == ("returned" if settled else "failed")
    assert invoice_state(invoice) == ("issued", 200_00)
    assert db.session.scalars(select(Mandate)).one().revoked_on is None
    assert (len(mails("collection_returned")), len(mails("payment_returned"))) == (1, 0)
    assert direct_debit.collect_due(on=TODAY) == 0
    check_books()


def test_after_two_returns_nothing_is_collected_under_the_mandate_any_more(app, admin, invoice):
    for month in (6, 7):
        with clock.at(date(2026, month, 1)):
            jobs.run_nightly(clock.today(), lambda line: None)
            [day] = [row.collect_on for row in queries.waiting_to_collect()]
            batch = batches.collect(on=day, actor=admin)
            batches.send(batch_id=batch.id, on=clock.today(), actor=admin)
            [row] = queries.collections_in(batch.number)
            payments.return_(payment_id=row.Payment.id, version=row.Payment.version, reason="AM04", actor=admin)
    mandate = db.session.scalars(select(Mandate)).one()
    assert (mandate.revoked_on, mandate.end_reason) == (date(2026, 7, 1), "Direct debits came back")
    assert (len(mails("collection_returned")), len(mails("mandate_stopped"))) == (1, 1)
    check_books()


def test_a_return_and_a_credit_at_once_end_with_an_open_invoice_either_way(app, admin, invoice):
    batch = at_bank(admin)
    payment_id = only_payment().id
    done = together(
        app,
        [
            lambda: batches.settle(batch_id=batch.id, on=TODAY, actor=admin),
            lambda: payments.return_(payment_id=payment_id, version=None, reason="AC04", actor=admin),
        ],
    )
    assert not any(isinstance(one, Exception) for one in done), done
    payment = only_payment()
    receipts = db.session.scalar(select(func.count()).select_from(Receipt))
    assert (payment.status, receipts) in ((PaymentStatus.FAILED, 0), (PaymentStatus.RETURNED, 1))
    assert invoice_state(invoice) == ("issued", 200_00)
    check_books()


def test_verify_tells_a_file_that_does_not_come_to_its_sum(app, admin, invoice):
    at_bank(admin)
    with transaction() as session:
        session.execute(text("UPDATE payments SET amount_minor = amount_minor - 1"))
    assert any("batch BAT-2026-000001: 1 of 20000" in one for result in verify.run() for one in result.violations)


def test_only_a_file_of_debits_that_the_bank_has_can_be_credited(app, admin, invoice):
    direct_debit.collect_due(on=TODAY)
    batch = batches.collect(on=date(2026, 6, 3), actor=admin)
    with pytest.raises(Conflict):
        batches.settle(batch_id=batch.id, on=TODAY, actor=admin)
    batches.send(batch_id=batch.id, on=TODAY, actor=admin)
    with pytest.raises(IllegalTransition):
        batches.discard(batch_id=batch.id, reason="R", actor=admin)
    with pytest.raises(RuleBroken):
        batches.settle(batch_id=batch.id, on=TODAY + timedelta(days=1), actor=admin)


def test_a_statement_names_our_file_and_the_reason_without_another_key(app):
    plain, told = entry(ref="R1"), entry(ref="R1")
    told = told.replace("</Refs>", "<PmtInfId>BAT-2026-000001</PmtInfId></Refs>", 1).replace(
        "</TxDtls>", "<RtrInf><Rsn><Cd>AM04</Cd></Rsn></RtrInf></TxDtls>"
    )
    [one], [other] = (read_camt(camt(text)).lines for text in (plain, told))
    assert other.reference.endswith("BAT-2026-000001 AM04")
    assert one.key == other.key


# Suspense


def test_a_line_goes_into_suspense_once_and_is_resolved_there(app, admin):
    came, went = imported(
        admin,
        entry(amount="75.00").replace('"USD"', '"EUR"').replace("INV-2026-000042", "thanks"),
        entry(amount="5.00", side="DBIT", ref="R2").replace('"USD"', '"EUR"').replace("INV-2026-000042", "fees"),
    )
    ids = set(together(app, [lambda: statements.suspend(line_id=came.id, actor=admin).id] * 3))
    item = db.session.scalars(select(SuspenseItem)).one()
    assert (ids, item.amount_minor, item.payer) == ({item.id}, 75_00, "Maria Lopez")
    with pytest.raises(RuleBroken):
        statements.suspend(line_id=went.id, actor=admin)
    browser = factories.browser(admin)
    assert f"/payments/bank/lines/{came.id}" in browser.get(f"/payments/suspense/{item.id}").text
    assert f"/payments/suspense/{item.id}" in browser.get(f"/payments/bank/lines/{came.id}").text
    assert f"line {went.id} aside" in browser.get("/payments/bank").text
    check_books()


# Pages


@pytest.mark.sqlite_only
def test_a_customer_gives_and_revokes_a_mandate_by_pages(app, admin, person):
    account_id = euro_policy(user=person).account_id
    browser = factories.browser(person)
    here = f"/portal/autopay/{account_id}"
    assert f"{here}/mandate" in browser.get(here).text
    page = browser.get(f"{here}/mandate").text
    for said in (COMPANY["creditor_id"], "Harbor Mutual", "within eight weeks"):
        assert said in page
    answers = {"holder_name": "Maria Lopez", "account_number": IBAN, "bic": ""}
    refused = browser.post(f"{here}/mandate", data=answers)
    assert refused.status_code == 422
    assert "if you agree" in refused.text
    assert browser.post(f"{here}/mandate", data=answers | {"agreed": "y"}).location == here
    for address in (here, "/portal/payments"):
        page = browser.get(address).text
        assert "•••• 4300" in page
        assert IBAN not in page
    assert browser.post(f"{here}/mandate/revoke").location == here
    assert "Switch autopay on" in browser.get(here).text


@pytest.mark.sqlite_only
def test_nobody_is_asked_to_pay_what_is_collected_until_it_comes_back(app, admin, invoice, person):
    browser = factories.browser(person)
    for begun in (False, True):
        page = browser.get("/portal/payments").text
        assert "on 3 Jun 2026" in page
        assert "Pay now" not in page + browser.get("/portal").text
        if not begun:
            at_bank(admin)
    payments.return_(payment_id=only_payment().id, version=None, reason="AC04", actor=admin)
    assert "Pay now" in browser.get("/portal/payments").text
    assert "Pay now" in browser.get("/portal").text


@pytest.mark.sqlite_only
def test_staff_record_and_revoke_a_mandate_and_collect_by_pages(app, admin):
    agent = factories.user(Role.AGENT)
    policy = euro_policy(agent=agent)
    invoice = factories.first_invoice(policy)
    browser, office = factories.browser(agent), factories.browser(admin)
    here = f"/payments/mandates/{policy.account_id}"
    assert here in browser.get(f"/policies/{policy.id}").text
    answers = {"holder_name": "M Lopez", "account_number": IBAN, "bic": "ABNANL2A"}
    answers |= {"signed_on-day": "1", "signed_on-month": "6", "signed_on-year": "2026"}
    assert browser.post(f"{here}/give", data=answers).location == here
    page = browser.get(here).text
    assert "•••• 4300" in page
    assert IBAN not in page
    direct_debit.collect_due(on=TODAY)
    assert "1 direct debit waits for a file" in office.get("/admin").text
    assert "for 3 Jun 2026" in office.get("/payments/batches").text
    made = office.post("/payments/batches/collect", data={"on": "2026-06-03"}).location
    assert IBAN.encode() in office.get(f"{made}/file.xml").data
    assert invoice.number in office.get(made).text
    day = {"on-day": "1", "on-month": "6", "on-year": "2026"}
    assert office.post(f"{made}/send", data=day).location == made
    assert f"{made}/settle" in office.get(made).text
    assert office.post(f"{made}/settle", data=day).location == made
    assert f"{made}/settle" not in office.get(made).text
    payment = only_payment()
    assert payment.status is PaymentStatus.PROCESSED
    assert browser.post(f"/payments/{payment.id}/return", data={"reason": "AC04", "version": payment.version}).location
    assert only_payment().status is PaymentStatus.RETURNED
    assert "Returned" in browser.get(here).text
    assert browser.post(f"{here}/revoke", data={"reason": "By letter"}).location == here
    assert "By letter" in browser.get(here).text
    assert office.post("/payments/batches/collect", data={"on": "x"}).status_code == 422
    check_books()


@pytest.mark.sqlite_only
def test_pages_ask_the_database_no_more_for_many_debits_than_for_one(app, admin, invoice, person):
    def asked() -> list[int]:
        batch = at_bank(admin)
        counts = []
        for browser, address in (
            (office, f"/payments/batches/{batch.id}"),
            (office, f"/payments/mandates/{invoice.account_id}"),
            (office, "/payments/bank"),
            (factories.browser(person), "/portal/payments"),
        ):
            browser.get(address)
            with counted() as statements_:
                assert browser.get(address).status_code == 200
            counts.append(len(statements_))
        batches.settle(batch_id=batch.id, on=TODAY, actor=admin)
        return counts

    office = factories.browser(admin)
    imported(admin, entry(ref="R0", e2e=debit_id(99)))
    one = asked()
    for _ in range(3):
        give(euro_policy().account_id, admin)
    imported(admin, *(entry(ref=f"R{number}", e2e=debit_id(number)) for number in range(1, 5)))
    assert all(now <= before for now, before in zip(asked(), one, strict=True))

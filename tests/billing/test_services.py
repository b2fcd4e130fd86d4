"""Billing: instalments become items, items invoices, each with its postings, document and mail, and only once."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from insurance.billing import queries
from insurance.billing.domain import DisbursementKind, DisbursementStatus, InvoiceStatus, PaymentPlan, schedule
from insurance.billing.models import BillingAccount, BillingItem, Disbursement, Invoice
from insurance.billing.services import disbursements, invoices
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.errors import IllegalTransition, NotAllowed, NotFound
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.documents.models import Document
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from tests import factories
from tests.conftest import TODAY
from tests.races import together

PREMIUM = Money(2400_00, "USD")


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def account_of(policy) -> BillingAccount:
    return db.session.get_one(BillingAccount, policy.account_id)


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def test_binding_bills_the_first_instalment_and_leaves_the_rest_unbilled(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    [invoice] = queries.invoices_of(policy.account_id)
    assert (invoice.total, invoice.due_on, invoice.instalment, invoice.instalments) == (usd("200.00"), TODAY, 1, 12)
    assert ledger.balance(Account.BILLED, policy.account_id) == usd("200.00")
    assert ledger.balance(Account.UNBILLED, policy.account_id) == usd("2200.00")
    assert ledger.balance(Account.WRITTEN_PREMIUM, policy.account_id) == -PREMIUM
    check_books()


def test_an_invoice_has_its_document_and_its_mail(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    invoice = factories.first_invoice(policy)
    document = db.session.get_one(Document, invoice.document_id)
    assert document.data["total"] == "$200.00"
    assert document.data["worksheet"] == [
        {"label": "Premium", "text": "$2,400.00 for the term, instalment 1 of 12", "amount": "$200.00"}
    ]
    [mail] = db.session.scalars(select(Mail).where(Mail.document_id == document.id))
    assert (mail.template, mail.data["amount"], mail.data["number"]) == ("invoice_issued", "$200.00", invoice.number)
    assert mail.data["pay_url"].endswith(f"/portal/pay/{invoice.id}")


def test_a_customer_without_an_address_gets_no_mail(app) -> None:
    factories.bound_policy(customer=factories.customer(email=""))
    assert db.session.query(Mail).count() == 0


def test_later_instalments_are_issued_fourteen_days_before_they_are_due_and_once(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    july = date(2026, 7, 1)
    for day, count in ((july - timedelta(days=15), 1), (july - timedelta(days=14), 2), (july, 2)):
        with clock.at(day):
            invoices.issue_all_due(on=day, actor=SYSTEM)
        assert len(queries.invoices_of(policy.account_id)) == count
    assert queries.invoices_of(policy.account_id)[0].due_on == july
    check_books()


def test_a_run_after_an_outage_issues_what_was_missed_and_nothing_is_due_before_it_is_issued(app) -> None:
    policy = factories.bound_policy(plan=PaymentPlan.QUARTERLY)
    late = date(2027, 1, 15)
    with clock.at(late):
        assert invoices.issue_all_due(on=late, actor=SYSTEM) == 2
        assert invoices.issue_all_due(on=late, actor=SYSTEM) == 0
    assert [invoice.due_on for invoice in queries.invoices_of(policy.account_id)] == [late, late, TODAY]
    check_books()


def test_a_run_that_breaks_off_goes_on_where_it_was(app, monkeypatch) -> None:
    policies = [factories.bound_policy(plan=PaymentPlan.MONTHLY) for _ in range(3)]
    day = date(2026, 6, 20)
    issue, left = invoices._issue_chunk, iter([True, False])
    monkeypatch.setattr(queries.items, "CHUNK", 1)
    with monkeypatch.context() as patch:
        patch.setattr(invoices, "_issue_chunk", lambda *args: issue(*args) if next(left) else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            invoices.issue_all_due(on=day, actor=SYSTEM)
    assert invoices.issue_all_due(on=day, actor=SYSTEM) == 2
    assert all(len(queries.invoices_of(policy.account_id)) == 2 for policy in policies)
    check_books()


def test_runs_at_the_same_time_issue_each_invoice_once(app) -> None:
    accounts = [factories.bound_policy(plan=PaymentPlan.MONTHLY).account_id for _ in range(3)]
    day = date(2026, 6, 20)
    issued = together(app, [lambda: invoices.issue_all_due(on=day, actor=SYSTEM)] * 4)
    assert sum(issued) == 3
    assert all(len(queries.invoices_of(account_id)) == 2 for account_id in accounts)
    check_books()


def test_tax_and_fee_are_items_and_postings_of_their_own(app) -> None:
    with transaction():
        account = invoices.open_account(
            policy_number="POL-1", product_code="motor", product_name="Motor", customer=factories.customer(),
            currency="USD", plan=PaymentPlan.TWO_PAY,
        )  # fmt: skip
        parts = schedule(PaymentPlan.TWO_PAY, usd("100.01"), usd("10.01"), usd("5.00"), TODAY, date(2027, 6, 1), TODAY)
        invoices.charge(account, parts, on=TODAY)
        assert invoices.issue_due(account, on=TODAY, actor=SYSTEM) == 1
    [invoice] = queries.invoices_of(account.id)
    assert invoice.total == usd("60.02")
    assert [(item.kind, str(item.amount)) for item in queries.items_on(invoice.id)] == [
        ("charge", "50.01"),
        ("tax", "5.01"),
        ("fee", "5.00"),
    ]
    assert ledger.balance(Account.BILLED, account.id) == usd("60.02")
    assert ledger.balance(Account.UNBILLED, account.id) == usd("50.00")
    assert ledger.balance(Account.TAX_PAYABLE) == -usd("5.01")
    assert ledger.balance(Account.FEE_INCOME) == -usd("5.00")
    assert db.session.query(BillingItem).count() == 5


def test_an_invoice_is_overdue_from_the_day_after_it_was_due(app) -> None:
    agent = factories.user(Role.AGENT)
    invoice = factories.first_invoice(factories.bound_policy(customer=factories.customer(agent=agent)))
    for day, late in ((TODAY, False), (TODAY + timedelta(days=1), True)):
        with clock.at(day):
            assert (queries.words(invoice.status, invoice.due_on).staff == "Overdue") is late
            rows = db.session.execute(queries.invoice_rows(agent, status="overdue")).all()
            assert bool(rows) is late
            assert (queries.overdue_summary(agent, day).count == 1) is late


def test_invoices_are_found_by_number_policy_and_customer_and_out_of_sight_not_at_all(app) -> None:
    agent, other = factories.user(Role.AGENT), factories.user(Role.AGENT)
    person = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(customer=factories.customer(agent=agent, user=person, name="Zoë Łuk"))
    invoice = factories.first_invoice(policy)
    for q in (invoice.number, invoice.number.lower(), policy.number, "zoe"):
        assert [row.id for row in queries.find_some(q, agent)] == [invoice.id]
        assert queries.find_some(q, other) == []
    assert [row.id for row in queries.due_now(person, TODAY)] == [invoice.id]
    assert queries.due_now(factories.user(Role.CUSTOMER), TODAY) == []
    for actor in (other, factories.user(Role.CUSTOMER)):
        with pytest.raises(NotFound):
            queries.get_invoice(invoice.id, actor)
        with pytest.raises(NotFound):
            queries.get_account(policy.account_id, actor)


def test_what_comes_is_listed_by_instalment(app) -> None:
    person = factories.user(Role.CUSTOMER)
    factories.bound_policy(plan=PaymentPlan.QUARTERLY, customer=factories.customer(user=person))
    assert [(row.instalment, row.due_on, int(row.amount_minor)) for row in queries.coming(person)] == [
        (2, date(2026, 9, 1), 600_00),
        (3, date(2026, 12, 1), 600_00),
        (4, date(2027, 3, 1), 600_00),
    ]


# Money out


def order(amount: str, maker: Actor, *, currency: str = "USD") -> Disbursement:
    with transaction():
        return disbursements.request(
            kind=DisbursementKind.CLAIM,
            customer_id=factories.customer().id,
            payee_name="Zoë",
            reason="Claim CLM-1",
            worksheet=[],
            amount=Money.parse(amount, currency),
            actor=maker,
        )


def test_up_to_the_limit_an_order_is_approved_with_itself(app) -> None:
    agent = factories.user(Role.AGENT)
    made = order("10000.00", agent)
    assert (made.status, made.checker_id) == (DisbursementStatus.APPROVED, agent.id)


@pytest.mark.parametrize(("amount", "currency"), [("10000.01", "USD"), ("1", "JPY")])
def test_above_the_limit_and_in_other_currencies_a_second_person_approves(app, amount: str, currency: str) -> None:
    maker, checker = factories.user(Role.ADMIN), factories.user(Role.ADMIN)
    made = order(amount, maker, currency=currency)
    assert (made.status, made.checker_id) == (DisbursementStatus.REQUESTED, None)
    with pytest.raises(NotAllowed):
        disbursements.approve(id=made.id, actor=maker)
    with pytest.raises(NotAllowed):
        disbursements.approve(id=made.id, actor=factories.user(Role.AGENT))
    with pytest.raises(IllegalTransition):
        disbursements.settle(id=made.id, reference="R", on=TODAY, actor=checker)
    disbursements.approve(id=made.id, actor=checker)
    disbursements.send(id=made.id, reference="R", on=TODAY, actor=maker)
    settled = disbursements.settle(id=made.id, reference="R", on=TODAY, actor=maker)
    assert (settled.status, settled.reference, settled.settled_on) == (DisbursementStatus.SETTLED, "R", TODAY)
    with pytest.raises(IllegalTransition):
        disbursements.settle(id=made.id, reference="R", on=TODAY, actor=checker)


def test_an_order_is_settled_once_however_many_try(app) -> None:
    admin = factories.user(Role.ADMIN)
    order_id = order("10.00", admin).id
    disbursements.send(id=order_id, reference="R", on=TODAY, actor=admin)
    outcomes = together(app, [lambda: disbursements.settle(id=order_id, reference="R", on=TODAY, actor=admin)] * 5)
    assert sum(isinstance(outcome, Disbursement) for outcome in outcomes) == 1


# Pages


def test_the_list_and_its_csv_show_the_agents_own_book(app) -> None:
    agent = factories.user(Role.AGENT)
    mine = factories.first_invoice(factories.bound_policy(customer=factories.customer(agent=agent)))
    other = factories.first_invoice(factories.bound_policy())
    browser = factories.browser(agent)
    for path in ("/invoices", "/invoices?status=issued", "/invoices.csv", f"/invoices?q={mine.number}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert mine.number in page.text
        assert other.number not in page.text
    assert mine.number not in browser.get("/invoices?status=overdue").text
    assert mine.number not in browser.get("/invoices?status=paid").text


def test_the_record_says_why_the_amount_and_offers_to_take_the_payment(app) -> None:
    agent = factories.user(Role.AGENT)
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=factories.customer(agent=agent))
    invoice = factories.first_invoice(policy)
    page = factories.browser(agent).get(f"/invoices/{invoice.id}").text
    assert "$2,400.00 for the term, instalment 1 of 12" in page
    assert f"/payments/new?invoice={invoice.id}" in page
    assert f"/documents/{invoice.document_id}.pdf" in page
    assert "None" not in page


def test_an_invoice_out_of_sight_is_not_there(app) -> None:
    invoice = factories.first_invoice(factories.bound_policy())
    assert factories.browser(factories.user(Role.AGENT)).get(f"/invoices/{invoice.id}").status_code == 404
    assert invoice.status is InvoiceStatus.ISSUED
    assert db.session.query(Invoice).count() == 1

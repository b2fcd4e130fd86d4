"""What is owed no more: invoices withdrawn, written off and back; and what another plan makes of the rest."""

from datetime import date, timedelta

import pytest

from insurance.billing import queries
from insurance.billing.domain import AGES, PaymentPlan
from insurance.billing.models import DunningNotice, Invoice
from insurance.billing.services import credit, dunning, invoices
from insurance.core import clock
from insurance.core.db import db
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, RuleBroken, Stale
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Role
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.policies import services as policies
from insurance.policies.models import Policy
from tests import factories
from tests.conftest import TODAY
from tests.races import together


@pytest.fixture
def admin(app):
    return factories.user(Role.ADMIN, wide_sight=True)


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def pay(policy: Policy, amount: str) -> None:
    payments.record(
        account_id=policy.account_id, amount=Money.parse(amount, "USD"), method=PaymentMethod.CASH, actor=SYSTEM
    )


def test_a_withdrawn_invoice_is_owed_no_more_and_its_cover_is_billed_anew(admin):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    invoice = factories.first_invoice(policy)
    credit.void(invoice_id=invoice.id, version=invoice.version, reason="Wrong name", actor=admin)
    assert queries.open_invoices(policy.account_id) == []
    assert ledger.balance(Account.BILLED).minor == 0
    check_books()
    assert invoices.issue_all_due(on=TODAY, actor=SYSTEM) == 1
    [again] = queries.open_invoices(policy.account_id)
    assert (again.total, again.due_on, again.number != invoice.number) == (invoice.total, TODAY, True)
    check_books()
    assert invoices.issue_all_due(on=TODAY, actor=SYSTEM) == 0


def test_an_invoice_that_was_paid_in_part_cannot_be_withdrawn(admin):
    policy = factories.bound_policy()
    pay(policy, "1.00")
    invoice = factories.first_invoice(policy)
    with pytest.raises((Conflict, IllegalTransition)):
        credit.void(invoice_id=invoice.id, version=invoice.version, reason="R", actor=admin)
    check_books()


@pytest.mark.parametrize("paid", ["", "100.00"])
def test_what_is_written_off_is_bad_debt_until_it_is_written_back(admin, paid):
    policy = factories.bound_policy()
    if paid:
        pay(policy, paid)
    invoice = factories.first_invoice(policy)
    left = invoice.open
    credit.write_off(invoice_id=invoice.id, version=invoice.version, reason="Gone abroad", actor=admin)
    assert ledger.balance(Account.BAD_DEBT) == left
    assert not db.session.get_one(Invoice, invoice.id).open
    check_books()
    credit.restore(invoice_id=invoice.id, version=invoice.version, reason="Came back", actor=admin)
    assert db.session.get_one(Invoice, invoice.id).open == left
    assert ledger.balance(Account.BAD_DEBT).minor == 0
    pay(policy, str(left))
    assert db.session.get_one(Invoice, invoice.id).status == "paid"
    check_books()


def test_only_admins_may_and_nobody_on_a_paid_invoice_or_a_stale_page(admin):
    policy = factories.bound_policy()
    invoice = factories.first_invoice(policy)
    agent = factories.user(Role.AGENT, wide_sight=True)
    for act in (credit.void, credit.write_off, credit.restore):
        with pytest.raises(NotAllowed):
            act(invoice_id=invoice.id, version=invoice.version, reason="R", actor=agent)
    with pytest.raises(Stale):
        credit.write_off(invoice_id=invoice.id, version=99, reason="R", actor=admin)
    pay(policy, "2400.00")
    version = db.session.get_one(Invoice, invoice.id).version
    for act in (credit.write_off, credit.restore):
        with pytest.raises(IllegalTransition):
            act(invoice_id=invoice.id, version=version, reason="R", actor=admin)
    check_books()


def test_twenty_write_offs_at_once_post_once(app, admin):
    invoice_id = factories.first_invoice(factories.bound_policy()).id

    def act():
        credit.write_off(invoice_id=invoice_id, version=1, reason="R", actor=admin)

    done = together(app, [act] * 20)
    assert sum(not isinstance(result, Exception) for result in done) == 1
    db.session.remove()
    assert ledger.balance(Account.BAD_DEBT).minor == 2400_00
    check_books()


# Another plan


def test_another_plan_shares_out_what_is_not_billed_yet(admin):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    day = TODAY + timedelta(days=40)
    with clock.at(day):
        invoices.issue_all_due(on=day, actor=SYSTEM)
        preview = policies.preview_plan(policy_id=policy.id, plan=PaymentPlan.QUARTERLY, actor=admin)
        assert [part.premium.minor for part in preview] == [500_00] * 4
        assert db.session.get_one(Policy, policy.id).plan == "monthly"
        policies.change_plan(policy_id=policy.id, version=policy.version, plan=PaymentPlan.QUARTERLY, actor=admin)
    left = queries.unbilled_items(policy.account_id)
    assert [(item.amount.minor, item.due_on) for item in left] == [
        (500_00, date(2026, 8, 1)),
        (500_00, date(2026, 11, 1)),
        (500_00, date(2027, 2, 1)),
        (500_00, date(2027, 5, 1)),
    ]
    assert [(part.premium, part.due_on) for part in preview] == [(item.amount, item.due_on) for item in left]
    check_books()
    with clock.at(date(2027, 5, 1)):
        invoices.issue_all_due(on=clock.today(), actor=SYSTEM)
    assert sum(invoice.total.minor for invoice in queries.invoices_of(policy.account_id)) == 2400_00
    check_books()


def test_the_day_of_the_month_can_be_chosen(admin):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    policies.change_plan(policy_id=policy.id, version=policy.version, plan=PaymentPlan.MONTHLY, due_day=31, actor=admin)
    assert [item.due_on.day for item in queries.unbilled_items(policy.account_id)][:4] == [31, 31, 30, 31]
    check_books()


def test_a_plan_cannot_change_where_nothing_is_left_to_bill_or_nothing_would_change(admin):
    yearly, monthly = factories.bound_policy(), factories.bound_policy(plan=PaymentPlan.MONTHLY)
    with pytest.raises(RuleBroken, match="billed already"):
        policies.change_plan(policy_id=yearly.id, version=yearly.version, plan=PaymentPlan.MONTHLY, actor=admin)
    with pytest.raises(RuleBroken, match="already"):
        policies.change_plan(policy_id=monthly.id, version=monthly.version, plan=PaymentPlan.MONTHLY, actor=admin)
    with pytest.raises(Conflict):
        policies.change_plan(policy_id=factories.quote().id, version=1, plan=PaymentPlan.MONTHLY, actor=admin)
    check_books()


# Reminding and ageing


def test_a_reminder_by_hand_is_mailed_with_the_invoice_and_moves_no_ladder(admin):
    invoice = factories.first_invoice(factories.bound_policy())
    with clock.at(TODAY + timedelta(days=3)):
        dunning.remind(invoice_id=invoice.id, actor=admin)
    mail = db.session.query(Mail).filter_by(template="notice_overdue").one()
    assert (mail.document_id, mail.data["amount"]) == (invoice.document_id, "$2,400.00")
    assert db.session.query(DunningNotice).count() == 0


def test_nobody_is_reminded_of_what_is_paid_or_without_an_address(admin):
    policy = factories.bound_policy(customer=factories.customer(email=""))
    invoice = factories.first_invoice(policy)
    with pytest.raises(RuleBroken, match="address"):
        dunning.remind(invoice_id=invoice.id, actor=admin)
    pay(policy, "2400.00")
    with pytest.raises(Conflict):
        dunning.remind(invoice_id=invoice.id, actor=admin)


@pytest.mark.parametrize("wide", [True, False])
def test_what_is_overdue_is_told_by_age_to_the_day(app, wide):
    agent = factories.user(Role.AGENT, wide_sight=wide)
    customer = factories.customer(agent=agent)
    factories.bound_policy(customer=customer)
    for days, age in ((0, None), (1, "30"), (30, "30"), (31, "60"), (60, "60"), (61, "90"), (90, "90"), (91, "more")):
        late = queries.overdue_by_age(agent, TODAY + timedelta(days=days))
        assert {word: (part.count, part.amount.minor) for word, part in late.items() if part.count} == (
            {age: (1, 2400_00)} if age else {}
        )
        with clock.at(TODAY + timedelta(days=days)):
            for word in AGES:
                found = db.session.execute(queries.invoice_rows(agent, late=word)).all()
                assert len(found) == (word == age)

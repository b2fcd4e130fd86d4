"""Control accounts against their records as of a day gone by: what came later counts on neither side."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from flask import Flask

from insurance.billing import queries as billing_queries
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.billing.services import credit
from insurance.billing.services import invoices as billing
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import add, db, transaction
from insurance.core.money import Money
from insurance.core.permissions import Actor, Role
from insurance.ledger import services as ledger
from insurance.ledger.domain import COMPANY, Account, Event
from insurance.operations.control_accounts import differences
from insurance.payments import money_out
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.policies import services as policies
from insurance.policies.models import Policy, PolicyTransaction
from tests import factories
from tests.conftest import TODAY

JUNE = TODAY + timedelta(days=30)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def post(event: Event, debit: Account, credit: Account, account_id: int, on: date) -> None:
    """A posting that no record stands behind."""
    with transaction():
        ledger.post(event, account_id, debit=(debit, account_id), credit=(credit, COMPANY), amount=usd("1"), on=on)


def test_what_was_wrong_at_the_end_of_the_month_is_told_though_it_was_made_good_since(app: Flask) -> None:
    account_id = factories.bound_policy().account_id
    assert account_id
    post(Event.WRITE_OFF, Account.BILLED, Account.SUSPENSE, account_id, TODAY)
    with transaction():
        ledger.post(
            Event.WRITE_OFF, account_id,
            debit=(Account.SUSPENSE, COMPANY), credit=(Account.BILLED, account_id), amount=usd("1"), on=JUNE,
        )  # fmt: skip
    assert list(differences()) == []
    assert list(differences(TODAY)) == [f"open invoices of account {account_id}: ledger 240100, records 240000"]


def test_what_went_wrong_after_the_month_does_not_keep_it_open(app: Flask) -> None:
    account_id = factories.bound_policy().account_id
    assert account_id
    post(Event.WRITE_OFF, Account.BAD_DEBT, Account.SUSPENSE, account_id, JUNE)
    assert list(differences()) == [f"written off for account {account_id}: ledger 100, records 0"]
    assert list(differences(TODAY)) == []


@pytest.fixture
def days(app: Flask) -> Iterator[date]:
    """Tomorrow, and so on."""
    return (TODAY + timedelta(days=number) for number in range(1, 60))


def test_every_act_counts_from_its_day_on(app: Flask, days: Iterator[date]) -> None:
    """Each act on a day of its own; then every day gone by is asked for again."""
    admin = factories.user(Role.ADMIN, authority_minor=1_000_000_00)
    person = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=factories.customer(user=person))
    other = factories.bound_policy()
    for act in _acts(policy, other, person, admin):
        with clock.at(next(days)):
            act()
        assert list(differences()) == []
    last = next(days)
    assert {day: found for day in _until(last) if (found := list(differences(day)))} == {}


def _until(last: date) -> Iterator[date]:
    return (TODAY + timedelta(days=number) for number in range(-1, (last - TODAY).days))


def _acts(policy: Policy, other: Policy, person: Actor, admin: Actor) -> Iterator[Callable[[], object]]:
    account_id, reason = policy.account_id, {"reason": "r", "actor": admin}
    invoice = factories.first_invoice(policy)
    made: dict = {}

    def again(invoice: Invoice) -> dict:
        return {"invoice_id": invoice.id, "version": db.session.get_one(Invoice, invoice.id).version}

    def pay(amount: str) -> None:
        made["cheque"] = payments.record(
            account_id=account_id, amount=usd(amount), method=PaymentMethod.CHEQUE, actor=admin
        )

    def by_card() -> None:
        begun = payments.start_card(invoice_id=invoice.id, actor=person)
        made["card"] = payments.finish_card(token=begun.token or "", accepted=True)

    def of(name: str) -> dict:
        return {"payment_id": made[name].id, "version": None}

    def refund() -> None:
        made["order"] = money_out.request_refund(
            account_id=account_id, amount=usd("40"), payee_name="M", account_number="12345678", actor=admin
        )

    yield lambda: credit.void(**again(invoice), **reason)
    yield lambda: billing.issue_due(_account(account_id), on=clock.today(), actor=admin)
    [made["invoice"]] = billing_queries.open_invoices(account_id)
    yield lambda: credit.write_off(**again(made["invoice"]), **reason)
    yield lambda: credit.restore(**again(made["invoice"]), **reason)
    invoice = made["invoice"]
    yield by_card
    yield lambda: payments.charge_back(**of("card"), **reason)
    yield lambda: payments.refund_at_gateway(payment_id=made["card"].id, total=usd("20"))
    yield lambda: payments.win(**of("card"), **reason)
    yield lambda: payments.refund_at_gateway(payment_id=made["card"].id, total=usd("50"))
    yield lambda: pay("30")
    yield lambda: payments.return_(**of("cheque"), **reason)
    yield lambda: pay("400")
    yield refund
    yield lambda: money_out.cancel(id=made["order"].id, **reason)
    yield refund
    yield lambda: billing.issue_all_due(on=clock.today(), actor=admin)
    yield lambda: payments.apply_credit(account_id or 0)
    yield lambda: payments.record(
        account_id=other.account_id or 0, amount=usd("2400"), method=PaymentMethod.CASH, actor=admin
    )
    yield lambda: _give_back(other.account_id or 0, admin)
    yield lambda: policies.change_plan(
        policy_id=policy.id, version=db.session.get_one(Policy, policy.id).version, plan=PaymentPlan.ANNUAL, actor=admin
    )
    yield lambda: claims.file(
        policy_id=policy.id,
        loss_on=clock.today(),
        cause="glass",
        description="A stone",
        claimed=usd("300"),
        actor=admin,
    )


def _account(id: int | None) -> BillingAccount:
    return db.session.get_one(BillingAccount, id)


def _give_back(account_id: int, admin: Actor) -> None:
    """Premium given back, as an act that changes a policy does it."""
    policy = db.session.query(Policy).filter_by(account_id=account_id).one()
    facts = {"reason": "Sold the car", "worksheet": [], "on": clock.today(), "actor": admin}
    with transaction():
        account = _account(account_id)
        credit.give_back(account, premium=usd("600"), tax=usd("0"), event=Event.CANCELLATION, **facts)
        _transaction(policy, -600_00)


def _transaction(policy: Policy, premium_minor: int) -> None:
    first = db.session.query(PolicyTransaction).filter_by(policy_id=policy.id).one()
    columns = {column.key: getattr(first, column.key) for column in PolicyTransaction.__table__.columns}
    changed = {"id": None, "number": 2, "premium_minor": premium_minor, "recorded_at": clock.now()}
    add(PolicyTransaction(**columns | changed))

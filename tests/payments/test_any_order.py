"""Whatever is done to an account's money, and in whatever order: every invariant holds after each act."""

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from insurance.billing import queries as billing
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.billing.services import credit
from insurance.billing.services import invoices as billing_services
from insurance.core import clock
from insurance.core.db import db, lock, transactional
from insurance.core.errors import Refusal
from insurance.core.money import Money
from insurance.core.permissions import SYSTEM
from insurance.ledger.domain import Event
from insurance.operations import verify
from insurance.payments import queries, services
from insurance.payments.domain import LIVE, PaymentMethod, PaymentStatus
from insurance.payments.models import Payment
from insurance.payments.services import clearing, suspense
from insurance.policies.domain import TransactionKind
from insurance.policies.models import Policy
from insurance.policies.services.record import add_transaction
from tests import factories
from tests.conftest import TODAY

AMOUNTS = st.integers(1, 450_00).map(lambda minor: Money(minor, "USD"))
PICK = st.integers(0, 10**6)
BY_HAND = st.sampled_from([PaymentMethod.CASH, PaymentMethod.CHEQUE, PaymentMethod.BANK_TRANSFER])
MONEY = {
    name: check
    for name, check in verify.INVARIANTS.items()
    if check not in (verify.files_are_whole, verify.database_is_whole, verify.claims_within_limits)
}
"""What money can break; the rest is asked once, at the end."""


class Account(RuleBasedStateMachine):
    """One account with its invoices, in the hands of many people at once."""

    def __init__(self) -> None:
        super().__init__()
        policy = factories.bound_policy(plan=PaymentPlan.QUARTERLY)
        with clock.at(TODAY + timedelta(days=200)):
            billing_services.issue_all_due(on=clock.today(), actor=SYSTEM)
        self.account_id, self.number = policy.account_id or 0, policy.number

    def invoice(self, pick: int) -> Invoice:
        every = db.session.query(Invoice).filter_by(account_id=self.account_id).order_by(Invoice.id).all()
        return every[pick % len(every)]

    def payments(self, *statuses: PaymentStatus) -> list[Payment]:
        found = db.session.query(Payment).filter_by(account_id=self.account_id).order_by(Payment.id)
        return [payment for payment in found if not statuses or payment.status in statuses]

    def any_of(self, pick: int, *statuses: PaymentStatus) -> dict[str, Any]:
        found = self.payments(*statuses) or self.payments()
        return {"payment_id": found[pick % len(found)].id, "version": found[pick % len(found)].version}

    @property
    def begun(self) -> bool:
        return bool(self.payments())

    @rule(amount=AMOUNTS, method=BY_HAND, pick=PICK)
    def pay(self, amount: Money, method: PaymentMethod, pick: int) -> None:
        facts = {"account_id": self.account_id, "amount": amount, "method": method, "actor": SYSTEM}
        services.record(invoice_id=self.invoice(pick).id, **facts)

    @rule(pick=PICK, accepted=st.booleans())
    def pay_by_card(self, pick: int, accepted: bool) -> None:
        open_ = billing.open_invoices(self.account_id)
        if open_:
            started = services.start_card(invoice_id=open_[pick % len(open_)].id, actor=SYSTEM)
            services.finish_card(token=started.token or "", accepted=accepted)

    @rule()
    def apply_credit(self) -> None:
        services.apply_credit(self.account_id)

    @rule(pick=PICK)
    def use_credit(self, pick: int) -> None:
        try_(services.use_credit, invoice_id=self.invoice(pick).id, actor=SYSTEM)

    @rule(amount=AMOUNTS)
    def give_credit_that_no_payment_brought(self, amount: Money) -> None:
        give(self.account_id, amount)

    @precondition(lambda self: self.begun)
    @rule(pick=PICK, amount=AMOUNTS, whole=st.booleans())
    def deallocate(self, pick: int, amount: Money, whole: bool) -> None:
        for payment in self.payments(*LIVE):
            for invoice_id, paid in queries.paid_by(payment):
                part = paid if whole else min(paid, amount)
                facts = {"payment_id": payment.id, "version": payment.version, "reason": "r", "actor": SYSTEM}
                services.deallocate(invoice_id=invoice_id, amount=part, **facts)
                return

    @precondition(lambda self: self.begun)
    @rule(pick=PICK, to=PICK, amount=AMOUNTS)
    def reallocate(self, pick: int, to: int, amount: Money) -> None:
        try_(
            services.reallocate,
            **self.any_of(pick, *LIVE),
            invoice_id=self.invoice(pick).id,
            to_invoice_id=self.invoice(to).id,
            amount=amount,
            reason="r",
            actor=SYSTEM,
        )

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def bounce(self, pick: int) -> None:
        try_(services.return_, **self.any_of(pick, *LIVE), reason="r", actor=SYSTEM)

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def charge_back(self, pick: int) -> None:
        try_(services.charge_back, **self.any_of(pick, *LIVE), reason="r", actor=SYSTEM)

    @precondition(lambda self: self.payments(PaymentStatus.CHARGED_BACK))
    @rule(pick=PICK)
    def win(self, pick: int) -> None:
        services.win(**self.any_of(pick, PaymentStatus.CHARGED_BACK), reason="r", actor=SYSTEM)

    @precondition(lambda self: self.begun)
    @rule(pick=PICK, amount=AMOUNTS)
    def refund(self, pick: int, amount: Money) -> None:
        payment = db.session.get_one(Payment, self.any_of(pick, *LIVE)["payment_id"])
        if payment.method is PaymentMethod.CARD:
            try_(services.refund_at_gateway, payment_id=payment.id, total=min(amount, payment.amount))

    @rule(pick=PICK, restore=st.booleans())
    def write_off(self, pick: int, restore: bool) -> None:
        invoice = self.invoice(pick)
        act = credit.restore if restore else credit.write_off
        try_(act, invoice_id=invoice.id, version=invoice.version, reason="r", actor=SYSTEM)

    @rule(amount=AMOUNTS, matches=st.booleans())
    def suspense(self, amount: Money, matches: bool) -> None:
        item = suspense.record(amount=amount, received_on=TODAY, reference="?", payer="?", actor=SYSTEM)
        if matches:
            suspense.match(suspense_id=item.id, number=self.number, actor=SYSTEM)

    @rule(method=st.sampled_from(clearing.SOURCES))
    def clear(self, method: PaymentMethod) -> None:
        ids = [row.id for row in queries.lying_in(method)]
        try_(clearing.clear, method=method, payment_ids=ids, charge=Money.zero("USD"), reference="r", actor=SYSTEM)

    @invariant()
    def holds(self) -> None:
        db.session.rollback()
        assert [(name, list(check())) for name, check in MONEY.items() if list(check())] == []


def try_(act: Any, **facts: Any) -> None:
    """Do it, or be refused in words, which changes nothing."""
    try:
        act(**facts)
    except Refusal:
        db.session.rollback()


@transactional
def give(account_id: int, amount: Money) -> None:
    """Premium given back, as an endorsement would."""
    account, nothing = lock(BillingAccount, account_id), Money.zero("USD")
    policy = db.session.query(Policy).filter_by(account_id=account_id).one()
    part = min(amount, Money(policy.premium_minor - 1, "USD"))
    facts: dict[str, Any] = {"tax": nothing, "reason": "r", "worksheet": [], "actor": SYSTEM}
    add_transaction(policy, TransactionKind.ENDORSEMENT, effective_on=TODAY, premium=-part, fee=nothing, **facts)
    policy.premium_minor -= part.minor
    credit.give_back(account, premium=part, event=Event.ENDORSEMENT, on=TODAY, **facts)


@pytest.mark.sqlite_only
def test_money_keeps_adding_up_whatever_is_done_with_it(app: Flask) -> None:
    run_state_machine_as_test(
        Account,
        settings=settings(
            max_examples=12,
            stateful_step_count=14,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert [violation for result in verify.run() for violation in result.violations] == []

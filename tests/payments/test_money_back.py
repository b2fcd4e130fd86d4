"""Money that goes back, moves, waits or clears: the invoices and the books follow it wherever it went."""

from datetime import timedelta

import pytest

from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.billing.services import credit
from insurance.billing.services import invoices as billing_services
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, NotFound, RuleBroken, Stale
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import money_out, queries, services
from insurance.payments.domain import PaymentMethod, PaymentStatus, SuspenseStatus
from insurance.payments.models import Clearing, Payment, Receipt
from insurance.payments.services import clearing, suspense
from tests import factories
from tests.conftest import TODAY
from tests.races import together


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def pay(account_id: int, amount: str, method: PaymentMethod = PaymentMethod.CHEQUE, **facts) -> Payment:
    return services.record(account_id=account_id, amount=usd(amount), method=method, **{"actor": SYSTEM, **facts})


def pay_by_card(invoice: Invoice, person: Actor) -> Payment:
    started = services.start_card(invoice_id=invoice.id, actor=person)
    assert started.token
    return services.finish_card(token=started.token, accepted=True)


def credit_of(account_id: int) -> Money:
    return db.session.get_one(BillingAccount, account_id, populate_existing=True).credit


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def account_id(app, person: Actor) -> int:
    """An account with three invoices of 200.00, due month by month."""
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=factories.customer(user=person))
    with clock.at(TODAY + timedelta(days=60)):
        billing_services.issue_all_due(on=clock.today(), actor=SYSTEM)
    assert policy.account_id
    return policy.account_id


@pytest.fixture
def invoices(account_id: int) -> list[Invoice]:
    return db.session.query(Invoice).filter_by(account_id=account_id).order_by(Invoice.due_on).all()


def states(invoices: list[Invoice]) -> list[tuple[str, str]]:
    for invoice in invoices:
        db.session.refresh(invoice)
    return [(invoice.status.value, str(invoice.paid)) for invoice in invoices]


# Returned


def test_a_bounced_cheque_opens_what_it_paid_and_the_customer_is_told(account_id, invoices) -> None:
    payment = pay(account_id, "250.00")
    services.return_(payment_id=payment.id, version=payment.version, reason="No funds", actor=SYSTEM)
    assert states(invoices)[:2] == [("issued", "0.00"), ("issued", "0.00")]
    assert (payment.status, payment.left, credit_of(account_id)) == (PaymentStatus.RETURNED, usd("0"), usd("0"))
    assert ledger.balance(Account.CHEQUES) == usd("0")
    assert ledger.balance(Account.BILLED, account_id) == usd("600.00")
    assert db.session.query(Mail).filter_by(template="payment_returned").one().data["amount"] == "$250.00"
    check_books()


def test_a_cheque_that_bounces_after_it_was_cleared_is_taken_from_the_bank(account_id, invoices) -> None:
    payment = pay(account_id, "200.00")
    clear(PaymentMethod.CHEQUE, [payment])
    services.return_(payment_id=payment.id, version=payment.version, reason="No funds", actor=SYSTEM)
    assert (ledger.balance(Account.BANK), ledger.balance(Account.CHEQUES)) == (usd("0"), usd("0"))
    check_books()


def test_credit_of_a_returned_payment_is_taken_back_from_where_it_was_used(account_id, invoices) -> None:
    for invoice in invoices:
        pay(account_id, "200.00", PaymentMethod.CASH, invoice_id=invoice.id)
    bounced = pay(account_id, "300.00")
    with clock.at(TODAY + timedelta(days=90)):
        billing_services.issue_all_due(on=clock.today(), actor=SYSTEM)
    services.apply_credit(account_id)
    later = db.session.query(Invoice).filter_by(account_id=account_id).order_by(Invoice.id.desc()).first()
    assert later
    assert later.status is InvoiceStatus.PAID
    assert credit_of(account_id) == usd("100.00")
    services.return_(payment_id=bounced.id, version=bounced.version, reason="No funds", actor=SYSTEM)
    db.session.refresh(later)
    assert (later.status, credit_of(account_id)) == (InvoiceStatus.ISSUED, usd("0"))
    check_books()


def test_a_write_off_is_taken_back_where_the_part_that_was_paid_bounces(account_id, invoices) -> None:
    payment = pay(account_id, "50.00")
    first = invoices[0]
    db.session.refresh(first)
    credit.write_off(invoice_id=first.id, version=first.version, reason="Gone", actor=SYSTEM)
    services.return_(payment_id=payment.id, version=payment.version, reason="No funds", actor=SYSTEM)
    assert states(invoices)[0] == ("issued", "0.00")
    check_books()


@pytest.mark.parametrize("method", [PaymentMethod.CASH, PaymentMethod.CARD])
def test_cash_and_cards_are_not_returned(account_id, invoices, person, method) -> None:
    payment = pay_by_card(invoices[0], person) if method == "card" else pay(account_id, "10.00", method)
    with pytest.raises(Conflict):
        services.return_(payment_id=payment.id, version=payment.version, reason="?", actor=SYSTEM)
    check_books()


def test_what_was_partly_paid_back_already_is_not_returned_by_itself(account_id, invoices, person) -> None:
    payment = pay(account_id, "300.00")
    services.refund_at_gateway(payment_id=payment.id, total=usd("50.00"))
    with pytest.raises(Conflict, match=r"\$50\.00 of this payment was paid back"):
        services.return_(payment_id=payment.id, version=payment.version, reason="?", actor=SYSTEM)


# Charged back, refunded


def test_a_charge_back_takes_all_back_and_a_won_dispute_pays_again(account_id, invoices, person) -> None:
    payment = pay_by_card(invoices[1], person)
    services.charge_back(payment_id=payment.id, version=payment.version, reason="Fraud", actor=SYSTEM)
    assert states(invoices)[1] == ("issued", "0.00")
    assert ledger.balance(Account.GATEWAY_CLEARING) == usd("0")
    check_books()
    services.win(payment_id=payment.id, version=payment.version, reason="Proved", actor=SYSTEM)
    assert states(invoices) == [("issued", "0.00"), ("paid", "200.00"), ("issued", "0.00")]
    assert (payment.status, ledger.balance(Account.GATEWAY_CLEARING)) == (PaymentStatus.PROCESSED, usd("200.00"))
    assert db.session.query(Receipt).count() == 1
    check_books()


def test_a_refund_at_the_gateway_takes_credit_first_and_counts_once(account_id, invoices, person) -> None:
    pay(account_id, "150.00", invoice_id=invoices[0].id)
    db.session.refresh(invoices[0])
    payment = pay_by_card(invoices[1], person)
    for total in ("30.00", "30.00", "80.00"):
        services.refund_at_gateway(payment_id=payment.id, total=usd(total))
        check_books()
    assert (payment.status, payment.kept, states(invoices)[1]) == (
        PaymentStatus.PARTLY_REFUNDED, usd("120.00"), ("part_paid", "120.00"),
    )  # fmt: skip
    services.charge_back(payment_id=payment.id, version=payment.version, reason="The rest", actor=SYSTEM)
    assert ledger.balance(Account.GATEWAY_CLEARING) == usd("0")
    services.win(payment_id=payment.id, version=payment.version, reason="Proved", actor=SYSTEM)
    assert (payment.status, states(invoices)[1]) == (PaymentStatus.PARTLY_REFUNDED, ("part_paid", "120.00"))
    services.refund_at_gateway(payment_id=payment.id, total=usd("200.00"))
    assert (payment.status, states(invoices)[1]) == (PaymentStatus.REFUNDED, ("issued", "0.00"))
    check_books()


def order_refund(account_id: int, amount: str):
    facts = {"payee_name": "Maria Lopez", "account_number": "GB82WEST12345698765432"}
    admin = factories.user(Role.ADMIN, authority_minor=1_000_000_00)
    return money_out.request_refund(account_id=account_id, amount=usd(amount), actor=admin, **facts)


def test_a_refund_that_was_ordered_is_called_off_where_the_payment_is_charged_back(
    account_id, invoices, person
) -> None:
    payment = pay_by_card(invoices[0], person)
    facts = {"payment_id": payment.id, "invoice_id": invoices[0].id, "reason": "r", "actor": SYSTEM}
    services.deallocate(version=payment.version, amount=usd("80.00"), **facts)
    order = order_refund(account_id, "70.00")
    services.charge_back(payment_id=payment.id, version=None, reason="Fraud", actor=SYSTEM)
    assert (order.status.value, payment.kept, credit_of(account_id)) == ("cancelled", usd("200.00"), usd("0"))
    assert ledger.balance(Account.GATEWAY_CLEARING) == usd("0")
    check_books()


def test_what_the_gateway_refunds_is_told_from_what_we_refund(account_id, invoices, person) -> None:
    payment = pay_by_card(invoices[0], person)
    facts = {"payment_id": payment.id, "invoice_id": invoices[0].id, "reason": "r", "actor": SYSTEM}
    services.deallocate(version=payment.version, amount=usd("80.00"), **facts)
    order_refund(account_id, "70.00")
    for _ in range(2):
        services.refund_at_gateway(payment_id=payment.id, total=usd("30.00"))
        assert (payment.kept, states(invoices)[0]) == (usd("100.00"), ("part_paid", "100.00"))
        check_books()


def test_a_dispute_is_won_once_and_only_after_it_was_lost(account_id, invoices, person) -> None:
    payment = pay_by_card(invoices[0], person)
    with pytest.raises(IllegalTransition):
        services.win(payment_id=payment.id, version=payment.version, reason="?", actor=SYSTEM)
    cheque = pay(account_id, "10.00")
    with pytest.raises(Conflict):
        services.charge_back(payment_id=cheque.id, version=cheque.version, reason="?", actor=SYSTEM)
    check_books()


# Moved


def test_staff_move_what_a_payment_paid_to_another_invoice(account_id, invoices) -> None:
    payment = pay(account_id, "200.00")
    facts = {"payment_id": payment.id, "invoice_id": invoices[0].id, "reason": "Meant the third", "actor": SYSTEM}
    services.reallocate(version=1, to_invoice_id=invoices[2].id, amount=usd("120.00"), **facts)
    assert states(invoices) == [("part_paid", "80.00"), ("issued", "0.00"), ("part_paid", "120.00")]
    with pytest.raises(Stale):
        services.reallocate(version=1, to_invoice_id=invoices[1].id, amount=usd("1.00"), **facts)
    with pytest.raises(RuleBroken, match="more than it paid"):
        services.reallocate(version=2, to_invoice_id=invoices[1].id, amount=usd("80.01"), **facts)
    with pytest.raises(RuleBroken, match="another invoice"):
        services.reallocate(version=2, to_invoice_id=invoices[0].id, amount=usd("1.00"), **facts)
    with pytest.raises(RuleBroken, match="Only"):
        services.reallocate(version=2, to_invoice_id=invoices[2].id, amount=usd("80.01"), **facts)
    other = factories.first_invoice(factories.bound_policy())
    with pytest.raises(NotFound):
        services.reallocate(version=2, to_invoice_id=other.id, amount=usd("1.00"), **facts)
    check_books()


def test_money_taken_back_from_an_invoice_is_credit_and_is_used_by_choice(account_id, invoices, person) -> None:
    payment = pay(account_id, "200.00")
    facts = {"payment_id": payment.id, "invoice_id": invoices[0].id, "reason": "Wrong", "actor": SYSTEM}
    services.deallocate(version=1, amount=usd("60.00"), **facts)
    assert (states(invoices)[0], credit_of(account_id)) == (("part_paid", "140.00"), usd("60.00"))
    services.use_credit(invoice_id=invoices[2].id, actor=person)
    assert (states(invoices)[2], credit_of(account_id)) == (("part_paid", "60.00"), usd("0"))
    with pytest.raises(Conflict, match="no credit"):
        services.use_credit(invoice_id=invoices[2].id, actor=person)
    with pytest.raises(NotFound):
        services.use_credit(invoice_id=invoices[2].id, actor=factories.user(Role.CUSTOMER))
    with pytest.raises(NotAllowed):
        services.deallocate(version=2, amount=usd("1.00"), **{**facts, "actor": person})
    check_books()


def test_only_begun_payments_are_cancelled(account_id, invoices, person) -> None:
    from insurance.payments.services import gateway

    started = services.start_card(invoice_id=invoices[0].id, actor=person)
    gateway.cancel(payment_id=started.id, reason="By mistake", actor=SYSTEM)
    assert db.session.get_one(Payment, started.id).status is PaymentStatus.CANCELLED
    paid = pay(account_id, "10.00")
    with pytest.raises(IllegalTransition):
        gateway.cancel(payment_id=paid.id, reason="?", actor=SYSTEM)


# On the way to the bank


def clear(method: PaymentMethod, payments: list[Payment], charge: str = "0", **facts) -> Clearing:
    ids = [payment.id for payment in payments]
    return clearing.clear(
        method=method, payment_ids=ids, charge=usd(charge), reference="R", **{"actor": SYSTEM, **facts}
    )


def test_cheques_clear_once(account_id) -> None:
    payments = [pay(account_id, "20.00"), pay(account_id, "30.00")]
    done = clear(PaymentMethod.CHEQUE, payments)
    assert (done.amount, ledger.balance(Account.BANK), ledger.balance(Account.CHEQUES)) == (
        usd("50.00"), usd("50.00"), usd("0"),
    )  # fmt: skip
    with pytest.raises(RuleBroken):
        clear(PaymentMethod.CHEQUE, payments[:1])
    with pytest.raises(RuleBroken):
        clear(PaymentMethod.CASH, payments)
    check_books()


def test_each_agent_owes_the_cash_they_took_until_they_remit_it(account_id) -> None:
    one, other = factories.user(Role.AGENT, wide_sight=True), factories.user(Role.AGENT, wide_sight=True)
    of_one = [pay(account_id, amount, PaymentMethod.CASH, actor=one) for amount in ("20.00", "5.00")]
    of_other = pay(account_id, "30.00", PaymentMethod.CASH, actor=other)
    assert [(row.cash_holder_id, int(row.amount_minor)) for row in queries.cash_held()] == [
        (other.id, 30_00), (one.id, 25_00),
    ]  # fmt: skip
    with pytest.raises(RuleBroken, match="each agent remits by itself"):
        clear(PaymentMethod.CASH, [*of_one, of_other])
    clear(PaymentMethod.CASH, of_one[:1])
    assert {who: ledger.balance(Account.AGENT_CASH, who.id) for who in (one, other)} == {
        one: usd("5.00"), other: usd("30.00"),
    }  # fmt: skip
    assert [holder for _, holder in queries.clearings(holder_id=one.id)] == [one.name]
    check_books()
    with transaction():
        db.session.get_one(Payment, of_other.id).cash_holder_id = one.id
    assert [text for result in verify.run() for text in result.violations] == [
        f"cash with agent {one.id}: ledger 500, records 3500",
        f"cash with agent {other.id}: ledger 3000, records 0",
    ]


def test_what_the_gateway_took_back_and_kept_does_not_arrive(account_id, invoices, person) -> None:
    first = pay_by_card(invoices[0], person)
    clear(PaymentMethod.CARD, [first], charge="6.10")
    assert ledger.balance(Account.BANK) == usd("193.90")
    services.charge_back(payment_id=first.id, version=first.version, reason="Fraud", actor=SYSTEM)
    assert clearing.taken_back(PaymentMethod.CARD, "USD") == usd("200.00")
    second = pay_by_card(invoices[1], person)
    with pytest.raises(RuleBroken, match="Nothing would be left"):
        clear(PaymentMethod.CARD, [second])
    third = pay_by_card(invoices[2], person)
    done = clear(PaymentMethod.CARD, [second, third], charge="10.00")
    assert done.amount == usd("190.00")
    assert (ledger.balance(Account.GATEWAY_CLEARING), ledger.balance(Account.GATEWAY_CHARGES)) == (
        usd("0"), usd("16.10"),
    )  # fmt: skip
    check_books()


def test_two_who_clear_the_same_cheques_at_once_clear_them_once(app, account_id) -> None:
    facts = {"payment_ids": [pay(account_id, "20.00").id], "charge": usd("0"), "reference": "R", "actor": SYSTEM}
    outcomes = together(app, [lambda: clearing.clear(method=PaymentMethod.CHEQUE, **facts).id] * 6)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert ledger.balance(Account.BANK) == usd("20.00")
    check_books()


# Suspense


def keep_in_suspense(amount: str = "200.00", **facts):
    facts = {"received_on": TODAY, "reference": "thanks", "payer": "M LOPEZ", "actor": SYSTEM, **facts}
    return suspense.record(amount=usd(amount), **facts)


def test_money_that_matches_nothing_waits_and_becomes_a_payment_with_a_receipt(account_id, invoices) -> None:
    item = keep_in_suspense()
    assert (ledger.balance(Account.BANK), ledger.balance(Account.SUSPENSE)) == (usd("200.00"), -usd("200.00"))
    check_books()
    payment = suspense.match(suspense_id=item.id, number=invoices[1].number, actor=SYSTEM)
    assert (item.status, item.payment_id) == (SuspenseStatus.MATCHED, payment.id)
    assert states(invoices)[1] == ("paid", "200.00")
    assert (ledger.balance(Account.BANK), ledger.balance(Account.SUSPENSE)) == (usd("200.00"), usd("0"))
    assert queries.get_payment(payment.id, SYSTEM)[2]
    check_books()
    with pytest.raises(IllegalTransition):
        suspense.return_(suspense_id=item.id, reason="?", actor=SYSTEM)


def test_suspense_is_matched_by_a_policys_number_and_what_names_nothing_is_refused(account_id, invoices) -> None:
    item = keep_in_suspense("250.00")
    with pytest.raises(RuleBroken) as refusal:
        suspense.match(suspense_id=item.id, number="INV-1999-1", actor=SYSTEM)
    assert refusal.value.field == "number"
    number = db.session.get_one(BillingAccount, account_id).policy_number
    suspense.match(suspense_id=item.id, number=number, actor=SYSTEM)
    assert states(invoices)[:2] == [("paid", "200.00"), ("part_paid", "50.00")]
    check_books()


def test_suspense_is_sent_back(account_id) -> None:
    item = keep_in_suspense()
    suspense.return_(suspense_id=item.id, reason="Not ours", actor=SYSTEM)
    assert (item.status, ledger.balance(Account.BANK)) == (SuspenseStatus.RETURNED, usd("0"))
    check_books()


def test_one_amount_in_suspense_has_one_owner(app, account_id, invoices) -> None:
    item_id, number = keep_in_suspense().id, invoices[0].number
    outcomes = together(app, [lambda: suspense.match(suspense_id=item_id, number=number, actor=SYSTEM).id] * 6)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    check_books()


def test_only_admins_have_to_do_with_suspense_and_clearing(account_id) -> None:
    agent = factories.user(Role.AGENT)
    with pytest.raises(NotAllowed):
        keep_in_suspense(actor=agent)
    with pytest.raises(NotAllowed):
        clear(PaymentMethod.CHEQUE, [], actor=agent)
    with pytest.raises(RuleBroken):
        keep_in_suspense(received_on=TODAY + timedelta(days=1))

"""Money that goes out: refunds of credit, who approves them, what is frozen, what comes back and is replaced."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from insurance.accounts import passwords
from insurance.accounts.models import SignInSession
from insurance.billing.domain import DisbursementStatus, check_account, masked
from insurance.billing.models import BillingAccount, Disbursement
from insurance.billing.services import disbursements
from insurance.claims import services as claims
from insurance.claims.models import Claim
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, NotFound, RuleBroken
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Role
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.payments import money_out
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod, PaymentStatus
from insurance.payments.models import Payment
from tests import factories
from tests.conftest import TODAY
from tests.races import together

IBAN = "DE89370400440532013000"


@pytest.fixture
def admin(app):
    return factories.user(Role.ADMIN, authority_minor=1_000_000_00)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def check_books() -> None:
    db.session.rollback()
    assert [violation for result in verify.run() for violation in result.violations] == []


def pay(account_id: int, amount: str) -> Payment:
    return payments.record(account_id=account_id, amount=usd(amount), method=PaymentMethod.BANK_TRANSFER, actor=SYSTEM)


@pytest.fixture
def account_id(app) -> int:
    """An account whose invoice of 2,400 is paid, with 150 of credit: 100 of the first payment, 50 of the second."""
    policy = factories.bound_policy()
    pay(policy.account_id, "2500.00")
    pay(policy.account_id, "50.00")
    return policy.account_id


def refund(account_id: int, amount: str, actor, **facts) -> Disbursement:
    facts = {"payee_name": "Maria Lopez", "account_number": IBAN} | facts
    return money_out.request_refund(account_id=account_id, amount=usd(amount), actor=actor, **facts)


def statuses(account_id: int) -> list[tuple[str, int]]:
    rows = db.session.execute(
        select(Payment.status, Payment.refunded_minor).where(Payment.account_id == account_id).order_by(Payment.id)
    )
    return [tuple(row) for row in rows]


def credit(account_id: int) -> int:
    db.session.rollback()
    return db.session.get_one(BillingAccount, account_id).credit_minor


def test_a_refund_takes_credit_from_the_newest_payments_and_is_sent_and_settled(admin, account_id):
    order = refund(account_id, "80.00", admin)
    assert (order.status, order.account_number) == (DisbursementStatus.APPROVED, IBAN)
    assert credit(account_id) == 70_00
    assert statuses(account_id) == [("processed", 30_00), ("processed", 50_00)]
    assert [(step["label"][:7], step["amount"]) for step in order.worksheet] == [
        ("Credit ", "$150.00"),
        ("Receipt", "−$50.00"),
        ("Receipt", "−$30.00"),
        ("Credit ", "$70.00"),
    ]
    check_books()
    money_out.send(id=order.id, reference="B-1", on=TODAY, actor=admin)
    assert statuses(account_id) == [("partly_refunded", 30_00), ("refunded", 50_00)]
    assert ledger.balance(Account.BANK) == usd("2470.00")
    mail = db.session.scalars(select(Mail).where(Mail.template == "refund_sent")).one()
    assert mail.data["account"] == "account •••• 3000"
    assert IBAN not in str(mail.data)
    check_books()
    settled = money_out.settle(id=order.id, reference="", on=TODAY, actor=admin)
    assert (settled.status, settled.reference) == (DisbursementStatus.SETTLED, "B-1")
    check_books()


def test_a_cancelled_refund_is_credit_again_where_it_came_from(admin, account_id):
    order = refund(account_id, "150.00", admin)
    money_out.cancel(id=order.id, reason="Wants to keep it", actor=admin)
    assert credit(account_id) == 150_00
    assert statuses(account_id) == [("processed", 0), ("processed", 0)]
    check_books()
    with pytest.raises(IllegalTransition):
        money_out.send(id=order.id, reference="", on=TODAY, actor=admin)
    with pytest.raises(Conflict):
        money_out.replace(id=order.id, payee_name="M", account_number=IBAN, actor=admin)


def test_a_returned_refund_is_owed_until_another_order_replaces_it(admin, account_id):
    order = refund(account_id, "150.00", admin)
    money_out.send(id=order.id, reference="B-1", on=TODAY, actor=admin)
    money_out.return_(id=order.id, reason="Account closed", actor=admin)
    assert ledger.balance(Account.REFUNDS_PAYABLE) == usd("-150.00")
    check_books()
    again = money_out.replace(id=order.id, payee_name="Maria Lopez", account_number="12345678", actor=admin)
    assert (again.replaces_id, again.amount, again.status) == (order.id, usd("150.00"), DisbursementStatus.APPROVED)
    check_books()
    with pytest.raises(Conflict):
        money_out.replace(id=order.id, payee_name="Maria Lopez", account_number="12345678", actor=admin)
    money_out.cancel(id=again.id, reason="Keeps it", actor=admin)
    assert credit(account_id) == 150_00
    check_books()


def test_no_more_than_the_credit_is_refunded_whoever_asks_at_once(app, admin, account_id):
    with pytest.raises(RuleBroken):
        refund(account_id, "150.01", admin)
    done = together(app, [lambda: refund(account_id, "100.00", admin)] * 8)
    assert sum(isinstance(one, Disbursement) for one in done) == 1
    assert credit(account_id) == 50_00
    check_books()


def test_the_same_form_sent_twice_orders_once(app, admin, account_id):
    done = together(app, [lambda: refund(account_id, "20.00", admin, key="k").id] * 5)
    assert len(set(done)) == 1
    assert credit(account_id) == 130_00


def test_credit_that_no_payment_brought_is_refunded_too(admin, account_id):
    order = refund(account_id, "150.00", admin)
    money_out.send(id=order.id, reference="B-1", on=TODAY, actor=admin)
    money_out.return_(id=order.id, reason="Account closed", actor=admin)
    again = money_out.replace(id=order.id, payee_name="Maria Lopez", account_number=IBAN, actor=admin)
    money_out.cancel(id=again.id, reason="Keeps it", actor=admin)
    last = refund(account_id, "150.00", admin)
    money_out.send(id=last.id, reference="B-2", on=TODAY, actor=admin)
    assert statuses(account_id) == [("partly_refunded", 100_00), ("refunded", 50_00)]
    assert credit(account_id) == 0
    check_books()


def test_above_the_limit_a_second_person_approves_and_the_database_insists(app, admin, account_id):
    pay(account_id, "20000.00")
    order = refund(account_id, "15000.00", admin)
    assert order.status is DisbursementStatus.REQUESTED
    with pytest.raises(NotAllowed):
        disbursements.approve(id=order.id, actor=admin)
    with pytest.raises(DBAPIError), transaction() as session:
        session.execute(
            update(Disbursement).where(Disbursement.id == order.id).values(checker_id=admin.id, status="approved")
        )
    db.session.rollback()
    second = factories.user(Role.ADMIN)
    disbursements.approve(id=order.id, actor=second)
    check_books()


@pytest.mark.parametrize(
    ("column", "value"),
    [("payee_name", "Mallory"), ("account_number", "GB1"), ("amount_minor", 1), ("reason", "Other")],
)
def test_what_was_approved_is_what_is_sent(admin, account_id, column, value):
    order = refund(account_id, "10.00", admin)
    with pytest.raises(DBAPIError, match="what was approved"), transaction() as session:
        session.execute(update(Disbursement).where(Disbursement.id == order.id).values({column: value}))
    db.session.rollback()


def test_a_payout_that_comes_back_moves_its_claim_back_and_is_paid_anew(admin):
    policy = factories.bound_policy(start_on=TODAY - timedelta(days=30))
    claim = claims.file(
        policy_id=policy.id, loss_on=TODAY, cause="collision", description="Rear-ended.", claimed=usd("1000.00"),
        payee_name="Maria Lopez", actor=SYSTEM,
    )  # fmt: skip
    claims.approve(claim_id=claim.id, amount=usd("500.00"), notes="Covered.", actor=admin)
    [first] = db.session.scalars(select(Disbursement.id))
    check_books()
    money_out.send(id=first, reference="B", on=TODAY, actor=admin)
    assert db.session.get_one(Claim, claim.id).status == "paid"
    check_books()
    money_out.return_(id=first, reason="Unknown account", actor=admin)
    assert db.session.get_one(Claim, claim.id).status == "approved"
    check_books()
    second = money_out.replace(id=first, payee_name="Maria Lopez", account_number=IBAN, actor=admin)
    check_books()
    money_out.cancel(id=second.id, reason="Wrong IBAN", actor=admin)
    check_books()
    third = money_out.replace(id=second.id, payee_name="Maria Lopez", account_number="12345678", actor=admin)
    money_out.send(id=third.id, reference="C", on=TODAY, actor=admin)
    assert db.session.get_one(Claim, claim.id).status == "paid"
    check_books()


def test_agents_request_refunds_of_their_own_book_alone_and_send_nothing(admin, account_id):
    stranger = factories.user(Role.AGENT)
    with pytest.raises(NotFound):
        refund(account_id, "1.00", stranger)
    order = refund(account_id, "1.00", admin)
    for act in (
        lambda: money_out.cancel(id=order.id, reason="R", actor=stranger),
        lambda: money_out.send(id=order.id, reference="R", on=TODAY, actor=stranger),
        lambda: money_out.return_(id=order.id, reason="R", actor=stranger),
        lambda: money_out.replace(id=order.id, payee_name="M", account_number=IBAN, actor=stranger),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert statuses(account_id)[0][0] == PaymentStatus.PROCESSED


@pytest.mark.parametrize("number", ["DE89 3704 0044 0532 0130 01", "DE8", "12", "x" * 35, "12;34"])
def test_account_numbers_that_cannot_be_right_are_refused(number):
    with pytest.raises(RuleBroken):
        check_account(number)


def test_account_numbers_are_kept_as_banks_write_them_and_shown_by_their_end():
    assert check_account("de89 3704 0044 0532 0130 00", "deutdeff") == (IBAN, "DEUTDEFF")
    assert check_account("0123-456789") == ("0123456789", "")
    assert masked(IBAN) == "•••• 3000"
    with pytest.raises(RuleBroken):
        check_account(IBAN, "NO")


# Pages


def test_staff_request_and_admins_send_by_pages_with_the_account_masked(admin, account_id):
    browser = factories.browser(admin)
    customer_id = db.session.get_one(BillingAccount, account_id).customer_id
    assert "Pay credit back" in browser.get(f"/customers/{customer_id}").text
    data = {"amount": "80", "payee_name": "Maria Lopez", "account_number": IBAN, "key": "k1"}
    assert browser.post(f"/payments/refunds/new?account={account_id}", data=data | {"amount": "151"}).status_code == 422
    assert browser.post(f"/payments/refunds/new?account={account_id}", data=data).status_code == 303
    [order_id] = db.session.scalars(select(Disbursement.id))
    path = f"/admin/disbursements/{order_id}"
    for page in ("/admin/disbursements", "/admin/disbursements.csv", path):
        answer = browser.get(page)
        assert "•••• 3000" in answer.text
        assert IBAN not in answer.text
    day = {"on": TODAY.isoformat(), "reference": "B-1"}
    assert browser.post(f"{path}/send", data=day).status_code == 303
    assert browser.post(f"{path}/return", data={"reason": "Closed"}).status_code == 303
    answer = browser.post(f"{path}/replace", data={"payee_name": "Maria", "account_number": "1234567"})
    assert answer.location == f"/admin/disbursements/{order_id + 1}"
    assert browser.post(f"{answer.location}/cancel", data={"reason": "Keeps it"}).status_code == 303
    check_books()


def test_the_whole_account_number_needs_a_sign_in_of_the_last_ten_minutes(app):
    password = "four quiet green boats"
    admin = factories.user(Role.ADMIN, password_hash=passwords.hash_password(password))
    policy = factories.bound_policy()
    pay(policy.account_id, "2500.00")
    order = refund(policy.account_id, "10.00", admin)
    browser, path = factories.browser(admin), f"/admin/disbursements/{order.id}/account"
    assert IBAN in browser.get(path).text
    with transaction() as session:
        for signed_in in session.scalars(select(SignInSession)):
            signed_in.created_at -= timedelta(minutes=11)
    answer = browser.get(path)
    assert answer.location == f"/login/again?next={path}"
    assert browser.post(answer.location, data={"password": "wrong", "next": path}).status_code == 422
    assert browser.get(path).status_code == 303
    assert browser.post(answer.location, data={"password": password, "next": path}).location == path
    assert IBAN in browser.get(path).text


# A refund by the bank and one by the gateway, of the same payment


@pytest.fixture
def paid_by_card(app) -> Payment:
    """An invoice of 2,400 paid twice: by card, and the card's 2,400 are credit since another payment came."""
    person = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(customer=factories.customer(user=person))
    invoice = factories.first_invoice(policy)
    pending = payments.start_card(invoice_id=invoice.id, actor=person)
    pay(policy.account_id, "2400.00")
    assert pending.token
    return payments.finish_card(token=pending.token, accepted=True)


def by_gateway(payment: Payment, total: str) -> None:
    payments.refund_at_gateway(payment_id=payment.id, total=usd(total))


def by_bank(payment: Payment, amount: str, admin) -> Disbursement:
    order = refund(payment.account_id, amount, admin)
    if order.status is DisbursementStatus.REQUESTED:
        disbursements.approve(id=order.id, actor=factories.user(Role.ADMIN))
    return order


def send(order: Disbursement, admin) -> None:
    money_out.send(id=order.id, reference="T-9", on=TODAY, actor=admin)


def test_the_bank_and_the_gateway_together_pay_a_payment_back_whole(admin, paid_by_card):
    by_gateway(paid_by_card, "1400.00")
    order = by_bank(paid_by_card, "1000.00", admin)
    assert status_of(paid_by_card) == (PaymentStatus.PARTLY_REFUNDED, 2400_00)
    send(order, admin)
    assert status_of(paid_by_card) == (PaymentStatus.REFUNDED, 2400_00)
    check_books()


def test_a_payment_is_not_refunded_before_the_bank_has_sent_its_part(admin, paid_by_card):
    order = by_bank(paid_by_card, "1000.00", admin)
    by_gateway(paid_by_card, "1400.00")
    assert status_of(paid_by_card) == (PaymentStatus.PARTLY_REFUNDED, 2400_00)
    send(order, admin)
    assert status_of(paid_by_card) == (PaymentStatus.REFUNDED, 2400_00)
    check_books()


def test_an_order_called_off_after_the_gateway_refunded_gives_its_credit_back(admin, paid_by_card):
    order = by_bank(paid_by_card, "1000.00", admin)
    by_gateway(paid_by_card, "1400.00")
    money_out.cancel(id=order.id, reason="Not wanted", actor=admin)
    assert status_of(paid_by_card) == (PaymentStatus.PARTLY_REFUNDED, 1400_00)
    assert db.session.get_one(Payment, paid_by_card.id).left == usd("1000.00")
    check_books()


def test_what_the_gateway_pays_back_whole_is_not_sent_by_the_bank_as_well(admin, paid_by_card):
    order = by_bank(paid_by_card, "1000.00", admin)
    by_gateway(paid_by_card, "2400.00")
    assert db.session.get_one(Disbursement, order.id).status is DisbursementStatus.CANCELLED
    assert status_of(paid_by_card) == (PaymentStatus.REFUNDED, 2400_00)
    check_books()


def test_a_payment_refunded_whole_while_it_was_disputed_is_refunded_when_the_dispute_is_won(admin, paid_by_card):
    payments.charge_back(payment_id=paid_by_card.id, version=None, reason="Dispute", actor=admin)
    by_gateway(paid_by_card, "2400.00")
    payments.win(payment_id=paid_by_card.id, version=None, reason="Won", actor=admin)
    assert status_of(paid_by_card) == (PaymentStatus.REFUNDED, 2400_00)
    check_books()


def status_of(payment: Payment) -> tuple[PaymentStatus, int]:
    db.session.rollback()
    payment = db.session.get_one(Payment, payment.id)
    return payment.status, payment.refunded_minor

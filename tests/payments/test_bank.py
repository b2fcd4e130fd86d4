"""The bank's business: batches that pay each order once, statements that count once, lines that are confirmed once."""

from io import BytesIO

import pytest
from sqlalchemy import func, select

from insurance.admin import services as settings
from insurance.billing.domain import DisbursementStatus
from insurance.billing.models import BillingAccount, Disbursement, Invoice
from insurance.core.db import db
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, RuleBroken
from insurance.core.money import Money
from insurance.core.permissions import SYSTEM, Role
from insurance.payments import batches, money_out, statements
from insurance.payments import services as payments
from insurance.payments.bank import queries
from insurance.payments.bank.models import BankBatch, BankLine, BankStatement
from insurance.payments.bank.statements import Mapping
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Payment
from tests import factories
from tests.conftest import TODAY
from tests.payments.test_bank_files import camt, entry
from tests.payments.test_money_out import IBAN, check_books, refund
from tests.races import together

COMPANY = {"name": "Harbor Mutual", "account_number": "GB33BUKB20201555555555", "bic": "BUKBGB22"}


@pytest.fixture
def admin(app):
    made = factories.user(Role.ADMIN, authority_minor=1_000_000_00)
    settings.change_bank(version=0, **COMPANY, actor=made)
    return made


@pytest.fixture
def order_ids(admin) -> list[int]:
    """Two approved refunds of 40 and 60."""
    policy = factories.bound_policy()
    payments.record(
        account_id=policy.account_id,
        amount=Money.parse("2500", "USD"),
        method=PaymentMethod.BANK_TRANSFER,
        actor=SYSTEM,
    )
    return [refund(policy.account_id, amount, admin).id for amount in ("40.00", "60.00")]


def states() -> list[tuple[str, str]]:
    db.session.rollback()
    return [tuple(row) for row in db.session.execute(select(Disbursement.status, Disbursement.batch_number))]


def test_a_batch_has_each_approved_order_once_and_sends_all_of_them(app, admin, order_ids):
    done = together(app, [lambda: batches.make(currency="USD", actor=admin)] * 4)
    assert sum(isinstance(one, BankBatch) for one in done) == 1
    batch = db.session.scalars(select(BankBatch)).one()
    assert (batch.count, batch.total_minor) == (2, 100_00)
    assert states() == [("approved", batch.number)] * 2
    for act in (
        lambda: money_out.send(id=order_ids[0], reference="", on=TODAY, actor=admin),
        lambda: money_out.cancel(id=order_ids[0], reason="R", actor=admin),
    ):
        with pytest.raises(Conflict):
            act()
    check_books()
    batches.send(batch_id=batch.id, on=TODAY, actor=admin)
    assert states() == [("sent", batch.number)] * 2
    check_books()
    with pytest.raises(IllegalTransition):
        batches.send(batch_id=batch.id, on=TODAY, actor=admin)
    with pytest.raises(IllegalTransition):
        batches.discard(batch_id=batch.id, reason="R", actor=admin)


def test_a_discarded_batch_lets_its_orders_go_into_another_one(admin, order_ids):
    first = batches.make(currency="USD", actor=admin)
    batches.discard(batch_id=first.id, reason="Wrong day", actor=admin)
    second = batches.make(currency="USD", actor=admin)
    assert states() == [("approved", second.number)] * 2
    check_books()


def test_the_file_is_the_same_bytes_and_asks_for_the_account_first(app, admin, order_ids):
    browser = factories.browser(admin)
    answer = browser.post("/payments/batches/new", data={"currency": "USD"})
    assert answer.status_code == 303
    one, two = (browser.get(f"{answer.location}/file.xml") for _ in range(2))
    assert one.data == two.data
    assert IBAN.encode() in one.data
    assert IBAN not in browser.get(answer.location).text
    with pytest.raises(NotAllowed):
        batches.make(currency="USD", actor=factories.user(Role.AGENT))
    with pytest.raises(RuleBroken):
        batches.make(currency="EUR", actor=admin)


# Statements


def imported(admin, *entries: str) -> list[BankLine]:
    statement = statements.upload(name="may.xml", content=camt(*entries), actor=admin)
    statements.import_(statement_id=statement.id, mapping=None, only_good=False, actor=admin)
    return list(db.session.scalars(select(BankLine).order_by(BankLine.id)))


def test_the_same_statement_twice_and_one_that_overlaps_change_nothing(app, admin):
    assert len(imported(admin, entry(ref="R1"), entry(ref="R2"))) == 2
    assert len(imported(admin, entry(ref="R1"), entry(ref="R2"))) == 2
    assert len(imported(admin, entry(ref="R2"), entry(ref="R3"))) == 3
    assert db.session.scalar(select(func.count()).select_from(BankStatement)) == 2


def test_a_file_with_bad_rows_is_kept_in_its_good_ones_or_not_at_all(admin):
    content = b"Day,Sum,Text\n2026-05-01,1.00,a\n2026-05-02,x,b\n"
    mapping = Mapping("Day", "Sum", "Text")
    statement = statements.upload(name="may.csv", content=content, actor=admin)
    with pytest.raises(RuleBroken):
        statements.import_(statement_id=statement.id, mapping=mapping, only_good=False, actor=admin)
    assert db.session.scalar(select(func.count()).select_from(BankLine)) == 0
    assert statements.import_(statement_id=statement.id, mapping=mapping, only_good=True, actor=admin) == 1
    assert queries.last_mapping()["amount"] == "Sum"


def test_a_confirmed_line_pays_its_invoice_once_however_many_confirm(app, admin):
    invoice = factories.first_invoice(factories.bound_policy())
    [line] = imported(admin, entry(amount="2400.00").replace("INV-2026-000042", invoice.number))
    [best] = queries.proposals([line])[line.id]
    assert (best.act, best.target_id, best.score) == ("pay", invoice.id, 90)
    act = lambda: statements.confirm(line_id=line.id, act="pay", target_id=invoice.id, actor=admin)  # noqa: E731
    done = together(app, [act] * 5)
    assert sum(isinstance(one, BankLine) for one in done) == 1
    assert db.session.get_one(Invoice, invoice.id).status == "paid"
    payment = db.session.scalars(select(Payment)).one()
    assert (payment.method, str(payment.paid_on)) == ("bank_transfer", "2026-05-24")
    check_books()


def test_what_is_not_proposed_cannot_be_confirmed(admin):
    policy = factories.bound_policy()
    [line] = imported(admin, entry(amount="1.00"))
    with pytest.raises(Conflict):
        statements.confirm(line_id=line.id, act="pay", target_id=factories.first_invoice(policy).id, actor=admin)
    statements.ignore(line_id=line.id, actor=admin)
    statements.reopen(line_id=line.id, actor=admin)
    assert db.session.get_one(BankLine, line.id).status == "open"
    assert db.session.get_one(BillingAccount, policy.account_id).credit_minor == 0


def test_lines_settle_and_return_what_was_sent(admin, order_ids):
    batch = batches.make(currency="USD", actor=admin)
    batches.send(batch_id=batch.id, on=TODAY, actor=admin)
    ids = [queries.end_to_end_id(order_id) for order_id in order_ids]
    went, came = imported(
        admin,
        entry(amount="40.00", side="DBIT", ref="R1", e2e=ids[0]),
        entry(amount="60.00", ref="R2", e2e=ids[1]),
    )
    statements.confirm(line_id=went.id, act="settle", target_id=order_ids[0], actor=admin)
    statements.confirm(line_id=came.id, act="return", target_id=order_ids[1], actor=admin)
    assert [status for status, _ in states()] == [DisbursementStatus.SETTLED, DisbursementStatus.RETURNED]
    check_books()


def test_a_statement_is_imported_and_confirmed_by_pages(admin):
    invoice = factories.first_invoice(factories.bound_policy())
    browser = factories.browser(admin)
    content = f"Day;Sum;Text;Who\n2026-05-01;2.400,00;{invoice.number};Maria\n2026-05-02;x;;\n".encode()
    path = "/payments/bank/statements/new"
    answer = browser.post(path, data={"file": (BytesIO(content), "may.csv")})
    assert answer.status_code == 303
    mapping = {
        "date": "Day",
        "amount": "Sum",
        "reference": "Text",
        "party": "Who",
        "date_format": "%Y-%m-%d",
        "decimal": ",",
    }
    page = browser.post(answer.location, data=mapping)
    assert page.status_code == 422
    assert "Row 3" in page.text
    assert browser.post(answer.location, data=mapping | {"go": "good"}).location == "/payments/bank"
    line = db.session.scalars(select(BankLine)).one()
    for address in (
        "/payments/bank",
        f"/payments/bank/lines/{line.id}",
        "/payments/bank/lines",
        "/payments/bank/lines.csv",
    ):
        assert invoice.number in browser.get(address).text
    confirm = f"/payments/bank/lines/{line.id}/confirm?act=pay&target={invoice.id}"
    assert browser.post(confirm).status_code == 303
    assert browser.post(confirm).status_code == 409
    assert browser.post(path, data={"file": (BytesIO(b"nothing"), "x.csv")}).status_code == 422
    check_books()

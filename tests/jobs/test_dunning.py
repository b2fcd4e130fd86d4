"""A year of nights over every kind of payer: notices in their order, cover that ends only after fair warning."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from insurance.billing import queries as billing
from insurance.billing.domain import InvoiceStatus, Ladder, PaymentPlan, Step, lapse_on, next_step
from insurance.billing.models import CreditNote, DunningNotice, Invoice
from insurance.billing.services import dunning
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.errors import RuleBroken
from insurance.core.money import Money
from insurance.core.outbox import Mail, MailStatus
from insurance.core.permissions import SYSTEM
from insurance.customers.models import Customer
from insurance.documents.models import Document
from insurance.jobs import services as jobs
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod, PaymentStatus
from insurance.payments.models import Payment
from insurance.policies.models import Policy, PolicyTransaction
from tests import factories
from tests.conftest import TODAY
from tests.races import together

DAY = timedelta(days=1)
LADDER = Ladder()
DUE = date(2026, 6, 1)


def at(days: int) -> date:
    return DUE + timedelta(days=days)


# The ladder


def test_each_notice_has_its_day():
    sent: dict[Step, date | None] = {}
    steps = {}
    for days in range(-20, 60):
        step = next_step(LADDER, DUE, sent, at(days))
        if step:
            steps[days], sent[step] = step, at(days)
    assert steps == {-7: Step.REMINDER, 1: Step.OVERDUE, 10: Step.SECOND, 20: Step.CANCELLATION}


def test_a_notice_waits_until_the_one_before_was_handed_over_and_its_days_have_passed():
    assert next_step(LADDER, DUE, {Step.OVERDUE: None}, at(300)) is None
    handed_over = {Step.OVERDUE: at(40)}
    assert next_step(LADDER, DUE, handed_over, at(48)) is None
    assert next_step(LADDER, DUE, handed_over, at(49)) is Step.SECOND


def test_no_reminder_after_the_due_day_and_none_twice():
    assert next_step(LADDER, DUE, {}, at(0)) is None
    assert next_step(LADDER, DUE, {Step.REMINDER: at(-7)}, at(-1)) is None


@pytest.mark.parametrize(
    ("handed_over", "notice_days", "ends"), [(20, 10, 30), (25, 10, 35), (20, 30, 50), (5, 10, 30)]
)
def test_cover_ends_after_the_grace_and_after_the_notice_has_run(handed_over, notice_days, ends):
    assert lapse_on(LADDER, DUE, at(handed_over), notice_days) == at(ends)


@pytest.mark.parametrize(
    "steps", [{"reminder": 0}, {"overdue": 0}, {"second": 1}, {"cancellation": 30}, {"grace": 400}]
)
def test_steps_out_of_order_are_refused(steps):
    with pytest.raises(RuleBroken):
        Ladder(**steps)


# A year


class Year:
    """Nights one after the other; the mail of a day is handed over on that day, unless the server is down."""

    def __init__(self) -> None:
        self.day = TODAY
        self.mail_works = True

    def night(self) -> None:
        self.day += DAY
        with clock.at(self.day):
            jobs.run_nightly(self.day, lambda _line: None)
            if self.mail_works:
                with transaction():
                    for mail in db.session.query(Mail).filter_by(status=MailStatus.DUE):
                        mail.status, mail.sent_at = MailStatus.SENT, clock.now()

    def until(self, day: date, each: Callable[[], None] = lambda: None) -> None:
        while self.day < day:
            self.night()
            with clock.at(self.day):
                each()


@pytest.fixture
def year(app) -> Year:
    return Year()


def pay(policy: Policy, invoice: Invoice, amount: Money | None = None) -> None:
    payments.record(
        account_id=policy.account_id,
        amount=amount or invoice.open,
        method=PaymentMethod.BANK_TRANSFER,
        invoice_id=invoice.id,
        actor=SYSTEM,
    )


def pays_after(policy: Policy, days: int) -> Callable[[], None]:
    """Pays each invoice so many days after it was due."""

    def each() -> None:
        for invoice in billing.open_invoices(policy.account_id):
            if (clock.today() - invoice.due_on).days >= days:
                pay(policy, invoice)

    return each


def notices(policy: Policy) -> list[str]:
    rows = db.session.query(DunningNotice).join(Invoice, Invoice.id == DunningNotice.invoice_id)
    return [row.step for row in rows.filter(Invoice.account_id == policy.account_id).order_by(DunningNotice.id)]


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.mark.sqlite_only  # the other tests run their nights on both
def test_a_year_of_nights_over_every_kind_of_payer(year):
    monthly = {"plan": PaymentPlan.MONTHLY}
    in_time, late, at_the_last, never, in_part, no_mail, held = (factories.bound_policy(**monthly) for _ in range(7))
    yearly = factories.bound_policy()
    with transaction():
        db.session.get_one(Customer, no_mail.customer_id).email = ""
    agent = factories.user("agent", wide_sight=True)
    dunning.hold(account_id=held.account_id, version=1, until=TODAY + timedelta(days=200), reason="Ill", actor=agent)
    payers = [pays_after(in_time, 0), pays_after(late, 3), pays_after(at_the_last, 29), pays_after(yearly, -1)]

    def part() -> None:
        for invoice in billing.open_invoices(in_part.account_id):
            if invoice.status is InvoiceStatus.ISSUED:
                pay(in_part, invoice, Money.parse("1.00", "USD"))

    def everybody() -> None:
        for payer in (*payers, part):
            payer()

    everybody()
    year.until(TODAY + timedelta(days=366), everybody)
    status = {policy.id: policy.status for policy in db.session.query(Policy)}
    assert status[in_time.id] == status[late.id] == status[at_the_last.id] == status[yearly.id] == "expired"
    assert status[never.id] == status[in_part.id] == "lapsed"
    assert status[no_mail.id] == "expired", "a letter that nobody posted never ends cover"
    assert status[held.id] == "lapsed"
    assert set(notices(in_time)) <= {"reminder"}
    assert notices(late).count("overdue") == 12
    assert "second" not in notices(late)
    assert notices(at_the_last).count("cancellation") >= 11
    lapsed = db.session.get_one(Policy, never.id)
    assert lapsed.cancelled_on == TODAY + timedelta(days=30)
    assert [step for step in notices(never) if step != "reminder"][:3] == ["overdue", "second", "cancellation"]
    assert db.session.get_one(Policy, held.id).cancelled_on > TODAY + timedelta(days=200)
    check_books()


def test_a_lapse_gives_back_what_is_unearned_and_leaves_due_what_was_covered(year):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    year.until(TODAY + timedelta(days=30))
    lapsed = db.session.get_one(Policy, policy.id)
    assert (lapsed.status, lapsed.cancelled_on) == ("lapsed", TODAY + timedelta(days=30))
    # 2,400.00 × 335 ÷ 365 = 2,202.74 goes back, 197.26 is earned.
    new_business, lapse = db.session.query(PolicyTransaction).filter_by(policy_id=policy.id).order_by("number")
    assert (new_business.premium.minor, lapse.premium.minor, lapsed.premium.minor) == (2400_00, -2202_74, 197_26)
    open_ = billing.open_invoices(policy.account_id)
    assert sum(invoice.open.minor for invoice in open_) == 197_26
    # Two months were billed, 400.00: the second invoice is credited but for nothing, the first in part.
    note = db.session.query(CreditNote).one()
    assert note.amount.minor == 202_74
    assert [row.number for row in billing.credit_notes_on(open_[0].id)] == [note.number]
    mail = db.session.query(Mail).filter_by(template="policy_lapsed").one()
    assert (mail.data["still_due"], mail.data["last_day"]) == ("$197.26", "30 Jun 2026")
    check_books()
    year.until(TODAY + timedelta(days=45))
    assert db.session.query(CreditNote).count() == 1
    pay(policy, billing.open_invoices(policy.account_id)[0])
    check_books()


def test_earned_premium_that_was_not_billed_yet_is_billed_at_the_lapse(year):
    policy = factories.bound_policy(plan=PaymentPlan.ANNUAL)
    pay(policy, factories.first_invoice(policy), Money.parse("10.00", "USD"))
    year.until(TODAY + timedelta(days=30))
    [invoice] = billing.open_invoices(policy.account_id)
    assert (invoice.open.minor, invoice.status) == (197_26 - 10_00, "part_paid")
    check_books()


def test_paying_what_the_notice_asks_for_stops_it(year):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    year.until(TODAY + timedelta(days=29))
    notice = db.session.query(DunningNotice).filter_by(step=Step.CANCELLATION).one()
    assert db.session.get_one(Document, notice.document_id).data["amount"] == "$200.00"
    with clock.at(year.day):
        pay(policy, factories.first_invoice(policy))
    year.until(TODAY + timedelta(days=40))
    assert db.session.get_one(Policy, policy.id).status == "active"


def test_a_payment_on_its_way_makes_the_lapse_wait(year):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    year.until(TODAY + timedelta(days=29))
    with transaction():
        payment = Payment(
            account_id=policy.account_id, amount_minor=200_00, currency="USD", method=PaymentMethod.DIRECT_DEBIT,
            status=PaymentStatus.PENDING, paid_on=year.day, created_at=clock.now(),
        )  # fmt: skip
        db.session.add(payment)
    year.until(TODAY + timedelta(days=33))
    assert db.session.get_one(Policy, policy.id).status == "active"
    with transaction():
        db.session.query(Payment).one().status = PaymentStatus.FAILED
    year.night()
    assert db.session.get_one(Policy, policy.id).status == "lapsed"


def test_weeks_without_mail_move_every_notice_and_never_end_cover_by_surprise(year):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    year.mail_works = False
    year.until(TODAY + timedelta(days=40))
    assert set(notices(policy)) == {"overdue", "reminder"}
    year.mail_works = True
    year.until(TODAY + timedelta(days=41))  # the overdue notice is handed over only now
    first = db.session.query(DunningNotice).filter_by(invoice_id=factories.first_invoice(policy).id)
    year.until(TODAY + timedelta(days=49))
    assert first.count() == 1
    year.until(TODAY + timedelta(days=60))
    assert [notice.step for notice in first.order_by(DunningNotice.id)] == ["overdue", "second", "cancellation"]
    assert db.session.get_one(Policy, policy.id).status == "active"
    ends = first.filter_by(step=Step.CANCELLATION).one().lapse_on
    assert ends == TODAY + timedelta(days=70)
    year.until(ends - DAY)
    assert db.session.get_one(Policy, policy.id).status == "active"
    year.until(ends)
    assert db.session.get_one(Policy, policy.id).cancelled_on == ends


def test_a_letter_counts_from_the_day_it_was_posted(year):
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY)
    agent = factories.user("agent", wide_sight=True)
    with transaction():
        db.session.get_one(Customer, policy.customer_id).email = ""
    year.until(TODAY + timedelta(days=5))
    [letter] = billing.letters_to_post(agent)
    with clock.at(TODAY + timedelta(days=5)):
        dunning.mark_posted(notice_id=letter.id, actor=agent)
    assert billing.letters_to_post(agent) == []
    year.until(TODAY + timedelta(days=13))
    assert notices(policy) == ["overdue"]
    year.until(TODAY + timedelta(days=14))
    assert notices(policy) == ["overdue", "second"]


def test_several_machines_at_once_send_each_notice_and_end_each_cover_once(app, year):
    for _ in range(3):
        factories.bound_policy(plan=PaymentPlan.MONTHLY)
    year.until(TODAY + timedelta(days=19))
    day = TODAY + timedelta(days=20)

    def night() -> None:
        with clock.at(day):
            jobs.run_nightly(day, lambda _line: None)

    together(app, [night] * 4)
    db.session.remove()
    assert db.session.query(DunningNotice).filter_by(step=Step.CANCELLATION).count() == 3
    year.until(TODAY + timedelta(days=29))
    day = TODAY + timedelta(days=30)
    together(app, [night] * 4)
    db.session.remove()
    assert [policy.status for policy in db.session.query(Policy)] == ["lapsed"] * 3
    assert db.session.query(CreditNote).count() == 3
    check_books()

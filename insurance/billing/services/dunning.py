"""Notices about unpaid invoices: sent step by step by the nightly run, held on request, posted where mail cannot go."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date

from flask import current_app

from ...core import audit, clock, numbering, outbox
from ...core.dates import in_words, last_day
from ...core.db import add_all, check_version, db, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...customers.models import Customer
from ...documents import services as documents
from ...documents.models import Document, DocumentKind
from .. import queries
from ..domain import STEP_WORDS, Ladder, Step, lapse_on, next_step
from ..models import BillingAccount, DunningNotice, Invoice

NoticeDays = Callable[[Sequence[int]], Mapping[int, int]]
"""Of some accounts, those whose policy is in force, and the days that its notice of cancellation must run."""


def send_notices(
    *,
    on: date,
    notice_days: NoticeDays,
    spared: Collection[int] = (),
    actor: Actor,
    among: Sequence[int] | None = None,
) -> int:
    """Send every notice that is due on a day, some hundreds of accounts at once, or among some; how many.

    `spared` are accounts that wait, because a payment is on its way. Broken off, it goes on where it was; run again, it
    sends nothing twice.
    """
    sent = 0
    for ladder, of in queries.ladders():
        for found in queries.accounts_to_dun(on, ladder, of, among):
            ids = [id_ for id_ in found if id_ not in spared]
            sent += _send_chunk(ids, on, ladder, notice_days(ids), actor)
    return sent


@transactional
def _send_chunk(
    account_ids: Sequence[int], on: date, ladder: Ladder, notice_days: Mapping[int, int], actor: Actor
) -> int:
    accounts = queries.lock_accounts(account_ids)
    taken = queries.notices_taken(account_ids)
    collected = queries.mandates_in_force(account_ids)
    late: dict[int, Money] = {}
    due: list[tuple[Invoice, Step]] = []
    for invoice in queries.invoices_open_on(account_ids):
        if invoice.due_on < on:
            late[invoice.account_id] = late.get(invoice.account_id, Money.zero(invoice.currency)) + invoice.open
        step = next_step(ladder, invoice.due_on, taken.get(invoice.id, {}), on)
        if step is Step.REMINDER and invoice.account_id in collected:
            continue  # nobody has to pay what is collected
        if step and (step is not Step.CANCELLATION or invoice.account_id in notice_days):
            due.append((invoice, step))
    numbers = numbering.take_some("NOT", len(due)) if due else []
    notices = []
    for number, (invoice, step) in zip(numbers, due, strict=True):
        ends = (
            lapse_on(ladder, invoice.due_on, on, notice_days[invoice.account_id]) if step is Step.CANCELLATION else None
        )
        notices.append(DunningNotice(number=number, invoice_id=invoice.id, step=step, decided_on=on, lapse_on=ends))
    written = [
        _document(notice, invoice, *accounts[invoice.account_id], late.get(invoice.account_id, invoice.open))
        for notice, (invoice, _) in zip(notices, due, strict=True)
    ]
    add_all(written)
    for notice, document in zip(notices, written, strict=True):
        notice.document_id = document.id
    add_all(notices)
    for notice, document, (invoice, _) in zip(notices, written, due, strict=True):
        _mail(notice, document, accounts[invoice.account_id][1])
        audit.record("send", notice, label=notice.number, actor=actor, step=notice.step, invoice=invoice.number)
    return len(notices)


def _document(
    notice: DunningNotice, invoice: Invoice, account: BillingAccount, customer: Customer, late: Money
) -> Document:
    amount = late if notice.step is Step.CANCELLATION else invoice.open
    return documents.written(
        kind=DocumentKind.NOTICE,
        number=notice.number,
        customer=customer,
        policy_number=account.policy_number,
        data={
            "title": STEP_WORDS[notice.step],
            "step": notice.step,
            "product": account.product_name,
            "invoice": invoice.number,
            "due_on": in_words(invoice.due_on),
            "amount": amount.in_words,
            "last_day": in_words(last_day(notice.lapse_on)) if notice.lapse_on else "",
            "ends_on": in_words(notice.lapse_on) if notice.lapse_on else "",
            "pay_url": _pay_url(invoice),
        },
    )


def _mail(notice: DunningNotice, document: Document, customer: Customer) -> None:
    if customer.email:
        keys = ("invoice", "policy_number", "amount", "due_on", "last_day", "pay_url")
        outbox.enqueue(
            f"notice_{notice.step}",
            to=customer.email,
            document_id=document.id,
            name=customer.name,
            number=notice.number,
            **{key: document.data[key] for key in keys},
        )


@transactional
def remind(*, invoice_id: int, actor: Actor) -> Invoice:
    """Mail what is open on an invoice to the customer again, with the invoice; the ladder is not moved by it."""
    check_may(actor, "notice:remind")
    invoice, account = queries.get_invoice(invoice_id, actor)
    lock(BillingAccount, account.id)
    invoice = lock(Invoice, invoice.id)
    customer = db.session.get_one(Customer, account.customer_id)
    if not invoice.open:
        raise Conflict("Nothing is open on this invoice.")
    if not customer.email:
        raise RuleBroken("No e-mail address of this customer is entered. Call, or send the PDF by post.")
    outbox.enqueue(
        f"notice_{Step.OVERDUE if invoice.due_on < clock.today() else Step.REMINDER}",
        to=customer.email,
        document_id=invoice.document_id,
        name=customer.name,
        number=invoice.number,
        invoice=invoice.number,
        policy_number=account.policy_number,
        amount=invoice.open.in_words,
        due_on=in_words(invoice.due_on),
        last_day="",
        pay_url=_pay_url(invoice),
    )
    audit.record("remind", invoice, label=invoice.number, actor=actor, amount=invoice.open)
    return invoice


def _pay_url(invoice: Invoice) -> str:
    return f"{current_app.config['PUBLIC_URL']}/portal/pay/{invoice.id}"


@transactional
def mark_posted(*, notice_id: int, actor: Actor) -> DunningNotice:
    """Note that a notice went out as a letter today: from now on its days count."""
    check_may(actor, "notice:post")
    notice = lock(DunningNotice, queries.get_notice(notice_id, actor).id)
    if notice.posted_on:
        raise Conflict("Somebody has noted already that this letter was posted.")
    notice.posted_on, notice.posted_by_id = clock.today(), actor.id
    audit.record("post", notice, label=notice.number, actor=actor, posted_on=notice.posted_on)
    return notice


@transactional
def hold(*, account_id: int, version: int, until: date | None, reason: str, actor: Actor) -> BillingAccount:
    """Let an account's notices and lapse wait through a day, or go on again."""
    check_may(actor, "notice:hold")
    account = lock(BillingAccount, queries.get_account(account_id, actor).id)
    check_version(account, version)
    if until and until < clock.today():
        raise RuleBroken("A hold ends today or later.", "until")
    before = {"hold_until": account.hold_until}
    account.hold_until, account.hold_reason = until, reason if until else ""
    account.version += 1
    audit.record(
        "hold", account, label=account.policy_number, actor=actor, before=before, hold_until=until, reason=reason
    )
    return account


def lapse_due(account: BillingAccount, *, on: date, notice_days: int) -> Invoice | None:
    """The unpaid invoice for which an account's cover ends on a day, once its notice has run; asked under lock."""
    if account.hold_until and account.hold_until >= on:
        return None
    ladder = queries.ladder(account.product_code)
    taken = queries.notices_taken([account.id])
    for invoice in queries.open_invoices(account.id):
        handed_over = taken.get(invoice.id, {}).get(Step.CANCELLATION)
        printed = queries.printed_lapse(invoice.id)
        if handed_over and printed and on >= max(printed, lapse_on(ladder, invoice.due_on, handed_over, notice_days)):
            return db.session.get_one(Invoice, invoice.id)
    return None

"""What is owed: items, and the invoices that demand them."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from flask import current_app

from ...core import audit, clock, numbering, outbox
from ...core.dates import in_words, last_day
from ...core.db import add, add_all, check_version, insert_all, lock, next_ids, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...core.worksheet import Worksheet, step
from ...customers.models import Customer
from ...documents import services as documents
from ...documents.models import Document, DocumentKind
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from ...ledger.models import Transfer
from .. import queries
from ..domain import Instalment, ItemKind, PaymentPlan
from ..models import OPEN, BillingAccount, BillingItem, Invoice, InvoiceLine
from ..queries import Shares
from .announcement import announcement

CREDITED_AT_INVOICE = {
    ItemKind.CHARGE: Account.UNBILLED,
    ItemKind.TAX: Account.TAX_PAYABLE,
    ItemKind.FEE: Account.FEE_INCOME,
}
"""The account that an item is taken from when its invoice is issued."""
ITEM_WORDS = {ItemKind.CHARGE: "Premium", ItemKind.TAX: "Tax", ItemKind.FEE: "Fee"}


def open_account(
    *,
    policy_number: str,
    product_code: str,
    product_name: str,
    customer: Customer,
    currency: str,
    plan: PaymentPlan,
) -> BillingAccount:
    """The billing account of a policy; part of the transaction that binds it."""
    return add(
        BillingAccount(
            customer_id=customer.id,
            policy_number=policy_number,
            product_code=product_code,
            product_name=product_name,
            holder_name=customer.name,
            currency=currency,
            plan=plan,
            created_at=clock.now(),
        )
    )


def charge(account: BillingAccount, instalments: Sequence[Instalment], *, on: date) -> None:
    """Write what is to be paid as items; the premium becomes receivable, not billed yet."""
    write_items(account, instalments, of=len(instalments))
    ledger.post(
        Event.BIND,
        account.id,
        debit=(Account.UNBILLED, account.id),
        credit=(Account.WRITTEN_PREMIUM, account.id),
        amount=sum((instalment.premium for instalment in instalments), Money.zero(account.currency)),
        on=on,
    )


def write_items(account: BillingAccount, instalments: Sequence[Instalment], *, of: int) -> None:
    """Write the premium, tax and fee of instalments as items, out of so many in all."""
    add_all(
        [
            BillingItem(
                account_id=account.id,
                kind=kind,
                instalment=instalment.number,
                instalments=of,
                period_start=instalment.period_start,
                period_end=instalment.period_end,
                bills_on=instalment.bills_on,
                due_on=instalment.due_on,
                amount_minor=amount.minor,
                currency=amount.currency,
                basis=basis,
            )
            for instalment in instalments
            for kind, amount, basis in (
                (ItemKind.CHARGE, instalment.premium, ""),
                (ItemKind.TAX, instalment.tax, ""),
                (ItemKind.FEE, instalment.fee, instalment.fee_basis),
            )
            if amount
        ]
    )


@transactional
def issue_due(account: BillingAccount, *, on: date, actor: Actor) -> int:
    """Issue an invoice for each instalment of an account that bills by a day and has none yet; how many."""
    return _issue([account.id], on, actor)


def issue_all_due(*, on: date, actor: Actor, among: Sequence[int] | None = None) -> int:
    """Issue every invoice that bills by a day, some hundreds of accounts at once, or among some; how many.

    Broken off, it goes on where it was.
    """
    chunks = queries.accounts_to_bill(on) if among is None else [among]
    return sum(_issue_chunk(account_ids, on, actor) for account_ids in chunks)


@transactional
def _issue_chunk(account_ids: Sequence[int], on: date, actor: Actor) -> int:
    return _issue(account_ids, on, actor)


def _issue(account_ids: Sequence[int], on: date, actor: Actor) -> int:
    """Issue what some accounts have to be billed, table by table; how many invoices."""
    accounts = queries.lock_accounts(account_ids)
    shares = queries.shares(account_ids)
    items = queries.items_to_bill(account_ids, on)
    parts = [list(part) for _, part in groupby(items, key=lambda item: (item.account_id, item.instalment))]
    if not parts:
        return 0
    ids, document_ids = next_ids(Invoice, len(parts)), next_ids(Document, len(parts))
    numbers = numbering.take_some("INV", len(parts))
    bills = [
        (_invoice(invoice_id, document_id, number, part, on), *accounts[part[0].account_id], part)
        for invoice_id, document_id, number, part in zip(ids, document_ids, numbers, parts, strict=True)
    ]
    told = _announcements([invoice for invoice, *_ in bills], on)
    insert_all(
        [
            _document(invoice, part, shares, account, customer, told.get(invoice.number))
            for invoice, account, customer, part in bills
        ]
    )
    insert_all([invoice for invoice, *_ in bills])
    insert_all([InvoiceLine(item_id=item.id, invoice_id=invoice.id) for invoice, *_, part in bills for item in part])
    insert_all([_transfer(invoice, item, on) for invoice, *_, part in bills for item in part])
    insert_all(
        [
            _mail(invoice, account, customer, told.get(invoice.number))
            for invoice, account, customer, _ in bills
            if customer.email
        ]
    )
    for invoice, *_ in bills:
        audit.record("issue", invoice, label=invoice.number, actor=actor, total=invoice.total, due_on=invoice.due_on)
    return len(bills)


def _invoice(id: int, document_id: int, number: str, items: list[BillingItem], on: date) -> Invoice:
    first = items[0]
    return Invoice(
        id=id,
        document_id=document_id,
        number=number,
        account_id=first.account_id,
        instalment=first.instalment,
        instalments=first.instalments,
        issued_on=on,
        due_on=max(first.due_on, on),
        total_minor=sum(item.amount_minor for item in items),
        currency=first.currency,
    )


def _transfer(invoice: Invoice, item: BillingItem, on: date) -> Transfer:
    return ledger.written(
        Event.INVOICE_ISSUED,
        invoice.id,
        debit=(Account.BILLED, item.account_id),
        credit=(CREDITED_AT_INVOICE[item.kind], item.account_id if item.kind is ItemKind.CHARGE else COMPANY),
        amount=item.amount,
        on=on,
    )


def _announcements(invoices: Sequence[Invoice], on: date) -> dict[str, dict[str, str]]:
    """How each invoice will be collected, by its number; nothing of those that their payers pay themselves."""
    plan = queries.collection_plan()
    mandates = queries.mandates_in_force([invoice.account_id for invoice in invoices])
    told = {
        invoice.number: announcement(mandates[invoice.account_id], invoice.total, plan.collect_on(invoice.due_on, on))
        for invoice in invoices
        if invoice.account_id in mandates
    }
    return {number: facts for number, facts in told.items() if facts}


def _mail(invoice: Invoice, account: BillingAccount, customer: Customer, told: dict[str, str] | None) -> outbox.Mail:
    to_pay = {
        "amount": invoice.total.in_words,
        "due_on": in_words(invoice.due_on),
        "pay_url": f"{current_app.config['PUBLIC_URL']}/portal/pay/{invoice.id}",
    }
    return outbox.written(
        "invoice_collected" if told else "invoice_issued",
        to=customer.email,
        document_id=invoice.document_id,
        name=customer.name,
        number=invoice.number,
        policy_number=account.policy_number,
        **(told or to_pay),
    )


def _document(
    invoice: Invoice,
    items: list[BillingItem],
    shares: Shares,
    account: BillingAccount,
    customer: Customer,
    told: dict[str, str] | None,
) -> Document:
    part = f"Instalment {invoice.instalment} of {invoice.instalments}" if invoice.instalments > 1 else ""
    document = documents.written(
        kind=DocumentKind.INVOICE,
        number=invoice.number,
        customer=customer,
        policy_number=account.policy_number,
        data={
            "product": account.product_name,
            "due_on": in_words(invoice.due_on),
            "instalment": part,
            "items": [
                {"text": ITEM_WORDS[item.kind], "period": _period(item), "amount": item.amount.in_words}
                for item in items
            ],
            "total": invoice.total.in_words,
            "worksheet": worksheet(items, shares),
            "collected": told or {},
            "pay_url": f"{current_app.config['PUBLIC_URL']}/portal/payments",
        },
    )
    document.id = invoice.document_id
    return document


def _period(item: BillingItem) -> str:
    return f"{in_words(item.period_start)} – {in_words(last_day(item.period_end))}"


def worksheet(items: Sequence[BillingItem], shares: Shares) -> Worksheet:
    """Why an invoice asks what it asks, line by line, made of the very items that it bills."""
    lines = []
    for item in items:
        whole, parts = shares[item.account_id, item.kind]
        how = item.basis or f"{whole.in_words} for the term"
        if parts > 1:
            how += f", instalment {item.instalment} of {item.instalments}"
        lines.append(step(ITEM_WORDS[item.kind], how, item.amount))
    return lines


@transactional
def change_due(*, invoice_id: int, version: int, due_on: date, reason: str, actor: Actor) -> Invoice:
    """Give the payer of an open invoice another day. Its document, and the mail that brought it, keep the old one."""
    check_may(actor, "invoice:edit")
    invoice = lock(Invoice, queries.get_invoice(invoice_id, actor)[0].id)
    check_version(invoice, version)
    if invoice.status not in OPEN:
        raise Conflict("Nothing is open on this invoice any more, so it has no day to be paid by.")
    if due_on < invoice.issued_on:
        raise RuleBroken(f"It cannot be due before it was issued, on {in_words(invoice.issued_on)}.", "due_on")
    before, invoice.due_on = {"due_on": invoice.due_on}, due_on
    invoice.version += 1
    audit.record("change_due", invoice, label=invoice.number, actor=actor, before=before, due_on=due_on, reason=reason)
    return invoice

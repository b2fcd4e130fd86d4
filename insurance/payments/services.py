"""Taking money in: recorded by staff or by card, allocated, receipted and posted in one transaction."""

import secrets
from datetime import date

from ..billing import queries as billing
from ..billing.domain import INVOICE_LIFECYCLE, InvoiceStatus, OpenInvoice, allocate
from ..billing.models import BillingAccount, Invoice
from ..core import audit, clock, numbering, outbox
from ..core.dates import in_words
from ..core.db import add, check_version, db, lock, transactional
from ..core.errors import Conflict, NotFound, RuleBroken
from ..core.idempotency import once
from ..core.money import Money
from ..core.permissions import SYSTEM, Actor, check_may
from ..customers.models import Customer
from ..documents import services as documents
from ..documents.models import DocumentKind
from ..ledger import services as ledger
from ..ledger.domain import COMPANY, Account, Event
from . import queries
from .domain import METHOD_WORDS, PAYMENT_LIFECYCLE, PaymentMethod, PaymentStatus
from .gateways import test
from .models import Allocation, Payment, Receipt

DEBITED = {
    PaymentMethod.CARD: Account.GATEWAY_CLEARING,
    PaymentMethod.BANK_TRANSFER: Account.BANK,
    PaymentMethod.DIRECT_DEBIT: Account.BANK,
    PaymentMethod.CASH: Account.AGENT_CASH,
    PaymentMethod.CHEQUE: Account.CHEQUES,
}
"""Where the money lies when it has come in."""


@transactional
@once(Payment)
def record(
    *,
    account_id: int,
    amount: Money,
    method: PaymentMethod,
    invoice_id: int | None = None,
    paid_on: date | None = None,
    reference: str = "",
    note: str = "",
    actor: Actor,
) -> Payment:
    """Record money that staff received: processed at once. It pays the named invoice first, then the oldest due."""
    check_may(actor, "payment:record")
    if method is PaymentMethod.CARD:
        raise RuleBroken("Cards are charged through the payment page only.", "method")
    if paid_on and paid_on > clock.today():
        raise RuleBroken("The date of payment must be today or in the past.", "paid_on")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    if invoice_id is not None and billing.get_invoice(invoice_id, actor)[1].id != account.id:
        raise NotFound("We cannot find that invoice on this account.")
    payment = _create(account, invoice_id, amount, method, paid_on or clock.today(), actor)
    payment.reference, payment.note = reference, note
    _process(account, payment, actor)
    return payment


@transactional
def edit(*, payment_id: int, version: int, reference: str, note: str, actor: Actor) -> Payment:
    """Change what staff wrote about a payment; what was paid, how and when, never changes, nor does the receipt."""
    check_may(actor, "payment:edit")
    found, account, _ = queries.get_payment(payment_id, actor)
    payment = lock(Payment, found.id)
    check_version(payment, version)
    before = {"reference": payment.reference, "note": payment.note}
    payment.reference, payment.note = reference, note
    payment.version += 1
    audit.record(
        "edit", payment, label=account.policy_number, actor=actor, before=before, reference=reference, note=note
    )
    return payment


@transactional
def delete(*, payment_id: int, actor: Actor) -> None:
    """Delete a payment that was begun and never made; what has moved money stays."""
    check_may(actor, "payment:delete")
    found, account, _ = queries.get_payment(payment_id, actor)
    lock(BillingAccount, account.id)
    payment = lock(Payment, found.id)
    if payment.status is not PaymentStatus.CREATED:
        raise Conflict("This payment is more than begun, and must be kept. If it was made, refund it.")
    audit.record("delete", payment, label=account.policy_number, actor=actor, before={"amount": payment.amount})
    db.session.delete(payment)


@transactional
@once(Payment)
def start_card(*, invoice_id: int, actor: Actor) -> Payment:
    """Begin to pay what is open on an invoice by card; the payer goes on at the gateway."""
    check_may(actor, "payment:pay_by_card")
    if not test.serves():
        raise RuleBroken("Cards can't be charged here yet. Pay by bank transfer or cheque, and name the invoice.")
    invoice, account = billing.get_invoice(invoice_id, actor)
    account = lock(BillingAccount, account.id)
    db.session.refresh(invoice)
    if not invoice.open:
        raise RuleBroken("This invoice is already paid. You have not been charged again.")
    begun = queries.begun_by_card(invoice.id, invoice.open)
    if begun:  # in another tab, or left at the gateway: one payment has one token, which charges once
        return begun
    payment = _create(account, invoice.id, invoice.open, PaymentMethod.CARD, clock.today(), actor)
    payment.token = secrets.token_urlsafe(24)
    audit.record("start", payment, label=invoice.number, actor=actor, amount=payment.amount, method=payment.method)
    return payment


@transactional
def finish_card(*, token: str, accepted: bool) -> Payment:
    """What the gateway says of a payment, however often it says it. Knowing the token is the right to say it."""
    found = queries.find_by_token(token)
    if found is None:
        raise NotFound("We cannot find that payment.")
    account = lock(BillingAccount, found.account_id)
    payment = lock(Payment, found.id)
    if payment.status is not PaymentStatus.CREATED:
        return payment
    if accepted:
        payment.paid_on = clock.today()
        _process(account, payment, SYSTEM)
    else:
        _move(payment, "fail")
        audit.record("fail", payment, label=account.policy_number, actor=SYSTEM, amount=payment.amount)
    return payment


def apply_all_credit() -> int:
    """Use the credit of every account that has some and an open invoice; how many accounts."""
    return sum(bool(apply_credit(account_id)) for account_id in queries.accounts_with_usable_credit())


@transactional
def apply_credit(account_id: int) -> Money:
    """Pay an account's open invoices from its credit, the oldest payments first; how much was used."""
    account = lock(BillingAccount, account_id)
    used = Money.zero(account.currency)
    for payment in queries.unallocated(account.id):
        used += _allocate(account, payment, None)
    if used:
        audit.record("apply_credit", account, label=account.policy_number, actor=SYSTEM, amount=used)
    return used


def _create(
    account: BillingAccount, invoice_id: int | None, amount: Money, method: PaymentMethod, paid_on: date, actor: Actor
) -> Payment:
    if amount.currency != account.currency:
        raise RuleBroken(f"This account is kept in {account.currency}.", "amount")
    if amount.minor <= 0:
        raise RuleBroken("Enter an amount above 0.", "amount")
    return add(
        Payment(
            account_id=account.id,
            invoice_id=invoice_id,
            amount_minor=amount.minor,
            currency=amount.currency,
            method=method,
            status=PAYMENT_LIFECYCLE.initial,
            paid_on=paid_on,
            allocated_minor=0,
            recorded_by_id=actor.id,
            created_at=clock.now(),
        )
    )


def _move(payment: Payment, action: str) -> None:
    """The one place that moves a status."""
    payment.status = PAYMENT_LIFECYCLE.next(payment.status, action)


def _process(account: BillingAccount, payment: Payment, actor: Actor) -> None:
    """The money is here: post it, allocate it, and write the receipt and its mail."""
    _move(payment, "process")
    today = clock.today()
    ledger.post(
        Event.PAYMENT,
        payment.id,
        debit=(DEBITED[payment.method], COMPANY),
        credit=(Account.CUSTOMER_CREDIT, account.id),
        amount=payment.amount,
        on=today,
    )
    account.credit_minor += payment.amount_minor
    _allocate(account, payment, payment.invoice_id)
    _receipt(account, payment)
    audit.record(
        "process", payment, label=account.policy_number, actor=actor, amount=payment.amount, method=payment.method
    )


def _allocate(account: BillingAccount, payment: Payment, first_id: int | None) -> Money:
    """Let what a payment has left pay the account's open invoices; how much it paid. The rest stays credit."""
    invoices = {invoice.number: invoice for invoice in billing.open_invoices(account.id)}
    named = next((invoice.number for invoice in invoices.values() if invoice.id == first_id), None)
    open_ = [OpenInvoice(invoice.number, invoice.due_on, invoice.open) for invoice in invoices.values()]
    parts, _ = allocate(open_, payment.left, first=named)
    paid = Money.zero(payment.currency)
    for number, part in parts:
        invoice = lock(Invoice, invoices[number].id)
        invoice.paid_minor += part.minor
        whole = invoice.paid_minor + invoice.credited_minor == invoice.total_minor
        to = InvoiceStatus.PAID if whole else InvoiceStatus.PART_PAID
        invoice.status = INVOICE_LIFECYCLE.next(invoice.status, "pay", to)
        allocation = add(
            Allocation(
                payment_id=payment.id,
                invoice_id=invoice.id,
                amount_minor=part.minor,
                currency=part.currency,
                allocated_on=clock.today(),
            )
        )
        ledger.post(
            Event.ALLOCATION,
            allocation.id,
            debit=(Account.CUSTOMER_CREDIT, account.id),
            credit=(Account.BILLED, account.id),
            amount=part,
            on=clock.today(),
        )
        paid += part
    payment.allocated_minor += paid.minor
    account.credit_minor -= paid.minor
    return paid


def _receipt(account: BillingAccount, payment: Payment) -> None:
    customer = db.session.get_one(Customer, account.customer_id)
    number = numbering.take("RCT")
    said = {
        "amount": payment.amount.in_words,
        "method": METHOD_WORDS[payment.method],
        "paid_on": in_words(payment.paid_on),
    }
    document = documents.issue(
        kind=DocumentKind.RECEIPT,
        number=number,
        customer=customer,
        policy_number=account.policy_number,
        data={
            **said,
            "product": account.product_name,
            "reference": payment.reference,
            "allocations": [
                {"invoice": row.number, "amount": Money(row.amount_minor, row.currency).in_words}
                for row in queries.allocations(payment.id)
            ],
            "credit": payment.left.in_words if payment.left else "",
            "worksheet": [],
        },
    )
    add(Receipt(number=number, payment_id=payment.id, document_id=document.id, issued_on=clock.today()))
    if customer.email:
        outbox.enqueue(
            "receipt",
            to=customer.email,
            document_id=document.id,
            name=customer.name,
            number=number,
            policy_number=account.policy_number,
            **said,
        )

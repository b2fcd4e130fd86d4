"""What money pays: allocated to invoices, taken back from them, moved between them; credit put to use."""

from collections.abc import Sequence

from ...billing import queries as billing
from ...billing.domain import INVOICE_LIFECYCLE, InvoiceStatus, OpenInvoice, allocate
from ...billing.models import OPEN, BillingAccount, Invoice
from ...billing.services import credit
from ...core import audit, clock
from ...core.db import add, check_version, lock, transactional
from ...core.errors import Conflict, NotFound, RuleBroken
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor, check_may
from ...ledger import services as ledger
from ...ledger.domain import Account, Event
from .. import queries
from ..domain import LIVE
from ..models import Allocation, Payment


def apply_all_credit(among: Sequence[int] | None = None) -> int:
    """Use the credit of every account that has some and an open invoice, or among some; how many accounts."""
    account_ids = queries.accounts_with_usable_credit() if among is None else among
    return sum(bool(apply_credit(account_id)) for account_id in account_ids)


@transactional
def apply_credit(account_id: int) -> Money:
    """Pay an account's open invoices, the oldest due first, from its credit; how much was used."""
    account = lock(BillingAccount, account_id)
    used = spend_credit(account)
    if used:
        audit.record("apply_credit", account, label=account.policy_number, actor=SYSTEM, amount=used)
    return used


@transactional
def use_credit(*, invoice_id: int, actor: Actor) -> Money:
    """Pay an invoice from the account's credit, as its payer or staff choose; how much was used."""
    check_may(actor, "credit:use")
    invoice, account = billing.get_invoice(invoice_id, actor)
    account = lock(BillingAccount, account.id)
    if not account.credit_minor:
        raise Conflict("There is no credit on this account.")
    used = spend_credit(account, only_id=invoice.id)
    if not used:
        raise Conflict("Nothing is open on this invoice.")
    audit.record("use_credit", account, label=invoice.number, actor=actor, amount=used)
    return used


def spend_credit(account: BillingAccount, only_id: int | None = None) -> Money:
    """Let credit pay one invoice or all that are open: the oldest payments first, then credit that none brought."""
    used = Money.zero(account.currency)
    for payment in queries.unallocated(account.id):
        used += spend(account, payment, payment.left, only_id=only_id)
    from_elsewhere = account.credit - queries.credit_of_payments(account)
    return used + spend(account, None, from_elsewhere, only_id=only_id)


def spend(
    account: BillingAccount,
    payment: Payment | None,
    amount: Money,
    *,
    first_id: int | None = None,
    only_id: int | None = None,
) -> Money:
    """Let an amount of a payment, or of other credit, pay open invoices; how much it paid. The rest stays credit."""
    invoices = {
        invoice.number: invoice for invoice in billing.open_invoices(account.id) if only_id in (None, invoice.id)
    }
    named = next((invoice.number for invoice in invoices.values() if invoice.id == first_id), None)
    open_ = [OpenInvoice(invoice.number, invoice.due_on, invoice.open) for invoice in invoices.values()]
    parts, left = allocate(open_, amount, first=named)
    for number, part in parts:
        invoice = lock(Invoice, invoices[number].id)
        invoice.paid_minor += part.minor
        whole = invoice.paid_minor + invoice.credited_minor == invoice.total_minor
        to = InvoiceStatus.PAID if whole else InvoiceStatus.PART_PAID
        invoice.status = INVOICE_LIFECYCLE.next(invoice.status, "pay", to)
        invoice.version += 1
        _move(account, payment, invoice, part)
    return amount - left


def take_back(account: BillingAccount, payment: Payment, amount: Money, *, only_id: int | None = None) -> None:
    """Take an amount of a payment back from what it paid, the newest allocation first; it is credit then.

    The invoices are open again. One that was written off in the meantime is owed again.
    """
    for invoice_id, paid in queries.paid_by(payment, newest_first=True):
        if not amount or only_id not in (None, invoice_id):
            continue
        part = min(amount, paid)
        invoice = lock(Invoice, invoice_id)
        if invoice.status is InvoiceStatus.WRITTEN_OFF:
            credit.restore(
                invoice_id=invoice.id, version=invoice.version, reason="The money that paid it came back", actor=SYSTEM
            )
        invoice.paid_minor -= part.minor
        to = InvoiceStatus.PART_PAID if invoice.paid_minor else InvoiceStatus.ISSUED
        invoice.status = INVOICE_LIFECYCLE.next(invoice.status, "deallocate", to)
        invoice.version += 1
        _move(account, payment, invoice, -part)
        amount -= part
    if amount:
        raise RuleBroken(f"This is {amount.in_words} more than it paid.", "amount")


def _move(account: BillingAccount, payment: Payment | None, invoice: Invoice, amount: Money) -> None:
    """Write an allocation, negative where it is taken back, and post it."""
    allocation = add(
        Allocation(
            payment_id=payment and payment.id,
            invoice_id=invoice.id,
            amount_minor=amount.minor,
            currency=amount.currency,
            allocated_on=clock.today(),
        )
    )
    account.credit_minor -= amount.minor
    if payment:
        payment.allocated_minor += amount.minor
    credit_side, billed_side = (Account.CUSTOMER_CREDIT, account.id), (Account.BILLED, account.id)
    pays = amount.minor > 0
    ledger.post(
        Event.ALLOCATION if pays else Event.DEALLOCATION,
        allocation.id,
        debit=credit_side if pays else billed_side,
        credit=billed_side if pays else credit_side,
        amount=abs(amount),
        on=clock.today(),
    )


@transactional
def deallocate(*, payment_id: int, version: int, invoice_id: int, amount: Money, reason: str, actor: Actor) -> Payment:
    """Take a part of a payment back from an invoice; it stays as credit until somebody or the next night uses it."""
    payment, account = locked(payment_id, version, "payment:allocate", actor)
    take_back(account, payment, amount, only_id=invoice_id)
    audit.record(
        "deallocate", payment, label=account.policy_number, actor=actor,
        invoice_id=invoice_id, amount=amount, reason=reason,
    )  # fmt: skip
    return payment


@transactional
def reallocate(
    *, payment_id: int, version: int, invoice_id: int, to_invoice_id: int, amount: Money, reason: str, actor: Actor
) -> Payment:
    """Move a part of a payment from an invoice to another open one of the same account."""
    payment, account = locked(payment_id, version, "payment:allocate", actor)
    to = lock(Invoice, to_invoice_id)
    if to.account_id != account.id:
        raise NotFound("We cannot find that invoice on this account.")
    if to.id == invoice_id or to.status not in OPEN:
        raise RuleBroken("Choose another invoice that is open.", "to_invoice_id")
    if amount > to.open:
        raise RuleBroken(f"Only {to.open.in_words} is open on that invoice.", "amount")
    take_back(account, payment, amount, only_id=invoice_id)
    spend(account, payment, amount, only_id=to.id)
    audit.record(
        "reallocate", payment, label=account.policy_number, actor=actor,
        before={"invoice_id": invoice_id}, invoice_id=to.id, amount=amount, reason=reason,
    )  # fmt: skip
    return payment


def locked(payment_id: int, version: int | None, permission: str, actor: Actor) -> tuple[Payment, BillingAccount]:
    """A live payment and its account, kept from others, if the actor may do this."""
    check_may(actor, permission)
    found, account, _ = queries.get_payment(payment_id, actor)
    account = lock(BillingAccount, account.id)
    payment = lock(Payment, found.id)
    if payment.status not in LIVE:
        raise Conflict("The money of this payment is not here.")
    check_version(payment, version)
    payment.version += 1
    return payment, account

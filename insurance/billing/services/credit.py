"""What is owed no more: premium given back, invoices withdrawn or written off."""

from collections.abc import Iterable, Sequence
from datetime import date

from ...core import audit, clock, numbering
from ...core.db import add, add_all, check_version, db, lock, transactional
from ...core.errors import Conflict
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...customers.models import Customer
from ...documents import services as documents
from ...documents.models import DocumentKind
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from ...ledger.services import Side
from .. import queries
from ..domain import INVOICE_LIFECYCLE, InvoiceStatus, ItemKind
from ..models import BillingAccount, BillingItem, CreditNote, CreditNotePart, Invoice, InvoiceLine
from .invoices import CREDITED_AT_INVOICE, issue_due


def give_back(
    account: BillingAccount,
    *,
    premium: Money,
    tax: Money,
    event: Event,
    reason: str,
    worksheet: list[dict[str, str]],
    on: date,
    actor: Actor,
) -> CreditNote | None:
    """Take premium and tax that a policy costs no more off what its account owes, as a part of the act that says so.

    What is not billed yet goes first; what is left of that was earned, and is billed at once. Then come the open
    invoices, the newest first; what is over becomes credit. The credit note, if one was needed.
    """
    unbilled = queries.unbilled_items(account.id)
    not_billed = {kind: _sum(account, (item for item in unbilled if item.kind is kind)) for kind in ItemKind}
    premium_off = min(premium, not_billed[ItemKind.CHARGE])
    tax_off = min(tax, not_billed[ItemKind.TAX])
    if unbilled:
        take_away(unbilled)
        kept = {
            **not_billed,
            ItemKind.CHARGE: not_billed[ItemKind.CHARGE] - premium_off,
            ItemKind.TAX: not_billed[ItemKind.TAX] - tax_off,
        }
        last = max(item.instalment for item in queries.items_of(account.id)) + 1
        start = min(item.period_start for item in unbilled)
        add_all([_item(account, kind, amount, last, start, on) for kind, amount in kept.items() if amount])
        ledger.post(
            event,
            account.id,
            debit=(Account.WRITTEN_PREMIUM, account.id),
            credit=(Account.UNBILLED, account.id),
            amount=premium_off,
            on=on,
        )
        issue_due(account, on=on, actor=actor)
    if premium == premium_off and tax == tax_off:
        return None
    return _credit_note(account, premium - premium_off, tax - tax_off, reason, worksheet, on, actor)


def _sum(account: BillingAccount, items: Iterable[BillingItem]) -> Money:
    return sum((item.amount for item in items), Money.zero(account.currency))


def take_away(items: Sequence[BillingItem]) -> None:
    """Let items that are on no invoice come to nothing: each gets its opposite, and neither is billed."""
    opposites = [_copy(item, amount_minor=-item.amount_minor) for item in items]
    add_all(opposites)
    add_all([InvoiceLine(item_id=item.id, invoice_id=None) for item in (*items, *opposites)])


def _copy(item: BillingItem, **other: object) -> BillingItem:
    columns = (column.key for column in BillingItem.__table__.columns if column.key != "id")
    return BillingItem(**{key: getattr(item, key) for key in columns} | other)


def _item(
    account: BillingAccount, kind: ItemKind, amount: Money, instalment: int, start: date, on: date
) -> BillingItem:
    return BillingItem(
        account_id=account.id,
        kind=kind,
        instalment=instalment,
        instalments=instalment,
        period_start=min(start, on),
        period_end=on,
        bills_on=on,
        due_on=on,
        amount_minor=amount.minor,
        currency=amount.currency,
    )


def _credit_note(
    account: BillingAccount,
    premium: Money,
    tax: Money,
    reason: str,
    worksheet: list[dict[str, str]],
    on: date,
    actor: Actor,
) -> CreditNote:
    off = [
        _item(account, kind, -amount, 0, on, on)
        for kind, amount in ((ItemKind.CHARGE, premium), (ItemKind.TAX, tax))
        if amount
    ]
    add_all(off)
    add_all([InvoiceLine(item_id=item.id, invoice_id=None) for item in off])
    parts: list[tuple[Invoice | None, Money]] = []
    left = premium + tax
    for invoice in reversed(queries.open_invoices(account.id)):
        if left:
            part = min(left, invoice.open)
            _credit(lock(Invoice, invoice.id), part)
            parts.append((invoice, part))
            left -= part
    if left:
        parts.append((None, left))
        account.credit_minor += left.minor
    number = numbering.take("CRN")
    document = documents.issue(
        kind=DocumentKind.CREDIT_NOTE,
        number=number,
        customer=db.session.get_one(Customer, account.customer_id),
        policy_number=account.policy_number,
        data={
            "product": account.product_name,
            "reason": reason,
            "total": (premium + tax).in_words,
            "parts": [
                {"text": f"Invoice {invoice.number}" if invoice else "Credit on your account", "amount": part.in_words}
                for invoice, part in parts
            ],
            "worksheet": worksheet,
        },
    )
    note = add(
        CreditNote(
            number=number,
            account_id=account.id,
            premium_minor=premium.minor,
            tax_minor=tax.minor,
            currency=account.currency,
            reason=reason,
            issued_on=on,
            document_id=document.id,
        )
    )
    add_all(
        [
            CreditNotePart(
                credit_note_id=note.id,
                invoice_id=invoice and invoice.id,
                amount_minor=part.minor,
                currency=part.currency,
            )
            for invoice, part in parts
        ]
    )
    _post(note, account, parts, on)
    audit.record("credit", note, label=number, actor=actor, amount=note.amount, reason=reason)
    return note


def _post(note: CreditNote, account: BillingAccount, parts: Sequence[tuple[Invoice | None, Money]], on: date) -> None:
    """Premium first, then tax, against each part in turn."""
    sources: list[tuple[Side, Money]] = [
        ((Account.WRITTEN_PREMIUM, account.id), note.premium),
        ((Account.TAX_PAYABLE, COMPANY), note.tax),
    ]
    for invoice, left in parts:
        while left:
            side, amount = sources[0]
            part = min(left, amount)
            ledger.post(
                Event.CREDIT_NOTE,
                note.id,
                debit=side,
                credit=(Account.BILLED if invoice else Account.CUSTOMER_CREDIT, account.id),
                amount=part,
                on=on,
            )
            left -= part
            if part == amount:
                sources.pop(0)
            else:
                sources[0] = side, amount - part


def _credit(invoice: Invoice, part: Money) -> None:
    invoice.credited_minor += part.minor
    invoice.version += 1
    if not invoice.open:
        _move(invoice, "credit")


def _move(invoice: Invoice, action: str, to: InvoiceStatus | None = None) -> None:
    """Move a status, where nothing is paid or taken back."""
    invoice.status = INVOICE_LIFECYCLE.next(invoice.status, action, to)


@transactional
def void(*, invoice_id: int, version: int, reason: str, actor: Actor) -> Invoice:
    """Withdraw an invoice on which nothing was paid. What it asked for is billed anew by the next nightly run."""
    invoice, account = _locked(invoice_id, version, "invoice:void", actor)
    if invoice.paid_minor or invoice.credited_minor:
        raise Conflict("Something was paid or credited on this invoice already, so it cannot be withdrawn.")
    today = clock.today()
    _move(invoice, "void")
    items = queries.items_on(invoice.id)
    opposites = [_copy(item, amount_minor=-item.amount_minor) for item in items]
    add_all(opposites)
    add_all([InvoiceLine(item_id=item.id, invoice_id=None) for item in opposites])
    add_all([_copy(item, bills_on=today) for item in items])
    for item in items:
        ledger.post(
            Event.INVOICE_VOIDED,
            invoice.id,
            debit=(CREDITED_AT_INVOICE[item.kind], account.id if item.kind is ItemKind.CHARGE else COMPANY),
            credit=(Account.BILLED, account.id),
            amount=item.amount,
            on=today,
        )
    audit.record("void", invoice, label=invoice.number, actor=actor, amount=invoice.total, reason=reason)
    return invoice


@transactional
def write_off(*, invoice_id: int, version: int, reason: str, actor: Actor) -> Invoice:
    """Give up what is open on an invoice, as bad debt."""
    invoice, account = _locked(invoice_id, version, "invoice:write_off", actor)
    amount = invoice.open
    _move(invoice, "write_off")
    ledger.post(
        Event.WRITE_OFF,
        invoice.id,
        debit=(Account.BAD_DEBT, account.id),
        credit=(Account.BILLED, account.id),
        amount=amount,
        on=clock.today(),
    )
    audit.record("write_off", invoice, label=invoice.number, actor=actor, amount=amount, reason=reason)
    return invoice


@transactional
def restore(*, invoice_id: int, version: int, reason: str, actor: Actor) -> Invoice:
    """Take a write-off back: what was open is owed again."""
    invoice, account = _locked(invoice_id, version, "invoice:write_off", actor)
    _move(invoice, "restore", InvoiceStatus.PART_PAID if invoice.paid_minor else InvoiceStatus.ISSUED)
    ledger.post(
        Event.WRITE_OFF_REVERSED,
        invoice.id,
        debit=(Account.BILLED, account.id),
        credit=(Account.BAD_DEBT, account.id),
        amount=invoice.open,
        on=clock.today(),
    )
    audit.record("restore", invoice, label=invoice.number, actor=actor, amount=invoice.open, reason=reason)
    return invoice


def _locked(invoice_id: int, version: int, permission: str, actor: Actor) -> tuple[Invoice, BillingAccount]:
    """An invoice and its account, kept from others, if the actor may do this."""
    check_may(actor, permission)
    _, account = queries.get_invoice(invoice_id, actor)
    account = lock(BillingAccount, account.id)
    invoice = lock(Invoice, invoice_id)
    check_version(invoice, version)
    invoice.version += 1
    return invoice, account

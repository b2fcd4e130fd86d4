"""The invariants: what must hold in the data whatever happened, checked by counting again."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, String, and_, cast, exists, func, select, text
from sqlalchemy.orm import aliased

from ..billing.models import (
    OPEN,
    OPEN_MINOR,
    BillingAccount,
    BillingItem,
    CreditNote,
    CreditNotePart,
    Disbursement,
    DunningNotice,
    Invoice,
    InvoiceLine,
    Mandate,
    OpenInvoiceTally,
)
from ..claims.models import Claim, Payout, ReserveChange
from ..core import audit
from ..core.db import APPEND_ONLY, db
from ..core.numbering import Number
from ..core.outbox import Mail
from ..customers.models import Customer, CustomerWord
from ..documents import services as documents
from ..documents.models import DeletedFile, StoredFile
from ..ledger import queries as ledger
from ..ledger.domain import COMPANY, Account, Event
from ..ledger.models import Transfer
from ..payments.bank.models import BankBatch
from ..payments.domain import LIVE, PaymentMethod, PaymentStatus, SuspenseStatus
from ..payments.models import Allocation, Collection, Payment, Receipt, RefundPart, SuspenseItem
from ..policies.models import Policy, PolicyTally, PolicyTransaction
from . import control_accounts
from .control_accounts import compare, sums


@dataclass(frozen=True)
class Result:
    """An invariant and what violates it; no violations, and it holds."""

    name: str
    violations: list[str]


def run() -> list[Result]:
    """Check every invariant."""
    return [Result(name, list(check())) for name, check in INVARIANTS.items()]


def payables_are_orders() -> Iterator[str]:
    """What is payable is what was ordered and has not left, or came back and is not ordered anew."""
    later = aliased(Disbursement)
    owed = (
        select(Disbursement.id)
        .outerjoin(later, later.replaces_id == Disbursement.id)
        .where(Disbursement.status.in_(("requested", "approved", "returned", "cancelled")), later.id.is_(None))
    )
    refunds = sums(
        select(Disbursement.account_id, func.sum(Disbursement.amount_minor))
        .where(Disbursement.id.in_(owed), Disbursement.kind == "refund", Disbursement.status != "cancelled")
        .group_by(Disbursement.account_id)
    )
    in_books = {subject: -minor for subject, minor in ledger.balances(Account.REFUNDS_PAYABLE).items()}
    yield from compare("refunds payable of account", in_books, refunds)
    payouts = sums(
        select(Payout.claim_id, func.sum(Disbursement.amount_minor))
        .join(Disbursement, Disbursement.id == Payout.disbursement_id)
        .where(Disbursement.id.in_(owed))
        .group_by(Payout.claim_id)
    )
    in_books = {subject: -minor for subject, minor in ledger.balances(Account.CLAIMS_PAYABLE).items()}
    yield from compare("payable of claim", in_books, payouts)
    rows = db.session.execute(
        select(Payment.id, Payment.refunded_minor, func.sum(RefundPart.amount_minor))
        .join(RefundPart, RefundPart.payment_id == Payment.id)
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(Disbursement.status != "cancelled")
        .group_by(Payment.id, Payment.refunded_minor)
    )
    for payment_id, kept, counted in rows:
        if kept < counted:
            yield f"payment {payment_id}: {kept} refunded, {counted} in refunds"


def credit_notes_add_up() -> Iterator[str]:
    """A credit note is the sum of its parts, and what is credited on an invoice the sum of the parts on it."""
    for what, model, column, key in (
        ("credit note", CreditNote, CreditNote.premium_minor + CreditNote.tax_minor, CreditNotePart.credit_note_id),
        ("invoice", Invoice, Invoice.credited_minor, CreditNotePart.invoice_id),
    ):
        rows = db.session.execute(
            select(model.id, column, func.coalesce(func.sum(CreditNotePart.amount_minor), 0))
            .outerjoin(CreditNotePart, key == model.id)
            .group_by(model.id, column)
        )
        for row_id, kept, counted in rows:
            if kept != int(counted):
                yield f"{what} {row_id}: {kept} kept, {counted} in parts"


RECEIVED = (*LIVE, PaymentStatus.REFUNDED, PaymentStatus.RETURNED, PaymentStatus.CHARGED_BACK)
"""Statuses of payments whose money was here once."""


def money_is_where_it_lies() -> Iterator[str]:
    """Cheques, each agent's cash and suspense hold what the records say, and an account the credit of its payments."""
    for method, account, what in (
        (PaymentMethod.CHEQUE, Account.CHEQUES, "cheques of"),
        (PaymentMethod.CASH, Account.AGENT_CASH, "cash with agent"),
    ):
        holder = func.coalesce(Payment.cash_holder_id, COMPANY)
        lying = sums(
            select(holder, func.sum(Payment.amount_minor))
            .where(Payment.method == method, Payment.clearing_id.is_(None))
            .where(Payment.status.in_((*LIVE, PaymentStatus.REFUNDED)))
            .group_by(holder)
        )
        yield from compare(what, ledger.balances(account), lying)
    waiting = db.session.scalar(
        select(func.coalesce(func.sum(SuspenseItem.amount_minor), 0)).where(SuspenseItem.status == SuspenseStatus.OPEN)
    )
    in_books = {subject: -minor for subject, minor in ledger.balances(Account.SUSPENSE).items()}
    yield from compare("suspense", in_books, {COMPANY: int(waiting or 0)})
    left = func.sum(Payment.amount_minor - Payment.allocated_minor - Payment.refunded_minor)
    rows = db.session.execute(
        select(BillingAccount.id, BillingAccount.credit_minor, left)
        .join(Payment, and_(Payment.account_id == BillingAccount.id, Payment.status.in_(LIVE)))
        .group_by(BillingAccount.id, BillingAccount.credit_minor)
        .having(left > BillingAccount.credit_minor)
    )
    for account_id, credit, of_payments in rows:
        yield f"account {account_id}: credit {credit}, but payments have {of_payments} left"


def one_receipt_each() -> Iterator[str]:
    """Each processed payment has one receipt, one posting and, where there is an address, one mail."""
    rows = db.session.execute(
        select(Payment.id, Receipt.id, func.count(Transfer.id))
        .outerjoin(Receipt, Receipt.payment_id == Payment.id)
        .outerjoin(
            Transfer,
            and_(Transfer.event.in_((Event.PAYMENT, Event.SUSPENSE_MATCHED)), Transfer.event_id == Payment.id),
        )
        .where(Payment.status.in_(RECEIVED))
        .group_by(Payment.id, Receipt.id)
    )
    for payment_id, receipt_id, postings in rows:
        if receipt_id is None or postings != 1:
            yield f"payment {payment_id}: receipt {receipt_id}, {postings} postings"
    unmailed = db.session.execute(
        select(Receipt.number, func.count(Mail.id))
        .join(Payment, Payment.id == Receipt.payment_id)
        .join(BillingAccount, BillingAccount.id == Payment.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .outerjoin(Mail, Mail.document_id == Receipt.document_id)
        .where(Customer.email != "")
        .group_by(Receipt.number)
        .having(func.count(Mail.id) != 1)
    )
    for number, mails in unmailed:
        yield f"receipt {number}: {mails} mails"


def paid_is_allocated() -> Iterator[str]:
    """What is paid on an invoice, and what a payment has allocated, is the sum of the allocations."""
    for what, model, column, key in (
        ("invoice", Invoice, Invoice.paid_minor, Allocation.invoice_id),
        ("payment", Payment, Payment.allocated_minor, Allocation.payment_id),
    ):
        rows = db.session.execute(
            select(model.id, column, func.coalesce(func.sum(Allocation.amount_minor), 0))
            .outerjoin(Allocation, key == model.id)
            .group_by(model.id, column)
        )
        for row_id, kept, counted in rows:
            if kept != int(counted):
                yield f"{what} {row_id}: {kept} kept, {counted} allocated"


def numbers_without_gaps() -> Iterator[str]:
    """Each series and year has as many records as numbers were given out, whatever letters they begin with.

    A quote that was deleted is still in the audit trail.
    """
    entry = audit.AuditEntry
    gone = select(entry.label).where(entry.subject == Policy.__tablename__, entry.action == "delete")
    deleted = Counter(int(label[4:8]) for label in db.session.scalars(gone))
    for series, model in (
        ("INV", Invoice),
        ("RCT", Receipt),
        ("CRN", CreditNote),
        ("NOT", DunningNotice),
        ("BAT", BankBatch),
        ("MND", Mandate),
        ("CLM", Claim),
        ("POL", Policy),
    ):
        given: dict[Any, int] = {
            row.year: row.last for row in db.session.scalars(select(Number).where(Number.series == series))
        }
        year = cast(func.substr(model.number, 5, 4), Integer)
        counted = select(year, func.count()).where(model.number.is_not(None)).group_by(year)
        used: Counter[Any] = Counter(dict(db.session.execute(counted).all()))
        if model is Policy:
            used += deleted
        for at in sorted(given.keys() | used.keys()):
            if given.get(at, 0) != used[at]:
                yield f"{series}-{at}: {given.get(at, 0)} numbers given out, {used[at]} used"


def batches_collect_what_they_say() -> Iterator[str]:
    """A file of direct debits comes to the sum of its payments; no debit of it was begun for another account."""
    rows = db.session.execute(
        select(BankBatch.number, BankBatch.count, BankBatch.total_minor, func.count(), func.sum(Payment.amount_minor))
        .join(Collection, Collection.batch_number == BankBatch.number)
        .join(Payment, Payment.id == Collection.payment_id)
        .where(BankBatch.collect_on.is_not(None))
        .group_by(BankBatch.number, BankBatch.count, BankBatch.total_minor)
    )
    for number, count, total, counted, summed in rows:
        if (count, total) != (counted, int(summed)):
            yield f"batch {number}: {count} of {total} in all, {counted} of {summed} in it"
    strayed = (
        select(Payment.id)
        .join(Collection, Collection.payment_id == Payment.id)
        .join(Mandate, Mandate.id == Collection.mandate_id)
        .where(Mandate.account_id != Payment.account_id)
    )
    yield from (
        f"payment {payment_id}: collected under another's mandate" for payment_id in db.session.scalars(strayed)
    )


def claims_within_limits() -> Iterator[str]:
    """Approved claims of a term stay within its coverage, and no reserve is below zero."""
    rows = db.session.execute(
        select(Policy.number, PolicyTransaction.id, func.sum(Claim.approved_minor))
        .join(Policy, Policy.id == PolicyTransaction.policy_id)
        .join(
            Claim,
            and_(
                Claim.policy_id == Policy.id,
                Claim.loss_on >= PolicyTransaction.term_start,
                Claim.loss_on < PolicyTransaction.term_end,
            ),
        )
        .where(PolicyTransaction.kind.in_(("new_business", "renewal")), Claim.approved_minor > 0)
        .group_by(Policy.number, PolicyTransaction.id)
    )
    for number, transaction_id, approved in rows:
        coverages = db.session.get_one(PolicyTransaction, transaction_id).coverages
        if approved > sum(coverage["limit_minor"] for coverage in coverages):
            yield f"policy {number}: {approved} approved"
    for claim_id, total in sums(
        select(ReserveChange.claim_id, func.sum(ReserveChange.change_minor)).group_by(ReserveChange.claim_id)
    ).items():
        if total < 0:
            yield f"claim {claim_id}: reserve {total}"


def four_eyes() -> Iterator[str]:
    """Above the limit nobody approved what they ordered."""
    for order_id in db.session.scalars(
        select(Disbursement.id).where(
            Disbursement.amount_minor > Disbursement.limit_minor, Disbursement.checker_id == Disbursement.maker_id
        )
    ):
        yield f"disbursement {order_id}"


def policies_replay() -> Iterator[str]:
    """A policy's transactions add up to its present premium, tax and fees, and so do its billing items."""
    rows = db.session.execute(
        select(
            Policy.number,
            Policy.premium_minor + Policy.tax_minor + Policy.fee_minor,
            func.sum(PolicyTransaction.premium_minor + PolicyTransaction.tax_minor + PolicyTransaction.fee_minor),
            Policy.account_id,
        )
        .join(PolicyTransaction, PolicyTransaction.policy_id == Policy.id)
        .group_by(Policy.id)
    )
    items = sums(select(BillingItem.account_id, func.sum(BillingItem.amount_minor)).group_by(BillingItem.account_id))
    for number, present, replayed, account_id in rows:
        if not present == int(replayed) == items.get(account_id):
            yield f"policy {number}: {present} present, {replayed} replayed, {items.get(account_id)} billed"


def tallies_are_right() -> Iterator[str]:
    """What the database keeps for dashboards and searches is what counting again gives."""
    kept = {row.status: row.count for row in db.session.scalars(select(PolicyTally)) if row.count}
    counted = sums(select(cast(Policy.status, String), func.count()).group_by(Policy.status))
    if kept != counted:
        yield f"policies: {kept} kept, {counted} counted"
    open_kept = {
        (row.due_on, row.currency): (row.count, row.open_minor)
        for row in db.session.scalars(select(OpenInvoiceTally))
        if row.count
    }
    open_counted = {
        (due_on, currency): (count, int(minor))
        for due_on, currency, count, minor in db.session.execute(
            select(Invoice.due_on, Invoice.currency, func.count(), func.sum(OPEN_MINOR))
            .where(Invoice.status.in_(OPEN))
            .group_by(Invoice.due_on, Invoice.currency)
        )
    }
    for key in sorted(open_kept.keys() | open_counted.keys()):
        if open_kept.get(key) != open_counted.get(key):
            yield f"invoices due {key}: {open_kept.get(key)} kept, {open_counted.get(key)} counted"
    unfound = select(Customer.number).where(~exists().where(CustomerWord.customer_id == Customer.id))
    for number in db.session.scalars(unfound):
        yield f"customer {number}: has no words to be found by"


def invoices_add_up() -> Iterator[str]:
    """An invoice's total is the sum of its items."""
    rows = db.session.execute(
        select(Invoice.number, Invoice.total_minor, func.sum(BillingItem.amount_minor))
        .outerjoin(InvoiceLine, InvoiceLine.invoice_id == Invoice.id)
        .outerjoin(BillingItem, BillingItem.id == InvoiceLine.item_id)
        .group_by(Invoice.number, Invoice.total_minor)
    )
    for number, total, items in rows:
        if total != int(items or 0):
            yield f"invoice {number}: total {total}, items {items}"


def database_is_whole() -> Iterator[str]:
    """Foreign keys and pages are sound, and every table that is written once has its triggers."""
    if db.engine.dialect.name == "sqlite":
        for row in db.session.execute(text("PRAGMA foreign_key_check")):
            yield f"foreign key: {tuple(row)}"
        for [word] in db.session.execute(text("PRAGMA integrity_check")):
            if word != "ok":
                yield word
        triggers = (
            "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\\_no\\_%' ESCAPE '\\' "
            "GROUP BY tbl_name HAVING count(*) = 2"
        )
        guards = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = 'transfers_closed_month'"
    else:
        triggers = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%append_only'"
        guards = "SELECT count(*) FROM pg_trigger WHERE tgname = 'transfers_closed_month'"
    if not db.session.scalar(text(guards)):
        yield "closed months can be posted into"
    protected = set(db.session.scalars(text(triggers)))
    for table in sorted(APPEND_ONLY - protected):
        yield f"table {table} can be changed"


def files_are_whole() -> Iterator[str]:
    """Each stored file is there with its hash, and there is no other; one that was deleted may be there no more."""
    folder = documents.folder()
    for stored in db.session.scalars(select(StoredFile).where(~exists().where(DeletedFile.file_id == StoredFile.id))):
        path = folder / stored.path
        if not path.is_file():
            yield f"file {stored.id}: missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != stored.sha256:
            yield f"file {stored.id}: changed"
    unknown = _files_without_record(folder)
    if unknown:
        time.sleep(1)  # a file is written before its row: the worker may be between the two
        unknown &= _files_without_record(folder)
    yield from (f"file {name}: no record" for name in sorted(unknown))


def _files_without_record(folder: Path) -> set[str]:
    there = {path.relative_to(folder).as_posix() for path in folder.glob("**/*") if path.is_file()}
    db.session.rollback()  # ends the reading, so that rows are seen that were written since it began
    gone = exists().where(DeletedFile.file_id == StoredFile.id, DeletedFile.gone_at.is_not(None))
    return there - set(db.session.scalars(select(StoredFile.path).where(~gone)))


INVARIANTS: dict[str, Callable[[], Iterator[str]]] = {
    "control accounts equal their records": control_accounts.differences,
    "each processed payment has one receipt, posting and mail": one_receipt_each,
    "what is paid is what is allocated": paid_is_allocated,
    "money lies where the records say": money_is_where_it_lies,
    "numbers have no gaps": numbers_without_gaps,
    "files of direct debits come to what they say": batches_collect_what_they_say,
    "claims stay within limits": claims_within_limits,
    "nobody approved what they ordered above the limit": four_eyes,
    "policies replay to their premium, and their items add up to it": policies_replay,
    "invoices add up": invoices_add_up,
    "what is payable is what was ordered": payables_are_orders,
    "credit notes add up": credit_notes_add_up,
    "tallies are what counting gives": tallies_are_right,
    "the audit chain is whole": audit.breaks,
    "the database is whole": database_is_whole,
    "files are whole": files_are_whole,
}

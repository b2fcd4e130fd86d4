"""The control accounts of the ledger against the records that they stand for, now or at the end of a day gone by.

What the records came to on an earlier day is what they come to now, less what has been recorded since.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Select, func, select

from ..billing.domain import DisbursementKind, DisbursementStatus, InvoiceStatus, ItemKind
from ..billing.models import (
    OPEN,
    OPEN_MINOR,
    BillingAccount,
    BillingItem,
    CreditNote,
    CreditNotePart,
    Disbursement,
    Invoice,
    InvoiceLine,
)
from ..claims.models import ReserveChange
from ..core import clock
from ..core.audit import AuditEntry
from ..core.dates import day_after
from ..core.db import db
from ..core.money import Money
from ..ledger import queries as ledger
from ..ledger.domain import KINDS, Account, Kind
from ..payments.domain import PaymentStatus
from ..payments.models import Allocation, Payment, Receipt
from ..policies.models import Policy, PolicyTransaction

Sums = dict[Any, int]
"""What each billing account or claim comes to, in minor units."""


def differences(as_of: date | None = None) -> Iterator[str]:
    """Where ledger and records differ, at the end of a day or else now."""
    then = Since(as_of) if as_of else None
    for what, account, records, since in (
        ("open invoices of account", Account.BILLED, _open_invoices, Since.billed),
        ("unbilled premium of account", Account.UNBILLED, _unbilled, Since.unbilled),
        ("credit of account", Account.CUSTOMER_CREDIT, _credit, Since.credit),
        ("reserve of claim", Account.CASE_RESERVES, _reserves, Since.reserves),
        ("written premium of account", Account.WRITTEN_PREMIUM, _written, Since.written),
        ("written off for account", Account.BAD_DEBT, _written_off, Since.written_off),
    ):
        found = Counter(records())
        if then:
            found.subtract(since(then))
        sign = 1 if KINDS[account] in (Kind.ASSETS, Kind.EXPENSES) else -1
        in_books = {subject: sign * minor for subject, minor in ledger.balances(account, as_of=as_of).items()}
        yield from compare(what, in_books, found)


def compare(what: str, books: Sums, records: Sums) -> Iterator[str]:
    """Each subject of which ledger and records say different sums."""
    for subject in sorted(books.keys() | records.keys()):
        if books.get(subject, 0) != records.get(subject, 0):
            yield f"{what} {subject}: ledger {books.get(subject, 0)}, records {records.get(subject, 0)}"


def sums(statement: Select) -> Sums:
    """Pairs of a subject and its sum, without those that are nothing."""
    return {subject: int(total) for subject, total in db.session.execute(statement) if total}


# Now


def _open_invoices() -> Sums:
    return sums(
        select(Invoice.account_id, func.sum(OPEN_MINOR)).where(Invoice.status.in_(OPEN)).group_by(Invoice.account_id)
    )


def _unbilled() -> Sums:
    return sums(
        select(BillingItem.account_id, func.sum(BillingItem.amount_minor))
        .outerjoin(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
        .where(InvoiceLine.item_id.is_(None), BillingItem.kind == ItemKind.CHARGE)
        .group_by(BillingItem.account_id)
    )


def _credit() -> Sums:
    return sums(select(BillingAccount.id, BillingAccount.credit_minor))


def _reserves() -> Sums:
    return sums(select(ReserveChange.claim_id, func.sum(ReserveChange.change_minor)).group_by(ReserveChange.claim_id))


def _written() -> Sums:
    return sums(_premium().group_by(Policy.account_id))


def _premium() -> Select:
    return select(Policy.account_id, func.sum(PolicyTransaction.premium_minor)).join(
        Policy, Policy.id == PolicyTransaction.policy_id
    )


def _written_off() -> Sums:
    return sums(
        select(Invoice.account_id, func.sum(OPEN_MINOR))
        .where(Invoice.status == InvoiceStatus.WRITTEN_OFF)
        .group_by(Invoice.account_id)
    )


# What was recorded since a day


class Since:
    """What the records of each control account have changed by after a day. Some acts only the audit trail dates."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.after = datetime.combine(day_after(day), time(), clock.zone())

    def billed(self) -> Counter[Any]:
        """Invoices, less what was paid, credited, withdrawn or given up on them."""
        issued = select(Invoice.account_id, Invoice.total_minor).where(Invoice.issued_on > self.day)
        return _net(
            plus=[issued, self._invoice_acts("restore")],
            minus=[self._allocated(), self._credited(True), self._voided(), self._invoice_acts("write_off")],
        )

    def unbilled(self) -> Counter[Any]:
        """Premium that was written, less what was billed of it. Credit notes give back premium that was billed."""
        charges = select(Invoice.account_id, BillingItem.amount_minor).where(
            InvoiceLine.invoice_id == Invoice.id,
            BillingItem.id == InvoiceLine.item_id,
            BillingItem.kind == ItemKind.CHARGE,
        )
        credited = select(CreditNote.account_id, CreditNote.premium_minor).where(CreditNote.issued_on > self.day)
        return _net(
            plus=[self.written().items(), credited, charges.where(self._act("void", Invoice))],
            minus=[charges.where(Invoice.issued_on > self.day)],
        )

    def credit(self) -> Counter[Any]:
        """Money that came, less what it paid and what went back of it."""
        received = select(Payment.account_id, Payment.amount_minor).where(
            Receipt.payment_id == Payment.id, Receipt.issued_on > self.day
        )
        refunds = select(Disbursement.account_id, Disbursement.amount_minor).where(
            Disbursement.kind == DisbursementKind.REFUND
        )
        called_off = refunds.where(
            Disbursement.status == DisbursementStatus.CANCELLED, Disbursement.ended_on > self.day
        )
        ordered = refunds.where(Disbursement.requested_at >= self.after, Disbursement.replaces_id.is_(None))
        return _net(
            plus=[received, self._credited(False), called_off, self._payment_acts("win")],
            minus=[self._allocated(), ordered, self._payment_acts("return", "charge_back", "refund_at_gateway")],
        )

    def reserves(self) -> Counter[Any]:
        """Changes to reserves."""
        return _net(
            plus=[
                select(ReserveChange.claim_id, ReserveChange.change_minor).where(
                    ReserveChange.recorded_at >= self.after
                )
            ]
        )

    def written(self) -> Counter[Any]:
        """The premium of changes to policies."""
        changed = _premium().where(PolicyTransaction.recorded_at >= self.after).group_by(Policy.account_id)
        return _net(plus=[changed])

    def written_off(self) -> Counter[Any]:
        """What was given up, less what is owed again."""
        return _net(plus=[self._invoice_acts("write_off")], minus=[self._invoice_acts("restore")])

    def _allocated(self) -> Select:
        return select(Invoice.account_id, Allocation.amount_minor).where(
            Allocation.invoice_id == Invoice.id, Allocation.allocated_on > self.day
        )

    def _credited(self, on_invoices: bool) -> Select:
        """What credit notes took off invoices, or else what they added to credit."""
        parts = select(CreditNote.account_id, CreditNotePart.amount_minor).where(
            CreditNotePart.credit_note_id == CreditNote.id, CreditNote.issued_on > self.day
        )
        named = CreditNotePart.invoice_id.is_not(None)
        return parts.where(named if on_invoices else ~named)

    def _voided(self) -> Select:
        return select(Invoice.account_id, Invoice.total_minor).where(self._act("void", Invoice))

    def _invoice_acts(self, *actions: str) -> Iterable[tuple[int, int]]:
        return self._acts(Invoice, actions)

    def _payment_acts(self, *actions: str) -> Iterable[tuple[int, int]]:
        return self._acts(Payment, actions)

    def _acts(self, model: type[Any], actions: Iterable[str]) -> Iterable[tuple[int, int]]:
        rows = db.session.execute(
            select(model.account_id, model.currency, AuditEntry.after)
            .join(AuditEntry, AuditEntry.subject_id == model.id)
            .where(AuditEntry.subject == model.__tablename__, AuditEntry.action.in_(actions))
            .where(AuditEntry.at >= self.after)
        )
        for account_id, currency, after in rows:
            if after.get("status") != PaymentStatus.CHARGED_BACK:  # then the gateway had the money already
                yield account_id, Money.parse(after["amount"], currency).minor

    def _act(self, action: str, model: type[Any]) -> Any:
        return (
            select(AuditEntry.id)
            .where(
                AuditEntry.subject == model.__tablename__,
                AuditEntry.subject_id == model.id,
                AuditEntry.action == action,
                AuditEntry.at >= self.after,
            )
            .exists()
        )


def _net(*, plus: Iterable[Any], minus: Iterable[Any] = ()) -> Counter[Any]:
    """The sums by subject of rows (subject, minor units), some added and some taken off."""
    total: Counter[Any] = Counter()
    for sign, parts in ((1, plus), (-1, minus)):
        for part in parts:
            rows: Iterable[Any] = db.session.execute(part) if isinstance(part, Select) else part
            for subject, minor in rows:
                total[subject] += sign * int(minor)
    return total

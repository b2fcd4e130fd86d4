"""The ledger's transfers with the records that they are about, and what one account has come to."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from ..billing.models import BillingAccount, CreditNote, Disbursement, Invoice
from ..claims.models import Claim
from ..core.db import db
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from ..ledger.domain import OF_AGENTS, OF_CLAIMS, Account, Event
from ..ledger.models import Transfer
from ..payments.models import Allocation, Clearing, Payment, Receipt, SuspenseItem
from ..policies.models import Policy

ABOUT: dict[type[Any], tuple[Event, ...]] = {
    BillingAccount: (Event.BIND, Event.ENDORSEMENT, Event.CANCELLATION, Event.LAPSE),
    Invoice: (Event.INVOICE_ISSUED, Event.INVOICE_VOIDED, Event.WRITE_OFF, Event.WRITE_OFF_REVERSED),
    CreditNote: (Event.CREDIT_NOTE,),
    Payment: (Event.PAYMENT, Event.SUSPENSE_MATCHED, Event.PAYMENT_RETURNED, Event.CHARGE_BACK, Event.CHARGE_BACK_WON),
    Allocation: (Event.ALLOCATION, Event.DEALLOCATION),
    Disbursement: (Event.REFUND_ORDERED, Event.REFUND_CANCELLED, Event.REFUND_SENT, Event.REFUND_RETURNED),
    Clearing: (Event.CLEARED, Event.GATEWAY_CHARGE),
    SuspenseItem: (Event.SUSPENSE,),
    Claim: (Event.RESERVE, Event.CLAIM_APPROVED, Event.CLAIM_PAID, Event.PAYOUT_RETURNED, Event.RECOVERY),
}
"""Whose id an event carries."""
_BY_ID = ((Disbursement, "disbursement_id"), (Clearing, "clearing_id"), (SuspenseItem, "suspense_id"))
MOST = 100
OWED = (Account.BILLED, Account.CUSTOMER_CREDIT)
"""What a customer owes us by now is the sum of these two accounts."""


def journal_rows(
    *,
    q: str = "",
    account: str = "",
    event: str = "",
    currency: str = "",
    since: str = "",
    until: str = "",
) -> Select:
    """Transfers for the list, each with the record and the document of its event."""
    statement = _with_records(
        Transfer.id,
        Transfer.posted_on,
        Transfer.event,
        Transfer.debit_account,
        Transfer.credit_account,
        Transfer.amount_minor,
        Transfer.currency,
    )
    if q:
        statement = statement.where(_about(q.upper()))
    if account:
        statement = statement.where((Transfer.debit_account == account) | (Transfer.credit_account == account))
    if event:
        statement = statement.where(Transfer.event == event)
    if currency:
        statement = statement.where(Transfer.currency == currency)
    if since:
        statement = statement.where(Transfer.posted_on >= date.fromisoformat(since))
    if until:
        statement = statement.where(Transfer.posted_on <= date.fromisoformat(until))
    return statement


def _is_about(model: type[Any]) -> ColumnElement[bool]:
    return and_(Transfer.event.in_(ABOUT[model]), Transfer.event_id == model.id)


def _with_records(*columns: Any) -> Select:
    payment_id = case((Transfer.event.in_(ABOUT[Payment]), Transfer.event_id), else_=Allocation.payment_id)
    invoice_id = case((Transfer.event.in_(ABOUT[Invoice]), Transfer.event_id), else_=Allocation.invoice_id)
    account_id = case(
        (Transfer.event.in_(ABOUT[BillingAccount]), Transfer.event_id),
        else_=func.coalesce(CreditNote.account_id, Disbursement.account_id),
    )
    number = func.coalesce(
        Receipt.number, CreditNote.number, Invoice.number, Claim.number, Policy.number, Clearing.reference
    )
    return (
        select(
            *columns,
            Policy.id.label("policy_id"),
            Claim.id.label("claim_id"),
            payment_id.label("payment_id"),
            Invoice.id.label("invoice_id"),
            *(case((Transfer.event.in_(ABOUT[model]), Transfer.event_id)).label(name) for model, name in _BY_ID),
            number.label("number"),
            func.coalesce(Receipt.document_id, CreditNote.document_id, Invoice.document_id).label("document_id"),
        )
        .select_from(Transfer)
        .outerjoin(Allocation, _is_about(Allocation))
        .outerjoin(Receipt, Receipt.payment_id == payment_id)
        .outerjoin(Invoice, Invoice.id == invoice_id)
        .outerjoin(CreditNote, _is_about(CreditNote))
        .outerjoin(Claim, _is_about(Claim))
        .outerjoin(Disbursement, _is_about(Disbursement))
        .outerjoin(Clearing, _is_about(Clearing))
        .outerjoin(Policy, Policy.account_id == account_id)
    )


def _about(number: str) -> ColumnElement[bool]:
    """Whether a transfer was posted for the record with a number, or on the account of the policy with it."""
    accounts = select(BillingAccount.id).where(BillingAccount.policy_number == number)
    claims = select(Claim.id).where(Claim.number == number)
    paid = select(Receipt.payment_id).where(Receipt.number == number)
    records: dict[type[Any], Select] = {
        Invoice: select(Invoice.id).where(Invoice.number == number),
        CreditNote: select(CreditNote.id).where(CreditNote.number == number),
        Payment: paid,
        Allocation: select(Allocation.id).where(Allocation.payment_id.in_(paid)),
    }
    sides = ((Transfer.debit_account, Transfer.debit_subject), (Transfer.credit_account, Transfer.credit_subject))
    return or_(
        *(and_(Transfer.event.in_(ABOUT[model]), Transfer.event_id.in_(ids)) for model, ids in records.items()),
        *(and_(account.in_(OF_CLAIMS), subject.in_(claims)) for account, subject in sides),
        *(and_(account.not_in((*OF_CLAIMS, *OF_AGENTS)), subject.in_(accounts)) for account, subject in sides),
    )


@dataclass(frozen=True)
class StatementLine:
    """What an event changed of what is owed, and what is owed since; below zero it is the customer's credit."""

    on: date
    event: Event
    number: str
    document_id: int | None
    amount: Money
    balance: Money


@dataclass(frozen=True)
class Statement:
    """An account from a day to a day: what was owed before, what happened, what is owed at the end."""

    first: date
    last: date
    opening: Money
    lines: list[StatementLine]

    @property
    def closing(self) -> Money:
        """What is owed at the end."""
        return self.lines[-1].balance if self.lines else self.opening

    @property
    def added(self) -> Money:
        """All that was added to what is owed."""
        return self._sum(1)

    @property
    def taken_off(self) -> Money:
        """All that was taken off it."""
        return self._sum(-1)

    def _sum(self, sign: int) -> Money:
        parts = (abs(line.amount) for line in self.lines if line.amount.minor * sign > 0)
        return sum(parts, Money.zero(self.opening.currency))


def accounts(actor: Actor) -> list[BillingAccount]:
    """The accounts in sight, the newest first: for a customer, their own."""
    return list(
        db.session.scalars(
            select(BillingAccount)
            .join(Customer, Customer.id == BillingAccount.customer_id)
            .where(customers.sight(actor))
            .order_by(BillingAccount.id.desc())
            .limit(MOST)
        )
    )


def statement(account: BillingAccount, first: date, last: date) -> Statement:
    """The statement of an account whose owner is in sight already. What only moves within it is no line."""
    change = _side(Transfer.debit_account, Transfer.debit_subject, account.id) - _side(
        Transfer.credit_account, Transfer.credit_subject, account.id
    )
    of_account = (Transfer.debit_subject == account.id) | (Transfer.credit_subject == account.id)
    before = select(func.sum(change * Transfer.amount_minor)).where(of_account, Transfer.posted_on < first)
    balance = opening = Money(int(db.session.scalar(before) or 0), account.currency)
    columns = (Transfer.posted_on, Transfer.event, Transfer.event_id, (change * Transfer.amount_minor).label("moved"))
    rows = db.session.execute(
        _with_records(*columns)
        .where(of_account, change != 0, Transfer.posted_on.between(first, last))
        .order_by(Transfer.posted_on, Transfer.id)
    )
    lines = []
    for _, parts in groupby(rows, key=lambda row: (row.posted_on, row.event, row.event_id)):
        row, *others = parts
        amount = Money(row.moved + sum(other.moved for other in others), account.currency)
        balance += amount
        lines.append(StatementLine(row.posted_on, row.event, row.number or "", row.document_id, amount, balance))
    return Statement(first, last, opening, lines)


def _side(side: Any, subject: Any, account_id: int) -> ColumnElement[int]:
    return case((and_(side.in_(OWED), subject == account_id), 1), else_=0)

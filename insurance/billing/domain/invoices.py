"""What is owed and when: instalments that add up, what is overdue, where a payment goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal

from ...core.dates import add_months, day_of_month
from ...core.errors import RuleBroken
from ...core.lifecycle import Lifecycle
from ...core.money import Exact, Money
from ...core.words import Words

BILLED_DAYS_AHEAD = 14


class InvoiceStatus(StrEnum):
    """What has become of an invoice; overdue is not a status but follows from the day."""

    ISSUED = "issued"
    PART_PAID = "part_paid"
    PAID = "paid"
    CREDITED = "credited"
    VOID = "void"
    WRITTEN_OFF = "written_off"


class PaymentPlan(StrEnum):
    """How the premium of a term is paid."""

    ANNUAL = "annual"
    TWO_PAY = "two_pay"
    QUARTERLY = "quarterly"
    MONTHLY = "monthly"


class ItemKind(StrEnum):
    """What a billing item is for."""

    CHARGE = "charge"
    CREDIT = "credit"
    FEE = "fee"
    TAX = "tax"
    WRITE_OFF = "write_off"


class DisbursementStatus(StrEnum):
    """How far a payment out has come. What replaces a returned one is a new disbursement."""

    REQUESTED = "requested"
    APPROVED = "approved"
    SENT = "sent"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class DisbursementKind(StrEnum):
    """What a payment out is for: credit given back, or a claim."""

    REFUND = "refund"
    CLAIM = "claim"


KIND_WORDS = {DisbursementKind.REFUND: "Refund", DisbursementKind.CLAIM: "Claim payout"}

INVOICE_LIFECYCLE = Lifecycle(
    "invoice",
    InvoiceStatus.ISSUED,
    {
        (InvoiceStatus.ISSUED, "pay"): (InvoiceStatus.PART_PAID, InvoiceStatus.PAID),
        (InvoiceStatus.ISSUED, "credit"): InvoiceStatus.CREDITED,
        (InvoiceStatus.ISSUED, "void"): InvoiceStatus.VOID,
        (InvoiceStatus.ISSUED, "write_off"): InvoiceStatus.WRITTEN_OFF,
        (InvoiceStatus.PART_PAID, "pay"): (InvoiceStatus.PART_PAID, InvoiceStatus.PAID),
        (InvoiceStatus.PART_PAID, "deallocate"): (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID),
        (InvoiceStatus.PART_PAID, "credit"): InvoiceStatus.CREDITED,
        (InvoiceStatus.PART_PAID, "write_off"): InvoiceStatus.WRITTEN_OFF,
        (InvoiceStatus.PAID, "deallocate"): (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID),
        (InvoiceStatus.CREDITED, "deallocate"): (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID),
        (InvoiceStatus.WRITTEN_OFF, "restore"): (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID),
    },
    nouns={InvoiceStatus.ISSUED: "an unpaid invoice"},
    participles={
        "pay": "paid",
        "void": "voided",
        "write_off": "written off",
        "deallocate": "reopened",
        "restore": "written back",
    },
)

DISBURSEMENT_LIFECYCLE = Lifecycle(
    "disbursement",
    DisbursementStatus.REQUESTED,
    {
        (DisbursementStatus.REQUESTED, "approve"): DisbursementStatus.APPROVED,
        (DisbursementStatus.REQUESTED, "cancel"): DisbursementStatus.CANCELLED,
        (DisbursementStatus.APPROVED, "send"): DisbursementStatus.SENT,
        (DisbursementStatus.APPROVED, "cancel"): DisbursementStatus.CANCELLED,
        (DisbursementStatus.SENT, "settle"): DisbursementStatus.SETTLED,
        (DisbursementStatus.SENT, "return"): DisbursementStatus.RETURNED,
    },
    participles={"cancel": "cancelled", "send": "sent"},
)

INVOICE_WORDS = {
    InvoiceStatus.ISSUED: Words("info", "Issued", "To pay"),
    InvoiceStatus.PART_PAID: Words("warn", "Part paid", "Partly paid"),
    InvoiceStatus.PAID: Words("ok", "Paid", "Paid"),
    InvoiceStatus.CREDITED: Words("neu", "Credited", "Credited, nothing to pay"),
    InvoiceStatus.VOID: Words("neu", "Void", "Withdrawn, nothing to pay"),
    InvoiceStatus.WRITTEN_OFF: Words("bad", "Written off", "Closed"),
}
OVERDUE_WORDS = Words("bad", "Overdue", "Late")

DISBURSEMENT_WORDS = {
    DisbursementStatus.REQUESTED: Words("info", "Requested", "Being prepared"),
    DisbursementStatus.APPROVED: Words("info", "Approved", "Being prepared"),
    DisbursementStatus.SENT: Words("info", "Sent", "On its way to you"),
    DisbursementStatus.SETTLED: Words("ok", "Settled", "Paid to you"),
    DisbursementStatus.RETURNED: Words("bad", "Returned", "Your bank sent it back"),
    DisbursementStatus.CANCELLED: Words("neu", "Cancelled", "Cancelled"),
}

PLAN_WORDS = {
    PaymentPlan.ANNUAL: "Once a year",
    PaymentPlan.TWO_PAY: "Twice a year",
    PaymentPlan.QUARTERLY: "Every three months",
    PaymentPlan.MONTHLY: "Every month",
}
PLAN_MONTHS = {PaymentPlan.ANNUAL: 12, PaymentPlan.TWO_PAY: 6, PaymentPlan.QUARTERLY: 3, PaymentPlan.MONTHLY: 1}
"""How many months of cover an instalment pays for."""


def split(
    total: Money,
    parts: int,
    remainder: Literal["first", "last"] = "first",
    down_payment_rate: Exact | None = None,
) -> tuple[Money, ...]:
    """The amounts to pay, adding up to the total: the down payment, if any, then as many parts as asked for."""
    if not down_payment_rate:
        return total.split(parts, remainder)
    if not 0 < down_payment_rate <= 1:
        raise RuleBroken("A down payment is a share of the total, between 0 and 1.")
    down_payment = total.times(down_payment_rate)
    return (down_payment, *(total - down_payment).split(parts, remainder))


@dataclass(frozen=True, slots=True)
class Instalment:
    """One part of a term's price: the cover of [period_start, period_end) that it pays for, and when.

    `fee_basis` says what the fee is made of.
    """

    number: int
    due_on: date
    bills_on: date
    period_start: date
    period_end: date
    premium: Money
    tax: Money
    fee: Money
    fee_basis: str = ""

    @property
    def total(self) -> Money:
        """What is to be paid."""
        return self.premium + self.tax + self.fee


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a product asks for a plan: a fee for each instalment, a share down, the day of the month it is due."""

    instalment_fee: Money | None = None
    down_payment_rate: Exact = 0
    due_day: int | None = None
    remainder: Literal["first", "last"] = "first"

    @classmethod
    def of(cls, definition: Mapping[str, Any], plan: "PaymentPlan") -> "PlanTerms":
        """The terms of a plan in a product's definition."""
        terms = definition.get("plan_terms", {}).get(plan, {})
        return cls(
            Money.parse(terms["fee"], definition["currency"]) if "fee" in terms else None,
            Fraction(terms.get("down_payment_rate", 0)),
            terms.get("due_day"),
            terms.get("remainder", "first"),
        )

    def shares(self, amount: Money, parts: int) -> tuple[Money, ...]:
        """An amount in as many instalments: the share down first, if there are others to follow it."""
        if self.down_payment_rate and parts > 1:
            return split(amount, parts - 1, self.remainder, self.down_payment_rate)
        return split(amount, parts, self.remainder)


NO_TERMS = PlanTerms()


def schedule(
    plan: PaymentPlan,
    premium: Money,
    tax: Money,
    fee: Money,
    start: date,
    end: date,
    bound_on: date,
    terms: PlanTerms = NO_TERMS,
    *,
    at_once: bool = True,
) -> tuple[Instalment, ...]:
    """The instalments of the term [start, end): one for each period of the plan that begins in it.

    The first bills at bind and is due on the later of start and bind; the fee goes with it. The others are due on
    the first day of their period, or on the terms' day of that month (31 means its last day), and bill 14 days before.
    Nothing is due before the first instalment nor bills before bind. Where the plan changes in mid-term, the first
    instalment is one like the others: not `at_once`.
    """
    if start >= end:
        raise RuleBroken("Cover must end after it starts.", field="end_date")
    if terms.due_day is not None and not 1 <= terms.due_day <= 31:
        raise RuleBroken("The day of the month lies between 1 and 31.", field="due_day")
    starts = [start]
    while (after := add_months(start, len(starts) * PLAN_MONTHS[plan])) < end:
        starts.append(after)
    first_due = max(start, bound_on)
    nothing = Money.zero(fee.currency)
    instalments = []
    for number, (period_start, premium_part, tax_part) in enumerate(
        zip(starts, terms.shares(premium, len(starts)), terms.shares(tax, len(starts)), strict=True), 1
    ):
        regular = period_start if terms.due_day is None else day_of_month(period_start, terms.due_day)
        first = number == 1 and at_once
        due_on = first_due if first else max(first_due, regular)
        bills_on = bound_on if first else max(bound_on, due_on - timedelta(days=BILLED_DAYS_AHEAD))
        period_end = starts[number] if number < len(starts) else end
        fee_part = (fee if number == 1 else nothing) + (terms.instalment_fee or nothing)
        basis = _fee_basis(plan, fee if number == 1 else nothing, terms.instalment_fee or nothing, len(starts))
        instalments.append(
            Instalment(number, due_on, bills_on, period_start, period_end, premium_part, tax_part, fee_part, basis)
        )
    return tuple(instalments)


def _fee_basis(plan: PaymentPlan, once: Money, each: Money, count: int) -> str:
    """What the fee of an instalment is made of: what is charged once, and what the plan's terms ask for each."""
    parts = []
    if once:
        parts.append(f"{once.in_words} charged once for the term")
    if each:
        whole = f"{each.in_words} × {count} = {Money(each.minor * count, each.currency).in_words} for the term"
        parts.append(f"{each.in_words} for each instalment of the plan “{PLAN_WORDS[plan]}”: {whole}")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """What allocation needs to know of an invoice."""

    number: str
    due_on: date
    open: Money


def allocate(
    open_invoices: Sequence[OpenInvoice], amount: Money, first: str | None = None
) -> tuple[tuple[tuple[str, Money], ...], Money]:
    """Where a payment goes: (number, amount) of each invoice that gets some, and what is left as credit.

    The oldest due is paid first, equal due dates as listed, the invoice that the payer names before all others.
    """
    if amount.minor < 0:
        raise RuleBroken("A payment is more than nothing.", field="amount")
    if first is not None and first not in {invoice.number for invoice in open_invoices}:
        raise RuleBroken("This invoice is not open.", field="invoice_id")
    allocations = []
    left = amount
    for invoice in sorted(open_invoices, key=lambda invoice: (invoice.number != first, invoice.due_on)):
        part = min(left, invoice.open)
        if part.minor > 0:
            allocations.append((invoice.number, part))
            left -= part
    return tuple(allocations), left


def needs_second_person(amount: Money, payout_limit: Money) -> bool:
    """Whether someone other than who ordered it must approve a payment out; a limit of 0 means always."""
    return amount > payout_limit


def is_overdue(status: InvoiceStatus, due_on: date, today: date) -> bool:
    """Whether money is still open after the day on which it was due."""
    return status in (InvoiceStatus.ISSUED, InvoiceStatus.PART_PAID) and due_on < today

"""The life of a payment, and the ways in which money comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..core.lifecycle import Lifecycle
from ..core.money import Money
from ..core.words import Words
from ..core.worksheet import Worksheet, step


class PaymentStatus(StrEnum):
    """What is known of a payment. Unknown: the gateway has not answered, so nobody may charge again."""

    CREATED = "created"
    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    RETURNED = "returned"
    CHARGED_BACK = "charged_back"


class PaymentMethod(StrEnum):
    """The way in which the money comes."""

    CARD = "card"
    BANK_TRANSFER = "bank_transfer"
    DIRECT_DEBIT = "direct_debit"
    CASH = "cash"
    CHEQUE = "cheque"


PAYMENT_LIFECYCLE = Lifecycle(
    "payment",
    PaymentStatus.CREATED,
    {
        (PaymentStatus.CREATED, "submit"): PaymentStatus.PENDING,
        (PaymentStatus.CREATED, "process"): PaymentStatus.PROCESSED,
        (PaymentStatus.CREATED, "fail"): PaymentStatus.FAILED,
        (PaymentStatus.CREATED, "cancel"): PaymentStatus.CANCELLED,
        (PaymentStatus.PENDING, "process"): PaymentStatus.PROCESSED,
        (PaymentStatus.PENDING, "fail"): PaymentStatus.FAILED,
        (PaymentStatus.PENDING, "lose_sight"): PaymentStatus.UNKNOWN,
        (PaymentStatus.UNKNOWN, "process"): PaymentStatus.PROCESSED,
        (PaymentStatus.UNKNOWN, "fail"): PaymentStatus.FAILED,
        # A gateway may charge after all what it declined first, or what was cancelled while the payer was on its page.
        (PaymentStatus.FAILED, "process"): PaymentStatus.PROCESSED,
        (PaymentStatus.CANCELLED, "process"): PaymentStatus.PROCESSED,
        (PaymentStatus.PROCESSED, "refund"): (PaymentStatus.PARTLY_REFUNDED, PaymentStatus.REFUNDED),
        (PaymentStatus.PROCESSED, "return"): PaymentStatus.RETURNED,
        (PaymentStatus.PROCESSED, "charge_back"): PaymentStatus.CHARGED_BACK,
        (PaymentStatus.PARTLY_REFUNDED, "refund"): (PaymentStatus.PARTLY_REFUNDED, PaymentStatus.REFUNDED),
        (PaymentStatus.PARTLY_REFUNDED, "charge_back"): PaymentStatus.CHARGED_BACK,
        (PaymentStatus.CHARGED_BACK, "win"): (
            PaymentStatus.PROCESSED,
            PaymentStatus.PARTLY_REFUNDED,
            PaymentStatus.REFUNDED,
        ),
    },
    nouns={PaymentStatus.UNKNOWN: "a payment whose outcome is unknown"},
    participles={
        "submit": "submitted",
        "cancel": "cancelled",
        "lose_sight": "marked as unknown",
        "charge_back": "charged back",
        "win": "won back",
    },
)

LIVE = (PaymentStatus.PROCESSED, PaymentStatus.PARTLY_REFUNDED)
"""Statuses of a payment whose money is here, as far as it was not paid back."""

WAITING = (PaymentStatus.CREATED, PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
"""Statuses of a payment that may still come out either way."""


def once_paid_back(amount: Money, back: Money) -> PaymentStatus:
    """The status of a received payment of which so much has gone back, by whatever way."""
    if not back:
        return PaymentStatus.PROCESSED
    return PaymentStatus.REFUNDED if back == amount else PaymentStatus.PARTLY_REFUNDED


def receipt_worksheet(amount: Money, how: str, paid: Sequence[tuple[str, Money, Money]]) -> Worksheet:
    """From what was received, through what it paid of each invoice, to what is left as credit.

    `paid` has the number of each invoice, what it was paid, and what is still open on it.
    """
    steps, left = [step("Received", how, amount)], amount
    for number, part, open_after in paid:
        left -= part
        before = open_after + part
        steps.append(step(f"To invoice {number}", f"{before.in_words} open before, {open_after.in_words} after", -part))
    return [*steps, step("Left as credit", "pays your next invoice by itself" if left else "nothing is left", left)]


@dataclass(frozen=True, slots=True)
class CreditSource:
    """Where a part of an account's credit came from."""

    label: str
    text: str
    amount: Money
    payment_id: int | None = None


def refund_worksheet(credit: Money, sources: Sequence[CreditSource], amount: Money) -> Worksheet:
    """From the credit before a refund, through where that came from, to what is left of it."""
    left = credit - amount
    return [
        step("Credit before", "on your account, paid or credited but not needed", credit),
        *(step(source.label, source.text, -source.amount) for source in sources),
        step("Credit that stays", "pays your next invoice by itself" if left else "nothing is left", left),
    ]


class SuspenseStatus(StrEnum):
    """What has become of money that nobody could tell the owner of."""

    OPEN = "open"
    MATCHED = "matched"
    RETURNED = "returned"


SUSPENSE_LIFECYCLE = Lifecycle(
    "suspense item",
    SuspenseStatus.OPEN,
    {
        (SuspenseStatus.OPEN, "match"): SuspenseStatus.MATCHED,
        (SuspenseStatus.OPEN, "return"): SuspenseStatus.RETURNED,
    },
    participles={"match": "matched", "return": "returned"},
)

SUSPENSE_WORDS = {
    SuspenseStatus.OPEN: Words("warn", "Open", "Being looked at"),
    SuspenseStatus.MATCHED: Words("ok", "Matched", "Received"),
    SuspenseStatus.RETURNED: Words("neu", "Returned", "Sent back"),
}

AUTOPAY_NOTICE_DAYS = 3
"""How many days before the due day the payer is told that autopay will charge an invoice."""

STATUS_WORDS = {
    PaymentStatus.CREATED: Words("info", "Created", "Waiting for you to pay"),
    PaymentStatus.PENDING: Words("info", "Pending", "On its way"),
    PaymentStatus.PROCESSED: Words("ok", "Processed", "Received"),
    PaymentStatus.FAILED: Words("bad", "Failed", "Not accepted, you have not been charged"),
    PaymentStatus.UNKNOWN: Words("warn", "Unknown", "We are checking with the bank"),
    PaymentStatus.CANCELLED: Words("neu", "Cancelled", "Cancelled"),
    PaymentStatus.PARTLY_REFUNDED: Words("info", "Partly refunded", "Partly paid back to you"),
    PaymentStatus.REFUNDED: Words("neu", "Refunded", "Paid back to you"),
    PaymentStatus.RETURNED: Words("bad", "Returned", "Sent back by your bank"),
    PaymentStatus.CHARGED_BACK: Words("bad", "Charged back", "Taken back by your bank"),
}

METHOD_WORDS = {
    PaymentMethod.CARD: "Card",
    PaymentMethod.BANK_TRANSFER: "Bank transfer",
    PaymentMethod.DIRECT_DEBIT: "Direct debit",
    PaymentMethod.CASH: "Cash",
    PaymentMethod.CHEQUE: "Cheque",
}

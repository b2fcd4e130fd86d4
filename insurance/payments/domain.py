"""The life of a payment, and the ways in which money comes."""

from enum import StrEnum

from ..core.lifecycle import Lifecycle
from ..core.words import Words


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
        (PaymentStatus.CHARGED_BACK, "win"): (PaymentStatus.PROCESSED, PaymentStatus.PARTLY_REFUNDED),
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

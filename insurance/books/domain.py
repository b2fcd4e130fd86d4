"""How a statement of account says what happened, to the customer whose account it is."""

from ..ledger.domain import Event

STATEMENT_WORDS: dict[Event, str] = {
    Event.INVOICE_ISSUED: "Invoice",
    Event.INVOICE_VOIDED: "Invoice withdrawn",
    Event.CREDIT_NOTE: "Credit note",
    Event.PAYMENT: "Payment received",
    Event.SUSPENSE_MATCHED: "Payment received",
    Event.PAYMENT_RETURNED: "Payment returned by the bank",
    Event.CHARGE_BACK: "Card payment taken back",
    Event.CHARGE_BACK_WON: "Card payment received after all",
    Event.REFUND_ORDERED: "Refund to you",
    Event.REFUND_CANCELLED: "Refund not made",
    Event.REFUND_RETURNED: "Refund that came back",
    Event.WRITE_OFF: "Amount that we gave up",
    Event.WRITE_OFF_REVERSED: "Amount that we had given up",
    Event.CANCELLATION: "Cover cancelled",
    Event.LAPSE: "Cover ended",
}


def said(event: Event) -> str:
    """An event in the customer's words."""
    return STATEMENT_WORDS.get(event, event.label)

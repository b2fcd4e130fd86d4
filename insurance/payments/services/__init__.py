"""Acts on payments: money comes in, pays, goes back; each act one transaction."""

from .allocation import apply_all_credit, apply_credit, deallocate, reallocate, use_credit
from .intake import delete, edit, finish_card, lose_sight, record, settle, start_card
from .reversal import charge_back, refund_at_gateway, return_, win

__all__ = [
    "apply_all_credit",
    "apply_credit",
    "charge_back",
    "deallocate",
    "delete",
    "edit",
    "finish_card",
    "lose_sight",
    "reallocate",
    "record",
    "refund_at_gateway",
    "return_",
    "settle",
    "start_card",
    "use_credit",
    "win",
]

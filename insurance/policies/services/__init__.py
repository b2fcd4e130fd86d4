"""Quoting, binding and ending policies, each act as one transaction."""

from .calendar import follow_calendar
from .lapse import lapse_unpaid
from .new_business import bind, delete, edit, instalments, price, quote, withdraw
from .plan import change_plan, preview_plan
from .record import note

__all__ = [
    "bind", "change_plan", "delete", "edit", "follow_calendar", "instalments", "lapse_unpaid", "note", "preview_plan",
    "price", "quote", "withdraw",
]  # fmt: skip

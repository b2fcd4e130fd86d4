"""The main menu of each role, and where feedback is sent."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

from ..core.permissions import Actor, Role
from .arguments import inside

MENUS: dict[Role, list[tuple[str, str, str]]] = {
    Role.CUSTOMER: [
        ("/portal", "house-door", "Home"),
        ("/portal/policies", "file-earmark-text", "Policies"),
        ("/portal/claims", "clipboard2-pulse", "Claims"),
        ("/portal/payments", "credit-card", "Payments"),
        ("/portal/documents", "folder", "Documents"),
    ],
    Role.AGENT: [
        ("/agent", "list-check", "Work queue"),
        ("/customers", "people", "Customers"),
        ("/policies?status=quoted", "calculator", "Quotes"),
        ("/policies", "file-earmark-text", "Policies"),
        ("/invoices", "receipt", "Invoices"),
        ("/payments", "cash-coin", "Payments"),
        ("/claims", "clipboard2-pulse", "Claims"),
    ],
    Role.ADMIN: [
        ("/admin", "speedometer2", "Overview"),
        ("/customers", "people", "Customers"),
        ("/policies", "file-earmark-text", "Policies"),
        ("/invoices", "receipt", "Invoices"),
        ("/payments", "cash-coin", "Payments"),
        ("/payments/bank", "bank", "Bank"),
        ("/admin/disbursements", "box-arrow-up-right", "Disbursements"),
        ("/claims", "clipboard2-pulse", "Claims"),
        ("/admin/feedback", "chat-left-text", "Feedback"),
        ("/admin/usage", "bar-chart", "Usage"),
        ("/admin/users", "person-gear", "Users"),
        ("/admin/products", "box-seam", "Products"),
        ("/admin/outbox", "envelope", "Outbox"),
        ("/admin/ledger", "journals", "Ledger"),
        ("/admin/jobs", "clock-history", "Jobs"),
        ("/admin/audit", "journal-text", "Audit"),
        ("/admin/privacy", "shield-lock", "Privacy"),
        ("/admin/settings", "sliders", "Settings"),
    ],
}


@dataclass(frozen=True)
class NavItem:
    """One entry of the menu."""

    href: str
    icon: str
    label: str
    current: bool
    count: int | None = None


def items(actor: Actor) -> list[NavItem]:
    """The actor's menu; the entry that leads nearest to the page in hand is the current one, home only when there."""
    (home, *_), *_ = menu = MENUS[actor.role]
    here = request.full_path.rstrip("?")
    leading = [
        href
        for href, *_ in menu
        if here == href or (href != home and here.startswith((f"{href}/", f"{href}?", f"{href}&")))
    ]
    nearest = max(leading, key=len, default="")
    return [NavItem(href, icon, label, href == nearest) for href, icon, label in menu]


def feedback_href() -> str:
    """Where feedback about the page in hand is written."""
    mailed = "token" in (request.view_args or {})  # the path of a mailed link lets its reader in: it is kept nowhere
    page = "" if mailed else inside(request.path)
    return f"/feedback?{urlencode({'page': page})}" if page else "/feedback"

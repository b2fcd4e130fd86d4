"""The words of a mail as admins may change them: text with placeholders such as {name}; nothing is evaluated."""

import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import RuleBroken

PLACEHOLDER = re.compile(r"\{([^{}\n]*)\}")
_EVERYWHERE = {
    "name": "Maria Lopez",
    "company": "Harbor Mutual",
    "company_phone": "1-800-555-0142",
    "site": "https://example.com",
}
_LINK = {"url": "https://example.com/the-link"}
_CLAIM = {"number": "CLM-2026-000042", **_LINK}
_POLICY = {"policy_number": "POL-2026-000042", "amount": "$204.00"}
_NOTICE = {
    "number": "NOT-2026-000042",
    "invoice": "INV-2026-000042",
    **_POLICY,
    "due_on": "15 Jun 2026",
    "pay_url": "https://example.com/portal/pay/42",
}
_AUTOPAY = {
    **_POLICY,
    "number": "INV-2026-000042",
    "method": "Visa ending in 4242",
    "pay_url": "https://example.com/portal/pay/42",
}
_MANDATE = {"policy_number": "POL-2026-000042", "mandate": "MND-2026-000042", "account": "•••• 3000"}
_CREDITOR = {"creditor": "Harbor Mutual", "creditor_id": "DE98ZZZ09999999999"}
_COLLECTED = {
    **_MANDATE,
    **_CREDITOR,
    "number": "INV-2026-000042",
    "amount": "€204.00",
    "collect_on": "15 Jun 2026",
}
_SENT_BACK = {
    **_MANDATE,
    "number": "INV-2026-000042",
    "amount": "€204.00",
    "pay_url": "https://example.com/portal/pay/42",
}
SAMPLES: dict[str, dict[str, str]] = {
    template: _EVERYWHERE | own
    for template, own in {
        "confirm": _LINK,
        "reset": _LINK,
        "invitation": {"invited_by": "Ann Agent", **_LINK},
        "already_registered": {},
        "two_step_changed": {"change": "The passkey “Phone” was added."},
        "recovery_code_used": {"left": "9"},
        "invoice_issued": {
            "number": "INV-2026-000042",
            **_POLICY,
            "due_on": "15 Jun 2026",
            "pay_url": "https://example.com/portal/pay/42",
        },
        "invoice_collected": _COLLECTED,
        "notice_reminder": _NOTICE,
        "notice_overdue": _NOTICE,
        "notice_second": _NOTICE,
        "notice_cancellation": {**_NOTICE, "last_day": "30 Jun 2026"},
        "policy_lapsed": {"policy_number": "POL-2026-000042", "last_day": "30 Jun 2026", "still_due": "$16.77"},
        "payment_returned": {**_POLICY, "method": "Cheque", "paid_on": "3 Jun 2026"},
        "payment_charged_back": {**_POLICY, "method": "Card", "paid_on": "3 Jun 2026"},
        "autopay_on": {"policy_number": "POL-2026-000042", "method": "Visa ending in 4242"},
        "autopay_soon": {
            **_POLICY,
            "number": "INV-2026-000042",
            "method": "Visa ending in 4242",
            "charge_on": "15 Jun 2026",
            "stop_url": "https://example.com/portal/autopay/42",
        },
        "autopay_failed": {**_AUTOPAY, "next_on": "18 Jun 2026"},
        "autopay_off": _AUTOPAY,
        "mandate_given": {**_MANDATE, **_CREDITOR, "holder": "Maria Lopez", "signed_on": "3 Jun 2026"},
        "mandate_revoked": {**_MANDATE, "still": "Nothing more is collected."},
        "mandate_stopped": _SENT_BACK,
        "collection_announced": _COLLECTED,
        "collection_returned": _SENT_BACK,
        "receipt": {"number": "RCT-2026-000042", **_POLICY, "method": "Bank transfer", "paid_on": "3 Jun 2026"},
        "claim_received": _CLAIM,
        "claim_question": {**_CLAIM, "question": "When did you see the car last?"},
        "claim_approved": {**_CLAIM, "amount": "$1,204.00", "notes": "Covered in full."},
        "claim_rejected": {**_CLAIM, "notes": "Wear and tear is not covered."},
        "claim_paid": {**_CLAIM, "amount": "$1,204.00", "paid_on": "3 Jun 2026"},
        "refund_sent": {
            "amount": "$204.00",
            "payee": "Maria Lopez",
            "account": "account •••• 6819",
            "reason": "Refund POL-2026-000042",
        },
        "feedback_answer": {
            "number": "42",
            "question": "May I pay by card?",
            "answer": "Yes: choose the card when you pay.",
        },
    }.items()
}
"""The placeholders that each mail offers, with what stands for them in a preview."""
NEED_LINK = {"confirm", "reset", "invitation"}
"""Mails that are of no use without their link."""
NOT_IN_SUBJECT = {"url", "pay_url", "stop_url", "question", "notes", "answer"}
"""A link lets its reader in, and mail servers note subjects; the others are too long."""


def check_text(template: str, *, subject: str, body: str) -> None:
    """Refuse words that could not be filled in, or that leave out the link that the mail is sent for."""
    offered = set(SAMPLES[template])
    for field, text, known in (("subject", subject, offered - NOT_IN_SUBJECT), ("body", body, offered)):
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                raise RuleBroken(f"{{{name}}} cannot stand here. Use the placeholders listed for this field.", field)
    if template in NEED_LINK and "{url}" not in body:
        raise RuleBroken("Keep {url} in the text: without its link nobody can use this mail.", "body")


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with a value for each placeholder; braces within a value stay as they are."""
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)

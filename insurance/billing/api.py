"""Invoices by the API."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.collections import Collection
from ..api.records import AmountText, CurrencyText
from ..core import clock
from ..core.money import decimal_text
from ..policies.models import Policy
from . import queries
from .domain import InvoiceStatus, is_overdue
from .models import OPEN, BillingAccount, Invoice


class InvoiceRecord(TypedDict):
    """A demand for an instalment. `open` is what is still to be paid; `overdue` follows from the day."""

    id: int
    invoice_number: Annotated[str, Field(examples=["INV-2026-000042"])]
    policy_id: int
    issue_date: date
    due_date: date
    total: AmountText
    open: AmountText
    currency: CurrencyText
    status: InvoiceStatus
    overdue: bool
    instalment: int
    instalments: int
    document_id: int
    version: int


def _shown(rows: Sequence[Row[Any]]) -> list[InvoiceRecord]:
    today = clock.today()
    return [
        {
            "id": row.id,
            "invoice_number": row.number,
            "policy_id": row.policy_id,
            "issue_date": row.issued_on,
            "due_date": row.due_on,
            "total": decimal_text(row.total_minor, row.currency),
            "open": decimal_text(row.total_minor - row.paid_minor if row.status in OPEN else 0, row.currency),
            "currency": row.currency,
            "status": row.status,
            "overdue": is_overdue(row.status, row.due_on, today),
            "instalment": row.instalment,
            "instalments": row.instalments,
            "document_id": row.document_id,
            "version": row.version,
        }
        for row in rows
    ]


INVOICES = Collection(
    "invoices",
    "invoice",
    InvoiceRecord,
    rows=lambda actor: (
        queries.invoice_rows(actor)
        .join(Policy, Policy.account_id == BillingAccount.id)
        .add_columns(Policy.id.label("policy_id"), Invoice.document_id, Invoice.version)
    ),
    key=Invoice.id,
    shown=_shown,
    filters={
        "invoice_number": collections.text(Invoice.number),
        "policy_id": collections.whole(Policy.id),
        "document_id": collections.whole(Invoice.document_id),
        "total": collections.amount(Invoice.total_minor),
        "open": collections.amount(queries.open_minor()),
        "currency": collections.text(Invoice.currency),
        "status": collections.one_of(InvoiceStatus, lambda status: Invoice.status == status),
        "overdue": collections.flag(lambda: queries.overdue(clock.today())),
        **collections.days("issue_date", Invoice.issued_on),
        **collections.days("due_date", Invoice.due_on),
    },
    sorts={"due_date": Invoice.due_on, "total": Invoice.total_minor},
)
api.collection("invoice:read", INVOICES)

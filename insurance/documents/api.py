"""Issued documents by the API."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from flask import Response
from flask_login import current_user
from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.collections import Collection
from ..web.guard import requires
from . import queries, services
from .models import Document, DocumentKind


class DocumentRecord(TypedDict):
    """A document as it was issued."""

    id: int
    kind: DocumentKind
    document_number: Annotated[str, Field(examples=["INV-2026-000042"])]
    customer_id: int
    policy_number: Annotated[str, Field(examples=["POL-2026-000042"])]
    issue_date: date


def _shown(rows: Sequence[Row[Any]]) -> list[DocumentRecord]:
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "document_number": row.number,
            "customer_id": row.customer_id,
            "policy_number": row.policy_number,
            "issue_date": row.issued_on,
        }
        for row in rows
    ]


DOCUMENTS = Collection(
    "documents",
    "document",
    DocumentRecord,
    rows=queries.document_rows,
    key=Document.id,
    shown=_shown,
    filters={
        "kind": collections.one_of(DocumentKind, lambda kind: Document.kind == kind),
        "document_number": collections.text(Document.number),
        "customer_id": collections.whole(Document.customer_id),
        "policy_number": collections.text(Document.policy_number),
        **collections.days("issue_date", Document.issued_on),
    },
)
api.collection("document:read", DOCUMENTS)


@api.read("/documents/<int:document_id>/pdf")
@requires("document:read")
def read_document_pdf(document_id: int) -> Response:
    """The document itself, as PDF."""
    document = queries.get_document(document_id, current_user)
    return Response(services.pdf(document), mimetype="application/pdf")

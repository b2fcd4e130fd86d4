"""The audit trail, and what the overview counts."""

from sqlalchemy import Select, func, or_, select

from ..core.audit import AuditEntry
from ..core.db import db
from ..core.errors import NotFound
from ..customers.models import Customer

SUBJECTS = {
    "users": "User",
    "customers": "Customer",
    "policies": "Policy",
    "invoices": "Invoice",
    "payments": "Payment",
    "claims": "Claim",
    "disbursements": "Payout",
    "outbox": "Mail",
    "product_versions": "Product",
}


def act(subject: str, action: str) -> str:
    """An act in words: "Policy: bind"."""
    return f"{SUBJECTS.get(subject, subject.replace('_', ' ').capitalize())}: {action.replace('_', ' ')}"


def audit_rows(*, q: str = "") -> Select:
    """Audit entries for the list."""
    statement = select(
        AuditEntry.id,
        AuditEntry.at,
        AuditEntry.actor_name,
        AuditEntry.action,
        AuditEntry.subject,
        AuditEntry.label,
        AuditEntry.address,
    )
    if q:
        columns = (func.lower(column) for column in (AuditEntry.label, AuditEntry.actor_name))
        statement = statement.where(or_(*(column.contains(q.lower(), autoescape=True) for column in columns)))
    return statement


def get_entry(id: int) -> AuditEntry:
    """One audit entry."""
    entry = db.session.get(AuditEntry, id)
    if entry is None:
        raise NotFound("We cannot find that entry.")
    return entry


def audit_of(subject: str, subject_id: int, most: int = 20) -> list[AuditEntry]:
    """The latest acts on one record."""
    return list(
        db.session.scalars(
            select(AuditEntry)
            .where(AuditEntry.subject == subject, AuditEntry.subject_id == subject_id)
            .order_by(AuditEntry.id.desc())
            .limit(most)
        )
    )


def customers_without_agent() -> int:
    """How many active customers are in nobody's book."""
    return db.session.scalar(select(func.count()).where(Customer.agent_id.is_(None), Customer.active)) or 0

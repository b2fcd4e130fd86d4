"""What is due by the retention table."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Select, exists, func, or_, select

from ...accounts.models import KeptForm, Link, SignInSession, SignInTry, User
from ...claims.models import Attachment, Claim
from ...core import clock
from ...core.db import db
from ...core.outbox import Mail, MailStatus
from ...core.permissions import Role
from ...customers.models import Customer
from ...documents.models import DeletedFile, Document, StoredFile
from ...feedback.models import Feedback
from ...payments.models import GatewayEvent
from ...policies.models import Policy
from ..domain import RULES

ERASED_HOST = "erased.invalid"
"""The host of addresses that stand for those of people who are forgotten; no mail gets there."""
COUNTED = 1000


def due(on: date) -> Mapping[str, Select[Any]]:
    """The ids of what is over on a day, by the rule that says so. What was cleared is due no longer."""

    def day(rule: str) -> date:
        return RULES[rule].keep.before(on)

    def at(rule: str) -> datetime:
        return datetime.combine(day(rule), time.min, clock.zone())

    forgotten = select(Customer.id).where(Customer.erased_at.is_not(None), Customer.keep_until < on)
    there = ~exists().where(DeletedFile.file_id == StoredFile.id)
    is_customer = exists().where(Customer.user_id == User.id)
    in_words = or_(Claim.description != "", Claim.notes != "", Claim.payee_name != "")
    return {
        "quotes": select(Policy.id).where(Policy.bound_at.is_(None), Policy.quote_valid_until < day("quotes")),
        "registrations": select(User.id).where(
            User.role == Role.CUSTOMER,
            User.confirmed_at.is_(None),
            User.created_at < at("registrations"),
            ~User.email.endswith(f"@{ERASED_HOST}"),
            ~is_customer,
        ),
        "links": select(Link.id).where(Link.expires_at < at("links")),
        "sessions": select(SignInSession.id).where(SignInSession.ends_at < at("sessions")),
        "tries": select(SignInTry.id).where(SignInTry.at < at("tries")),
        "kept_forms": select(KeptForm.id).where(KeptForm.kept_at < at("kept_forms")),
        "screenshots": select(Feedback.id).where(
            Feedback.file_id.is_not(None), Feedback.created_at < at("screenshots")
        ),
        "visitors": select(Feedback.id).where(Feedback.address != "", Feedback.created_at < at("visitors")),
        "mails": select(Mail.id).where(
            Mail.cleared_at.is_(None), Mail.status != MailStatus.DUE, Mail.created_at < at("mails")
        ),
        "webhooks": select(GatewayEvent.id).where(
            GatewayEvent.cleared_at.is_(None),
            GatewayEvent.handled_at.is_not(None),
            GatewayEvent.received_at < at("webhooks"),
        ),
        "files": select(StoredFile.id)
        .join(Attachment, Attachment.file_id == StoredFile.id)
        .join(Claim, Claim.id == Attachment.claim_id)
        .where(Claim.customer_id.in_(forgotten), there),
        "claims": select(Claim.id).where(Claim.customer_id.in_(forgotten), in_words),
        "documents": select(StoredFile.id)
        .join(Document, Document.id == StoredFile.document_id)
        .where(Document.customer_id.in_(forgotten), there),
    }


def counts(on: date) -> dict[str, int]:
    """How much is due by each rule, counted to a little over COUNTED."""
    some = {rule: ids.limit(COUNTED + 1).subquery() for rule, ids in due(on).items()}
    counted: list[Any] = [select(func.count()).select_from(rows).scalar_subquery() for rows in some.values()]
    return dict(zip(some, db.session.execute(select(*counted)).one(), strict=True))

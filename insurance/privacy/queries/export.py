"""What is held about a person, section by section, as their copy names it."""

from typing import Any

from sqlalchemy import Select, case, literal, or_, select

from ...accounts.models import ApiKey, Passkey, SignInSession, User
from ...billing.models import BillingAccount, CreditNote, Disbursement, Invoice, Mandate
from ...claims.models import Attachment, Claim, ClaimEvent
from ...core.audit import AuditEntry
from ...core.outbox import Mail
from ...customers.models import Customer
from ...documents.models import Document, StoredFile
from ...feedback.models import Feedback
from ...payments.models import Autopay, Payment, Receipt
from ...policies.models import Policy
from ..models import Erasure
from . import erasure
from .erasure import Person


def sections(person: Person) -> dict[str, Select[Any]]:
    """The sections in their order. A column that ends in `_minor` is read as money in the row's currency.

    What staff note for each other about a record is not in it: docs/privacy.md says why.
    """
    return {**_of_person(person), **_of_contracts(person.customer), **_of_contact(person)}


def _of_person(person: Person) -> dict[str, Select[Any]]:
    customer, user_id = person.customer, person.user_id
    return {
        "person": select(
            Customer.number, Customer.kind, Customer.name, Customer.email, Customer.phone, Customer.birth_on,
            Customer.active, Customer.created_at,
        ).where(Customer.id == customer.id),
        "user": select(
            User.name, User.email, User.role, User.confirmed_at, User.active, User.two_step_since, User.theme,
            User.created_at,
        ).where(User.id == user_id),
        "addresses": select(literal("postal").label("kind"), Customer.address).where(
            Customer.id == customer.id, Customer.address != ""
        ),
        "sessions": select(
            SignInSession.created_at, SignInSession.seen_at, SignInSession.ends_at, SignInSession.ended_at,
            SignInSession.address, SignInSession.browser, SignInSession.by_api,
        ).where(SignInSession.user_id == user_id).order_by(SignInSession.id),
        "passkeys": select(Passkey.name, Passkey.created_at, Passkey.used_at).where(Passkey.user_id == user_id),
        "api_keys": select(
            ApiKey.name, ApiKey.scopes, ApiKey.created_at, ApiKey.expires_at, ApiKey.used_at, ApiKey.revoked_at
        ).where(ApiKey.user_id == user_id),
        "erasures": select(Erasure.status, Erasure.reason, Erasure.requested_at, Erasure.decided_at).where(
            Erasure.customer_id == customer.id
        ),
        "audit": select(
            AuditEntry.at,
            case((AuditEntry.actor_id == user_id, "you"), else_="us").label("by"),
            AuditEntry.action,
            AuditEntry.subject,
            AuditEntry.label,
            AuditEntry.before,
            AuditEntry.after,
        )
        .where(
            or_(
                AuditEntry.actor_id == user_id,
                (AuditEntry.subject == "customers") & (AuditEntry.subject_id == customer.id),
                (AuditEntry.subject == "users") & (AuditEntry.subject_id == user_id),
            )
        )
        .order_by(AuditEntry.id),
    }  # fmt: skip


def _of_contracts(customer: Customer) -> dict[str, Select[Any]]:
    accounts = erasure.accounts_of(customer)
    policies = select(
        Policy.number, Policy.status, Policy.policy_type, Policy.start_on, Policy.end_on, Policy.cancelled_on,
        Policy.plan, Policy.coverage_minor, Policy.premium_minor, Policy.tax_minor, Policy.fee_minor, Policy.currency,
        Policy.answers, Policy.quote_valid_until, Policy.created_at, Policy.bound_at,
    ).where(Policy.customer_id == customer.id).order_by(Policy.id)  # fmt: skip
    return {
        "policies": policies.where(Policy.bound_at.is_not(None)),
        "quotes": policies.where(Policy.bound_at.is_(None)),
        "mandates": select(
            Mandate.number, BillingAccount.policy_number, Mandate.holder_name, Mandate.account_number, Mandate.bic,
            Mandate.signed_on, Mandate.revoked_on, Mandate.end_reason,
        ).join(BillingAccount, BillingAccount.id == Mandate.account_id).where(Mandate.account_id.in_(accounts)),
        "autopay": select(
            BillingAccount.policy_number, Autopay.active, Autopay.label, Autopay.changed_at, Autopay.ended_because
        ).join(BillingAccount, BillingAccount.id == Autopay.account_id).where(Autopay.account_id.in_(accounts)),
        "invoices": select(
            Invoice.number, BillingAccount.policy_number, Invoice.status, Invoice.issued_on, Invoice.due_on,
            Invoice.total_minor, Invoice.paid_minor, Invoice.credited_minor, Invoice.currency,
        ).join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(Invoice.account_id.in_(accounts)).order_by(Invoice.id),
        "credit_notes": select(
            CreditNote.number, CreditNote.issued_on, CreditNote.reason, CreditNote.premium_minor, CreditNote.tax_minor,
            CreditNote.currency,
        ).where(CreditNote.account_id.in_(accounts)),
        "payments": select(
            Payment.paid_on, BillingAccount.policy_number, Payment.method, Payment.status, Payment.amount_minor,
            Payment.refunded_minor, Payment.currency, Payment.reference, Payment.created_at,
        ).join(BillingAccount, BillingAccount.id == Payment.account_id)
        .where(Payment.account_id.in_(accounts)).order_by(Payment.id),
        "receipts": select(Receipt.number, Receipt.issued_on, Payment.amount_minor, Payment.currency)
        .join(Payment, Payment.id == Receipt.payment_id).where(Payment.account_id.in_(accounts)).order_by(Receipt.id),
        "payments_out": select(
            Disbursement.kind, Disbursement.status, Disbursement.payee_name, Disbursement.account_number,
            Disbursement.bic, Disbursement.reason, Disbursement.amount_minor, Disbursement.currency,
            Disbursement.requested_at, Disbursement.sent_on, Disbursement.settled_on,
        ).where(Disbursement.customer_id == customer.id).order_by(Disbursement.id),
        "claims": select(
            Claim.number, Claim.status, Claim.loss_on, Claim.notified_on, Claim.cause, Claim.description,
            Claim.claimed_minor, Claim.approved_minor, Claim.currency, Claim.payee_name, Claim.created_at,
        ).where(Claim.customer_id == customer.id).order_by(Claim.id),
        "claim_history": select(Claim.number, ClaimEvent.at, ClaimEvent.action, ClaimEvent.status, ClaimEvent.message)
        .join(Claim, Claim.id == ClaimEvent.claim_id).where(Claim.customer_id == customer.id).order_by(ClaimEvent.id),
        "files": select(
            Claim.number, StoredFile.name, StoredFile.content_type, StoredFile.size, StoredFile.sha256,
            StoredFile.created_at,
        ).join(Attachment, Attachment.file_id == StoredFile.id).join(Claim, Claim.id == Attachment.claim_id)
        .where(Claim.customer_id == customer.id).order_by(StoredFile.id),
        "documents": select(
            Document.kind, Document.number, Document.policy_number, Document.issued_on, StoredFile.sha256
        ).outerjoin(StoredFile, StoredFile.document_id == Document.id)
        .where(Document.customer_id == customer.id).order_by(Document.id),
    }  # fmt: skip


def _of_contact(person: Person) -> dict[str, Select[Any]]:
    return {
        "messages": select(Mail.created_at, Mail.template, Mail.recipient, Mail.status, Mail.sent_at, Mail.data)
        .where(erasure.mails_of(person))
        .order_by(Mail.id),
        "feedback": select(
            Feedback.created_at, Feedback.kind, Feedback.page, Feedback.text, Feedback.status, Feedback.answer,
            Feedback.name, Feedback.email,
        ).where(erasure.feedback_of(person)).order_by(Feedback.id),
    }  # fmt: skip

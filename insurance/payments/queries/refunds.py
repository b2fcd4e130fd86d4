"""What went back of payments, or is to go back."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, func, select

from ...billing.domain import DisbursementStatus
from ...billing.models import CreditNote, CreditNotePart, Disbursement
from ...core.db import db
from ...core.money import Money
from ..domain import LIVE
from ..models import Payment, Receipt, RefundPart

NOT_SENT = (DisbursementStatus.REQUESTED, DisbursementStatus.APPROVED)


def with_credit(account_id: int) -> list[Row]:
    """The payments of an account with money left that can be paid back, the newest first, with their receipts."""
    return list(
        db.session.execute(
            select(Payment, Receipt.number)
            .join(Receipt, Receipt.payment_id == Payment.id)
            .where(
                Payment.account_id == account_id,
                Payment.status.in_(LIVE),
                Payment.allocated_minor + Payment.refunded_minor < Payment.amount_minor,
            )
            .order_by(Payment.id.desc())
        )
    )


def credit_notes_to_account(account_id: int) -> list[Row]:
    """The credit notes that added to the credit of an account: number and reason."""
    return list(
        db.session.execute(
            select(CreditNote.number, CreditNote.reason)
            .join(CreditNotePart, CreditNotePart.credit_note_id == CreditNote.id)
            .where(CreditNote.account_id == account_id, CreditNotePart.invoice_id.is_(None))
            .order_by(CreditNote.id)
        )
    )


def refunded_by(disbursement_id: int) -> list[Row]:
    """The payments that a refund pays back, with the part of each."""
    return list(
        db.session.execute(
            select(Payment, RefundPart)
            .join(RefundPart, RefundPart.payment_id == Payment.id)
            .where(RefundPart.disbursement_id == disbursement_id)
            .order_by(Payment.id)
        )
    )


def card_refunds(asked_before: datetime, limit: int) -> list[Row]:
    """The ids of approved refunds through the gateway and of their payments, but those it was asked about just now."""
    return list(
        db.session.execute(
            select(Disbursement.id, Payment.id.label("payment_id"))
            .join(RefundPart, RefundPart.disbursement_id == Disbursement.id)
            .join(Payment, Payment.id == RefundPart.payment_id)
            .where(Disbursement.status == DisbursementStatus.APPROVED, Disbursement.by_gateway)
            .where(Payment.asked_at.is_(None) | (Payment.asked_at < asked_before))
            .order_by(Disbursement.id)
            .limit(limit)
        )
    )


def refunds_not_sent(payment_id: int) -> Sequence[int]:
    """The orders that are to pay back a part of a payment and have not been sent."""
    return db.session.scalars(
        select(Disbursement.id)
        .join(RefundPart, RefundPart.disbursement_id == Disbursement.id)
        .where(RefundPart.payment_id == payment_id, Disbursement.status.in_(NOT_SENT))
        .order_by(Disbursement.id)
    ).all()


def refunded_by_orders(payment: Payment) -> Money:
    """What orders pay back of a payment to bank accounts, sent or not; the gateway pays back the rest."""
    total = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment.id, Disbursement.status != DisbursementStatus.CANCELLED)
        .where(~Disbursement.by_gateway)
    )
    return Money(int(total or 0), payment.currency)


def paid_back(payment: Payment) -> Money:
    """What has gone back of a payment, by the gateway and by orders of ours; those not sent yet have paid nothing."""
    not_sent = db.session.scalar(
        select(func.sum(RefundPart.amount_minor))
        .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
        .where(RefundPart.payment_id == payment.id, Disbursement.status.in_(NOT_SENT))
    )
    return Money(payment.refunded_minor - int(not_sent or 0), payment.currency)


def refunds_of(payment_ids: Sequence[int]) -> list[Row]:
    """What was ordered to be paid back of some payments, the oldest order first."""
    return list(
        db.session.execute(
            select(
                RefundPart.payment_id, RefundPart.amount_minor, RefundPart.currency,
                Disbursement.id, Disbursement.status, Disbursement.by_gateway,
            )
            .join(Disbursement, Disbursement.id == RefundPart.disbursement_id)
            .where(RefundPart.payment_id.in_(payment_ids))
            .order_by(Disbursement.id)
        )
    )  # fmt: skip

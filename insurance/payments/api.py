"""Payments and receipts by the API."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from flask import current_app
from flask_login import current_user
from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import Amount, Body, Day, Id, Name, Reason, Story, Text, left_out
from ..api.collections import Collection
from ..api.records import AmountText, CurrencyText
from ..billing import queries as billing
from ..billing.domain import DisbursementStatus
from ..billing.models import BillingAccount
from ..core.errors import RuleBroken
from ..core.money import decimal_text
from ..policies import queries as policies
from ..policies.models import Policy
from ..web.guard import requires
from . import queries, services
from .domain import PaymentMethod, PaymentStatus
from .gateways.stripe import Stripe
from .gateways.test import TestGateway
from .models import Payment, Receipt
from .services import refunds


class RefundRecord(TypedDict):
    """An order to pay a payment, or a part of it, back."""

    id: int
    amount: AmountText
    status: DisbursementStatus
    by_gateway: bool


class PaymentRecord(TypedDict):
    """A payment. One by card begins as `created`: its payer goes on at `checkout_url`."""

    id: int
    policy_id: int
    invoice_id: int | None
    payment_date: date
    amount: AmountText
    currency: CurrencyText
    payment_method: PaymentMethod
    status: PaymentStatus
    refunded_amount: AmountText
    refunds: list[RefundRecord]
    reference: str
    receipt_number: Annotated[str | None, Field(examples=["RCT-2026-000042"])]
    receipt_document_id: int | None
    checkout_url: str | None
    version: int


class Refund(Body):
    """How much is paid back, why, and where to. A card payment goes back to its card: leave the account out."""

    amount: Amount
    reason: Annotated[Reason, Field(max_length=200)]
    payee_name: Annotated[Name, Field(max_length=70)] = left_out()
    account_number: Annotated[Name, Field(max_length=50)] = left_out()
    bic: Annotated[Text, Field(max_length=11)] = left_out()


class NewPayment(Body):
    """Money that came in, or that is to be paid by card, for an invoice or for a policy."""

    amount: Amount
    method: PaymentMethod = Field(alias="payment_method", strict=False)
    policy_id: Id | None = None
    invoice_id: Id | None = None
    paid_on: Day | None = Field(None, alias="payment_date")
    reference: Annotated[Text, Field(max_length=100)] = ""
    note: Annotated[Story, Field(max_length=500)] = ""


class PaymentChanges(Body):
    """What staff wrote about a payment; nothing else about it changes."""

    reference: Annotated[Text, Field(max_length=100)] = ""
    note: Annotated[Story, Field(max_length=500)] = ""


def _shown(rows: Sequence[Row[Any]]) -> list[PaymentRecord]:
    orders: dict[int, list[RefundRecord]] = defaultdict(list)
    for order in queries.refunds_of([row.id for row in rows if row.refunded_minor]):
        orders[order.payment_id].append(
            {
                "id": order.id,
                "amount": decimal_text(order.amount_minor, order.currency),
                "status": order.status,
                "by_gateway": order.by_gateway,
            }
        )
    return [
        {
            "id": row.id,
            "policy_id": row.policy_id,
            "invoice_id": row.invoice_id,
            "payment_date": row.paid_on,
            "amount": decimal_text(row.amount_minor, row.currency),
            "currency": row.currency,
            "payment_method": row.method,
            "status": row.status,
            "refunded_amount": decimal_text(row.refunded_minor, row.currency),
            "refunds": orders[row.id],
            "reference": row.reference,
            "receipt_number": row.receipt_number,
            "receipt_document_id": row.document_id,
            "checkout_url": _checkout_url(row) if row.status is PaymentStatus.CREATED and row.token else None,
            "version": row.version,
        }
        for row in rows
    ]


def _checkout_url(row: Any) -> str:
    """Where the payer goes on: Stripe's page opens from our own, which knows who they are."""
    path = f"/portal/pay/{row.invoice_id}" if Stripe.serves() else TestGateway().page(row).url
    return f"{current_app.config['PUBLIC_URL']}{path}"


PAYMENTS = Collection(
    "payments",
    "payment",
    PaymentRecord,
    rows=lambda actor: (
        queries.payment_rows(actor)
        .join(Policy, Policy.account_id == BillingAccount.id)
        .add_columns(
            Policy.id.label("policy_id"), Payment.invoice_id, Payment.token, Payment.refunded_minor, Payment.version
        )
    ),
    key=Payment.id,
    shown=_shown,
    filters={
        "policy_id": collections.whole(Policy.id),
        "invoice_id": collections.whole(Payment.invoice_id),
        "amount": collections.amount(Payment.amount_minor),
        "currency": collections.text(Payment.currency),
        "payment_method": collections.one_of(PaymentMethod, lambda method: Payment.method == method),
        "status": collections.one_of(PaymentStatus, lambda status: Payment.status == status),
        "reference": collections.text(Payment.reference),
        "receipt_number": collections.text(Receipt.number),
        **collections.days("payment_date", Payment.paid_on),
    },
    sorts={"payment_date": Payment.paid_on, "amount": Payment.amount_minor},
)
api.collection("payment:read", PAYMENTS)


@api.act("/payments", on=PAYMENTS, creates=True, moves_money=True)
@requires("payment:record", "payment:pay_by_card")
def pay(body: NewPayment) -> PaymentRecord:
    """Record money that came in, which pays the named invoice first, or begin a payment by card."""
    account_id = _account(body)
    if body.method is PaymentMethod.CARD:
        payment = services.start_card(invoice_id=_invoice_by_card(body, account_id), actor=current_user)
    else:
        facts = {name: value for name, value in body.given.items() if name != "policy_id"}
        payment = services.record(account_id=account_id, **facts, actor=current_user)
    return PAYMENTS.get(payment.id)


def _account(body: NewPayment) -> int:
    """The billing account of the policy, or of the invoice; of both, if both are named."""
    accounts = set()
    if body.invoice_id is not None:
        accounts.add(billing.get_invoice(body.invoice_id, current_user)[1].id)
    if body.policy_id is not None:
        policy = policies.get_policy(body.policy_id, current_user)
        if policy.account_id is None:
            raise RuleBroken("This is a quote, for which nothing is due. Bind it first.", "policy_id")
        accounts.add(policy.account_id)
    if not accounts:
        raise RuleBroken("Send the policy or the invoice that is paid.", "policy_id")
    if len(accounts) > 1:
        raise RuleBroken("This invoice is for another policy.", "invoice_id")
    return accounts.pop()


def _invoice_by_card(body: NewPayment, account_id: int) -> int:
    """The invoice that a card pays in full: the one named, or the oldest due of the policy."""
    open_ = billing.open_invoices(account_id)
    named = [invoice for invoice in open_ if body.invoice_id in (None, invoice.id)]
    if not named:
        raise RuleBroken("Nothing is open to be paid by card.", "invoice_id")
    if body.amount != named[0].open:
        raise RuleBroken(f"By card the invoice is paid in full: {named[0].open}.", "amount")
    if body.paid_on or body.reference or body.note:
        raise RuleBroken("A payment by card has its date from the gateway, and no reference or note.", "payment_date")
    return named[0].id


@api.change("/payments/<int:payment_id>", on=PAYMENTS)
@requires("payment:edit")
def edit_payment(payment_id: int, body: PaymentChanges, version: int) -> PaymentRecord:
    """Change reference and note."""
    payment = queries.get_payment(payment_id, current_user)[0]
    written = {"reference": payment.reference, "note": payment.note}
    services.edit(payment_id=payment_id, version=version, **written | body.given, actor=current_user)
    return PAYMENTS.get(payment_id)


@api.act("/payments/<int:payment_id>/refund", on=PAYMENTS, moves_money=True)
@requires("refund:request")
def refund_payment(payment_id: int, body: Refund, version: int) -> PaymentRecord:
    """Pay a payment back by the way it came. What it paid is taken back first, so that those invoices are open again.

    Above the limit the order waits for a second person; `refunds` says how far each order has come.
    """
    refunds.refund(payment_id=payment_id, version=version, **body.given, actor=current_user)
    return PAYMENTS.get(payment_id)


@api.remove("/payments/<int:payment_id>", on=PAYMENTS)
@requires("payment:delete")
def delete_payment(payment_id: int) -> None:
    """Delete a payment that is still created. One that was made is refunded instead."""
    services.delete(payment_id=payment_id, actor=current_user)


class ReceiptRecord(TypedDict):
    """The one receipt of a payment. Its PDF is that of the document."""

    id: int
    receipt_number: Annotated[str, Field(examples=["RCT-2026-000042"])]
    payment_id: int
    policy_id: int
    document_id: int
    issue_date: date
    amount: AmountText
    currency: CurrencyText


def _shown_receipts(rows: Sequence[Row[Any]]) -> list[ReceiptRecord]:
    return [
        {
            "id": row.receipt_id,
            "receipt_number": row.receipt_number,
            "payment_id": row.id,
            "policy_id": row.policy_id,
            "document_id": row.document_id,
            "issue_date": row.issued_on,
            "amount": decimal_text(row.amount_minor, row.currency),
            "currency": row.currency,
        }
        for row in rows
    ]


RECEIPTS = Collection(
    "receipts",
    "receipt",
    ReceiptRecord,
    rows=lambda actor: (
        queries.payment_rows(actor)
        .join(Policy, Policy.account_id == BillingAccount.id)
        .where(Receipt.id.is_not(None))
        .add_columns(Receipt.id.label("receipt_id"), Policy.id.label("policy_id"), Receipt.issued_on)
    ),
    key=Receipt.id,
    shown=_shown_receipts,
    filters={
        "receipt_number": collections.text(Receipt.number),
        "payment_id": collections.whole(Receipt.payment_id),
        "policy_id": collections.whole(Policy.id),
        "document_id": collections.whole(Receipt.document_id),
        **collections.days("issue_date", Receipt.issued_on),
    },
)
api.collection("payment:read", RECEIPTS)

"""Staff pages of payments, and the test gateway's page."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..billing import queries as billing
from ..billing.models import BillingAccount, Invoice
from ..core.errors import NotFound
from ..core.money import Money
from ..customers import queries as customers
from ..web.arguments import find_id, get_id
from ..web.guard import public, requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .domain import METHOD_WORDS, STATUS_WORDS, PaymentMethod
from .gateways import test
from .models import Payment

bp = Blueprint("payments", __name__)

PAYMENTS = ListPage(
    title="Payments",
    one="payment",
    many="payments",
    key=Payment.id,
    default_sort="-paid",
    search_hint="Receipt, policy or customer",
    empty="No payments yet. Take one from an open invoice.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in STATUS_WORDS.items()])],
    columns=[
        Col(
            "Payment",
            lambda r: r.receipt_number or f"Payment {r.id}",
            href=lambda r: url_for("payments.record", payment_id=r.id),
        ),
        Col("Paid", lambda r: r.paid_on, kind="date", sort=Payment.paid_on, sort_name="paid"),
        Col(
            "Customer",
            lambda r: r.customer_name,
            href=lambda r: url_for("customers.record", customer_id=r.customer_id),
            sort=customers.Customer.search_name,
            sort_name="customer",
        ),
        Col("Policy", lambda r: r.policy_number),
        Col("Method", lambda r: METHOD_WORDS[r.method]),
        Col("Status", lambda r: STATUS_WORDS[r.status], kind="badge"),
        Col(
            "Amount",
            lambda r: Money(r.amount_minor, r.currency),
            kind="money",
            sort=Payment.amount_minor,
            sort_name="amount",
        ),
    ],
)


@bp.get("/payments")
@bp.get("/payments.csv", endpoint="payment_csv")
@requires("payment:record")
def payment_list() -> ResponseReturnValue:
    return PAYMENTS.respond(queries.payment_rows(current_user, **PAYMENTS.arguments()))


@bp.get("/payments/new")
@bp.post("/payments/new")
@requires("payment:record")
def new() -> ResponseReturnValue:
    """Take a payment for an invoice, or into an account; what is over becomes credit."""
    invoice, account = _to_pay()
    form = forms.PaymentForm(amount=invoice.open if invoice and invoice.open else None)
    if form.validate_on_submit():
        with form.refusals():
            payment = services.record(
                account_id=account.id,
                invoice_id=invoice.id if invoice else None,
                amount=form.amount.data,
                method=PaymentMethod(form.method.data),
                paid_on=form.paid_on.data,
                reference=form.reference.data,
                note=form.note.data,
                key=form.key.data,
                actor=current_user,
            )
            flash("The payment is recorded, and the receipt is made.", "ok")
            return redirect(url_for("payments.record", payment_id=payment.id), 303)
    return form.page("payments/new.html", invoice=invoice, account=account)


def _to_pay() -> tuple[Invoice | None, BillingAccount]:
    """What the address names: an invoice, or an account."""
    account_id = find_id("account")
    if account_id is not None:
        return None, billing.get_account(account_id, current_user)
    invoice_id = get_id("invoice", "The address names no invoice. Open the invoice and choose “Take payment”.")
    return billing.get_invoice(invoice_id, current_user)


@bp.get("/payments/<int:payment_id>")
@requires("payment:record")
def record(payment_id: int) -> ResponseReturnValue:
    payment, account, receipt = queries.get_payment(payment_id, current_user)
    return render_template(
        "payments/record.html",
        payment=payment,
        account=account,
        receipt=receipt,
        words=STATUS_WORDS[payment.status],
        method=METHOD_WORDS[payment.method],
        allocations=queries.allocations(payment.id),
    )


@bp.get("/payments/<int:payment_id>/edit")
@bp.post("/payments/<int:payment_id>/edit")
@requires("payment:edit")
def edit(payment_id: int) -> ResponseReturnValue:
    payment, account, receipt = queries.get_payment(payment_id, current_user)
    form = forms.PaymentNoteForm(obj=payment)
    if form.validate_on_submit():
        with form.refusals():
            services.edit(
                payment_id=payment_id,
                version=form.version.data,
                reference=form.reference.data,
                note=form.note.data,
                actor=current_user,
            )
            flash("Saved.", "ok")
            return redirect(url_for("payments.record", payment_id=payment_id), 303)
    return form.page("payments/edit.html", payment=payment, account=account, receipt=receipt)


@bp.get("/payments/test-gateway/<token>")
@bp.post("/payments/test-gateway/<token>")
@public
def test_gateway(token: str) -> ResponseReturnValue:
    """Stands in for a gateway's hosted page: whoever has the address may pay."""
    payment = queries.find_by_token(token)
    if payment is None:
        raise NotFound("We cannot find that payment.")
    form = forms.GatewayForm()
    if form.validate_on_submit():
        payment = services.finish_card(token=token, accepted=request.form.get("outcome") == "accept")
        return redirect(url_for("portal.payment", payment_id=payment.id), 303)
    return form.page("payments/test_gateway.html", payment=payment, label=test.LABEL)

"""Staff pages of payments."""

from collections.abc import Callable

from flask import current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh, fresh_download
from ...billing import queries as billing
from ...billing.domain import DISBURSEMENT_WORDS
from ...billing.models import BillingAccount, Invoice
from ...core.money import Money
from ...customers import queries as customers
from ...documents import queries as documents
from ...web.arguments import find_id, get_id
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, forms, queries, services
from ..bank.forms import PaymentRefundForm
from ..domain import (
    LIVE,
    METHOD_WORDS,
    PAYMENT_LIFECYCLE,
    STATUS_WORDS,
    WAITING,
    PaymentMethod,
)
from ..models import Payment
from ..services import gateway, refunds

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
@fresh_download
def payment_list() -> ResponseReturnValue:
    return PAYMENTS.respond(queries.payment_rows(current_user, **PAYMENTS.arguments()), template="payments/list.html")


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
        worksheet=documents.get_document(receipt.document_id, current_user).data["worksheet"] if receipt else [],
        pays=queries.paid_by(payment) if payment.status in LIVE else [],
        allows=PAYMENT_LIFECYCLE.actions(payment.status),
        may_check=payment.status in WAITING and payment.token,
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


# Acts on one payment


@bp.post("/payments/<int:payment_id>/check")
@requires("payment:record")
def check(payment_id: int) -> ResponseReturnValue:
    """Ask the gateway now."""
    payment = gateway.check(payment_id=payment_id, actor=current_user)
    flash(f"The gateway was asked. The payment is {STATUS_WORDS[payment.status].staff.lower()}.", "info")
    return redirect(url_for("payments.record", payment_id=payment_id), 303)


@bp.get("/payments/<int:payment_id>/cancel")
@bp.post("/payments/<int:payment_id>/cancel")
@requires("payment:cancel")
def cancel(payment_id: int) -> ResponseReturnValue:
    def act(*, version: int, **facts: object) -> None:  # noqa: ARG001
        gateway.cancel(payment_id=payment_id, reason=str(facts["reason"]), actor=current_user)

    return _act(payment_id, act, "payments/cancel.html", "The payment is cancelled.")


@bp.get("/payments/<int:payment_id>/return")
@bp.post("/payments/<int:payment_id>/return")
@requires("payment:return")
def return_(payment_id: int) -> ResponseReturnValue:
    return _act(payment_id, services.return_, "payments/return.html", "The payment is returned. What it paid is open.")


@bp.get("/payments/<int:payment_id>/charge-back")
@bp.post("/payments/<int:payment_id>/charge-back")
@requires("payment:charge_back")
def charge_back(payment_id: int) -> ResponseReturnValue:
    return _act(
        payment_id,
        services.charge_back,
        "payments/charge_back.html",
        "It is charged back. What it paid is open.",
    )


@bp.get("/payments/<int:payment_id>/win")
@bp.post("/payments/<int:payment_id>/win")
@requires("payment:charge_back")
def win(payment_id: int) -> ResponseReturnValue:
    return _act(payment_id, services.win, "payments/win.html", "The money is back, and pays again.")


def _act(payment_id: int, act: Callable[..., object], template: str, done: str) -> ResponseReturnValue:
    """Ask for the reason of an act on a payment, and do it."""
    payment, account, receipt = queries.get_payment(payment_id, current_user)
    form = forms.ReasonForm(version=payment.version)
    if form.validate_on_submit():
        with form.refusals():
            act(payment_id=payment_id, version=form.version.data, reason=form.reason.data, actor=current_user)
            flash(done, "ok")
            return redirect(url_for("payments.record", payment_id=payment_id), 303)
    return form.page(template, payment=payment, account=account, receipt=receipt)


@bp.get("/payments/<int:payment_id>/refund")
@bp.post("/payments/<int:payment_id>/refund")
@requires("refund:request")
@fresh
def refund(payment_id: int) -> ResponseReturnValue:
    """Order one payment to be paid back by the way it came."""
    payment, account, receipt = queries.get_payment(payment_id, current_user)
    form = PaymentRefundForm(version=payment.version, amount=payment.kept or None, payee_name=account.holder_name)
    by_gateway = refunds.by_gateway(payment)
    if by_gateway:
        del form.payee_name, form.account_number, form.bic
    if form.validate_on_submit():
        with form.refusals():
            facts = {name: value for name, value in form.data.items() if name != "csrf_token"}
            order = refunds.refund(payment_id=payment_id, **facts, actor=current_user)
            said = DISBURSEMENT_WORDS[order.status].staff.lower()
            flash(f"The refund of {order.amount.in_words} is {said}.", "ok")
            return redirect(url_for("payments.record", payment_id=payment_id), 303)
    return form.page(
        "payments/refund.html", payment=payment, account=account, receipt=receipt, by_gateway=by_gateway,
        limit=Money(current_app.config["PAYOUT_LIMIT_MINOR"], current_app.config["CURRENCY"]),
    )  # fmt: skip


@bp.get("/payments/<int:payment_id>/reallocate")
@bp.post("/payments/<int:payment_id>/reallocate")
@requires("payment:allocate")
def reallocate(payment_id: int) -> ResponseReturnValue:
    """Move a part of a payment from one invoice to another, or back to credit."""
    payment, account, receipt = queries.get_payment(payment_id, current_user)
    paid = dict(queries.paid_by(payment))
    numbers = {row.id: row.number for row in queries.allocations(payment.id)}
    form = forms.ReallocateForm(version=payment.version, amount=next(iter(paid.values()), None))
    form.invoice_id.choices = [(id_, f"{numbers[id_]}: {amount.in_words}") for id_, amount in paid.items()]
    form.to_invoice_id.choices = [
        *(
            (invoice.id, f"{invoice.number}: {invoice.open.in_words} open")
            for invoice in billing.open_invoices(account.id)
        ),
        (forms.CREDIT, "No invoice: keep it as credit"),
    ]
    if form.validate_on_submit():
        facts = {
            "payment_id": payment_id,
            "version": form.version.data,
            "invoice_id": form.invoice_id.data,
            "amount": form.amount.data,
            "reason": form.reason.data,
            "actor": current_user,
        }
        with form.refusals():
            if form.to_invoice_id.data == forms.CREDIT:
                services.deallocate(**facts)
            else:
                services.reallocate(to_invoice_id=form.to_invoice_id.data, **facts)
            flash("The money is moved.", "ok")
            return redirect(url_for("payments.record", payment_id=payment_id), 303)
    return form.page("payments/reallocate.html", payment=payment, account=account, receipt=receipt)


@bp.post("/invoices/<int:invoice_id>/use-credit")
@requires("credit:use")
def use_credit(invoice_id: int) -> ResponseReturnValue:
    """Pay an invoice from the account's credit, for staff and for the payer alike."""
    used = services.use_credit(invoice_id=invoice_id, actor=current_user)
    flash(
        f"{used.in_words} of your credit paid this invoice."
        if not current_user.is_staff
        else f"{used.in_words} of credit paid this invoice.",
        "ok",
    )
    page = "billing.record" if current_user.is_staff else "portal.pay"
    return redirect(url_for(page, invoice_id=invoice_id), 303)

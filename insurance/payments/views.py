"""Staff pages of payments, and the test gateway's page."""

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts import queries as accounts
from ..accounts.sign_in import fresh, fresh_download
from ..billing import queries as billing
from ..billing.models import BillingAccount, Invoice
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import SYSTEM
from ..customers import queries as customers
from ..documents import queries as documents
from ..web.arguments import find_id, get_id
from ..web.guard import public, requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .bank import queries as bank
from .domain import (
    LIVE,
    METHOD_WORDS,
    PAYMENT_LIFECYCLE,
    STATUS_WORDS,
    SUSPENSE_LIFECYCLE,
    SUSPENSE_WORDS,
    WAITING,
    PaymentMethod,
)
from .gateways import Method
from .gateways import stripe as stripe_gateway
from .gateways.test import TestGateway
from .models import GatewayEvent, Payment, SuspenseItem
from .services import autopay, clearing, gateway, suspense

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


# Money on its way to the bank


@bp.get("/payments/clearing")
@requires("payment:clear")
def clearing_list() -> ResponseReturnValue:
    """What lies in cheques, with which agent and at the gateway, and what came to the bank last."""
    lying = [
        (method, METHOD_WORDS[method], queries.lying_in(method))
        for method in clearing.SOURCES
        if method is not PaymentMethod.CASH
    ]
    return render_template(
        "payments/clearing.html", lying=lying, cash=queries.cash_held(), clearings=queries.clearings()
    )


@bp.get("/payments/clearings/<int:clearing_id>")
@requires("payment:clear")
def clearing_record(clearing_id: int) -> ResponseReturnValue:
    """One move to the bank, with the payments whose money it was."""
    found = queries.clearings(id=clearing_id)
    if not found:
        raise NotFound("We cannot find that.")
    [(moved, holder)] = found
    return render_template(
        "payments/cleared.html",
        moved=moved,
        holder=holder,
        payments=queries.cleared_by(clearing_id),
        by=accounts.get_user(moved.cleared_by_id).name if moved.cleared_by_id else SYSTEM.name,
    )


@bp.get("/payments/cash")
@requires("payment:record")
def own_cash() -> ResponseReturnValue:
    """The cash that the reader took and has not remitted, and what they have."""
    rows = queries.lying_in(PaymentMethod.CASH, current_user.id)
    return render_template(
        "payments/cash.html",
        rows=rows,
        owed={
            currency: Money(sum(row.amount_minor for row in rows if row.currency == currency), currency)
            for currency in sorted({row.currency for row in rows})
        },
        remitted=queries.clearings(holder_id=current_user.id),
    )


@bp.get("/payments/clearing/<method>")
@bp.post("/payments/clearing/<method>")
@requires("payment:clear")
def clear(method: str) -> ResponseReturnValue:
    """Choose what has come to the bank, and say what the gateway kept."""
    chosen = next((source for source in clearing.SOURCES if source == method), None)
    if chosen is None:
        raise NotFound("No money waits there.")
    holder_id = find_id("agent") if chosen is PaymentMethod.CASH else queries.ANYBODY
    rows = queries.lying_in(chosen, holder_id)
    form = forms.ClearForm()
    if form.validate_on_submit():
        with form.refusals():
            ids = [int(id_) for id_ in request.form.getlist("payment") if id_.isascii() and id_.isdigit()]
            done = clearing.clear(
                method=chosen,
                payment_ids=[id_ for id_ in ids if id_ < 2**63],
                charge=form.charge.data or Money.zero(form.charge.currency),
                reference=form.reference.data,
                key=form.key.data,
                actor=current_user,
            )
            flash(f"{done.amount.in_words} are in the bank.", "ok")
            return redirect(url_for("payments.clearing_list"), 303)
    return form.page(
        "payments/clear.html",
        method=chosen,
        words=METHOD_WORDS[chosen],
        rows=rows,
        chosen=request.form.getlist("payment"),
        holder=accounts.get_user(holder_id).name if holder_id and holder_id != queries.ANYBODY else "",
        taken_back=clearing.taken_back(chosen, form.charge.currency),
    )


# Suspense

SUSPENSE = ListPage(
    title="Suspense",
    one="amount",
    many="amounts",
    key=SuspenseItem.id,
    default_sort="-received",
    empty="No money waits for its owner.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in SUSPENSE_WORDS.items()])],
    columns=[
        Col("Item", lambda r: f"Item {r.id}", href=lambda r: url_for("payments.suspense_item", suspense_id=r.id)),
        Col("Received", lambda r: r.received_on, kind="date", sort=SuspenseItem.received_on, sort_name="received"),
        Col("From", lambda r: r.payer),
        Col("Reference", lambda r: r.reference),
        Col("Status", lambda r: SUSPENSE_WORDS[r.status], kind="badge"),
        Col("Amount", lambda r: Money(r.amount_minor, r.currency), kind="money"),
    ],
)


@bp.get("/payments/suspense")
@bp.get("/payments/suspense.csv", endpoint="suspense_csv")
@requires("suspense:record")
@fresh_download
def suspense_list() -> ResponseReturnValue:
    return SUSPENSE.respond(
        queries.suspense_rows(**SUSPENSE.arguments()), new=(url_for("payments.new_suspense"), "Record money")
    )


@bp.get("/payments/suspense/new")
@bp.post("/payments/suspense/new")
@requires("suspense:record")
def new_suspense() -> ResponseReturnValue:
    """Money came that matches nothing."""
    form = forms.SuspenseForm()
    if form.validate_on_submit():
        with form.refusals():
            item = suspense.record(
                amount=form.amount.data,
                received_on=form.received_on.data,
                reference=form.reference.data,
                payer=form.payer.data,
                key=form.key.data,
                actor=current_user,
            )
            flash("The money is recorded.", "ok")
            return redirect(url_for("payments.suspense_item", suspense_id=item.id), 303)
    return form.page("payments/suspense_new.html")


@bp.get("/payments/suspense/<int:suspense_id>")
@bp.post("/payments/suspense/<int:suspense_id>")
@requires("suspense:match")
def suspense_item(suspense_id: int) -> ResponseReturnValue:
    """Whose money this is: an invoice's or a policy's number makes a payment of it."""
    item = queries.get_suspense(suspense_id)
    form = forms.MatchForm()
    if form.validate_on_submit():
        with form.refusals():
            payment = suspense.match(suspense_id=suspense_id, number=form.number.data, actor=current_user)
            flash("The money has its owner, and the receipt is made.", "ok")
            return redirect(url_for("payments.record", payment_id=payment.id), 303)
    return form.page(
        "payments/suspense.html",
        item=item,
        words=SUSPENSE_WORDS[item.status],
        allows=SUSPENSE_LIFECYCLE.actions(item.status),
        line=bank.find_line_of(suspense_id),
    )


@bp.get("/payments/suspense/<int:suspense_id>/return")
@bp.post("/payments/suspense/<int:suspense_id>/return")
@requires("suspense:return")
@fresh
def return_suspense(suspense_id: int) -> ResponseReturnValue:
    item = queries.get_suspense(suspense_id)
    form = forms.WhyForm()
    if form.validate_on_submit():
        with form.refusals():
            suspense.return_(suspense_id=suspense_id, reason=form.reason.data, actor=current_user)
            flash("The money is sent back.", "ok")
            return redirect(url_for("payments.suspense_item", suspense_id=suspense_id), 303)
    return form.page("payments/suspense_return.html", item=item)


# The gateway

EVENTS = ListPage(
    title="Gateway events",
    one="event",
    many="events",
    key=GatewayEvent.id,
    default_sort="-received",
    empty="The gateway has told us nothing yet.",
    filters=[Choice("status", "Status", [("handled", "Handled"), ("waiting", "Waiting")])],
    columns=[
        Col("Event", lambda r: r.event_id),
        Col("Kind", lambda r: r.type.replace(".", " ").replace("_", " ")),
        Col("Received", lambda r: r.received_at, kind="datetime", sort=GatewayEvent.received_at, sort_name="received"),
        Col("Handled", lambda r: r.handled_at, kind="datetime"),
        Col("Waits because", lambda r: r.error),
    ],
)


@bp.get("/payments/events")
@bp.get("/payments/events.csv", endpoint="event_csv")
@requires("gateway:read")
def event_list() -> ResponseReturnValue:
    return EVENTS.respond(queries.event_rows(**EVENTS.arguments()))


@bp.post("/webhooks/stripe")
@public
def stripe() -> ResponseReturnValue:
    """What Stripe tells us. Unsigned, forged or old: refused before anything is read of it."""
    event = stripe_gateway.signed_event(request.get_data(), request.headers.get("Stripe-Signature", ""))
    if event is None:
        abort(400)
    gateway.receive(event)
    return "", 200


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
    return form.page("payments/test_gateway.html", payment=payment, label=TestGateway.label)


@bp.get("/payments/test-gateway/save/<token>")
@bp.post("/payments/test-gateway/save/<token>")
@public
def test_gateway_save(token: str) -> ResponseReturnValue:
    """Stands in for a gateway's page that saves a card: one that will be accepted, or one that will be declined."""
    ordered = queries.find_autopay_by_token(token)
    if ordered is None or not TestGateway.serves():
        raise NotFound("We cannot find that order.")
    form = forms.GatewayForm()
    if form.validate_on_submit():
        good = request.form.get("card") == "good"
        card = (
            Method("test", "test-good", "Test card") if good else Method("test", "test-bad", "Test card that declines")
        )
        autopay.save(token=token, method=card)
        return redirect(url_for("portal.autopay", account_id=ordered.account_id), 303)
    return form.page("payments/test_gateway_save.html", autopay=ordered, label=TestGateway.label)

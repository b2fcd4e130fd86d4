"""The customer's payments: what is due, paying it, and the receipts."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...billing import queries as billing
from ...billing.domain import DISBURSEMENT_WORDS, masked
from ...billing.services import invoices
from ...core import clock
from ...documents import queries as documents
from ...payments import queries, services
from ...payments.bank.forms import ActForm, OwnMandateForm
from ...payments.domain import METHOD_WORDS, STATUS_WORDS, WAITING
from ...payments.forms import AutopayForm, PayForm
from ...payments.gateways import current
from ...payments.services import autopay as autopays
from ...payments.services import direct_debit, gateway
from ...web.guard import requires
from .. import bp


@bp.get("/payments")
@requires("portal:use")
def payments() -> ResponseReturnValue:
    """What is due now, what comes, and what was paid."""
    due, collected = queries.to_pay(current_user, clock.today())
    return render_template(
        "portal/payments.html",
        due=due,
        collected=collected,
        coming=billing.coming(current_user),
        payments=queries.own_payments(current_user),
        words=STATUS_WORDS,
        methods=METHOD_WORDS,
        autopays=queries.autopays(current_user),
        payouts=billing.own_disbursements(current_user),
        payout_words=DISBURSEMENT_WORDS,
        masked=masked,
    )


@bp.get("/pay/<int:invoice_id>")
@bp.post("/pay/<int:invoice_id>")
@requires("payment:pay_by_card")
def pay(invoice_id: int) -> ResponseReturnValue:
    """Pay one invoice: the amount, the policy, one button."""
    invoice, account = billing.get_invoice(invoice_id, current_user)
    form = PayForm()
    if form.validate_on_submit():
        with form.refusals():
            payment = services.start_card(invoice_id=invoice_id, key=form.key.data, actor=current_user)
            return redirect(gateway.open_page(payment), 303)
    serving = current()
    return form.page(
        "portal/pay.html",
        invoice=invoice,
        account=account,
        paid=queries.payments_on(invoice.id),
        worksheet=invoices.worksheet(billing.items_on(invoice.id), billing.shares([account.id])),
        card_label=serving.label if serving else "",
        on_its_way=queries.on_its_way(invoice.id),
    )


@bp.get("/payments/<int:payment_id>")
@requires("portal:use")
def payment(payment_id: int) -> ResponseReturnValue:
    """How a payment came out, with its receipt."""
    record, account, receipt = queries.get_payment(payment_id, current_user)
    return render_template(
        "portal/payment.html",
        payment=record,
        account=account,
        receipt=receipt,
        words=STATUS_WORDS[record.status],
        method=METHOD_WORDS[record.method],
        allocations=queries.allocations(record.id),
        worksheet=documents.get_document(receipt.document_id, current_user).data["worksheet"] if receipt else [],
        waits=record.status in WAITING and bool(record.checkout_id),
    )


@bp.post("/payments/<int:payment_id>/check")
@requires("payment:pay_by_card")
def check_payment(payment_id: int) -> ResponseReturnValue:
    """Ask the card company now: the button of whoever comes back from its page before its message does."""
    gateway.check(payment_id=payment_id, actor=current_user)
    return redirect(url_for("portal.payment", payment_id=payment_id), 303)


@bp.get("/autopay/<int:account_id>")
@bp.post("/autopay/<int:account_id>")
@requires("autopay:switch")
def autopay(account_id: int) -> ResponseReturnValue:
    """Let invoices be charged by themselves, or no more."""
    account = billing.get_account(account_id, current_user)
    standing = queries.find_autopay(account.id)
    serving = current()
    form = AutopayForm()
    if form.validate_on_submit():
        with form.refusals():
            if request.form.get("switch") == "off":
                autopays.switch_off(account_id=account_id, actor=current_user)
                flash("Autopay is off. We charge nothing by ourselves any more.", "ok")
                return redirect(url_for("portal.autopay", account_id=account_id), 303)
            return redirect(autopays.open_page(autopays.order(account_id=account_id, actor=current_user)), 303)
    return form.page(
        "portal/autopay.html",
        account=account,
        standing=standing,
        days=billing.collection_plan().autopay_days,
        card_label=serving.label if serving else "",
        mandate=billing.find_mandate(account.id),
        offered=direct_debit.is_offered(account),
        masked=masked,
    )


@bp.get("/autopay/<int:account_id>/mandate")
@bp.post("/autopay/<int:account_id>/mandate")
@requires("mandate:give")
def mandate(account_id: int) -> ResponseReturnValue:
    """Pay by direct debit: the text of the mandate, and the box that gives it."""
    account = billing.get_account(account_id, current_user)
    form = OwnMandateForm(holder_name=account.holder_name[:70])
    if form.validate_on_submit():
        with form.refusals():
            direct_debit.give(
                account_id=account.id,
                holder_name=form.holder_name.data,
                account_number=form.account_number.data,
                bic=form.bic.data,
                actor=current_user,
            )
            flash("Direct debit is on. We have mailed you the mandate.", "ok")
            return redirect(url_for("portal.autopay", account_id=account.id), 303)
    return form.page(
        "portal/mandate.html", account=account, creditor=billing.creditor(), plan=billing.collection_plan()
    )


@bp.get("/autopay/<int:account_id>/mandate/revoke")
@bp.post("/autopay/<int:account_id>/mandate/revoke")
@requires("mandate:revoke")
def revoke_mandate(account_id: int) -> ResponseReturnValue:
    account = billing.get_account(account_id, current_user)
    form = ActForm()
    if form.validate_on_submit():
        with form.refusals():
            direct_debit.revoke(account_id=account.id, reason="Revoked by the customer", actor=current_user)
            flash("Direct debit is off.", "ok")
            return redirect(url_for("portal.autopay", account_id=account.id), 303)
    return form.page(
        "portal/mandate_revoke.html", account=account, mandate=billing.find_mandate(account.id), masked=masked
    )

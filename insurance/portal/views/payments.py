"""The customer's payments: what is due, paying it, and the receipts."""

from flask import redirect, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...billing import queries as billing
from ...core import clock
from ...payments import queries, services
from ...payments.domain import METHOD_WORDS, STATUS_WORDS
from ...payments.forms import PayForm
from ...payments.gateways import test
from ...web.guard import requires
from .. import bp


@bp.get("/payments")
@requires("portal:use")
def payments() -> ResponseReturnValue:
    """What is due now, what comes, and what was paid."""
    return render_template(
        "portal/payments.html",
        due=billing.due_now(current_user, clock.today()),
        coming=billing.coming(current_user),
        payments=queries.own_payments(current_user),
        words=STATUS_WORDS,
        methods=METHOD_WORDS,
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
            return redirect(test.checkout_url(payment), 303)
    return form.page(
        "portal/pay.html",
        invoice=invoice,
        account=account,
        paid=queries.payments_on(invoice.id),
        card_label=test.LABEL if test.serves() else "",
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
    )

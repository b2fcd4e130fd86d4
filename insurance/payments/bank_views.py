"""Staff pages of money that goes to the bank and comes from it: refunds, batches, statements."""

from flask import current_app, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..billing import queries as billing
from ..billing.domain import DISBURSEMENT_WORDS
from ..core.money import Money
from ..web.arguments import get_id
from ..web.guard import requires
from . import money_out
from .bank import forms
from .views import bp


@bp.get("/payments/refunds/new")
@bp.post("/payments/refunds/new")
@requires("refund:request")
def request_refund() -> ResponseReturnValue:
    """Order the credit of an account to be paid back."""
    account_id = get_id("account", "The address names no account. Open the customer and choose “Pay credit back”.")
    account = billing.get_account(account_id, current_user)
    form = forms.RefundForm(amount=account.credit if account.credit else None, payee_name=account.holder_name)
    if form.validate_on_submit():
        with form.refusals():
            order = money_out.request_refund(
                account_id=account.id,
                amount=form.amount.data,
                payee_name=form.payee_name.data,
                account_number=form.account_number.data,
                bic=form.bic.data,
                key=form.key.data,
                actor=current_user,
            )
            said = DISBURSEMENT_WORDS[order.status].staff.lower()
            flash(f"The refund of {order.amount.in_words} is {said}.", "ok")
            return redirect(url_for("customers.record", customer_id=account.customer_id), 303)
    return form.page(
        "disbursements/refund.html",
        account=account,
        refunds=billing.refunds_of(account.id),
        order_words=DISBURSEMENT_WORDS,
        limit=Money(current_app.config["PAYOUT_LIMIT_MINOR"], current_app.config["CURRENCY"]),
    )

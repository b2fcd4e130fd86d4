"""Pages of mandates: staff enter what was signed on paper, customers give and revoke their own."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh
from ...billing import queries as billing
from ...billing.domain import masked
from ...web.guard import requires
from .. import bp, forms
from ..bank import queries
from ..bank.forms import MandateForm
from ..domain import STATUS_WORDS
from ..services import direct_debit


@bp.get("/payments/mandates/<int:account_id>")
@requires("mandate:edit")
def mandate(account_id: int) -> ResponseReturnValue:
    """How an account's invoices are collected: the mandate in force, those before it, and what was collected."""
    account = billing.get_account(account_id, current_user)
    mandates = billing.mandates_of(account.id)
    return render_template(
        "mandates/record.html",
        account=account,
        mandates=mandates,
        active=next((one for one in mandates if one.revoked_on is None), None),
        offered=direct_debit.is_offered(account),
        masked=masked,
        collections=queries.collections_of(account.id),
        words=STATUS_WORDS,
    )


@bp.get("/payments/mandates/<int:account_id>/give")
@bp.post("/payments/mandates/<int:account_id>/give")
@requires("mandate:edit")
@fresh
def give_mandate(account_id: int) -> ResponseReturnValue:
    account = billing.get_account(account_id, current_user)
    form = MandateForm(holder_name=account.holder_name[:70])
    if form.validate_on_submit():
        with form.refusals():
            given = direct_debit.give(
                account_id=account.id,
                holder_name=form.holder_name.data,
                account_number=form.account_number.data,
                bic=form.bic.data,
                signed_on=form.signed_on.data,
                actor=current_user,
            )
            flash(f"Mandate {given.number} is in force. Invoices are collected from now on.", "ok")
            return redirect(url_for("payments.mandate", account_id=account.id), 303)
    return form.page("mandates/give.html", account=account)


@bp.get("/payments/mandates/<int:account_id>/revoke")
@bp.post("/payments/mandates/<int:account_id>/revoke")
@requires("mandate:edit")
def revoke_mandate(account_id: int) -> ResponseReturnValue:
    account = billing.get_account(account_id, current_user)
    form = forms.WhyForm()
    if form.validate_on_submit():
        with form.refusals():
            direct_debit.revoke(account_id=account.id, reason=form.reason.data, actor=current_user)
            flash("The mandate is revoked.", "ok")
            return redirect(url_for("payments.mandate", account_id=account.id), 303)
    return form.page("mandates/revoke.html", account=account, mandate=billing.find_mandate(account.id))

"""Money that goes out: what waits for a second person, what was sent, what came back."""

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts import queries as accounts
from ...accounts.sign_in import fresh, fresh_download
from ...billing import queries as billing
from ...billing.domain import (
    DISBURSEMENT_LIFECYCLE,
    DISBURSEMENT_WORDS,
    KIND_WORDS,
    DisbursementKind,
    DisbursementStatus,
    masked,
)
from ...billing.models import Disbursement
from ...billing.services import disbursements
from ...claims import queries as claims
from ...core.money import Money
from ...customers import queries as customers
from ...payments import money_out
from ...web.forms import Form
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, forms

DISBURSEMENTS = ListPage(
    title="Disbursements",
    one="disbursement",
    many="disbursements",
    key=Disbursement.id,
    default_sort="-requested",
    search_hint="Customer, or policy of a refund",
    empty="No money was paid out yet. Refunds are requested on a customer's page, payouts are ordered by claims.",
    filters=[
        Choice("status", "Status", [(status, words.staff) for status, words in DISBURSEMENT_WORDS.items()]),
        Choice("kind", "Kind", list(KIND_WORDS.items())),
    ],
    columns=[
        Col("For", lambda r: r.reason, href=lambda r: url_for("admin.disbursement", disbursement_id=r.id)),
        Col("Kind", lambda r: KIND_WORDS[r.kind]),
        Col("Payee", lambda r: r.payee_name),
        Col("Account", lambda r: "Back to the card" if r.by_gateway else masked(r.account_number)),
        Col("Status", lambda r: DISBURSEMENT_WORDS[r.status], kind="badge"),
        Col(
            "Requested",
            lambda r: r.requested_at,
            kind="datetime",
            sort=Disbursement.requested_at,
            sort_name="requested",
        ),
        Col("By", lambda r: r.maker_name),
        Col("Amount", lambda r: Money(r.amount_minor, r.currency), kind="money"),
    ],
)


@bp.get("/disbursements")
@bp.get("/disbursements.csv", endpoint="disbursement_csv")
@requires("disbursement:read")
@fresh_download
def disbursement_list() -> ResponseReturnValue:
    return DISBURSEMENTS.respond(billing.disbursement_rows(**DISBURSEMENTS.arguments()))


@bp.get("/disbursements/<int:disbursement_id>")
@requires("disbursement:read")
def disbursement(disbursement_id: int) -> ResponseReturnValue:
    order = billing.get_disbursement(disbursement_id)
    replacement = billing.find_replacement(order.id)
    involved = (order.maker_id, order.checker_id, order.sender_id)
    return render_template(
        "disbursements/record.html",
        order=order,
        words=DISBURSEMENT_WORDS[order.status],
        kind=KIND_WORDS[order.kind],
        account="Back to the card" if order.by_gateway else masked(order.account_number),
        people={user_id: accounts.get_user(user_id).name for user_id in involved if user_id},
        customer=customers.get_customer(order.customer_id, current_user),
        claim=claims.get_claim_of_payout(order.id) if order.kind is DisbursementKind.CLAIM else None,
        replacement=replacement,
        may_replace=order.may_be_replaced and not replacement,
        may_approve=order.status is DisbursementStatus.REQUESTED and order.maker_id != current_user.id,
        acts=set(DISBURSEMENT_LIFECYCLE.actions(order.status)) - ({"send"} if order.by_gateway else set()),
        form=forms.ActForm(),
    )


@bp.get("/disbursements/<int:disbursement_id>/account")
@requires("disbursement:read")
@fresh
def disbursement_account(disbursement_id: int) -> ResponseReturnValue:
    """Where the money goes, in full."""
    return render_template("disbursements/account.html", order=billing.get_disbursement(disbursement_id))


@bp.post("/disbursements/<int:disbursement_id>/approve")
@requires("disbursement:approve")
@fresh
def approve_disbursement(disbursement_id: int) -> ResponseReturnValue:
    order = disbursements.approve(id=disbursement_id, actor=current_user)
    flash(f"{order.reason} is approved and can be sent.", "ok")
    return redirect(url_for("admin.disbursement", disbursement_id=disbursement_id), 303)


@bp.get("/disbursements/<int:disbursement_id>/cancel")
@bp.post("/disbursements/<int:disbursement_id>/cancel")
@requires("disbursement:cancel")
def cancel_disbursement(disbursement_id: int) -> ResponseReturnValue:
    return _act(disbursement_id, money_out.cancel, forms.EndForm(), "disbursements/cancel.html", "It is cancelled.")


@bp.get("/disbursements/<int:disbursement_id>/send")
@bp.post("/disbursements/<int:disbursement_id>/send")
@requires("disbursement:send")
@fresh
def send_disbursement(disbursement_id: int) -> ResponseReturnValue:
    return _act(disbursement_id, money_out.send, forms.SendForm(), "disbursements/send.html", "It is on its way.")


@bp.get("/disbursements/<int:disbursement_id>/settle")
@bp.post("/disbursements/<int:disbursement_id>/settle")
@requires("disbursement:settle")
def settle_disbursement(disbursement_id: int) -> ResponseReturnValue:
    return _act(disbursement_id, money_out.settle, forms.SendForm(), "disbursements/settle.html", "It has arrived.")


@bp.get("/disbursements/<int:disbursement_id>/return")
@bp.post("/disbursements/<int:disbursement_id>/return")
@requires("disbursement:return")
def return_disbursement(disbursement_id: int) -> ResponseReturnValue:
    return _act(
        disbursement_id,
        money_out.return_,
        forms.EndForm(),
        "disbursements/return.html",
        "It is owed again. Replace it once you know where to pay it.",
    )


@bp.get("/disbursements/<int:disbursement_id>/replace")
@bp.post("/disbursements/<int:disbursement_id>/replace")
@requires("disbursement:replace")
@fresh
def replace_disbursement(disbursement_id: int) -> ResponseReturnValue:
    payee = billing.get_disbursement(disbursement_id).payee_name
    form = forms.PayeeForm(payee_name=payee)
    return _act(disbursement_id, money_out.replace, form, "disbursements/replace.html", "It is ordered anew.")


def _act(
    disbursement_id: int, act: Callable[..., Disbursement], form: Form, template: str, done: str
) -> ResponseReturnValue:
    """Ask what an act needs to know, and do it."""
    order = billing.get_disbursement(disbursement_id)
    if form.validate_on_submit():
        with form.refusals():
            answers: dict[str, Any] = {field.name: field.data for field in form.shown_fields}
            order = act(id=disbursement_id, **answers, actor=current_user)
            flash(done, "ok")
            return redirect(url_for("admin.disbursement", disbursement_id=order.id), 303)
    return form.page(template, order=order)

"""Staff pages of money whose owner nobody knows yet."""

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh, fresh_download
from ...core.money import Money
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, forms, queries
from ..bank import queries as bank
from ..domain import (
    SUSPENSE_LIFECYCLE,
    SUSPENSE_WORDS,
)
from ..models import SuspenseItem
from ..services import suspense

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

"""Staff pages of money on its way to the bank."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts import queries as accounts
from ...core.errors import NotFound
from ...core.money import Money
from ...core.permissions import SYSTEM
from ...web.arguments import find_id
from ...web.guard import requires
from .. import bp, forms, queries
from ..domain import (
    METHOD_WORDS,
    PaymentMethod,
)
from ..services import clearing


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

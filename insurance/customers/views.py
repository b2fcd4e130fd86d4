"""Staff pages of customers."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts import queries as accounts
from ..accounts.sign_in import fresh_download
from ..admin import queries as admin
from ..billing import queries as billing
from ..claims import queries as claims
from ..claims.domain import STATUS_WORDS as CLAIM_WORDS
from ..core import clock
from ..core.db import db
from ..core.words import Words
from ..policies import queries as policies
from ..policies.domain import STATUS_WORDS as POLICY_WORDS
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .models import Customer, CustomerKind

bp = Blueprint("customers", __name__)

ERASED = Words("neu", "Erased", "Erased")
ACTIVE = {True: Words("ok", "Active", "Active"), False: Words("neu", "Deactivated", "Deactivated")}

CUSTOMERS = ListPage(
    title="Customers",
    one="customer",
    many="customers",
    key=Customer.id,
    default_sort="name",
    search_hint="Name, number or e-mail",
    empty="No customers yet.",
    filters=[Choice("status", "Status", [("active", "Active"), ("inactive", "Deactivated")])],
    columns=[
        Col(
            "Name",
            lambda r: r.name,
            sort=Customer.search_name,
            sort_name="name",
            href=lambda r: url_for("customers.record", customer_id=r.id),
        ),
        Col("Number", lambda r: r.number, sort=Customer.number),
        Col("Email", lambda r: r.email),
        Col("Phone", lambda r: r.phone),
        Col("Agent", lambda r: r.agent_name or ""),
        Col("Status", lambda r: ACTIVE[r.active], kind="badge"),
    ],
)


@bp.get("/customers")
@bp.get("/customers.csv", endpoint="customer_csv")
@requires("customer:create")
@fresh_download
def customer_list() -> ResponseReturnValue:
    rows = queries.customer_rows(current_user, **CUSTOMERS.arguments())
    return CUSTOMERS.respond(rows, new=(url_for("customers.new"), "Add customer"))


@bp.get("/customers/new")
@bp.post("/customers/new")
@requires("customer:create")
def new() -> ResponseReturnValue:
    form = forms.CustomerForm()
    del form.version  # nothing is there yet that somebody else could change
    found: list[Customer] = []
    if form.validate_on_submit():
        found = _others(form)
        if not found:
            with form.refusals():
                customer = services.create(**_facts(form), key=form.key.data, actor=current_user)
                flash(f"{customer.name} is entered as {customer.number}.", "ok")
                return redirect(url_for("customers.record", customer_id=customer.id), 303)
    return form.page("customers/form.html", customer=None, found=found)


def _others(form: forms.CustomerForm, but: int | None = None) -> list[Customer]:
    """Others who may be the same, to be pointed out once: the form sent again is meant."""
    if form.anyway.data == form.key.data:
        return []
    found = queries.duplicates(name=form.name.data, email=form.email.data, birth_on=form.birth_on.data, but=but)
    if found:
        form.anyway.typed = form.key.data
    return found


def _facts(form: forms.CustomerForm) -> dict:
    return {
        "kind": CustomerKind(form.kind.data),
        "name": form.name.data,
        "birth_on": form.birth_on.data,
        "email": form.email.data,
        "phone": form.phone.data,
        "address": form.address.data,
    }


@bp.get("/customers/<int:customer_id>")
@requires("customer:create")
def record(customer_id: int) -> ResponseReturnValue:
    """The client page: everything about one customer at a glance."""
    customer = queries.get_customer(customer_id, current_user)
    today = clock.today()
    return render_template(
        "customers/record.html",
        credits=billing.accounts_with_credit(customer_id),
        customer=customer,
        words=ERASED if customer.erased_at else ACTIVE[customer.active],
        agent=accounts.get_user(customer.agent_id) if customer.agent_id else None,
        policies=db.session.execute(
            policies.policy_rows(current_user, today, customer_id=customer.id)
            .order_by(policies.Policy.id.desc())
            .limit(20)
        ).all(),
        policy_words=POLICY_WORDS,
        invoices=billing.open_invoices_of_customer(customer.id),
        claims=claims.claims_of_customer(customer.id),
        claim_words=CLAIM_WORDS,
    )


@bp.get("/customers/<int:customer_id>/edit")
@bp.post("/customers/<int:customer_id>/edit")
@requires("customer:edit")
def edit(customer_id: int) -> ResponseReturnValue:
    customer = queries.get_customer(customer_id, current_user)
    form = forms.CustomerForm(obj=customer)
    found: list[Customer] = []
    if form.validate_on_submit():
        found = _others(form, but=customer_id)
        if not found:
            with form.refusals():
                services.edit(customer_id=customer_id, version=form.version.data, **_facts(form), actor=current_user)
                flash("Saved.", "ok")
                return redirect(url_for("customers.record", customer_id=customer_id), 303)
    return form.page("customers/form.html", customer=customer, found=found)


@bp.post("/customers/<int:customer_id>/invite")
@requires("customer:invite")
def invite(customer_id: int) -> ResponseReturnValue:
    user = services.invite(customer_id=customer_id, actor=current_user)
    flash(f"The invitation is on its way to {user.email}.", "ok")
    return redirect(url_for("customers.record", customer_id=customer_id), 303)


@bp.get("/customers/<int:customer_id>/transfer")
@bp.post("/customers/<int:customer_id>/transfer")
@requires("customer:transfer")
def transfer(customer_id: int) -> ResponseReturnValue:
    customer = queries.get_customer(customer_id, current_user)
    form = forms.TransferForm(agent_id=str(customer.agent_id or ""))
    form.agent_id.choices = [(str(user.id), user.name) for user in accounts.agents()]
    if form.validate_on_submit():
        with form.refusals():
            services.transfer(customer_id=customer_id, agent_id=int(form.agent_id.data), actor=current_user)
            flash(f"{customer.name} has a new agent.", "ok")
            return redirect(url_for("customers.record", customer_id=customer_id), 303)
    return form.page("customers/transfer.html", customer=customer)


@bp.post("/customers/<int:customer_id>/deactivate")
@requires("customer:deactivate")
def deactivate(customer_id: int) -> ResponseReturnValue:
    services.set_active(customer_id=customer_id, active=False, actor=current_user)
    flash("The customer is deactivated. Everything is kept, and you can activate them again.", "ok")
    return redirect(url_for("customers.record", customer_id=customer_id), 303)


@bp.post("/customers/<int:customer_id>/activate")
@requires("customer:deactivate")
def activate(customer_id: int) -> ResponseReturnValue:
    services.set_active(customer_id=customer_id, active=True, actor=current_user)
    flash("The customer is active again.", "ok")
    return redirect(url_for("customers.record", customer_id=customer_id), 303)


@bp.get("/customers/<int:customer_id>/delete")
@bp.post("/customers/<int:customer_id>/delete")
@requires("customer:delete")
def delete(customer_id: int) -> ResponseReturnValue:
    customer = queries.get_customer(customer_id, current_user)
    form = forms.ActForm()
    if form.validate_on_submit():
        services.delete(customer_id=customer_id, actor=current_user)
        flash(f"{customer.name} is deleted.", "ok")
        return redirect(url_for("customers.customer_list"), 303)
    return form.page("customers/delete.html", customer=customer, hanging=admin.hanging_on(customer))

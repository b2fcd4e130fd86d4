"""Staff pages of quotes and policies."""

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.sign_in import fresh_download
from ..billing import queries as billing
from ..billing.domain import PLAN_WORDS, Instalment, PaymentPlan
from ..claims import queries as claims
from ..claims.domain import STATUS_WORDS as CLAIM_WORDS
from ..core import clock
from ..core.dates import last_day
from ..core.errors import Conflict
from ..core.money import Money
from ..customers import queries as customers
from ..products import queries as products
from ..web.arguments import get_id
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .domain import STATUS_WORDS, PolicyStatus
from .models import Policy

bp = Blueprint("policies", __name__)

PRODUCT = "standard"

POLICIES = ListPage(
    title="Policies",
    one="policy",
    many="policies",
    key=Policy.id,
    default_sort="-number",
    search_hint="Number, customer or e-mail",
    empty="No policies yet. A policy begins as a quote.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in STATUS_WORDS.items()])],
    columns=[
        Col(
            "Policy", lambda r: r.number, sort=Policy.number, href=lambda r: url_for("policies.record", policy_id=r.id)
        ),
        Col(
            "Customer",
            lambda r: r.customer_name,
            sort=customers.Customer.search_name,
            sort_name="customer",
            href=lambda r: url_for("customers.record", customer_id=r.customer_id),
        ),
        Col("Type", lambda r: r.policy_type),
        Col("Starts", lambda r: r.start_on, kind="date", sort=Policy.start_on, sort_name="start"),
        Col("Last day", lambda r: last_day(r.end_on), kind="date", sort=Policy.end_on, sort_name="end"),
        Col("Status", lambda r: STATUS_WORDS[r.status], kind="badge"),
        Col(
            "Premium",
            lambda r: Money(r.premium_minor, r.currency),
            kind="money",
            sort=Policy.premium_minor,
            sort_name="premium",
        ),
    ],
)


@bp.get("/policies")
@bp.get("/policies.csv", endpoint="policy_csv")
@requires("policy:quote")
@fresh_download
def policy_list() -> ResponseReturnValue:
    rows = queries.policy_rows(current_user, clock.today(), **POLICIES.arguments())  # type: ignore[arg-type]
    return POLICIES.respond(rows, new=(url_for("policies.new"), "New quote"))


@bp.get("/policies/new")
@requires("policy:quote")
def new() -> ResponseReturnValue:
    """First step: whom the quote is for."""
    if request.args.get("customer"):
        return redirect(url_for("policies.new_cover", customer=request.args["customer"]))
    q = request.args.get("q", "").strip()
    found = customers.find_some(q, current_user) if q else []
    return render_template("policies/new.html", q=q, found=found)


@bp.get("/policies/new/cover")
@bp.post("/policies/new/cover")
@requires("policy:quote")
def new_cover() -> ResponseReturnValue:
    """Second step: what is covered and what it costs. The price can be looked at before the quote is saved."""
    customer_id = get_id("customer", "The address names no customer. Choose one first.")
    customer = customers.get_customer(customer_id, current_user)
    form = forms.QuoteForm()
    del form.version  # nothing is there yet that somebody else could change
    if form.validate_on_submit():
        with form.refusals():
            if request.form.get("go") != "price":
                policy = services.quote(**_cover(form), customer_id=customer.id, key=form.key.data, actor=current_user)
                flash(f"Quote {policy.number} is saved.", "ok")
                return redirect(url_for("policies.record", policy_id=policy.id), 303)
            version = products.version_on(PRODUCT, form.start_date.data)
            _, rating = services.price(
                customer=customer,
                version=version,
                policy_type=form.policy_type.data,
                coverage=form.coverage_amount.data,
                start_on=form.start_date.data,
                answers={},
            )
            return form.page("policies/cover.html", customer=customer, rating=rating, policy=None)
    return form.page("policies/cover.html", customer=customer, rating=None, policy=None)


def _cover(form: forms.QuoteForm) -> dict:
    return {
        "policy_type": form.policy_type.data,
        "coverage": form.coverage_amount.data,
        "start_on": form.start_date.data,
        "last_day_on": form.end_date.data,
    }


@bp.get("/policies/<int:policy_id>")
@requires("policy:quote")
def record(policy_id: int) -> ResponseReturnValue:
    policy = queries.get_policy(policy_id, current_user)
    return render_template(
        "policies/record.html",
        policy=policy,
        status=policy.status_on(clock.today()),
        words=STATUS_WORDS[policy.status_on(clock.today())],
        customer=customers.get_customer(policy.customer_id, current_user),
        product=products.get_version(policy.product_version_id).definition,
        transactions=queries.transactions(policy.id),
        invoices=billing.invoices_of(policy.account_id) if policy.account_id else [],
        claims=claims.claims_of_policy(policy.id),
        claim_words=CLAIM_WORDS,
        plan=PLAN_WORDS[policy.plan],
        last_day=last_day(policy.end_on),
        form=forms.ActForm(),
    )


@bp.get("/policies/<int:policy_id>/edit")
@bp.post("/policies/<int:policy_id>/edit")
@requires("policy:edit")
def edit(policy_id: int) -> ResponseReturnValue:
    policy = queries.get_policy(policy_id, current_user)
    if policy.status_on(clock.today()) not in (PolicyStatus.QUOTED, PolicyStatus.QUOTE_EXPIRED):
        raise Conflict("Only a quote can be changed like this. What is bound changes by endorsements.")
    form = forms.QuoteForm(
        policy_type=policy.policy_type,
        coverage_amount=policy.coverage,
        start_date=policy.start_on,
        end_date=last_day(policy.end_on),
        version=policy.version,
    )
    if form.validate_on_submit():
        with form.refusals():
            services.edit(policy_id=policy_id, version=form.version.data, **_cover(form), actor=current_user)
            flash("The quote is changed and priced anew.", "ok")
            return redirect(url_for("policies.record", policy_id=policy_id), 303)
    customer = customers.get_customer(policy.customer_id, current_user)
    return form.page("policies/cover.html", customer=customer, rating=None, policy=policy)


@bp.get("/policies/<int:policy_id>/bind")
@bp.post("/policies/<int:policy_id>/bind")
@requires("policy:bind")
def bind(policy_id: int) -> ResponseReturnValue:
    policy = queries.get_policy(policy_id, current_user)
    offered = products.get_version(policy.product_version_id).definition["payment_plans"]
    form = forms.BindForm(payment_plan=policy.plan, version=policy.version)
    form.payment_plan.choices = [
        (plan, words, _instalments_in_words(policy, plan)) for plan, words in PLAN_WORDS.items() if plan in offered
    ]
    if form.validate_on_submit():
        with form.refusals():
            services.bind(
                policy_id=policy_id,
                plan=PaymentPlan(form.payment_plan.data),
                version=form.version.data,
                actor=current_user,
            )
            flash(f"Policy {policy.number} is bound. The first invoice is on its way to the customer.", "ok")
            return redirect(url_for("policies.record", policy_id=policy_id), 303)
    customer = customers.get_customer(policy.customer_id, current_user)
    return form.page("policies/bind.html", policy=policy, customer=customer, last_day=last_day(policy.end_on))


def _instalments_in_words(policy: Policy, plan: PaymentPlan) -> str:
    version = products.get_version(policy.product_version_id)
    parts = services.instalments(policy, version, plan, clock.today())
    return (
        f"{len(parts)} × {parts[-1].total.decimal:,f} {policy.currency}, the first {parts[0].total.decimal:,f}"
        if (len(parts) > 1)
        else f"{parts[0].total.decimal:,f} {policy.currency} in one payment"
    )


@bp.post("/policies/<int:policy_id>/withdraw")
@requires("policy:withdraw")
def withdraw(policy_id: int) -> ResponseReturnValue:
    services.withdraw(policy_id=policy_id, actor=current_user)
    flash("The quote is withdrawn.", "ok")
    return redirect(url_for("policies.record", policy_id=policy_id), 303)


@bp.get("/policies/<int:policy_id>/note")
@bp.post("/policies/<int:policy_id>/note")
@requires("policy:note")
def note(policy_id: int) -> ResponseReturnValue:
    policy = queries.get_policy(policy_id, current_user)
    form = forms.NoteForm(text=policy.note, version=policy.version)
    if form.validate_on_submit():
        with form.refusals():
            services.note(policy_id=policy_id, version=form.version.data, text=form.text.data, actor=current_user)
            flash("The note is saved.", "ok")
            return redirect(url_for("policies.record", policy_id=policy_id), 303)
    return form.page("policies/note.html", policy=policy)


@bp.get("/policies/<int:policy_id>/plan")
@bp.post("/policies/<int:policy_id>/plan")
@requires("policy:change_plan")
def change_plan(policy_id: int) -> ResponseReturnValue:
    """Another payment plan: first what it would come to, then the change."""
    policy = queries.get_policy(policy_id, current_user)
    offered = products.get_version(policy.product_version_id).definition["payment_plans"]
    form = forms.PlanForm(payment_plan=policy.plan, version=policy.version)
    form.payment_plan.choices = [(plan, words) for plan, words in PLAN_WORDS.items() if plan in offered]
    instalments: Sequence[Instalment] = ()
    if form.validate_on_submit():
        chosen = {
            "policy_id": policy_id,
            "plan": PaymentPlan(form.payment_plan.data),
            "due_day": form.due_day.data,
            "actor": current_user,
        }
        with form.refusals():
            if request.form.get("go") == "preview":
                instalments = services.preview_plan(**chosen)
            else:
                services.change_plan(version=form.version.data, **chosen)
                flash("The payment plan is changed. Invoices that were issued stay as they are.", "ok")
                return redirect(url_for("policies.record", policy_id=policy_id), 303)
    return form.page("policies/plan.html", policy=policy, instalments=instalments, plan=PLAN_WORDS[policy.plan])

"""The customer's home, policies, documents and contact facts."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.queries import get_user
from ...billing import queries as billing
from ...claims import queries as claims
from ...claims.domain import STATUS_WORDS as CLAIM_WORDS
from ...core import clock
from ...core.dates import last_day
from ...core.errors import NotFound
from ...customers import queries as customers
from ...customers import services as customer_services
from ...customers.forms import ContactForm
from ...documents import queries as documents
from ...payments import queries as payments
from ...policies import queries as policies
from ...policies.domain import STATUS_WORDS
from ...products import queries as products
from ...web.guard import requires
from .. import bp

SHOWN = 4


@bp.get("")
@requires("portal:use")
def home() -> ResponseReturnValue:
    """What to do now, the claim in progress, the policies."""
    today = clock.today()
    open_claims = claims.open_claims(current_user)
    return render_template(
        "portal/home.html",
        customer=customers.find_own(current_user),
        due=payments.to_pay(current_user, today)[0],
        claims=open_claims,
        claim_words=CLAIM_WORDS,
        progress=claims.progress_of(open_claims),
        policies=policies.cards(current_user, today, limit=SHOWN),
        words=STATUS_WORDS,
        since=get_user(current_user.id).created_at.year,
    )


@bp.get("/policies")
@requires("portal:use")
def policy_list() -> ResponseReturnValue:
    return render_template(
        "portal/policies.html", policies=policies.cards(current_user, clock.today(), limit=100), words=STATUS_WORDS
    )


@bp.get("/policies/<int:policy_id>")
@requires("portal:use")
def policy(policy_id: int) -> ResponseReturnValue:
    record = policies.get_policy(policy_id, current_user)
    return render_template(
        "portal/policy.html",
        policy=record,
        words=STATUS_WORDS[record.status_on(clock.today())],
        status=record.status_on(clock.today()),
        last_day=last_day(record.end_on),
        product=products.get_version(record.product_version_id).definition,
        invoices=billing.invoices_of(record.account_id) if record.account_id else [],
        documents=documents.of_policy(record.number, current_user),
    )


@bp.get("/documents")
@requires("portal:use")
def document_list() -> ResponseReturnValue:
    return render_template("portal/documents.html", documents=documents.own(current_user))


@bp.get("/profile")
@bp.post("/profile")
@requires("customer:edit_contact")
def profile() -> ResponseReturnValue:
    customer = customers.find_own(current_user)
    if customer is None:
        raise NotFound("Your account is not linked to a customer yet. Call us.")
    form = ContactForm(obj=customer)
    if form.validate_on_submit():
        with form.refusals():
            customer_services.edit(
                customer_id=customer.id,
                version=form.version.data,
                phone=form.phone.data,
                address=form.address.data,
                actor=current_user,
            )
            flash("Saved.", "ok")
            return redirect(url_for("accounts.account"), 303)
    return form.page("portal/profile.html")

"""Copies of what is held about a person, requests to erase them, the retention table, and who has access."""

import json

from flask import Blueprint, Response, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.sign_in import fresh, fresh_download
from ..core import clock
from ..core.errors import NotFound
from ..core.money import Money
from ..customers import queries as customers
from ..customers.models import Customer
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage, csv_file
from . import forms
from .domain import ERASURE_WORDS, KEPT, MUST_STAY, RULES, ErasureStatus, keep_until
from .models import Erasure
from .queries import access, retention
from .queries import erasure as queries
from .services import access as access_services
from .services import erasure as services
from .services import export

bp = Blueprint("privacy", __name__)

ERASURES = ListPage(
    title="Erasure requests",
    one="request",
    many="requests",
    key=Erasure.id,
    default_sort="-requested",
    search_hint="Number of the customer",
    empty="Nobody has asked to be erased.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in ERASURE_WORDS.items()])],
    columns=[
        Col("Person", lambda r: r.name, href=lambda r: url_for("privacy.erasure", erasure_id=r.id)),
        Col("Number", lambda r: r.number),
        Col("Asked for by", lambda r: r.requested_by or "System"),
        Col("Asked on", lambda r: r.requested_at, kind="datetime", sort=Erasure.requested_at, sort_name="requested"),
        Col("Status", lambda r: ERASURE_WORDS[r.status], kind="badge"),
        Col("Decided by", lambda r: r.decided_by or ""),
    ],
)


# Copies


def _copy(customer_id: int) -> Response:
    copy = export.export_person(customer_id=customer_id, actor=current_user)
    response = Response(json.dumps(copy, indent=2, ensure_ascii=False), mimetype="application/json")
    name = f"{copy['person']['number']}-{clock.today().isoformat()}.json"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@bp.post("/customers/<int:customer_id>/export")
@requires("privacy:export")
@fresh
def export_customer(customer_id: int) -> ResponseReturnValue:
    """A customer's copy, for whoever answers them; not by GET, since that it was read is noted."""
    return _copy(customer_id)


@bp.post("/portal/privacy/export")
@requires("privacy:export_own")
@fresh
def export_own() -> ResponseReturnValue:
    """The customer's own copy."""
    return _copy(_own().id)


def _own() -> Customer:
    customer = customers.find_own(current_user)
    if customer is None:
        raise NotFound("Your account is not linked to a customer yet. Call us.")
    return customer


# Erasure


@bp.get("/portal/privacy")
@bp.post("/portal/privacy")
@requires("privacy:ask_erasure")
def own() -> ResponseReturnValue:
    """What the customer can ask for: their copy, and to be erased."""
    customer = _own()
    form = forms.RequestForm()
    if form.validate_on_submit():
        with form.refusals():
            services.request(customer_id=customer.id, reason=form.reason.data, actor=current_user)
            flash("We have your request, and answer within a month.", "ok")
            return redirect(url_for("privacy.own"), 303)
    return form.page(
        "privacy/own.html",
        waiting=queries.find_waiting(customer.id),
        hindrances=queries.hindrances(customer, clock.today()),
        must_stay=MUST_STAY,
    )


@bp.get("/customers/<int:customer_id>/erasure")
@bp.post("/customers/<int:customer_id>/erasure")
@requires("privacy:request_erasure")
@fresh
def request_erasure(customer_id: int) -> ResponseReturnValue:
    """An admin asks for somebody; another one decides."""
    customer = customers.get_customer(customer_id, current_user)
    form = forms.RequestForm()
    if form.validate_on_submit():
        with form.refusals():
            made = services.request(customer_id=customer_id, reason=form.reason.data, actor=current_user)
            flash("The request waits for somebody else to approve it.", "ok")
            return redirect(url_for("privacy.erasure", erasure_id=made.id), 303)
    return form.page("privacy/request.html", customer=customer, hindrances=queries.hindrances(customer, clock.today()))


@bp.get("/admin/privacy")
@bp.get("/admin/privacy.csv", endpoint="erasure_csv")
@requires("privacy:read")
@fresh_download
def erasure_list() -> ResponseReturnValue:
    return ERASURES.respond(queries.erasure_rows(**ERASURES.arguments()), template="privacy/list.html")


@bp.get("/admin/privacy/erasures/<int:erasure_id>")
@bp.post("/admin/privacy/erasures/<int:erasure_id>")
@requires("privacy:erase")
@fresh
def erasure(erasure_id: int) -> ResponseReturnValue:
    """What would go and what must stay; sent, it is done."""
    record, customer, requested_by, decided_by = queries.get_erasure(erasure_id)
    form = forms.DecisionForm(obj=record)
    if form.validate_on_submit():
        with form.refusals():
            services.approve(erasure_id=erasure_id, version=form.version.data, actor=current_user)
            flash("The person is erased.", "ok")
            return redirect(url_for("privacy.erasure", erasure_id=erasure_id), 303)
    waits = record.status is ErasureStatus.REQUESTED
    return form.page(
        "privacy/erasure.html",
        erasure=record,
        customer=customer,
        requested_by=requested_by,
        decided_by=decided_by,
        words=ERASURE_WORDS[record.status],
        waits=waits,
        own=record.requested_by_id == current_user.id,
        must_stay=MUST_STAY,
        hindrances=queries.hindrances(customer, clock.today()) if waits else [],
        touched=queries.touched(queries.person(customer)) if waits else None,
        keep_until=keep_until(queries.last_business(customer)) if waits else customer.keep_until,
    )


@bp.get("/admin/privacy/erasures/<int:erasure_id>/decline")
@bp.post("/admin/privacy/erasures/<int:erasure_id>/decline")
@requires("privacy:erase")
@fresh
def decline(erasure_id: int) -> ResponseReturnValue:
    record, customer, *_ = queries.get_erasure(erasure_id)
    form = forms.DeclineForm(obj=record)
    if form.validate_on_submit():
        with form.refusals():
            services.decline(erasure_id=erasure_id, note=form.note.data, version=form.version.data, actor=current_user)
            flash("The request is declined. Tell the person why.", "ok")
            return redirect(url_for("privacy.erasure", erasure_id=erasure_id), 303)
    return form.page("privacy/decline.html", erasure=record, customer=customer)


# The retention table


@bp.get("/admin/privacy/retention")
@requires("privacy:read")
def retention_table() -> ResponseReturnValue:
    """What is kept for how long, and how much of it is due."""
    return render_template(
        "privacy/retention.html", rules=RULES, kept=KEPT, counts=retention.counts(clock.today()), most=retention.COUNTED
    )


# Who has access

COLUMNS = (
    "Name", "Email", "Role", "May sign in", "May approve claims up to", "Sees every customer", "Second step",
    "Last sign-in", "Created on", "Created by", "Last change of role", "Customers", "Open sessions", "API keys",
    "Look at",
)  # fmt: skip


@bp.get("/admin/privacy/access")
@bp.post("/admin/privacy/access")
@requires("privacy:review_access")
def access_report() -> ResponseReturnValue:
    """Every member of staff with what they can do; sent, that it was reviewed is noted."""
    form = forms.ReviewForm()
    if form.validate_on_submit():
        with form.refusals():
            access_services.review(notes=form.notes.data, actor=current_user)
            flash("The review is noted.", "ok")
            return redirect(url_for("privacy.access_report"), 303)
    today = clock.today()
    return form.page(
        "privacy/access.html",
        staff=[(one, one.flags(today)) for one in access.staff()],
        reviews=access.reviews(),
        currency=current_app.config["CURRENCY"],
    )


@bp.get("/admin/privacy/access.csv")
@requires("privacy:review_access")
@fresh_download
def access_csv() -> ResponseReturnValue:
    today, currency = clock.today(), current_app.config["CURRENCY"]
    rows = [
        [
            one.name, one.email, one.role, _yes(one.active), Money(one.authority_minor, currency),
            _yes(one.wide_sight), _yes(one.two_step), one.signed_in_on, one.created_on, one.created_by,
            one.role_changed_on, one.customers, one.sessions, "; ".join(key.in_words for key in one.keys),
            "; ".join(one.flags(today)),
        ]
        for one in access.staff()
    ]  # fmt: skip
    return csv_file("access", [[list(COLUMNS), *rows]])


def _yes(value: bool) -> str:
    return "yes" if value else "no"

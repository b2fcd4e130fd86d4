"""Staff pages of claims: one record page, one path per act."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.sign_in import fresh, fresh_download
from ..billing.domain import DISBURSEMENT_WORDS, DisbursementStatus
from ..core.money import Money
from ..customers import queries as customers
from ..documents.views import download
from ..policies import queries as policies
from ..web.arguments import get_id
from ..web.forms import Form
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .domain import ACT_WORDS, CAUSES, CLAIM_LIFECYCLE, STATUS_WORDS, UNDECIDED, ClaimStatus
from .models import Claim

bp = Blueprint("claims", __name__)

CLAIMS = ListPage(
    title="Claims",
    one="claim",
    many="claims",
    key=Claim.id,
    default_sort="-number",
    search_hint="Claim, policy or customer",
    empty="No claims yet. File one from the page of its policy.",
    filters=[
        Choice(
            "status",
            "Status",
            [(status, words.staff) for status, words in STATUS_WORDS.items() if status is not ClaimStatus.DRAFT],
        )
    ],
    columns=[
        Col(
            "Claim",
            lambda r: r.number,
            sort=Claim.number,
            href=lambda r: url_for("claims.record", claim_id=r.id),
        ),
        Col(
            "Customer",
            lambda r: r.customer_name,
            href=lambda r: url_for("customers.record", customer_id=r.customer_id),
            sort=customers.Customer.search_name,
            sort_name="customer",
        ),
        Col("Policy", lambda r: r.policy_number, href=lambda r: url_for("policies.record", policy_id=r.policy_id)),
        Col("Date of loss", lambda r: r.loss_on, kind="date"),
        Col("Status", lambda r: STATUS_WORDS[r.status], kind="badge"),
        Col(
            "Claimed",
            lambda r: Money(r.claimed_minor, r.currency),
            kind="money",
            sort=Claim.claimed_minor,
            sort_name="claimed",
        ),
        Col("Approved", lambda r: Money(r.approved_minor, r.currency), kind="money"),
    ],
)

BUTTONS = {
    "review": "Take it",
    "approve": "Approve",
    "reject": "Reject",
    "ask": "Ask the customer",
    "answer": "Enter the answer",
    "settle": "Record the payout",
    "appeal": "Take up again",
    "close": "Close",
    "reopen": "Reopen",
    "withdraw": "Withdraw",
}
"""The acts of the lifecycle that have a button, in order."""
AT_ONCE = {"review", "appeal", "reopen", "close"}
"""Acts that ask nothing."""


@bp.get("/claims")
@bp.get("/claims.csv", endpoint="claim_csv")
@requires("claim:review")
@fresh_download
def claim_list() -> ResponseReturnValue:
    return CLAIMS.respond(queries.claim_rows(current_user, **CLAIMS.arguments()))  # type: ignore[arg-type]


@bp.get("/claims/new")
@bp.post("/claims/new")
@requires("claim:review")
def new() -> ResponseReturnValue:
    """Staff file for a customer, on one page."""
    policy_id = get_id("policy", "The address names no policy. Open the policy and choose “File a claim”.")
    policy = policies.get_policy(policy_id, current_user)
    customer = customers.get_customer(policy.customer_id, current_user)
    form = forms.NewClaimForm(payee_name=customer.name)
    if form.validate_on_submit():
        with form.refusals():
            claim = services.file(
                policy_id=policy.id, **_facts(form), files=form.files.data, key=form.key.data, actor=current_user
            )
            twins = queries.possible_duplicates(claim)
            flash(f"Claim {claim.number} is filed.", "ok")
            if twins:
                flash(f"It may be the same loss as {', '.join(twin.number or '' for twin in twins)}.", "warn")
            return redirect(url_for("claims.record", claim_id=claim.id), 303)
    return form.page("claims/new.html", policy=policy, customer=customer)


def _facts(form: forms.NewClaimForm | forms.FactsForm) -> dict[str, Any]:
    return {name: form[name].data for name in services.FACTS}


@bp.get("/claims/<int:claim_id>")
@requires("claim:review")
def record(claim_id: int) -> ResponseReturnValue:
    """The facts, the cover, the limits and the authority that decide about a claim."""
    record = queries.get_record(claim_id, current_user)
    claim = record.claim
    orders = queries.payouts(claim.id)
    waits = bool(orders) and orders[0].status is DisbursementStatus.REQUESTED
    changes = queries.reserve_changes(claim.id)
    return render_template(
        "claims/record.html",
        claim=claim,
        policy=record.policy,
        customer=record.customer,
        words=STATUS_WORDS[claim.status],
        cause=CAUSES.get(claim.cause, ""),
        handler_name=record.handler_name,
        editable=claim.status in UNDECIDED and current_user.may("claim:edit"),
        takes_files=claim.status in services.TAKES_FILES,
        **_decision(record),
        reserve=sum((change.change for change in changes), Money.zero(claim.currency)),
        reserve_changes=changes,
        files=queries.attachments(claim.id),
        events=queries.history(claim.id),
        act_words=ACT_WORDS,
        orders=orders,
        order_words=DISBURSEMENT_WORDS,
        buttons={act: BUTTONS[act] for act in _acts(claim) if not (waits and act == "settle")},
        at_once=AT_ONCE,
        second_needed=waits and current_user.may("claim:approve_payout") and orders[0].maker_id != current_user.id,
    )


def _acts(claim: Claim) -> list[str]:
    """What the actor may do with a claim as it is now."""
    return [act for act in BUTTONS if CLAIM_LIFECYCLE.allows(claim.status, act) and current_user.may(f"claim:{act}")]


def _decision(record: queries.Record) -> dict[str, Any]:
    """What a decision rests on: cover, what is left, what is payable, and the actor's authority."""
    claim, coverage = record.claim, record.coverage
    open_ = claim.status in UNDECIDED
    facts: dict[str, Any] = {
        "cover": None,
        "left": None,
        "duplicates": [],
        "coverage": coverage,
        "payable": None,
        "open": open_,
        "authority": Money(current_user.authority_minor, claim.currency),
        "payout_limit": Money(current_app.config["PAYOUT_LIMIT_MINOR"], claim.currency),
    }
    if claim.loss_on:
        standing = queries.standing(record.policy, claim.loss_on)
        duplicates = queries.possible_duplicates(claim, standing.claims)
        facts |= {"cover": standing.cover, "left": standing.left, "duplicates": duplicates}
        if coverage:
            worked_out = queries.payable_now if open_ else queries.payable_in_all
            facts["payable"] = worked_out(claim, coverage, standing.left)
    return facts


@bp.get("/claims/<int:claim_id>/edit")
@bp.post("/claims/<int:claim_id>/edit")
@requires("claim:edit")
def edit(claim_id: int) -> ResponseReturnValue:
    claim = queries.get_claim(claim_id, current_user)
    form = forms.FactsForm(obj=claim)
    if form.validate_on_submit():
        with form.refusals():
            services.edit(claim_id=claim_id, version=form.version.data, **_facts(form), actor=current_user)
            flash("The claim is changed, and its cover is checked anew.", "ok")
            return redirect(url_for("claims.record", claim_id=claim_id), 303)
    return form.page("claims/edit.html", claim=claim)


# Acts that are one button


@bp.post("/claims/<int:claim_id>/review")
@requires("claim:review")
def review(claim_id: int) -> ResponseReturnValue:
    services.review(claim_id=claim_id, actor=current_user)
    return _done(claim_id, "The claim is yours now. The customer sees your name.")


@bp.post("/claims/<int:claim_id>/appeal")
@requires("claim:appeal")
def appeal(claim_id: int) -> ResponseReturnValue:
    services.appeal(claim_id=claim_id, actor=current_user)
    return _done(claim_id, "The claim is under review again, and it is yours.")


@bp.post("/claims/<int:claim_id>/reopen")
@requires("claim:reopen")
def reopen(claim_id: int) -> ResponseReturnValue:
    services.reopen(claim_id=claim_id, actor=current_user)
    return _done(claim_id, "The claim is open again, and it is yours.")


@bp.post("/claims/<int:claim_id>/close")
@requires("claim:close")
def close(claim_id: int) -> ResponseReturnValue:
    services.close(claim_id=claim_id, actor=current_user)
    return _done(claim_id, "The claim is closed. You can reopen it.")


@bp.post("/claims/<int:claim_id>/approve-payout")
@requires("claim:approve_payout")
@fresh
def approve_payout(claim_id: int) -> ResponseReturnValue:
    services.approve_payout(claim_id=claim_id, actor=current_user)
    return _done(claim_id, "The payout is approved. Record it once it is made.")


def _done(claim_id: int, said: str) -> ResponseReturnValue:
    """Back to the record, as staff or customer."""
    flash(said, "ok")
    home = "claims.record" if current_user.is_staff else "portal.claim"
    return redirect(url_for(home, claim_id=claim_id), 303)


# Acts with a page of their own


def _act(
    act: str, claim_id: int, form: Form, service: Callable[[], Claim], said: str, **context: Any
) -> ResponseReturnValue:
    """The page of an act, as long as the claim's status allows it: its form, the service, back to the record."""
    claim = queries.get_claim(claim_id, current_user)
    CLAIM_LIFECYCLE.next(claim.status, act)
    if form.validate_on_submit():
        with form.refusals():
            service()
            return _done(claim_id, said)
    return form.page(f"claims/{act}.html", claim=claim, **context)


@bp.get("/claims/<int:claim_id>/approve")
@bp.post("/claims/<int:claim_id>/approve")
@requires("claim:approve")
def approve(claim_id: int) -> ResponseReturnValue:
    record = queries.get_record(claim_id, current_user)
    decision = _decision(record)
    form = forms.ApproveForm(amount=decision["payable"] and decision["payable"].amount, version=record.claim.version)
    return _act(
        "approve",
        claim_id,
        form,
        lambda: services.approve(
            claim_id=claim_id,
            amount=form.amount.data,
            notes=form.notes.data,
            version=form.version.data,
            actor=current_user,
        ),
        "The claim is approved and the payout is ordered. The customer is told by e-mail.",
        **decision,
    )


@bp.get("/claims/<int:claim_id>/reject")
@bp.post("/claims/<int:claim_id>/reject")
@requires("claim:reject")
def reject(claim_id: int) -> ResponseReturnValue:
    form = forms.RejectForm(version=queries.get_claim(claim_id, current_user).version)
    return _act(
        "reject",
        claim_id,
        form,
        lambda: services.reject(
            claim_id=claim_id, notes=form.notes.data, version=form.version.data, actor=current_user
        ),
        "The claim is rejected. The customer is told by e-mail.",
    )


@bp.get("/claims/<int:claim_id>/ask")
@bp.post("/claims/<int:claim_id>/ask")
@requires("claim:ask")
def ask(claim_id: int) -> ResponseReturnValue:
    form = forms.AskForm()
    return _act(
        "ask",
        claim_id,
        form,
        lambda: services.ask(claim_id=claim_id, question=form.question.data, actor=current_user),
        "The question is on its way. The claim waits for the answer.",
    )


@bp.get("/claims/<int:claim_id>/answer")
@bp.post("/claims/<int:claim_id>/answer")
@requires("claim:answer")
def answer(claim_id: int) -> ResponseReturnValue:
    """Customers answer for themselves, staff enter what they were told."""
    form = forms.AnswerForm()
    return _act(
        "answer",
        claim_id,
        form,
        lambda: services.answer(claim_id=claim_id, text=form.text.data, files=form.files.data, actor=current_user),
        "The answer is entered. The review goes on.",
        question=queries.question(claim_id),
    )


@bp.get("/claims/<int:claim_id>/withdraw")
@bp.post("/claims/<int:claim_id>/withdraw")
@requires("claim:withdraw")
def withdraw(claim_id: int) -> ResponseReturnValue:
    form = forms.ActForm()
    return _act(
        "withdraw",
        claim_id,
        form,
        lambda: services.withdraw(claim_id=claim_id, actor=current_user),
        "The claim is withdrawn.",
    )


@bp.get("/claims/<int:claim_id>/settle")
@bp.post("/claims/<int:claim_id>/settle")
@requires("claim:settle")
@fresh
def settle(claim_id: int) -> ResponseReturnValue:
    form = forms.SettleForm()
    orders = queries.payouts(claim_id)
    return _act(
        "settle",
        claim_id,
        form,
        lambda: services.settle(claim_id=claim_id, reference=form.reference.data, on=form.on.data, actor=current_user),
        "The payout is recorded and the claim is paid. The customer is told by e-mail.",
        order=orders[0] if orders else None,
    )


@bp.get("/claims/<int:claim_id>/note")
@bp.post("/claims/<int:claim_id>/note")
@requires("claim:note")
def note(claim_id: int) -> ResponseReturnValue:
    claim = queries.get_claim(claim_id, current_user)
    form = forms.NoteForm()
    if form.validate_on_submit():
        with form.refusals():
            services.note(claim_id=claim_id, text=form.text.data, actor=current_user)
            return _done(claim_id, "The note is added.")
    return form.page("claims/note.html", claim=claim)


@bp.get("/claims/<int:claim_id>/attach")
@bp.post("/claims/<int:claim_id>/attach")
@requires("claim:attach")
def attach(claim_id: int) -> ResponseReturnValue:
    """Photos and documents that come after the notice, from the customer or by way of staff."""
    claim = queries.get_claim(claim_id, current_user)
    form = forms.FilesForm()
    if form.validate_on_submit():
        with form.refusals():
            services.attach(claim_id=claim_id, files=form.files.data, actor=current_user)
            return _done(claim_id, "The files are added.")
    return form.page("claims/attach.html", claim=claim)


@bp.get("/claims/<int:claim_id>/files/<int:file_id>")
@requires("claim:read")
def file(claim_id: int, file_id: int) -> ResponseReturnValue:
    claim = queries.get_claim(claim_id, current_user)
    _, stored = queries.get_attachment(claim.id, file_id)
    return download(stored)

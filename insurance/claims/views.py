"""Staff pages of claims: one record page, one path per act."""

from collections.abc import Callable

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts import queries as accounts
from ..billing.domain import DISBURSEMENT_WORDS, DisbursementStatus
from ..core.errors import Refusal
from ..core.money import Money
from ..customers import queries as customers
from ..documents import services as documents
from ..documents.models import StoredFile
from ..policies import queries as policies
from ..web.forms import Form
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .domain import CAUSES, CLAIM_LIFECYCLE, STATUS_WORDS, ClaimStatus, payable
from .models import Claim

bp = Blueprint("claims", __name__)

CLAIMS = ListPage(
    title="Claims",
    one="claim",
    many="claims",
    key=Claim.id,
    default_sort="-number",
    search_hint="Claim, policy or customer",
    empty="No claims yet.",
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
            lambda r: r.number or "Draft",
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
    "close": "Close",
    "reopen": "Reopen",
    "withdraw": "Withdraw",
}
"""The acts that have a button here, in order."""
AT_ONCE = {"review", "close", "reopen", "withdraw"}
"""Acts that ask nothing."""


@bp.get("/claims")
@bp.get("/claims.csv", endpoint="claim_csv")
@requires("claim:review")
def claim_list() -> ResponseReturnValue:
    return CLAIMS.respond(queries.claim_rows(current_user, **CLAIMS.arguments()))


@bp.get("/claims/new")
@bp.post("/claims/new")
@requires("claim:review")
def new() -> ResponseReturnValue:
    """Staff file for a customer, on one page."""
    asked = request.args.get("policy", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 18):
        raise Refusal("The address names no policy. Open the policy and choose “File a claim”.")
    policy = policies.get_policy(int(asked), current_user)
    customer = customers.get_customer(policy.customer_id, current_user)
    form = forms.NewClaimForm(payee_name=customer.name)
    if form.validate_on_submit():
        with form.refusals():
            claim = services.file(
                policy_id=policy.id,
                loss_on=form.loss_on.data,
                cause=form.cause.data,
                description=form.description.data,
                claimed=form.claimed.data,
                payee_name=form.payee_name.data,
                key=form.key.data,
                actor=current_user,
            )
            services.attach(claim_id=claim.id, files=form.files.data, actor=current_user)
            flash(f"Claim {claim.number} is filed.", "ok")
            return redirect(url_for("claims.record", claim_id=claim.id), 303)
    return form.page("claims/new.html", policy=policy, customer=customer)


@bp.get("/claims/<int:claim_id>")
@requires("claim:review")
def record(claim_id: int) -> ResponseReturnValue:
    """The facts, the cover, the limits and the authority that decide about a claim."""
    claim = queries.get_claim(claim_id, current_user)
    policy = policies.get_policy(claim.policy_id, current_user)
    acts = [act for act in BUTTONS if CLAIM_LIFECYCLE.allows(claim.status, act) and current_user.may(f"claim:{act}")]
    orders = queries.payouts(claim.id)
    waiting = bool(orders) and orders[0].status is DisbursementStatus.REQUESTED
    if waiting and "settle" in acts:
        acts.remove("settle")
    return render_template(
        "claims/record.html",
        claim=claim,
        policy=policy,
        customer=customers.get_customer(claim.customer_id, current_user),
        words=STATUS_WORDS[claim.status],
        cause=CAUSES.get(claim.cause, ""),
        handler=accounts.get_user(claim.handler_id) if claim.handler_id else None,
        cover=queries.cover_on(policy, claim.loss_on) if claim.loss_on else None,
        left=queries.left_on(policy, claim.loss_on) if claim.loss_on else None,
        payable=_payable(claim),
        reserve=Money(queries.outstanding(claim.id), claim.currency),
        reserve_changes=queries.reserve_changes(claim.id),
        authority=Money(current_user.authority_minor, claim.currency),
        files=queries.attachments(claim.id),
        events=queries.history(claim.id),
        orders=orders,
        order_words=DISBURSEMENT_WORDS,
        second_needed=waiting and current_user.may("claim:approve_payout") and orders[0].maker_id != current_user.id,
        buttons={act: BUTTONS[act] for act in acts},
        at_once=AT_ONCE,
    )


def _payable(claim: Claim) -> list[dict[str, str]]:
    """The worksheet of what may be paid, as the decision will work it out."""
    coverages = queries.coverages(claim.id)
    if not coverages or claim.loss_on is None:
        return []
    policy = policies.get_policy(claim.policy_id, current_user)
    [coverage] = coverages
    left = queries.left_on(policy, claim.loss_on)
    limit, deductible = Money(coverage.limit_minor, claim.currency), Money(coverage.deductible_minor, claim.currency)
    return list(payable(claim.claimed, deductible, limit, left).worksheet)


def _act(claim_id: int, form: Form, template: str, service: Callable[[], Claim], said: str) -> ResponseReturnValue:
    """The page of an act: its form, the service, back to the record."""
    claim = queries.get_claim(claim_id, current_user)
    if form.validate_on_submit():
        with form.refusals():
            service()
            flash(said, "ok")
            return redirect(url_for("claims.record", claim_id=claim_id), 303)
    return form.page(template, claim=claim, payable=_payable(claim))


@bp.post("/claims/<int:claim_id>/review")
@requires("claim:review")
def review(claim_id: int) -> ResponseReturnValue:
    services.review(claim_id=claim_id, actor=current_user)
    flash("The claim is yours now. The customer sees your name.", "ok")
    return redirect(url_for("claims.record", claim_id=claim_id), 303)


@bp.post("/claims/<int:claim_id>/close")
@requires("claim:close")
def close(claim_id: int) -> ResponseReturnValue:
    services.close(claim_id=claim_id, actor=current_user)
    flash("The claim is closed. You can reopen it.", "ok")
    return redirect(url_for("claims.record", claim_id=claim_id), 303)


@bp.post("/claims/<int:claim_id>/reopen")
@requires("claim:reopen")
def reopen(claim_id: int) -> ResponseReturnValue:
    services.reopen(claim_id=claim_id, actor=current_user)
    flash("The claim is open again.", "ok")
    return redirect(url_for("claims.record", claim_id=claim_id), 303)


@bp.post("/claims/<int:claim_id>/withdraw")
@requires("claim:withdraw")
def withdraw(claim_id: int) -> ResponseReturnValue:
    services.withdraw(claim_id=claim_id, actor=current_user)
    flash("The claim is withdrawn.", "ok")
    home = "portal.claim" if current_user.role == "customer" else "claims.record"
    return redirect(url_for(home, claim_id=claim_id), 303)


@bp.post("/claims/<int:claim_id>/approve-payout")
@requires("claim:approve_payout")
def approve_payout(claim_id: int) -> ResponseReturnValue:
    services.approve_payout(claim_id=claim_id, actor=current_user)
    flash("The payout is approved. Record it once it is made.", "ok")
    return redirect(url_for("claims.record", claim_id=claim_id), 303)


@bp.get("/claims/<int:claim_id>/approve")
@bp.post("/claims/<int:claim_id>/approve")
@requires("claim:approve")
def approve(claim_id: int) -> ResponseReturnValue:
    claim = queries.get_claim(claim_id, current_user)
    form = forms.ApproveForm(amount=claim.claimed, version=claim.version)
    return _act(
        claim_id,
        form,
        "claims/approve.html",
        lambda: services.approve(
            claim_id=claim_id,
            amount=form.amount.data,
            notes=form.notes.data,
            version=form.version.data,
            actor=current_user,
        ),
        "The claim is approved and the payout is ordered. The customer is told by e-mail.",
    )


@bp.get("/claims/<int:claim_id>/reject")
@bp.post("/claims/<int:claim_id>/reject")
@requires("claim:reject")
def reject(claim_id: int) -> ResponseReturnValue:
    form = forms.RejectForm(version=queries.get_claim(claim_id, current_user).version)
    return _act(
        claim_id,
        form,
        "claims/reject.html",
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
        claim_id,
        form,
        "claims/ask.html",
        lambda: services.ask(claim_id=claim_id, question=form.question.data, actor=current_user),
        "The question is on its way. The claim waits for the answer.",
    )


@bp.get("/claims/<int:claim_id>/answer")
@bp.post("/claims/<int:claim_id>/answer")
@requires("claim:review")
def answer(claim_id: int) -> ResponseReturnValue:
    form = forms.NoteForm()
    return _act(
        claim_id,
        form,
        "claims/answer.html",
        lambda: services.answer(claim_id=claim_id, text=form.text.data, actor=current_user),
        "The answer is entered. The review goes on.",
    )


@bp.get("/claims/<int:claim_id>/note")
@bp.post("/claims/<int:claim_id>/note")
@requires("claim:note")
def note(claim_id: int) -> ResponseReturnValue:
    form = forms.NoteForm()
    return _act(
        claim_id,
        form,
        "claims/note.html",
        lambda: services.note(claim_id=claim_id, text=form.text.data, actor=current_user),
        "The note is added.",
    )


@bp.get("/claims/<int:claim_id>/settle")
@bp.post("/claims/<int:claim_id>/settle")
@requires("claim:settle")
def settle(claim_id: int) -> ResponseReturnValue:
    form = forms.SettleForm()
    return _act(
        claim_id,
        form,
        "claims/settle.html",
        lambda: services.settle(claim_id=claim_id, reference=form.reference.data, on=form.on.data, actor=current_user),
        "The payout is recorded and the claim is paid. The customer is told by e-mail.",
    )


@bp.get("/claims/<int:claim_id>/files/<int:file_id>")
@requires("claim:read")
def file(claim_id: int, file_id: int) -> ResponseReturnValue:
    """An attachment, as a download that no browser runs."""
    queries.get_claim(claim_id, current_user)
    return _download(queries.get_attachment(claim_id, file_id))


def _download(stored: StoredFile) -> Response:
    response = Response(documents.read(stored), mimetype=stored.content_type)
    response.headers.set("Content-Disposition", "attachment", filename=stored.name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response

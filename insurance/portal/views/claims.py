"""The customer's claims: the notice step by step, and what came of it."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.queries import get_user
from ...claims import forms, queries, services
from ...claims.domain import CAUSES, STATUS_WORDS, ClaimStatus, stages
from ...claims.models import Claim
from ...core import clock
from ...core.errors import NotFound, Refusal
from ...policies import queries as policies
from ...policies.domain import UNBOUND
from ...web.guard import requires
from .. import bp

STEPS = ["policy", "when", "what", "amount", "photos", "check"]
NEXT_WORDS = {
    ClaimStatus.PENDING: "We look at your claim within one working day and write to you.",
    ClaimStatus.UNDER_REVIEW: "We decide within ten working days of your report, or ask you if something is missing.",
    ClaimStatus.WAITING_CUSTOMER: "Answer our question below, and the review goes on.",
    ClaimStatus.APPROVED: "We pay within three working days and tell you when the money is on its way.",
    ClaimStatus.PAID: "There is nothing more to do.",
    ClaimStatus.REJECTED: "If you see it differently, call us: somebody else looks at it again.",
    ClaimStatus.CLOSED: "There is nothing more to do.",
    ClaimStatus.WITHDRAWN: "You can report it anew at any time.",
    ClaimStatus.DRAFT: "Check your answers and send the claim.",
}


@bp.get("/claims")
@requires("portal:use")
def claims() -> ResponseReturnValue:
    return render_template("portal/claims.html", claims=queries.own_claims(current_user), words=STATUS_WORDS)


@bp.get("/claims/<int:claim_id>")
@bp.post("/claims/<int:claim_id>")
@requires("portal:use")
def claim(claim_id: int) -> ResponseReturnValue:
    """Where a claim stands, who has it, what comes next; and the answer, where we asked something."""
    record = queries.get_claim(claim_id, current_user)
    if record.status is ClaimStatus.DRAFT:
        return redirect(url_for("portal.claim_step", step="check", claim=record.id))
    form = forms.AnswerForm()
    if form.validate_on_submit():
        with form.refusals():
            services.attach(claim_id=claim_id, files=form.files.data, actor=current_user)
            services.answer(claim_id=claim_id, text=form.text.data, actor=current_user)
            flash("Thank you. We go on with your claim.", "ok")
            return redirect(url_for("portal.claim", claim_id=claim_id), 303)
    events = queries.history(record.id)
    return form.page(
        "portal/claim.html",
        claim=record,
        policy=policies.get_policy(record.policy_id, current_user),
        words=STATUS_WORDS[record.status],
        cause=CAUSES.get(record.cause, ""),
        stages=stages(record.status),
        next_words=NEXT_WORDS[record.status],
        handler=get_user(record.handler_id).name if record.handler_id else "",
        question=next((event.message for event in events if event.action == "ask"), ""),
        files=queries.attachments(record.id),
        events=[event for event in events if event.message],
    )


@bp.get("/claims/new")
@requires("claim:draft")
def new_claim() -> ResponseReturnValue:
    return redirect(url_for("portal.claim_step", step="policy"))


@bp.get("/claims/new/<step>")
@bp.post("/claims/new/<step>")
@requires("claim:draft")
def claim_step(step: str) -> ResponseReturnValue:
    """One topic a page. What is answered is kept at once, so that the claim can be finished later."""
    if step not in STEPS:
        raise NotFound("We cannot find that page.")
    if step == "policy":
        return _choose_policy()
    draft = _draft()
    return {"when": _when, "what": _what, "amount": _amount, "photos": _photos, "check": _check}[step](draft)


def _choose_policy() -> ResponseReturnValue:
    form = forms.PolicyForm(policy_id=request.args.get("policy", ""))
    cards = [row for row in policies.cards(current_user, clock.today(), limit=50) if row.status not in UNBOUND]
    form.policy_id.choices = [(str(row.id), f"{row.product_name}, {row.policy_type} ({row.number})") for row in cards]
    if form.validate_on_submit():
        with form.refusals():
            draft = services.start(policy_id=int(form.policy_id.data), key=form.key.data, actor=current_user)
            return redirect(url_for("portal.claim_step", step="when", claim=draft.id), 303)
    return form.page("portal/claim_policy.html", number=1, steps=len(STEPS), none=not cards)


def _draft() -> Claim:
    asked = request.args.get("claim", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 18):
        raise Refusal("The address names no claim. Begin at the first step.")
    draft = queries.get_claim(int(asked), current_user)
    if draft.status is not ClaimStatus.DRAFT:
        raise Refusal("This claim was sent already. You find it among your claims.")
    return draft


def _go_on(draft: Claim, following: str) -> ResponseReturnValue:
    if "later" in request.form:
        flash("Your answers are kept. Finish the claim when it suits you.", "ok")
        return redirect(url_for("portal.claims"), 303)
    step = "check" if request.args.get("change") else following
    return redirect(url_for("portal.claim_step", step=step, claim=draft.id), 303)


def _when(draft: Claim) -> ResponseReturnValue:
    form = forms.WhenForm(loss_on=draft.loss_on, cause=draft.cause)
    if form.validate_on_submit():
        with form.refusals():
            services.save(claim_id=draft.id, loss_on=form.loss_on.data, cause=form.cause.data, actor=current_user)
            return _go_on(draft, "what")
    return form.page("portal/claim_when.html", claim=draft, number=2, steps=len(STEPS))


def _what(draft: Claim) -> ResponseReturnValue:
    form = forms.StoryForm(description=draft.description)
    if form.validate_on_submit():
        with form.refusals():
            services.save(claim_id=draft.id, description=form.description.data, actor=current_user)
            return _go_on(draft, "amount")
    return form.page("portal/claim_what.html", claim=draft, number=3, steps=len(STEPS))


def _amount(draft: Claim) -> ResponseReturnValue:
    form = forms.AmountForm(claimed=draft.claimed or None, payee_name=draft.payee_name)
    if form.validate_on_submit():
        with form.refusals():
            services.save(
                claim_id=draft.id, claimed=form.claimed.data, payee_name=form.payee_name.data, actor=current_user
            )
            return _go_on(draft, "photos")
    return form.page("portal/claim_amount.html", claim=draft, number=4, steps=len(STEPS))


def _photos(draft: Claim) -> ResponseReturnValue:
    form = forms.PhotosForm()
    if form.validate_on_submit():
        with form.refusals():
            remove = request.form.get("remove", "")
            if remove.isascii() and remove.isdigit():
                services.detach(claim_id=draft.id, file_id=int(remove), actor=current_user)
                return redirect(url_for("portal.claim_step", step="photos", claim=draft.id), 303)
            services.attach(claim_id=draft.id, files=form.files.data, actor=current_user)
            if "more" in request.form:
                return redirect(url_for("portal.claim_step", step="photos", claim=draft.id), 303)
            return _go_on(draft, "check")
    return form.page(
        "portal/claim_photos.html", claim=draft, files=queries.attachments(draft.id), number=5, steps=len(STEPS)
    )


def _check(draft: Claim) -> ResponseReturnValue:
    form = forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            filed = services.submit(claim_id=draft.id, actor=current_user)
            return redirect(url_for("portal.claim_sent", claim_id=filed.id), 303)
    return form.page(
        "portal/claim_check.html",
        claim=draft,
        policy=policies.get_policy(draft.policy_id, current_user),
        cause=CAUSES.get(draft.cause, ""),
        files=queries.attachments(draft.id),
        duplicates=queries.possible_duplicates(draft) if draft.loss_on else [],
        number=6,
        steps=len(STEPS),
    )


@bp.get("/claims/<int:claim_id>/sent")
@requires("portal:use")
def claim_sent(claim_id: int) -> ResponseReturnValue:
    return render_template("portal/claim_sent.html", claim=queries.get_claim(claim_id, current_user))

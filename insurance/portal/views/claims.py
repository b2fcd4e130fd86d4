"""The customer's claims: the notice step by step, and what came of it."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...claims import forms, queries, services
from ...claims.domain import CAUSES, STATUS_WORDS, ClaimStatus
from ...claims.models import Claim
from ...core import clock
from ...core.errors import NotFound, RuleBroken
from ...core.money import Money
from ...policies import queries as policies
from ...policies.domain import UNBOUND
from ...web.arguments import get_id
from ...web.forms import Form
from ...web.guard import requires
from .. import bp

STEPS = ["policy", "when", "what", "amount", "photos", "check"]
STEP_OF = {
    "loss_on": "when",
    "cause": "when",
    "description": "what",
    "claimed": "amount",
    "payee_name": "amount",
    "policy_id": "policy",
}
"""Where each fact of a notice is asked."""


@bp.get("/claims")
@requires("portal:use")
def claims() -> ResponseReturnValue:
    return render_template("portal/claims.html", claims=queries.own_claims(current_user), words=STATUS_WORDS)


@bp.get("/claims/<int:claim_id>")
@requires("portal:use")
def claim(claim_id: int) -> ResponseReturnValue:
    """Where a claim stands, who has it, what comes next; and our question, if there is one."""
    record = queries.get_claim(claim_id, current_user)
    if record.status is ClaimStatus.DRAFT:
        return redirect(url_for("portal.claim_step", step="check", claim=record.id))
    events = queries.history(record.id)
    return render_template(
        "portal/claim.html",
        claim=record,
        form=forms.AnswerForm(),
        policy=policies.get_policy(record.policy_id, current_user),
        words=STATUS_WORDS[record.status],
        cause=CAUSES.get(record.cause, "Claim"),
        progress=queries.progress(record),
        question=next((event.message for event in events if event.action == "ask"), ""),
        takes_files=record.status in services.TAKES_FILES,
        files=queries.attachments(record.id),
        events=[event for event in events if event.message],
        payouts=queries.payouts(record.id),
    )


@bp.get("/claims/new")
@requires("portal:use")
def new_claim() -> ResponseReturnValue:
    return redirect(url_for("portal.claim_step", step="policy"))


@bp.get("/claims/new/<step>")
@bp.post("/claims/new/<step>")
@requires("portal:use")
def claim_step(step: str) -> ResponseReturnValue:
    """One topic a page. What is answered is kept at once, so that the claim can be finished later."""
    if step not in STEPS:
        raise NotFound("We cannot find that page.")
    if step == "policy" and "claim" not in request.args:
        return _policy(None)
    claim_id = get_id("claim", "The address names no claim. Begin at the first step.")
    claim = queries.get_claim(claim_id, current_user)
    if claim.status is not ClaimStatus.DRAFT:
        return redirect(url_for("portal.claim", claim_id=claim.id), 303)  # sent twice, or come back to
    pages = {"policy": _policy, "when": _when, "what": _what, "amount": _amount, "photos": _photos, "check": _check}
    return pages[step](claim)


def _page(step: str, form: Form, draft: Claim | None, **context: object) -> ResponseReturnValue:
    number = STEPS.index(step) + 1
    back = url_for("portal.claim_step", step=STEPS[number - 2], claim=draft.id) if draft and number > 1 else ""
    if draft and request.args.get("change"):
        back = url_for("portal.claim_step", step="check", claim=draft.id)
    return form.page(f"portal/claim_{step}.html", claim=draft, number=number, steps=len(STEPS), back=back, **context)


def _go_on(draft: Claim, step: str) -> ResponseReturnValue:
    """To the next step; back to the answers if one of them was changed; or away, if the customer has had enough."""
    if "later" in request.form:
        flash("Your answers are kept. Finish the claim when it suits you.", "ok")
        return redirect(url_for("portal.claims"), 303)
    following = "check" if request.args.get("change") else STEPS[STEPS.index(step) + 1]
    return redirect(url_for("portal.claim_step", step=following, claim=draft.id), 303)


def _policy(draft: Claim | None) -> ResponseReturnValue:
    form = forms.PolicyForm(policy_id=str(draft.policy_id) if draft else request.args.get("policy", ""))
    cards = [row for row in policies.cards(current_user, clock.today(), limit=50) if row.status not in UNBOUND]
    form.policy_id.choices = [(str(row.id), f"{row.product_name}, {row.policy_type} ({row.number})") for row in cards]
    if form.validate_on_submit():
        with form.refusals():
            policy_id = int(form.policy_id.data)
            if draft:
                services.choose_policy(claim_id=draft.id, policy_id=policy_id, actor=current_user)
            else:
                draft = services.start(policy_id=policy_id, key=form.key.data, actor=current_user)
            return _go_on(draft, "policy")
    return _page("policy", form, draft, none=not cards)


def _when(draft: Claim) -> ResponseReturnValue:
    form = forms.WhenForm(loss_on=draft.loss_on, cause=draft.cause)
    if form.validate_on_submit():
        with form.refusals():
            services.save(claim_id=draft.id, loss_on=form.loss_on.data, cause=form.cause.data, actor=current_user)
            return _go_on(draft, "when")
    return _page("when", form, draft)


def _what(draft: Claim) -> ResponseReturnValue:
    form = forms.StoryForm(description=draft.description)
    if form.validate_on_submit():
        with form.refusals():
            services.save(claim_id=draft.id, description=form.description.data, actor=current_user)
            return _go_on(draft, "what")
    return _page("what", form, draft)


def _amount(draft: Claim) -> ResponseReturnValue:
    form = forms.AmountForm(claimed=draft.claimed or None, payee_name=draft.payee_name)
    if form.validate_on_submit():
        with form.refusals():
            services.save(
                claim_id=draft.id, claimed=form.claimed.data, payee_name=form.payee_name.data, actor=current_user
            )
            return _go_on(draft, "amount")
    return _page("amount", form, draft, left=_left(draft))


def _left(draft: Claim) -> Money | None:
    """What the cover still pays for in the term of the loss, if that is known."""
    if draft.loss_on is None:
        return None
    return queries.standing(policies.get_policy(draft.policy_id, current_user), draft.loss_on).left


def _photos(draft: Claim) -> ResponseReturnValue:
    form = forms.PhotosForm()
    if form.validate_on_submit():
        with form.refusals():
            services.attach(claim_id=draft.id, files=form.files.data, actor=current_user)
            remove = request.form.get("remove", "")
            if remove.isascii() and remove.isdigit() and len(remove) <= 18:
                services.detach(claim_id=draft.id, file_id=int(remove), actor=current_user)
            if remove or "more" in request.form:
                return redirect(request.full_path, 303)
            return _go_on(draft, "photos")
    return _page("photos", form, draft, files=queries.attachments(draft.id))


def _check(draft: Claim) -> ResponseReturnValue:
    """The answers with their links to change them, and what stands in the way of sending them."""
    policy = policies.get_policy(draft.policy_id, current_user)
    form = forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            filed = services.submit(claim_id=draft.id, actor=current_user)
            return redirect(url_for("portal.claim_sent", claim_id=filed.id), 303)
    problem = None
    try:
        services.check_notice(draft, policy)
    except RuleBroken as error:
        problem = error
    return _page(
        "check",
        form,
        draft,
        policy=policy,
        cause=CAUSES.get(draft.cause, ""),
        files=queries.attachments(draft.id),
        duplicates=queries.possible_duplicates(draft) if draft.loss_on else [],
        problem=problem,
        problem_step=STEP_OF.get(problem.field or "", "policy") if problem else "",
    )


@bp.get("/claims/<int:claim_id>/sent")
@requires("portal:use")
def claim_sent(claim_id: int) -> ResponseReturnValue:
    claim = queries.get_claim(claim_id, current_user)
    return render_template("portal/claim_sent.html", claim=claim, progress=queries.progress(claim))

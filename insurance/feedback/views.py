"""Sending feedback from any page, and the admins' pages to read and answer it."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.sign_in import fresh_download
from ..admin import queries as admin
from ..core.errors import NotFound
from ..documents.views import download
from ..web.arguments import inside
from ..web.guard import may_open, public, requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries, services
from .domain import ACT_WORDS, FEEDBACK_LIFECYCLE, KIND_WORDS, STATUS_WORDS, FeedbackKind
from .models import Feedback

bp = Blueprint("feedback", __name__)

LONGEST_PAGE = 200
SHOWN = 80
"""How many characters of a text the list shows."""

FEEDBACK = ListPage(
    title="Feedback",
    one="piece of feedback",
    many="pieces of feedback",
    key=Feedback.id,
    default_sort="-received",
    search_hint="Text, sender or page",
    empty="No feedback yet. The link to send some is at the foot of every page.",
    filters=[
        Choice("status", "Status", [(status, words.staff) for status, words in STATUS_WORDS.items()]),
        Choice("kind", "Kind", list(KIND_WORDS.items())),
    ],
    columns=[
        Col("Feedback", lambda r: _beginning(r.text), href=lambda r: url_for("feedback.record", feedback_id=r.id)),
        Col("Kind", lambda r: KIND_WORDS[r.kind]),
        Col("From", lambda r: r.name or "Visitor"),
        Col("Email", lambda r: r.email),
        Col("Page", lambda r: r.page),
        Col("Received", lambda r: r.created_at, kind="datetime", sort=Feedback.created_at, sort_name="received"),
        Col("Status", lambda r: STATUS_WORDS[r.status], kind="badge"),
    ],
)

BUTTONS = {"answer": "Answer", "read": "Mark as read", "close": "Close", "reopen": "Reopen"}
"""The acts of the lifecycle, in the order of their buttons."""


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN].rstrip()}…"


# Sending


@bp.get("/feedback")
@bp.post("/feedback")
@public
def send() -> ResponseReturnValue:
    """Feedback about the page that the address names; a visitor may add a name and an address for the answer."""
    known = current_user.is_authenticated
    form = (forms.FeedbackForm if known else forms.VisitorForm)(about=_page(request.args.get("page")))
    page = _page(form.about.data)
    if form.validate_on_submit():
        with form.refusals():
            feedback = services.send(
                kind=FeedbackKind(form.kind.data),
                text=form.text.data,
                page=page,
                name=current_user.name if known else form.name.data,
                email=current_user.email if known else form.email.data,
                screenshot=next(iter(form.screenshot.data), None),
                address=(request.remote_addr or "")[:60],
                actor=current_user if known else services.VISITOR,
                key=form.key.data,
            )
            session["feedback"] = {"number": feedback.id, "email": feedback.email, "page": feedback.page}
            return redirect(url_for("feedback.sent"), 303)
    return form.page("feedback/send.html", page=page)


@bp.get("/feedback/sent")
@public
def sent() -> ResponseReturnValue:
    if "feedback" not in session:
        return redirect(url_for("feedback.send"), 303)
    return render_template("feedback/sent.html", **session["feedback"])


def _page(address: str | None) -> str:
    """The path of a page of this site, as far as it can be kept; what is asked after it is nobody else's business."""
    return inside(address).partition("?")[0].partition("#")[0][:LONGEST_PAGE]


# What admins do with it


@bp.get("/admin/feedback")
@bp.get("/admin/feedback.csv", endpoint="feedback_csv")
@requires("feedback:read")
@fresh_download
def feedback_list() -> ResponseReturnValue:
    return FEEDBACK.respond(queries.feedback_rows(**FEEDBACK.arguments()))


@bp.get("/admin/feedback/<int:feedback_id>")
@requires("feedback:read")
def record(feedback_id: int) -> ResponseReturnValue:
    feedback, screenshot, handler_name = queries.get_record(feedback_id)
    return render_template(
        "feedback/record.html",
        feedback=feedback,
        page_opens=may_open(current_user, feedback.page),
        screenshot=screenshot,
        handler_name=handler_name,
        kind=KIND_WORDS[feedback.kind],
        words=STATUS_WORDS[feedback.status],
        entries=admin.audit_of("feedback", feedback_id),
        act_words=ACT_WORDS,
        buttons={
            act: label
            for act, label in BUTTONS.items()
            if FEEDBACK_LIFECYCLE.allows(feedback.status, act) and current_user.may(f"feedback:{act}")
        },
    )


@bp.get("/admin/feedback/<int:feedback_id>/files/screenshot")
@requires("feedback:read")
def screenshot(feedback_id: int) -> ResponseReturnValue:
    _, stored, _ = queries.get_record(feedback_id)
    if stored is None:
        raise NotFound("This feedback has no screenshot.")
    return download(stored)


@bp.get("/admin/feedback/<int:feedback_id>/answer")
@bp.post("/admin/feedback/<int:feedback_id>/answer")
@requires("feedback:answer")
def answer(feedback_id: int) -> ResponseReturnValue:
    feedback = queries.get_feedback(feedback_id)
    FEEDBACK_LIFECYCLE.next(feedback.status, "answer")
    form = forms.AnswerForm(version=feedback.version)
    if form.validate_on_submit():
        with form.refusals():
            services.answer(
                feedback_id=feedback_id,
                answer=form.answer.data,
                version=form.version.data,
                actor=current_user,
            )
            mailed = f"The answer is on its way to {feedback.email}."
            return _done(
                feedback_id,
                mailed if feedback.email else "The answer is kept. Without an address it could not be mailed.",
            )
    return form.page("feedback/answer.html", feedback=feedback)


@bp.post("/admin/feedback/<int:feedback_id>/read")
@requires("feedback:read")
def read(feedback_id: int) -> ResponseReturnValue:
    services.read(feedback_id=feedback_id, actor=current_user)
    return _done(feedback_id, "Marked as read. It stays open until it is answered or closed.")


@bp.post("/admin/feedback/<int:feedback_id>/close")
@requires("feedback:close")
def close(feedback_id: int) -> ResponseReturnValue:
    services.close(feedback_id=feedback_id, actor=current_user)
    return _done(feedback_id, "The feedback is closed. You can reopen it.")


@bp.post("/admin/feedback/<int:feedback_id>/reopen")
@requires("feedback:reopen")
def reopen(feedback_id: int) -> ResponseReturnValue:
    services.reopen(feedback_id=feedback_id, actor=current_user)
    return _done(feedback_id, "The feedback is open again.")


def _done(feedback_id: int, said: str) -> ResponseReturnValue:
    flash(said, "ok")
    return redirect(url_for("feedback.record", feedback_id=feedback_id), 303)

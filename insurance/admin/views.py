"""What needs attention, and the records that only admins see: users, outbox, jobs, audit, products."""

import json
from collections.abc import Callable

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts import forms as account_forms
from ..accounts import queries as accounts
from ..accounts import services as account_services
from ..accounts.models import User
from ..billing import queries as billing
from ..claims import queries as claims
from ..claims.domain import STATUS_WORDS as CLAIM_WORDS
from ..core import clock, numbering, settings
from ..core.audit import AuditEntry
from ..core.errors import NotFound
from ..core.money import Money
from ..core.outbox import Mail, MailStatus
from ..core.permissions import Role
from ..core.words import Words
from ..jobs import queries as jobs
from ..jobs.models import JobRun
from ..messages import queries as messages
from ..messages import rendering as message_rendering
from ..messages import services as message_services
from ..messages.domain import NOT_IN_SUBJECT, SAMPLES, check_text
from ..policies import queries as policies
from ..policies.domain import PolicyStatus
from ..products import queries as products
from ..web.arguments import find_id
from ..web.guard import requires
from ..web.pages import COUNTED, Choice, Col, ListPage, csv_file
from . import forms, queries, services

bp = Blueprint("admin", __name__, url_prefix="/admin")

SHOWN = 10
ROLE_WORDS = {Role.ADMIN: "Admin", Role.AGENT: "Agent", Role.CUSTOMER: "Customer"}
ACCESS = {True: Words("ok", "May sign in", ""), False: Words("neu", "Deactivated", "")}
MAIL_WORDS = {
    MailStatus.DUE: Words("info", "Waiting", ""),
    MailStatus.SENT: Words("ok", "Sent", ""),
    MailStatus.KEPT: Words("warn", "Not sent", ""),
    MailStatus.DEAD: Words("bad", "Failed", ""),
}
USAGE: list[tuple[str, Callable[[queries.Week], int | None], str]] = [
    ("Active users", lambda w: w.active_users, "Users who were signed in and opened a page in the week, each once."),
    ("Quotes", lambda w: w.quotes, "Quotes made in the week."),
    ("Bound", lambda w: w.bound, "Quotes that became policies in the week, whenever they were made."),
    ("Converted, %", lambda w: w.conversion, "Of the quotes made in the week, the share that is bound by now."),
    ("Claims", lambda w: w.claims, "Claims filed in the week; drafts do not count."),
    ("Feedback", lambda w: w.feedback, "Feedback received in the week."),
]
"""The usage figures: their names, their values, and what each counts."""


@bp.get("")
@requires("admin:use")
def overview() -> ResponseReturnValue:
    """What needs an admin now, and how the business stands."""
    today = clock.today()
    counts = policies.counts(current_user, today)
    mails = messages.counts(COUNTED + 1)
    waiting = queries.waiting()
    return render_template(
        "admin/overview.html",
        dead_mails=mails[MailStatus.DEAD],
        waiting_mails=mails[MailStatus.DUE],
        kept_mails=mails[MailStatus.KEPT],
        payouts=claims.payouts_to_approve(limit=SHOWN),
        to_decide=claims.to_decide(current_user, limit=SHOWN),
        overdue=billing.overdue_summary(current_user, today),
        in_force=counts[PolicyStatus.ACTIVE],
        pending=counts[PolicyStatus.PENDING],
        quoted=counts[PolicyStatus.QUOTED],
        nightly=jobs.last_run("nightly"),
        claim_words=CLAIM_WORDS,
        unassigned=waiting.unassigned,
        new_feedback=waiting.feedback,
    )


@bp.get("/usage")
@requires("usage:read")
def usage() -> ResponseReturnValue:
    """How much the system is used, week by week."""
    return render_template("admin/usage.html", weeks=queries.usage(clock.today()), figures=USAGE)


@bp.get("/usage.csv")
@requires("usage:read")
def usage_csv() -> ResponseReturnValue:
    heading = ["Monday", "Sunday", *(name for name, _, _ in USAGE)]
    weeks = queries.usage(clock.today())
    rows = [[week.monday, week.sunday, *(figure(week) for _, figure, _ in USAGE)] for week in weeks]
    return csv_file("usage", [[heading, *rows]])


USERS = ListPage(
    title="Users",
    one="user",
    many="users",
    key=User.id,
    default_sort="name",
    search_hint="Name or e-mail",
    filters=[Choice("role", "Role", list(ROLE_WORDS.items()))],
    columns=[
        Col("Name", lambda r: r.name, sort=User.name, href=lambda r: url_for("admin.user", user_id=r.id)),
        Col("Email", lambda r: r.email, sort=User.email),
        Col("Role", lambda r: ROLE_WORDS[r.role]),
        Col("Access", lambda r: ACCESS[r.active], kind="badge"),
        Col("Since", lambda r: r.created_at, kind="date", sort=User.created_at, sort_name="since"),
    ],
)


@bp.get("/users")
@bp.get("/users.csv", endpoint="user_csv")
@requires("user:read")
def user_list() -> ResponseReturnValue:
    return USERS.respond(accounts.user_rows(**USERS.arguments()), new=(url_for("admin.new_user"), "Invite user"))


@bp.get("/users/new")
@bp.post("/users/new")
@requires("user:create")
def new_user() -> ResponseReturnValue:
    form = account_forms.InviteUserForm(authority=Money.zero(_currency()))
    if form.validate_on_submit():
        with form.refusals():
            user = account_services.invite(
                email=form.email.data,
                name=form.name.data,
                role=Role(form.role.data),
                authority_minor=form.authority.data.minor,
                actor=current_user,
            )
            flash(f"The invitation is on its way to {user.email}.", "ok")
            return redirect(url_for("admin.user", user_id=user.id), 303)
    return form.page("admin/new_user.html")


@bp.get("/users/<int:user_id>")
@requires("user:read")
def user(user_id: int) -> ResponseReturnValue:
    record = accounts.get_user(user_id)
    return render_template(
        "admin/user.html",
        user=record,
        role=ROLE_WORDS[record.role],
        words=ACCESS[record.active],
        authority=Money(record.authority_minor, _currency()),
        entries=queries.audit_of("users", user_id),
        sessions=accounts.sessions_of(record.actor()),
        form=account_forms.ActForm(),
    )


@bp.get("/users/<int:user_id>/edit")
@bp.post("/users/<int:user_id>/edit")
@requires("user:edit")
def edit_user(user_id: int) -> ResponseReturnValue:
    record = accounts.get_user(user_id)
    form = account_forms.UserForm(obj=record, authority=Money(record.authority_minor, _currency()))
    if form.validate_on_submit():
        with form.refusals():
            account_services.edit_user(
                user_id=user_id,
                version=form.version.data,
                name=form.name.data,
                role=Role(form.role.data),
                active=form.active.data,
                wide_sight=form.wide_sight.data,
                authority_minor=form.authority.data.minor,
                actor=current_user,
            )
            flash("Saved. It holds from their next click on.", "ok")
            return redirect(url_for("admin.user", user_id=user_id), 303)
    return form.page("admin/edit_user.html", user=record)


@bp.post("/users/<int:user_id>/reset")
@requires("user:edit")
def reset_user(user_id: int) -> ResponseReturnValue:
    account_services.send_reset(user_id=user_id, actor=current_user)
    flash("A link to set the password is on its way.", "ok")
    return redirect(url_for("admin.user", user_id=user_id), 303)


@bp.post("/users/<int:user_id>/sessions/<int:session_id>/end")
@requires("user:edit")
def end_session(user_id: int, session_id: int) -> ResponseReturnValue:
    account_services.end_session_of(user_id=user_id, session_id=session_id, actor=current_user)
    flash("That browser is signed out.", "ok")
    return redirect(url_for("admin.user", user_id=user_id), 303)


OUTBOX = ListPage(
    title="Outbox",
    one="mail",
    many="mails",
    key=Mail.id,
    default_sort="-created",
    search_hint="Recipient",
    empty="No mails yet.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in MAIL_WORDS.items()])],
    columns=[
        Col(
            "Mail",
            lambda r: messages.TITLES.get(r.template, r.template),
            href=lambda r: url_for("admin.mail", mail_id=r.id),
        ),
        Col("To", lambda r: r.recipient),
        Col("Written", lambda r: r.created_at, kind="datetime", sort=Mail.created_at, sort_name="created"),
        Col("Status", lambda r: MAIL_WORDS[r.status], kind="badge"),
        Col("Tries", lambda r: str(r.attempts)),
        Col("Reason", lambda r: r.last_error),
    ],
)


@bp.get("/outbox")
@bp.get("/outbox.csv", endpoint="outbox_csv")
@requires("outbox:read")
def outbox() -> ResponseReturnValue:
    return OUTBOX.respond(messages.mail_rows(**OUTBOX.arguments()))


@bp.get("/outbox/<int:mail_id>")
@requires("outbox:read")
def mail(mail_id: int) -> ResponseReturnValue:
    record = messages.get_mail(mail_id)
    return forms.ResendForm(recipient=record.recipient).page(
        "admin/mail.html", mail=record, words=MAIL_WORDS[record.status], preview=message_services.preview(record)
    )


@bp.post("/outbox/<int:mail_id>/resend")
@requires("outbox:resend")
def resend(mail_id: int) -> ResponseReturnValue:
    record = messages.get_mail(mail_id)
    form = forms.ResendForm()
    if form.validate_on_submit():
        with form.refusals():
            message_services.resend(mail_id=mail_id, recipient=form.recipient.data, actor=current_user)
            flash("The mail is on its way again.", "ok")
            return redirect(url_for("admin.mail", mail_id=mail_id), 303)
    return form.page(
        "admin/mail.html", mail=record, words=MAIL_WORDS[record.status], preview=message_services.preview(record)
    )


AUDIT = ListPage(
    title="Audit",
    one="entry",
    many="entries",
    key=AuditEntry.id,
    default_sort="-at",
    search_hint="Record or person",
    empty="Nothing has been done yet.",
    filters=[Choice("subject", "Kind of record", list(queries.SUBJECTS.items()))],
    columns=[
        Col("Record", lambda r: r.label, href=lambda r: url_for("admin.audit_entry", entry_id=r.id)),
        Col("Act", lambda r: queries.act(r.subject, r.action)),
        Col("Who", lambda r: r.actor_name),
        Col("When", lambda r: r.at, kind="datetime", sort=AuditEntry.at, sort_name="at"),
        Col("From", lambda r: r.address),
    ],
)


@bp.get("/audit")
@bp.get("/audit.csv", endpoint="audit_csv")
@requires("audit:read")
def audit() -> ResponseReturnValue:
    """Everything that was done; with an id, what was done to that record, to which each record leads."""
    rows = queries.audit_rows(**AUDIT.arguments(), subject_id=find_id("id"))
    return AUDIT.respond(rows, template="admin/audit.html", one_record="id" in request.args)


@bp.get("/audit/<int:entry_id>")
@requires("audit:read")
def audit_entry(entry_id: int) -> ResponseReturnValue:
    entry = queries.get_entry(entry_id)
    changes = [
        (key.replace("_", " "), entry.before.get(key), entry.after.get(key))
        for key in dict.fromkeys([*entry.before, *entry.after])
    ]
    return render_template(
        "admin/audit_entry.html", entry=entry, act=queries.act(entry.subject, entry.action), changes=changes
    )


JOBS = ListPage(
    title="Jobs",
    one="run",
    many="runs",
    key=JobRun.id,
    default_sort="-started",
    empty="No job has run yet. The worker runs the nightly job once a day.",
    columns=[
        Col("Job", lambda r: r.name),
        Col("For", lambda r: r.for_day, kind="date"),
        Col("Started", lambda r: r.started_at, kind="datetime", sort=JobRun.started_at, sort_name="started"),
        Col("Finished", lambda r: r.finished_at, kind="datetime"),
        Col("Result", lambda r: r.result),
    ],
)


@bp.get("/jobs")
@bp.get("/jobs.csv", endpoint="job_csv")
@requires("job:read")
def job_list() -> ResponseReturnValue:
    return JOBS.respond(jobs.run_rows(), template="admin/jobs.html")


@bp.get("/products")
@requires("product:read")
def product_list() -> ResponseReturnValue:
    return render_template("admin/products.html", products=products.versions())


@bp.get("/products/<int:version_id>")
@requires("product:read")
def product(version_id: int) -> ResponseReturnValue:
    version = products.get_version(version_id)
    return render_template(
        "admin/product.html",
        version=version,
        definition=version.definition,
        asked={question["code"]: question["label"] for question in version.definition["questions"]},
        source=json.dumps(version.definition, indent=2, ensure_ascii=False),
    )


@bp.get("/settings")
@requires("setting:edit")
def setting_list() -> ResponseReturnValue:
    return render_template(
        "admin/settings.html",
        series=numbering.SERIES,
        letters=numbering.letters(),
        mails=messages.TITLES,
        edited=_edited_mails(),
    )


@bp.get("/settings/company")
@bp.post("/settings/company")
@requires("setting:edit")
def edit_company() -> ResponseReturnValue:
    value, version = _setting("company", settings.company())
    form = forms.CompanyForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            services.change_company(
                version=form.version.data,
                name=form.name.data,
                phone=form.phone.data,
                address=form.address.data,
                actor=current_user,
            )
            flash("Saved. Pages, mails and new documents name the company so from now on.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_company.html")


@bp.get("/settings/numbering")
@bp.post("/settings/numbering")
@requires("setting:edit")
def edit_numbering() -> ResponseReturnValue:
    value, version = _setting("numbering", numbering.letters())
    form = forms.NumberingForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            letters = {series: form[series].data for series in numbering.SERIES}
            services.change_numbering(version=form.version.data, letters=letters, actor=current_user)
            flash("Saved. Numbers that are given out from now on begin so.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_numbering.html", series=numbering.SERIES)


@bp.get("/settings/mails")
@requires("setting:edit")
def mail_texts() -> ResponseReturnValue:
    return render_template("admin/setting_mails.html", mails=messages.TITLES, edited=_edited_mails())


def _edited_mails() -> set[str]:
    return {name.removeprefix("mail ") for name, setting in queries.settings().items() if setting.value}


@bp.get("/settings/mails/<template>")
@bp.post("/settings/mails/<template>")
@requires("setting:edit")
def edit_mail(template: str) -> ResponseReturnValue:
    """The words of one mail, and how they read with sample data before they are saved."""
    title, standard = _mail_title(template), message_rendering.standard(template)
    words, version = _setting(f"mail {template}", standard)
    form = forms.MailForm(**words, version=version)
    edited = words != standard
    if form.validate_on_submit():
        words = {"subject": form.subject.data, "body": form.body.data}
        with form.refusals():
            if request.form.get("go") == "preview":
                check_text(template, **words)
            else:
                services.change_mail(template=template, version=form.version.data, **words, actor=current_user)
                flash(f"Saved. “{title}” says so from now on.", "ok")
                return redirect(url_for("admin.mail_texts"), 303)
    return form.page(
        "admin/setting_mail.html",
        mail_template=template,
        mail_title=title,
        samples=SAMPLES[template],
        not_in_subject=NOT_IN_SUBJECT,
        edited=edited,
        preview=None if form.errors else message_rendering.sample(template, **words),
    )


@bp.post("/settings/mails/<template>/standard")
@requires("setting:edit")
def use_standard_mail(template: str) -> ResponseReturnValue:
    title = _mail_title(template)
    services.use_standard_mail(template=template, actor=current_user)
    flash(f"“{title}” has its standard text again.", "ok")
    return redirect(url_for("admin.edit_mail", template=template), 303)


def _mail_title(template: str) -> str:
    if template not in messages.TITLES:
        raise NotFound("We cannot find that mail.")
    return messages.TITLES[template]


def _setting(name: str, standard: dict[str, str]) -> tuple[dict[str, str], int]:
    """What a form begins with: what is set and its version, or the standard."""
    setting = queries.settings().get(name)
    return (setting.value or standard, setting.version) if setting else (standard, 0)


def _currency() -> str:
    return current_app.config["CURRENCY"]

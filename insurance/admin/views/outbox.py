"""The mails that were written, what became of them, and sending one again."""

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh_download
from ...core.outbox import Mail, MailStatus
from ...core.words import Words
from ...messages import queries as messages
from ...messages import services as message_services
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, forms

MAIL_WORDS = {
    MailStatus.DUE: Words("info", "Waiting", ""),
    MailStatus.SENT: Words("ok", "Sent", ""),
    MailStatus.KEPT: Words("warn", "Not sent", ""),
    MailStatus.DEAD: Words("bad", "Failed", ""),
}


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
@fresh_download
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

"""Staff pages of invoices."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.sign_in import fresh_download
from ..core import formats
from ..core.money import Money
from ..customers import queries as customers
from ..documents import queries as documents
from ..payments import queries as payments
from ..payments.domain import METHOD_WORDS
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries
from .domain import AGE_WORDS, INVOICE_LIFECYCLE, INVOICE_WORDS, STEP_WORDS
from .models import OPEN, Invoice
from .services import credit, dunning
from .services import invoices as services

bp = Blueprint("billing", __name__)

INVOICES = ListPage(
    title="Invoices",
    one="invoice",
    many="invoices",
    key=Invoice.id,
    default_sort="-number",
    search_hint="Invoice, policy or customer",
    empty="No invoices yet. The first one is issued when a policy is bound.",
    filters=[
        Choice(
            "status",
            "Status",
            [(queries.OVERDUE, "Overdue"), *((status, words.staff) for status, words in INVOICE_WORDS.items())],
        ),
        Choice("late", "Late for", list(AGE_WORDS.items())),
    ],
    columns=[
        Col(
            "Invoice",
            lambda r: r.number,
            sort=Invoice.number,
            href=lambda r: url_for("billing.record", invoice_id=r.id),
        ),
        Col(
            "Customer",
            lambda r: r.customer_name,
            href=lambda r: url_for("customers.record", customer_id=r.customer_id),
            sort=customers.Customer.search_name,
            sort_name="customer",
        ),
        Col("Policy", lambda r: r.policy_number),
        Col("Due", lambda r: r.due_on, kind="date", sort=Invoice.due_on, sort_name="due"),
        Col("Status", lambda r: queries.words(r.status, r.due_on), kind="badge"),
        Col(
            "Total",
            lambda r: Money(r.total_minor, r.currency),
            kind="money",
            sort=Invoice.total_minor,
            sort_name="total",
        ),
        Col("Paid", lambda r: Money(r.paid_minor, r.currency), kind="money"),
    ],
)


@bp.get("/invoices")
@bp.get("/invoices.csv", endpoint="invoice_csv")
@requires("payment:record")
@fresh_download
def invoice_list() -> ResponseReturnValue:
    return INVOICES.respond(queries.invoice_rows(current_user, **INVOICES.arguments()))


@bp.get("/invoices/<int:invoice_id>")
@requires("payment:record")
def record(invoice_id: int) -> ResponseReturnValue:
    invoice, account = queries.get_invoice(invoice_id, current_user)
    items = queries.items_on(invoice.id)
    printed_due = documents.get_document(invoice.document_id, current_user).data["due_on"]
    return render_template(
        "invoices/record.html",
        invoice=invoice,
        account=account,
        may_edit=invoice.status in OPEN and current_user.may("invoice:edit"),
        printed_due=printed_due,
        due_changed=printed_due not in {formats.day(invoice.due_on, locale) for locale in formats.LOCALES},
        words=queries.words(invoice.status, invoice.due_on),
        worksheet=services.worksheet(items, queries.shares([account.id])),
        payments=payments.payments_on(invoice.id),
        credit_notes=queries.credit_notes_on(invoice.id),
        notices=[(notice, mail, STEP_WORDS[notice.step]) for notice, mail in queries.notices_about(invoice.id)],
        allows=INVOICE_LIFECYCLE.actions(invoice.status),
        methods=METHOD_WORDS,
    )


@bp.get("/invoices/<int:invoice_id>/due")
@bp.post("/invoices/<int:invoice_id>/due")
@requires("invoice:edit")
def change_due(invoice_id: int) -> ResponseReturnValue:
    invoice, account = queries.get_invoice(invoice_id, current_user)
    form = forms.DueForm(obj=invoice)
    if form.validate_on_submit():
        with form.refusals():
            services.change_due(
                invoice_id=invoice_id,
                version=form.version.data,
                due_on=form.due_on.data,
                reason=form.reason.data,
                actor=current_user,
            )
            flash("The due date is changed.", "ok")
            return redirect(url_for("billing.record", invoice_id=invoice_id), 303)
    return form.page("invoices/due.html", invoice=invoice, account=account)


@bp.get("/invoices/<int:invoice_id>/void")
@bp.post("/invoices/<int:invoice_id>/void")
@requires("invoice:void")
def void(invoice_id: int) -> ResponseReturnValue:
    return _act(invoice_id, credit.void, "invoices/void.html", "The invoice is withdrawn.")


@bp.get("/invoices/<int:invoice_id>/write-off")
@bp.post("/invoices/<int:invoice_id>/write-off")
@requires("invoice:write_off")
def write_off(invoice_id: int) -> ResponseReturnValue:
    return _act(invoice_id, credit.write_off, "invoices/write_off.html", "What was open is written off.")


@bp.get("/invoices/<int:invoice_id>/restore")
@bp.post("/invoices/<int:invoice_id>/restore")
@requires("invoice:write_off")
def restore(invoice_id: int) -> ResponseReturnValue:
    return _act(invoice_id, credit.restore, "invoices/restore.html", "The invoice is owed again.")


def _act(invoice_id: int, act: Callable[..., Invoice], template: str, done: str) -> ResponseReturnValue:
    """Ask for the reason of an act on an invoice, and do it."""
    invoice, account = queries.get_invoice(invoice_id, current_user)
    form = forms.ReasonForm(version=invoice.version)
    if form.validate_on_submit():
        with form.refusals():
            act(invoice_id=invoice_id, version=form.version.data, reason=form.reason.data, actor=current_user)
            flash(done, "ok")
            return redirect(url_for("billing.record", invoice_id=invoice_id), 303)
    return form.page(template, invoice=invoice, account=account)


@bp.get("/invoices/<int:invoice_id>/hold")
@bp.post("/invoices/<int:invoice_id>/hold")
@requires("notice:hold")
def hold(invoice_id: int) -> ResponseReturnValue:
    """Let the notices of the invoice's account wait."""
    invoice, account = queries.get_invoice(invoice_id, current_user)
    form = forms.HoldForm(until=account.hold_until, reason=account.hold_reason, version=account.version)
    if form.validate_on_submit():
        with form.refusals():
            dunning.hold(
                account_id=account.id,
                version=form.version.data,
                until=form.until.data,
                reason=form.reason.data,
                actor=current_user,
            )
            flash("Notices wait." if form.until.data else "Notices go out again.", "ok")
            return redirect(url_for("billing.record", invoice_id=invoice_id), 303)
    return form.page("invoices/hold.html", invoice=invoice, account=account)


@bp.get("/invoices/letters")
@requires("notice:post")
def letters() -> ResponseReturnValue:
    """Notices that no mail can bring: to print, to post, and to note as posted."""
    return render_template(
        "invoices/letters.html",
        letters=queries.letters_to_post(current_user),
        step_words=STEP_WORDS,
        form=forms.ActForm(),
    )


@bp.post("/invoices/letters/<int:notice_id>/posted")
@requires("notice:post")
def mark_posted(notice_id: int) -> ResponseReturnValue:
    notice = dunning.mark_posted(notice_id=notice_id, actor=current_user)
    flash(f"{notice.number} is noted as posted today.", "ok")
    return redirect(url_for("billing.letters"), 303)


@bp.post("/invoices/<int:invoice_id>/remind")
@requires("notice:remind")
def remind(invoice_id: int) -> ResponseReturnValue:
    dunning.remind(invoice_id=invoice_id, actor=current_user)
    flash("The reminder is on its way to the customer.", "ok")
    return redirect(url_for("billing.record", invoice_id=invoice_id), 303)

"""Staff pages of invoices."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..core.money import Money
from ..customers import queries as customers
from ..documents import queries as documents
from ..payments import queries as payments
from ..payments.domain import METHOD_WORDS
from ..web.guard import requires
from ..web.pages import Choice, Col, ListPage
from . import forms, queries
from .domain import INVOICE_WORDS
from .models import OPEN, Invoice
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
        )
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
def invoice_list() -> ResponseReturnValue:
    return INVOICES.respond(queries.invoice_rows(current_user, **INVOICES.arguments()))


@bp.get("/invoices/<int:invoice_id>")
@requires("payment:record")
def record(invoice_id: int) -> ResponseReturnValue:
    invoice, account = queries.get_invoice(invoice_id, current_user)
    items = queries.items_on(invoice.id)
    return render_template(
        "invoices/record.html",
        invoice=invoice,
        account=account,
        may_edit=invoice.status in OPEN and current_user.may("invoice:edit"),
        printed_due=documents.get_document(invoice.document_id, current_user).data["due_on"],
        words=queries.words(invoice.status, invoice.due_on),
        worksheet=services.worksheet(items, queries.shares([account.id])),
        payments=payments.payments_on(invoice.id),
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

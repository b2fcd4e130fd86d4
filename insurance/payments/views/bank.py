"""Staff pages of money that goes to the bank and comes from it: refunds, batches, statements."""

from typing import Any

from flask import Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh, fresh_download
from ...billing import queries as billing
from ...billing.domain import DISBURSEMENT_WORDS
from ...core import settings
from ...core.dates import parse_date
from ...core.money import Money
from ...web.arguments import find_id, get_id
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import batches, bp, money_out, statements
from ..bank import forms, queries
from ..bank.domain import BATCH_LIFECYCLE, BATCH_WORDS, LINE_WORDS
from ..bank.models import BankBatch, BankLine
from ..bank.statements import Mapping, csv_rows, is_xml
from ..domain import STATUS_WORDS


@bp.get("/payments/refunds/new")
@bp.post("/payments/refunds/new")
@requires("refund:request")
@fresh
def request_refund() -> ResponseReturnValue:
    """Order the credit of an account to be paid back."""
    account_id = get_id("account", "The address names no account. Open the customer and choose “Pay credit back”.")
    account = billing.get_account(account_id, current_user)
    form = forms.RefundForm(amount=account.credit if account.credit else None, payee_name=account.holder_name)
    if form.validate_on_submit():
        with form.refusals():
            order = money_out.request_refund(
                account_id=account.id,
                amount=form.amount.data,
                payee_name=form.payee_name.data,
                account_number=form.account_number.data,
                bic=form.bic.data,
                key=form.key.data,
                actor=current_user,
            )
            said = DISBURSEMENT_WORDS[order.status].staff.lower()
            flash(f"The refund of {order.amount.in_words} is {said}.", "ok")
            return redirect(url_for("customers.record", customer_id=account.customer_id), 303)
    return form.page(
        "disbursements/refund.html",
        account=account,
        refunds=billing.refunds_of(account.id),
        order_words=DISBURSEMENT_WORDS,
        limit=Money(current_app.config["PAYOUT_LIMIT_MINOR"], current_app.config["CURRENCY"]),
    )


# Files for the bank

BATCHES = ListPage(
    title="Batches for the bank",
    one="batch",
    many="batches",
    key=BankBatch.id,
    default_sort="-batch",
    empty="No file was made yet.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in BATCH_WORDS.items()])],
    columns=[
        Col(
            "Batch",
            lambda r: r.number,
            sort=BankBatch.number,
            sort_name="batch",
            href=lambda r: url_for("payments.batch", batch_id=r.id),
        ),
        Col("Made", lambda r: r.created_at, kind="datetime"),
        Col("Kind", lambda r: "Direct debits" if r.collect_on else "Payouts"),
        Col("Status", lambda r: BATCH_WORDS[r.status], kind="badge"),
        Col("Given to the bank", lambda r: r.sent_on, kind="date"),
        Col("Orders", lambda r: r.count),
        Col("Total", lambda r: Money(r.total_minor, r.currency), kind="money"),
    ],
)


@bp.get("/payments/batches")
@bp.get("/payments/batches.csv", endpoint="batch_csv")
@requires("bank:use")
def batch_list() -> ResponseReturnValue:
    waiting = [(count, Money(int(minor), currency)) for currency, count, minor in billing.waiting_for_batch()]
    return BATCHES.respond(
        queries.batch_rows(**BATCHES.arguments()),
        template="bank/batches.html",
        waiting=waiting,
        to_collect=[
            (day, count, Money(int(minor), currency)) for day, count, minor, currency in queries.waiting_to_collect()
        ],
        account=settings.get("bank"),
        form=forms.ActForm(),
    )


@bp.post("/payments/batches/new")
@requires("bank:make_batch")
@fresh
def make_batch() -> ResponseReturnValue:
    batch = batches.make(currency=request.form.get("currency", ""), actor=current_user)
    flash(f"{batch.number} is made. Download it, give it to the bank, and mark it as sent.", "ok")
    return redirect(url_for("payments.batch", batch_id=batch.id), 303)


@bp.post("/payments/batches/collect")
@requires("bank:make_batch")
def collect() -> ResponseReturnValue:
    made = batches.collect(on=parse_date(request.form.get("on", ""), field="on"), actor=current_user)
    if made is None:
        flash("Nothing of that day is left to collect.", "info")
        return redirect(url_for("payments.batch_list"), 303)
    flash(f"{made.number} is made. Download it, give it to the bank, and mark it as sent.", "ok")
    return redirect(url_for("payments.batch", batch_id=made.id), 303)


@bp.get("/payments/batches/<int:batch_id>")
@requires("bank:use")
def batch(batch_id: int) -> ResponseReturnValue:
    record = queries.get_batch(batch_id)
    return render_template(
        "bank/batch.html",
        batch=record,
        words=BATCH_WORDS[record.status],
        acts=BATCH_LIFECYCLE.actions(record.status),
        orders=billing.orders_in_batch(record.number),
        order_words=DISBURSEMENT_WORDS,
        collections=queries.collections_in(record.number),
        payment_words=STATUS_WORDS,
    )


@bp.get("/payments/batches/<int:batch_id>/file.xml")
@requires("bank:make_batch")
@fresh
def batch_file(batch_id: int) -> ResponseReturnValue:
    """The same bytes however often."""
    record = queries.get_batch(batch_id)
    named = {"Content-Disposition": f'attachment; filename="{record.number}.xml"'}
    return Response(record.content, mimetype="application/xml", headers=named)


@bp.get("/payments/batches/<int:batch_id>/send")
@bp.post("/payments/batches/<int:batch_id>/send")
@requires("bank:send_batch")
@fresh
def send_batch(batch_id: int) -> ResponseReturnValue:
    form = forms.SentForm()
    if form.validate_on_submit():
        with form.refusals():
            batches.send(batch_id=batch_id, on=form.on.data, actor=current_user)
            flash("It is with the bank, and everything in it on its way.", "ok")
            return redirect(url_for("payments.batch", batch_id=batch_id), 303)
    return form.page("bank/send_batch.html", batch=queries.get_batch(batch_id))


@bp.get("/payments/batches/<int:batch_id>/discard")
@bp.post("/payments/batches/<int:batch_id>/discard")
@requires("bank:make_batch")
def discard_batch(batch_id: int) -> ResponseReturnValue:
    form = forms.DiscardForm()
    if form.validate_on_submit():
        with form.refusals():
            batches.discard(batch_id=batch_id, reason=form.reason.data, actor=current_user)
            flash("It is discarded. What was in it waits for another batch.", "ok")
            return redirect(url_for("payments.batch", batch_id=batch_id), 303)
    return form.page("bank/discard_batch.html", batch=queries.get_batch(batch_id))


@bp.get("/payments/batches/<int:batch_id>/settle")
@bp.post("/payments/batches/<int:batch_id>/settle")
@requires("bank:confirm")
def settle_batch(batch_id: int) -> ResponseReturnValue:
    """The bank has credited a file of direct debits: by hand, where no statement is imported."""
    form = forms.CreditedForm()
    if form.validate_on_submit():
        with form.refusals():
            batches.settle(batch_id=batch_id, on=form.on.data, actor=current_user)
            flash("What was still pending is paid, and the receipts are made.", "ok")
            return redirect(url_for("payments.batch", batch_id=batch_id), 303)
    return form.page("bank/settle_batch.html", batch=queries.get_batch(batch_id))


# Statements

LINES = ListPage(
    title="Lines of statements",
    one="line",
    many="lines",
    key=BankLine.id,
    default_sort="-booked",
    empty="No statement was imported yet.",
    filters=[Choice("status", "Status", [(status, words.staff) for status, words in LINE_WORDS.items()])],
    columns=[
        Col(
            "Line",
            lambda r: f"Line {r.id}",
            href=lambda r: url_for("payments.bank_line", line_id=r.id),
        ),
        Col("Booked", lambda r: r.booked_on, kind="date", sort=BankLine.booked_on, sort_name="booked"),
        Col("Payer or payee", lambda r: r.party),
        Col("Reference", lambda r: r.reference),
        Col("Status", lambda r: LINE_WORDS[r.status], kind="badge"),
        Col("Amount", lambda r: Money(r.amount_minor, r.currency), kind="money"),
    ],
)


@bp.get("/payments/bank")
@requires("bank:use")
def bank() -> ResponseReturnValue:
    """The lines that nobody has decided about yet, each with what it may be."""
    lines, open_in_all = queries.lines_to_decide()
    return render_template(
        "bank/work.html",
        lines=lines,
        open_in_all=open_in_all,
        proposals=queries.proposals(lines),
        form=forms.ActForm(),
    )


@bp.get("/payments/bank/lines")
@bp.get("/payments/bank/lines.csv", endpoint="bank_line_csv")
@requires("bank:use")
@fresh_download
def bank_line_list() -> ResponseReturnValue:
    return LINES.respond(queries.line_rows(**LINES.arguments()))


@bp.get("/payments/bank/lines/<int:line_id>")
@requires("bank:use")
def bank_line(line_id: int) -> ResponseReturnValue:
    line = queries.get_line(line_id)
    open_ = line.status == "open"
    return render_template(
        "bank/line.html",
        line=line,
        words=LINE_WORDS[line.status],
        proposals=queries.proposals([line]) if open_ else {},
        form=forms.ActForm(),
    )


@bp.post("/payments/bank/lines/<int:line_id>/confirm")
@requires("bank:confirm")
def confirm_line(line_id: int) -> ResponseReturnValue:
    act, target_id = request.args.get("act", ""), find_id("target") or 0
    statements.confirm(line_id=line_id, act=act, target_id=target_id, actor=current_user)
    flash("Confirmed and posted.", "ok")
    return redirect(url_for("payments.bank"), 303)


@bp.post("/payments/bank/lines/<int:line_id>/suspend")
@requires("bank:confirm")
def suspend_line(line_id: int) -> ResponseReturnValue:
    item = statements.suspend(line_id=line_id, actor=current_user)
    flash(f"Item {item.id} waits in suspense for its owner.", "ok")
    return redirect(url_for("payments.bank"), 303)


@bp.post("/payments/bank/lines/<int:line_id>/ignore")
@requires("bank:confirm")
def ignore_line(line_id: int) -> ResponseReturnValue:
    statements.ignore(line_id=line_id, actor=current_user)
    flash("Set aside.", "ok")
    return redirect(url_for("payments.bank"), 303)


@bp.post("/payments/bank/lines/<int:line_id>/reopen")
@requires("bank:confirm")
def reopen_line(line_id: int) -> ResponseReturnValue:
    statements.reopen(line_id=line_id, actor=current_user)
    flash("Open again.", "ok")
    return redirect(url_for("payments.bank"), 303)


@bp.get("/payments/bank/statements/new")
@bp.post("/payments/bank/statements/new")
@requires("bank:import")
def upload_statement() -> ResponseReturnValue:
    form = forms.UploadForm()
    if form.validate_on_submit():
        with form.refusals():
            sent: list[Any] = form.file.data
            [(name, content)] = sent
            statement = statements.upload(name=name, content=content, actor=current_user)
            if statement.imported_at:
                flash("This very file was imported before. Importing it again changes nothing.", "info")
            return redirect(url_for("payments.import_statement", statement_id=statement.id), 303)
    return form.page("bank/upload.html")


@bp.get("/payments/bank/statements/<int:statement_id>")
@bp.post("/payments/bank/statements/<int:statement_id>")
@requires("bank:import")
def import_statement(statement_id: int) -> ResponseReturnValue:
    """Say which column is which, see what cannot be read, and keep all lines, the good ones, or none."""
    statement = queries.get_statement(statement_id)
    xml = is_xml(statement.content)
    rows = [] if xml else csv_rows(statement.content)
    form: Any = forms.ActForm() if xml else _mapping_form(rows[0])
    errors = []
    if form.validate_on_submit():
        mapping = None if xml else Mapping(**{field.name: field.data or "" for field in form.shown_fields})
        with form.refusals():
            errors = statements.read(statement, mapping).errors
            new = statements.import_(
                statement_id=statement_id,
                mapping=mapping,
                only_good=request.form.get("go") == "good",
                actor=current_user,
            )
            flash(f"{new} new lines are imported." if new else "Nothing in it is new.", "ok")
            return redirect(url_for("payments.bank"), 303)
    return form.page("bank/import.html", statement=statement, xml=xml, sample=rows[:4], rows=rows, bad_rows=errors)


def _mapping_form(headings: list[str]) -> forms.MappingForm:
    """The form with the file's headings to choose from, filled in as the last statement was read where they fit."""
    offered = [heading.strip() for heading in headings if heading.strip()]
    before = queries.last_mapping()
    fits = {before.get(name) for name in ("date", "amount", "reference")} <= set(offered)
    form = forms.MappingForm(**(before if fits else {}))
    for field in (form.date, form.amount, form.reference, form.party):
        field.choices = [(heading, heading) for heading in offered]
    return form

"""The books: trial balance, journal, one account, closing a month, and the books as a file."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from flask import Response, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Row

from ...books import export as books
from ...books import queries
from ...core import clock
from ...core.dates import day_of_month, parse_date
from ...core.errors import NotFound
from ...core.money import CURRENCIES, Money
from ...ledger import queries as ledger
from ...ledger import services
from ...ledger.domain import KINDS, Account, Event, month_end, to_close
from ...operations import control_accounts
from ...web.arguments import find_day
from ...web.guard import requires
from ...web.pages import Choice, Col, Day, ListPage
from .. import bp, forms


def _record(row: Row) -> str | None:
    """Where the record of a transfer's event is shown."""
    if row.payment_id:
        return url_for("payments.record", payment_id=row.payment_id)
    if row.invoice_id:
        return url_for("billing.record", invoice_id=row.invoice_id)
    if row.claim_id:
        return url_for("claims.record", claim_id=row.claim_id)
    if row.disbursement_id:
        return url_for("admin.disbursement", disbursement_id=row.disbursement_id)
    if row.clearing_id:
        return url_for("payments.clearing_record", clearing_id=row.clearing_id)
    if row.suspense_id:
        return url_for("payments.suspense_item", suspense_id=row.suspense_id)
    return url_for("policies.record", policy_id=row.policy_id) if row.policy_id else None


def _document(row: Row) -> str | None:
    if row.disbursement_id:
        return url_for("payments.payout_pdf", payout_id=row.disbursement_id)
    return url_for("documents.pdf", document_id=row.document_id) if row.document_id else None


JOURNAL = ListPage(
    title="Journal",
    one="posting",
    many="postings",
    key=queries.Transfer.id,
    default_sort="-posted",
    search_hint="Number of a policy, invoice, receipt or claim",
    empty="Nothing has been posted yet.",
    filters=[
        Choice("account", "Account", [(account.value, account.label) for account in KINDS]),
        Choice("event", "Event", [(event.value, event.label) for event in Event]),
        Choice("currency", "Currency", [(currency, currency) for currency in sorted(CURRENCIES)]),
        Day("since", "From"),
        Day("until", "To"),
    ],
    columns=[
        Col("Event", lambda r: r.event.label, href=_record),
        Col("Number", lambda r: r.number),
        Col("Posted", lambda r: r.posted_on, kind="date", sort=queries.Transfer.posted_on, sort_name="posted"),
        Col("Debit", lambda r: r.debit_account.label),
        Col("Credit", lambda r: r.credit_account.label),
        Col("Amount", lambda r: Money(r.amount_minor, r.currency), kind="money"),
        Col("Document", lambda r: "PDF" if _document(r) else "", href=_document),
    ],
)


@bp.get("/ledger/journal")
@bp.get("/ledger/journal.csv", endpoint="journal_csv")
@requires("ledger:read")
def journal() -> ResponseReturnValue:
    return JOURNAL.respond(queries.journal_rows(**JOURNAL.arguments()), template="admin/journal.html")


@bp.get("/ledger")
@requires("ledger:read")
def trial_balance() -> ResponseReturnValue:
    """What each account has come to by a day, debits beside credits."""
    on = find_day("on") or clock.today()
    closed = ledger.closed_months()
    return render_template(
        "admin/ledger.html",
        on=on,
        balances=_by_currency(on),
        kinds=KINDS,
        closed=closed,
        due=to_close(closed[0].ends_on if closed else None, ledger.first_posting(), clock.today()),
    )


def _by_currency(on: date) -> dict[str, list[ledger.TrialLine]]:
    """The trial balance of each currency, in the order of the chart."""
    lines = ledger.trial_balance(on)
    chart = list(KINDS)
    return {
        currency: sorted(part, key=lambda line: chart.index(line.account))
        for currency, part in groupby(lines, key=lambda line: line.debit.currency)
    }


@bp.get("/ledger/accounts/<account>")
@requires("ledger:read")
def account(account: str) -> ResponseReturnValue:
    """An account month by month or, of one month, day by day, with what it had come to after each."""
    if account not in list(Account):
        raise NotFound("There is no such account in the books.")
    found = Account(account)
    day = find_day("month")
    month = day and day_of_month(day, 1)
    return render_template(
        "admin/ledger_account.html",
        account=found,
        kind=KINDS[found],
        month=month,
        movements=_movements(found, month),
    )


@dataclass(frozen=True)
class Movement:
    """What was debited and credited to an account in a month or on a day, and what it had come to at its end."""

    first: date
    last: date
    debit: Money
    credit: Money
    balance: Money


def _movements(account: Account, month: date | None) -> dict[str, list[Movement]]:
    """By currency, the latest first: the months of an account; of a month, its days and all that was before it."""

    def last_day(row: ledger.DaySums) -> date:
        if month is None:
            return month_end(row.day)
        return max(row.day, month - timedelta(days=1))

    found: dict[str, list[Movement]] = {}
    until = month_end(month) if month else clock.today()
    for (currency, last), days in groupby(ledger.by_day(until, account), key=lambda row: (row.currency, last_day(row))):
        rows = found.setdefault(currency, [])
        moved = list(days)
        debit, credit = (Money(sum(part), currency) for part in zip(*((d.debit, d.credit) for d in moved), strict=True))
        before = rows[0].balance if rows else Money.zero(currency)
        first = last if month else day_of_month(last, 1)
        rows.insert(0, Movement(first, last, debit, credit, before + debit - credit))
    return found


@bp.get("/ledger/months/close")
@bp.post("/ledger/months/close")
@requires("ledger:close")
def close_month() -> ResponseReturnValue:
    due = to_close(ledger.closed_through(), ledger.first_posting(), clock.today())
    form = forms.CloseForm(month=due)
    if form.validate_on_submit():
        with form.refusals():
            month = services.close_month(ends_on=parse_date(form.month.data), actor=current_user)
            flash(f"{month.ends_on:%B %Y} is closed.", "ok")
            return redirect(url_for("admin.trial_balance"), 303)
    return form.page(
        "admin/close_month.html",
        due=due,
        balances=_by_currency(due) if due else {},
        kinds=KINDS,
        differences=list(control_accounts.differences(due)) if due else [],
    )


@bp.get("/ledger/months/reopen")
@bp.post("/ledger/months/reopen")
@requires("ledger:close")
def reopen_month() -> ResponseReturnValue:
    last = ledger.closed_through()
    form = forms.ReopenForm(month=last)
    if form.validate_on_submit():
        with form.refusals():
            day = parse_date(form.month.data)
            services.reopen_month(ends_on=day, reason=form.reason.data, actor=current_user)
            flash(f"{day:%B %Y} is open again.", "ok")
            return redirect(url_for("admin.trial_balance"), 303)
    return form.page("admin/reopen_month.html", last=last)


@bp.get("/ledger/books.beancount", endpoint="books_beancount")
@bp.get("/ledger/books.csv", endpoint="books_csv")
@requires("ledger:read")
def books_file() -> ResponseReturnValue:
    """All the books by a day, as a file for Beancount or as CSV."""
    on = find_day("on") or clock.today()
    format_ = books.Format(request.path.rpartition(".")[2])
    headers = {"Content-Disposition": f'attachment; filename="books-{on}.{format_}"'}
    mimetype = "text/csv" if format_ is books.Format.CSV else "text/plain"
    return Response(stream_with_context(books.export(format_, on)), mimetype=mimetype, headers=headers)

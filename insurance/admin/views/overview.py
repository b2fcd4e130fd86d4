"""What needs an admin now, how the business stands, and how the system is used."""

from collections.abc import Callable

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...billing import queries as billing
from ...claims import queries as claims
from ...claims.domain import STATUS_WORDS as CLAIM_WORDS
from ...core import clock
from ...core.outbox import MailStatus
from ...jobs import queries as jobs
from ...messages import queries as messages
from ...policies import queries as policies
from ...policies.domain import PolicyStatus
from ...web.guard import requires
from ...web.pages import COUNTED, csv_file
from .. import bp, queries

SHOWN = 10
USAGE: list[tuple[str, Callable[[queries.Week], int | None], str]] = [
    ("Active users", lambda w: w.active_users, "Users who were signed in and opened a page in the week, each once."),
    ("Quotes", lambda w: w.quotes, "Quotes made in the week."),
    ("Bound", lambda w: w.bound, "Quotes that became policies in the week, whenever they were made."),
    ("Converted, %", lambda w: w.conversion, "Of the quotes made in the week, the share that is bound by now."),
    ("Claims", lambda w: w.claims, "Claims filed in the week; drafts do not count."),
    ("Feedback", lambda w: w.feedback, "Feedback received in the week."),
]


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
        refunds=waiting.refunds,
        debits=waiting.debits,
        failed_backup=waiting.failed_backup,
        erasures=waiting.erasures,
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

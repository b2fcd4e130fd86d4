"""The agents' work queue and their search."""

from datetime import date
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..billing import queries as billing
from ..billing.domain import AGE_WORDS
from ..claims import queries as claims
from ..claims.domain import STATUS_WORDS as CLAIM_WORDS
from ..core import clock
from ..core.dates import add_months
from ..core.money import Money
from ..customers import queries as customers
from ..policies import queries as policies
from ..policies.domain import PolicyStatus
from ..web.guard import requires

bp = Blueprint("agents", __name__)

RENEWAL_DAYS = 30
SHOWN = 10


@bp.get("/agent")
@requires("agent:use")
def work_queue() -> ResponseReturnValue:
    """What to do first: claims to decide, invoices that are late, policies that end soon."""
    today = clock.today()
    counts = policies.counts(current_user, today)
    written = _last_months(today)
    by_age = billing.overdue_by_age(current_user, today)
    first, *others = by_age.values()
    return render_template(
        "agent/work_queue.html",
        in_force=counts[PolicyStatus.ACTIVE],
        quoted=counts[PolicyStatus.QUOTED],
        ending=policies.count_ending(current_user, today, RENEWAL_DAYS),
        overdue=sum(others, first),
        ages=[(AGE_WORDS[word], word, late) for word, late in by_age.items() if late.count],
        to_decide=claims.to_decide(current_user, limit=SHOWN),
        late=billing.overdue_invoices(current_user, today, limit=SHOWN),
        written=written,
        claim_words=CLAIM_WORDS,
    )


def _last_months(today: date) -> list[tuple[str, Money]]:
    """The premium written in each of the last twelve months, by the month's short name."""
    currency = current_app.config["CURRENCY"]
    first = add_months(today.replace(day=1), -11)
    written = policies.written_by_month(current_user, first, currency)
    months = [add_months(first, number) for number in range(12)]
    return [(f"{month:%b}", written.get(f"{month:%Y-%m}", Money.zero(currency))) for month in months]


@bp.get("/agent/search")
@requires("search:use")
def search() -> ResponseReturnValue:
    """Customers, policies, invoices and claims by number or name; a number leads straight to its record."""
    q = request.args.get("q", "").strip()[:100]
    found: dict[str, list[Any]] = {
        "customers": customers.find_some(q, current_user) if q else [],
        "policies": policies.find_some(q, current_user, clock.today()) if q else [],
        "invoices": billing.find_some(q, current_user) if q else [],
        "claims": claims.find_some(q, current_user) if q else [],
    }
    hits = sum(map(len, found.values()))
    for kind, rows in found.items():
        for row in rows:
            if hits == 1 or row.number == q.upper():
                return redirect(f"/{kind}/{row.id}")
    return render_template("agent/search.html", q=q, hits=hits, **found)

"""The statement of a policy's account, for its holder and for staff, to read, to print and as a PDF."""

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..billing import queries as billing
from ..billing.models import BillingAccount
from ..core import clock
from ..core.dates import add_months, in_words
from ..core.errors import NotFound, RuleBroken
from ..customers import queries as customers
from ..documents import pdf, services
from ..policies import queries as policies
from ..web.arguments import find_day, find_id
from ..web.guard import requires
from . import queries
from .domain import said

bp = Blueprint("books", __name__)


@bp.get("/portal/statement")
@bp.get("/portal/statement.pdf", endpoint="own_statement_pdf")
@requires("portal:use")
def own_statement() -> ResponseReturnValue:
    """The statement of one of the customer's own accounts: the one that is asked for, else the newest."""
    own = queries.accounts(current_user)
    asked = find_id("account")
    if asked is None and not own:
        return render_template("books/no_statement.html")
    account = own[0] if asked is None else billing.get_account(asked, current_user)
    return _statement(account, own, back=("/portal/payments", "Payments"))


@bp.get("/policies/<int:policy_id>/statement")
@bp.get("/policies/<int:policy_id>/statement.pdf", endpoint="statement_pdf")
@requires("payment:record")
def statement(policy_id: int) -> ResponseReturnValue:
    """The statement of a policy's account, for staff."""
    policy = policies.get_policy(policy_id, current_user)
    if policy.account_id is None:
        raise NotFound("A quote has no account yet. It gets one when it is bound.")
    account = billing.get_account(policy.account_id, current_user)
    return _statement(account, [], back=(url_for("policies.record", policy_id=policy.id), f"Policy {policy.number}"))


def _statement(account: BillingAccount, own: list[BillingAccount], *, back: tuple[str, str]) -> ResponseReturnValue:
    last = find_day("until") or clock.today()
    first = find_day("since") or add_months(last, -12)
    if first > last:
        raise RuleBroken("The first day of a statement must not lie after its last day.")
    found = queries.statement(account, first, last)
    if request.path.endswith(".pdf"):
        return _pdf(account, found)
    return render_template("books/statement.html", account=account, own=own, statement=found, said=said, back=back)


def _pdf(account: BillingAccount, statement: queries.Statement) -> Response:
    customer = customers.get_customer(account.customer_id, current_user)
    number = account.policy_number
    data = services.letterhead(number=number, customer=customer, policy_number=number) | {
        "product": account.product_name,
        "first": in_words(statement.first),
        "last": in_words(statement.last),
        "opening": statement.opening.in_words,
        "closing": abs(statement.closing).in_words,
        "closing_words": "is your credit" if statement.closing.minor < 0 else "is to be paid in all",
        "closing_balance": statement.closing.in_words,
        "added": statement.added.in_words,
        "taken_off": statement.taken_off.in_words,
        "lines": [
            {
                "on": in_words(line.on),
                "what": said(line.event),
                "number": line.number,
                "added": line.amount.in_words if line.amount.minor > 0 else "",
                "taken_off": (-line.amount).in_words if line.amount.minor < 0 else "",
                "balance": line.balance.in_words,
            }
            for line in statement.lines
        ],
    }
    response = Response(pdf.render("statement", data, issued_on=clock.today()), mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=f"Statement {number}.pdf")
    return response

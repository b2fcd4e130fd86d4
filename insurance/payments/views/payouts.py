"""Money that goes to a customer, as they see it: what it is, why it is this much, and the advice as PDF."""

from flask import Response, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...billing import queries as billing
from ...billing.domain import DISBURSEMENT_WORDS, KIND_WORDS, DisbursementKind, masked
from ...billing.models import Disbursement
from ...claims import queries as claims
from ...core import clock
from ...core.dates import in_words
from ...customers import queries as customers
from ...documents import pdf, services
from ...policies import queries as policies
from ...web.guard import requires
from .. import bp


@bp.get("/portal/payouts/<int:payout_id>")
@requires("portal:use")
def own_payout(payout_id: int) -> ResponseReturnValue:
    """A refund or a claim payout of the customer's own."""
    order = billing.get_own_disbursement(payout_id, current_user)
    return render_template(
        "portal/payout.html",
        order=order,
        kind=KIND_WORDS[order.kind],
        words=DISBURSEMENT_WORDS[order.status],
        account=masked(order.account_number),
    )


@bp.get("/payouts/<int:payout_id>.pdf")
@requires("document:read")
def payout_pdf(payout_id: int) -> ResponseReturnValue:
    """The advice of a refund or claim payout, with its worksheet."""
    order = billing.get_own_disbursement(payout_id, current_user)
    customer = customers.get_customer(order.customer_id, current_user)
    policy_number, product = _policy(order)
    number = str(order.id)
    data = services.letterhead(number=number, customer=customer, policy_number=policy_number) | {
        "product": product,
        "kind": KIND_WORDS[order.kind],
        "reason": order.reason,
        "amount": order.amount.in_words,
        "payee": order.payee_name,
        "account": masked(order.account_number),
        "reference": order.reference,
        "status": DISBURSEMENT_WORDS[order.status].customer,
        "sent_on": in_words(order.sent_on) if order.sent_on else "",
        "worksheet": order.worksheet,
    }
    response = Response(pdf.render("payout", data, issued_on=clock.today()), mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=f"Payment advice {number}.pdf")
    return response


def _policy(order: Disbursement) -> tuple[str, str]:
    """The number of the policy that an order pays on, and its product."""
    if order.kind is DisbursementKind.REFUND:
        account = billing.get_account(order.account_id or 0, current_user)
        return account.policy_number, account.product_name
    policy = policies.get_policy(claims.get_claim_of_payout(order.id).policy_id, current_user)
    account = billing.get_account(policy.account_id or 0, current_user)
    return policy.number, account.product_name

"""The payout that an approval has ordered."""

from datetime import date

from ...billing.domain import DisbursementStatus
from ...billing.models import Disbursement
from ...billing.services import disbursements
from ...core import clock
from ...core.dates import in_words
from ...core.db import transactional
from ...core.errors import Conflict, RuleBroken
from ...core.permissions import Actor
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import queries
from ..domain import CLAIM_LIFECYCLE
from ..models import Claim
from .record import for_staff, log, mail, move


@transactional
def approve_payout(*, claim_id: int, actor: Actor) -> Claim:
    """Approve the payout as the second person."""
    claim = for_staff("claim:approve_payout", claim_id, actor)
    disbursements.approve(id=_payout(claim).id, actor=actor)
    log(claim, "approve_payout", actor, note="Approved by a second person.")
    return claim


@transactional
def settle(*, claim_id: int, reference: str, on: date, actor: Actor) -> Claim:
    """Record that the payout was made; the claim is paid."""
    claim = for_staff("claim:settle", claim_id, actor)
    CLAIM_LIFECYCLE.next(claim.status, "settle")
    order = _payout(claim)
    if order.status is DisbursementStatus.REQUESTED:
        raise Conflict("A second person must approve this payout before it is made.")
    if on > clock.today():
        raise RuleBroken("The date of payment must be today or in the past.", "on")
    order = disbursements.settle(id=order.id, reference=reference, on=on, actor=actor)
    ledger.post(
        Event.CLAIM_PAID,
        claim.id,
        debit=(Account.CLAIMS_PAYABLE, claim.id),
        credit=(Account.BANK, COMPANY),
        amount=order.amount,
        on=clock.today(),
    )
    message = f"We paid {order.amount.in_words} to {order.payee_name} on {in_words(on)}."
    move(claim, "settle", actor, message=message, amount=order.amount, reference=reference)
    mail(claim, "claim_paid", amount=order.amount.in_words, paid_on=in_words(on))
    return claim


def _payout(claim: Claim) -> Disbursement:
    """The order in hand: the newest."""
    orders = queries.payouts(claim.id)
    if not orders:
        raise Conflict("No payout was ordered for this claim.")
    return orders[0]

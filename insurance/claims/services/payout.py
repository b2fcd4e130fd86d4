"""The payout that an approval has ordered, on its way to the payee and, if it comes back, anew."""

from datetime import date

from ...billing.domain import DisbursementStatus
from ...billing.models import Disbursement
from ...billing.services import disbursements
from ...core import clock
from ...core.dates import in_words
from ...core.db import add, transactional
from ...core.errors import Conflict
from ...core.permissions import Actor
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import queries
from ..domain import CLAIM_LIFECYCLE
from ..models import Claim, Payout
from .record import for_staff, log, mail, move


@transactional
def approve_payout(*, claim_id: int, actor: Actor) -> Claim:
    """Approve the payout as the second person."""
    claim = for_staff("claim:approve_payout", claim_id, actor)
    disbursements.approve(id=_payout(claim).id, actor=actor)
    log(claim, "approve_payout", actor, note="Approved by a second person.")
    return claim


@transactional
def send_payout(
    *, disbursement_id: int, reference: str, on: date, batch_number: str = "", actor: Actor
) -> Disbursement:
    """Record that a payout is on its way; the claim is paid."""
    claim = for_staff("claim:settle", queries.get_claim_of_payout(disbursement_id).id, actor)
    order = disbursements.send(id=disbursement_id, reference=reference, on=on, batch_number=batch_number, actor=actor)
    _paid(claim, order, on, actor)
    return order


@transactional
def return_payout(*, disbursement_id: int, reason: str, actor: Actor) -> Disbursement:
    """Record that the payee's bank sent a payout back; the claim is to be paid again, unless it has moved on."""
    claim = for_staff("claim:settle", queries.get_claim_of_payout(disbursement_id).id, actor)
    order = disbursements.return_(id=disbursement_id, reason=reason, actor=actor)
    ledger.post(
        Event.PAYOUT_RETURNED,
        claim.id,
        debit=(Account.BANK, COMPANY),
        credit=(Account.CLAIMS_PAYABLE, claim.id),
        amount=order.amount,
        on=clock.today(),
    )
    message = f"Your bank sent {order.amount.in_words} back to us. Tell us where to pay it."
    if CLAIM_LIFECYCLE.allows(claim.status, "return_payout"):
        move(claim, "return_payout", actor, message=message, amount=order.amount, reason=reason)
    else:
        log(claim, "return_payout", actor, message=message)
    return order


@transactional
def replace_payout(
    *, disbursement_id: int, payee_name: str, account_number: str, bic: str = "", actor: Actor
) -> Disbursement:
    """Order a payout anew that came back or was cancelled."""
    claim = for_staff("claim:settle", queries.get_claim_of_payout(disbursement_id).id, actor)
    order = disbursements.replace(
        id=disbursement_id, payee_name=payee_name, account_number=account_number, bic=bic, actor=actor
    )
    add(Payout(claim_id=claim.id, disbursement_id=order.id))
    log(claim, "replace_payout", actor, note=f"Ordered anew to {payee_name}.")
    return order


@transactional
def settle(*, claim_id: int, reference: str, on: date, actor: Actor) -> Claim:
    """Record that the payout was made; the claim is paid."""
    claim = for_staff("claim:settle", claim_id, actor)
    CLAIM_LIFECYCLE.next(claim.status, "settle")
    order = _payout(claim)
    if order.status is DisbursementStatus.REQUESTED:
        raise Conflict("A second person must approve this payout before it is made.")
    disbursements.send(id=order.id, reference=reference, on=on, actor=actor)
    order = disbursements.settle(id=order.id, reference=reference, on=on, actor=actor)
    _paid(claim, order, on, actor)
    return claim


def _paid(claim: Claim, order: Disbursement, on: date, actor: Actor) -> None:
    """The money has left; a claim that was taken up again in between stays where it is."""
    ledger.post(
        Event.CLAIM_PAID,
        claim.id,
        debit=(Account.CLAIMS_PAYABLE, claim.id),
        credit=(Account.BANK, COMPANY),
        amount=order.amount,
        on=clock.today(),
    )
    message = f"We paid {order.amount.in_words} to {order.payee_name} on {in_words(on)}."
    if CLAIM_LIFECYCLE.allows(claim.status, "settle"):
        move(claim, "settle", actor, message=message, amount=order.amount, reference=order.reference)
    else:
        log(claim, "settle", actor, message=message)
    mail(claim, "claim_paid", amount=order.amount.in_words, paid_on=in_words(on))


def _payout(claim: Claim) -> Disbursement:
    """The order in hand: the newest."""
    orders = queries.payouts(claim.id)
    if not orders:
        raise Conflict("No payout was ordered for this claim.")
    return orders[0]

"""The review: asking, approving or rejecting, and what may follow."""

from collections.abc import Sequence

from ...billing.domain import DisbursementKind
from ...billing.services import disbursements
from ...core import audit, clock
from ...core.db import add, check_version, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...core.worksheet import Worksheet
from ...documents import services as documents
from ...ledger import services as ledger
from ...ledger.domain import Account, Event
from .. import queries
from ..domain import CLAIM_LIFECYCLE, check_approval, check_authority, of_payout
from ..models import Claim, Payout
from .notice import attach
from .record import (
    change_reserve,
    check_cover,
    check_not_party,
    cover_claim,
    for_staff,
    label,
    lock_with_policy,
    log,
    mail,
    move,
    set_reserve,
)


@transactional
def review(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim to decide it."""
    claim = for_staff("claim:review", claim_id, actor)
    claim.handler_id = actor.id
    move(claim, "review", actor, message=f"{actor.name} has your claim now.")
    return claim


@transactional
def ask(*, claim_id: int, question: str, actor: Actor) -> Claim:
    """Ask the customer something; the claim waits for the answer."""
    claim = for_staff("claim:ask", claim_id, actor)
    move(claim, "ask", actor, message=question)
    mail(claim, "claim_question", question=question)
    return claim


@transactional
def answer(*, claim_id: int, text: str, files: Sequence[documents.File] = (), actor: Actor) -> Claim:
    """Answer what was asked, with files if there are any; the review goes on."""
    check_may(actor, "claim:answer")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    move(claim, "answer", actor, message=text)
    return attach(claim_id=claim.id, files=files, actor=actor) if files else claim


@transactional
def approve(*, claim_id: int, amount: Money | None, notes: str, version: int | None = None, actor: Actor) -> Claim:
    """Approve an amount, or all that may be paid, within the cover that is left and the actor's authority, and order
    its payout.

    What is left of the coverage is settled under the policy's lock. `notes` are the reason; the customer reads them.
    """
    check_may(actor, "claim:approve")
    claim, policy = lock_with_policy(claim_id, actor)
    check_not_party(claim, actor)
    check_version(claim, version)
    CLAIM_LIFECYCLE.next(claim.status, "approve")
    left = check_cover(claim, policy, amount or Money.zero(claim.currency), "amount")
    coverage = queries.get_coverage(claim.id)
    payable = queries.payable_now(claim, coverage, left)
    amount = payable.amount if amount is None else amount
    check_approval(amount, claimed=claim.claimed, approved=claim.approved, most=payable.amount)
    check_authority(claim.approved + amount, actor.authority_minor)
    _check_reason(notes)
    coverage.payable_minor += amount.minor
    claim.approved_minor += amount.minor
    claim.decided_by_id, claim.notes = actor.id, notes
    claim.handler_id = claim.handler_id or actor.id
    set_reserve(claim, amount, "Approved amount", actor)
    _order_payout(claim, amount, of_payout(payable, amount), actor)
    move(claim, "approve", actor, message=f"We pay {amount.in_words}. {notes}", amount=amount, notes=notes)
    mail(claim, "claim_approved", amount=amount.in_words, notes=notes)
    return claim


def _order_payout(claim: Claim, amount: Money, worksheet: Worksheet, actor: Actor) -> None:
    """Order the money; from then on it is payable, and no longer in reserve."""
    order = disbursements.request(
        kind=DisbursementKind.CLAIM,
        customer_id=claim.customer_id,
        payee_name=claim.payee_name,
        reason=f"Claim {claim.number}",
        amount=amount,
        worksheet=worksheet,
        actor=actor,
    )
    add(Payout(claim_id=claim.id, disbursement_id=order.id))
    change_reserve(claim, -amount.minor, "Payout ordered", actor)
    ledger.post(
        Event.CLAIM_APPROVED,
        claim.id,
        debit=(Account.CASE_RESERVES, claim.id),
        credit=(Account.CLAIMS_PAYABLE, claim.id),
        amount=amount,
        on=clock.today(),
    )


@transactional
def reject(*, claim_id: int, notes: str, version: int | None = None, actor: Actor) -> Claim:
    """Reject a claim and say why; the customer reads it."""
    claim = for_staff("claim:reject", claim_id, actor)
    check_version(claim, version)
    _check_reason(notes)
    claim.decided_by_id, claim.notes = actor.id, notes
    move(claim, "reject", actor, message=notes, notes=notes)
    set_reserve(claim, Money.zero(claim.currency), "Claim rejected", actor)
    mail(claim, "claim_rejected", notes=notes)
    return claim


@transactional
def appeal(*, claim_id: int, actor: Actor) -> Claim:
    """Take a rejected claim up again because the customer sees it differently."""
    return _take_up("appeal", claim_id, actor)


@transactional
def reopen(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim up again after its end."""
    return _take_up("reopen", claim_id, actor)


def _take_up(action: str, claim_id: int, actor: Actor) -> Claim:
    claim = for_staff(f"claim:{action}", claim_id, actor)
    claim.handler_id = actor.id
    move(claim, action, actor, message=f"We look at your claim again. {actor.name} has it now.")
    if claim.claimed > claim.approved:
        set_reserve(claim, cover_claim(claim), "Claim taken up again", actor)
    return claim


@transactional
def withdraw(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim back before it is decided."""
    check_may(actor, "claim:withdraw")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.approved:
        raise Conflict("This claim was paid before, so it can't be withdrawn. Close it instead.")
    move(claim, "withdraw", actor, message="The claim was withdrawn.")
    set_reserve(claim, Money.zero(claim.currency), "Claim withdrawn", actor)
    return claim


@transactional
def close(*, claim_id: int, actor: Actor) -> Claim:
    """Close a claim: nothing more is expected of it, so what is left of the reserve is released."""
    claim = for_staff("claim:close", claim_id, actor)
    move(claim, "close", actor, message="The claim is closed.")
    set_reserve(claim, Money.zero(claim.currency), "Claim closed", actor)
    return claim


@transactional
def note(*, claim_id: int, text: str, actor: Actor) -> Claim:
    """Add a note for staff."""
    claim = for_staff("claim:note", claim_id, actor)
    log(claim, "note", actor, note=text)
    audit.record("note", claim, label=label(claim), actor=actor, person=claim.customer_id, note=text)
    return claim


def _check_reason(notes: str) -> None:
    if not notes:
        raise RuleBroken("Enter the reason of the decision. The customer reads it.", "notes")

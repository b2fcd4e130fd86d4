"""What all acts on a claim share: its lock, its cover, its status, its history, its reserve and its mails."""

from datetime import date
from typing import Any

from flask import current_app

from ...core import audit, clock, outbox
from ...core.db import add, db, lock
from ...core.errors import Conflict, NotAllowed, RuleBroken
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...customers.models import Customer
from ...ledger import services as ledger
from ...ledger.domain import Account, Event
from ...policies.models import Policy, PolicyTransaction
from ...products import queries as products
from ...products.domain import initial_reserve
from .. import queries
from ..domain import CLAIM_LIFECYCLE, ClaimStatus
from ..models import Claim, ClaimCoverage, ClaimEvent, ReserveChange


def draft(claim_id: int, actor: Actor) -> Claim:
    """A draft, locked, for whoever may write it."""
    check_may(actor, "claim:draft")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status is not ClaimStatus.DRAFT:
        raise Conflict("This claim was sent already. Tell us what is different, and we change it.")
    return claim


def for_staff(permission: str, claim_id: int, actor: Actor) -> Claim:
    """The claim, locked, for somebody who may do the act and has no part in the claim."""
    check_may(actor, permission)
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    check_not_party(claim, actor)
    return claim


def lock_with_policy(claim_id: int, actor: Actor) -> tuple[Claim, Policy]:
    """A claim under its policy's lock, where what is left of the coverage can't change."""
    seen = queries.get_claim(claim_id, actor)
    policy = lock(Policy, seen.policy_id)
    claim = lock(Claim, seen.id)
    if claim.policy_id != policy.id:
        raise Conflict("Somebody else changed this claim while you had it open. Look at it again.")
    return claim, policy


def check_not_party(claim: Claim, actor: Actor) -> None:
    if actor.id is not None and db.session.get_one(Customer, claim.customer_id).user_id == actor.id:
        raise NotAllowed("This is your own claim. Somebody else must handle it.")


def label(claim: Claim) -> str:
    return claim.number or "draft"


def loss_on(claim: Claim) -> date:
    assert claim.loss_on is not None, "a filed claim has its date of loss"
    return claim.loss_on


def check_cover(claim: Claim, policy: Policy, further: Money, field: str) -> Money:
    """Refuse a further amount where there was no cover on the date of loss, or less is left; what is left."""
    standing = queries.standing(policy, loss_on(claim))
    if not standing.cover.covered:
        raise RuleBroken(standing.cover.reason, "loss_on")
    left = standing.left
    if further > left:
        raise RuleBroken(
            f"{left.in_words} of the cover is left for losses in this term. Enter that much or less."
            if left
            else "Nothing of the cover is left for losses in this term.",
            field,
        )
    return left


def cover_claim(claim: Claim) -> Money:
    """Set the claim against the cover in force on the date of loss; gives the reserve that its product asks for."""
    transaction = _in_force(claim)
    # The products that ship have one coverage; those with several ask how a loss divides among them.
    cover = transaction.coverages[0]
    row = queries.find_coverage(claim.id) or ClaimCoverage(claim_id=claim.id)
    row.coverage, row.name = cover["code"], cover["name"]
    row.limit_minor, row.deductible_minor = cover["limit_minor"], cover["deductible_minor"]
    row.claimed_minor, row.currency = claim.claimed_minor, claim.currency
    add(row)
    definition = products.get_version(transaction.product_version_id).definition
    return max(initial_reserve(definition, claim.claimed) - claim.approved, Money.zero(claim.currency))


def _in_force(claim: Claim) -> PolicyTransaction:
    policy = db.session.get_one(Policy, claim.policy_id)
    transaction = queries.standing(policy, loss_on(claim)).in_force
    assert transaction is not None, "there was cover"
    return transaction


def move(claim: Claim, action: str, actor: Actor, *, message: str = "", **facts: Any) -> None:
    """The one place that moves a status."""
    before, claim.status = claim.status, CLAIM_LIFECYCLE.next(claim.status, action)
    claim.version += 1
    log(claim, action, actor, message=message)
    audit.record(
        action, claim, label=label(claim), actor=actor, before={"status": before}, status=claim.status, **facts
    )


def log(claim: Claim, action: str, actor: Actor, *, note: str = "", message: str = "") -> None:
    add(
        ClaimEvent(
            claim_id=claim.id,
            action=action,
            status=claim.status,
            at=clock.now(),
            actor_id=actor.id,
            actor_name=actor.name,
            note=note,
            message=message,
        )
    )


def set_reserve(claim: Claim, outstanding: Money, reason: str, actor: Actor) -> None:
    """Set what a claim is still expected to cost, in the ledger too."""
    change = outstanding.minor - queries.outstanding(claim.id)
    if not change:
        return
    change_reserve(claim, change, reason, actor)
    incurred, reserves = (Account.CLAIMS_INCURRED, claim.id), (Account.CASE_RESERVES, claim.id)
    ledger.post(
        Event.RESERVE,
        claim.id,
        debit=incurred if change > 0 else reserves,
        credit=reserves if change > 0 else incurred,
        amount=Money(abs(change), claim.currency),
        on=clock.today(),
    )


def change_reserve(claim: Claim, change_minor: int, reason: str, actor: Actor) -> None:
    add(
        ReserveChange(
            claim_id=claim.id,
            coverage=queries.get_coverage(claim.id).coverage,
            change_minor=change_minor,
            currency=claim.currency,
            reason=reason,
            recorded_at=clock.now(),
            recorded_by_id=actor.id,
        )
    )


def mail(claim: Claim, template: str, **data: Any) -> None:
    customer = db.session.get_one(Customer, claim.customer_id)
    if customer.email:
        outbox.enqueue(
            template,
            to=customer.email,
            name=customer.name,
            number=claim.number,
            url=f"{current_app.config['PUBLIC_URL']}/portal/claims/{claim.id}",
            **data,
        )

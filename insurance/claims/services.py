"""Filing, reviewing and deciding claims, and paying them, each act as one transaction."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import current_app

from ..billing import services as billing
from ..billing.domain import DisbursementStatus
from ..billing.models import Disbursement
from ..core import audit, clock, numbering, outbox
from ..core.dates import in_words
from ..core.db import add, check_version, db, lock, transactional
from ..core.errors import Conflict, NotAllowed, RuleBroken
from ..core.idempotency import once
from ..core.money import Money
from ..core.permissions import Actor, check_may
from ..customers.models import Customer
from ..documents import services as documents
from ..ledger import services as ledger
from ..ledger.domain import COMPANY, Account, Event
from ..policies import queries as policies
from ..policies.models import Policy, PolicyTransaction
from ..products import queries as products
from ..products.domain import initial_reserve
from . import queries
from .domain import CAUSES, CLAIM_LIFECYCLE, UNDECIDED, ClaimStatus, check_approval, check_authority
from .models import Attachment, Claim, ClaimCoverage, ClaimEvent, Payout, ReserveChange

MOST_FILES = 20
TAKES_FILES = (ClaimStatus.DRAFT, *UNDECIDED)
FACTS = ("loss_on", "cause", "description", "claimed", "payee_name")
"""What a notice says, and `edit` corrects until the decision."""


# The notice, step by step


@transactional
@once(Claim)
def start(*, policy_id: int, actor: Actor) -> Claim:
    """Begin a claim as a draft; it has no number until it is submitted."""
    check_may(actor, "claim:draft")
    policy = _bound_policy(policy_id, actor)
    claim = add(
        Claim(
            policy_id=policy.id,
            customer_id=policy.customer_id,
            currency=policy.currency,
            payee_name=db.session.get_one(Customer, policy.customer_id).name,
            created_at=clock.now(),
            created_by_id=actor.id,
        )
    )
    audit.record("start", claim, label=policy.number, actor=actor)
    return claim


@transactional
def choose_policy(*, claim_id: int, policy_id: int, actor: Actor) -> Claim:
    """Move a draft to another policy of the same customer."""
    claim = _draft(claim_id, actor)
    policy = _bound_policy(policy_id, actor)
    if policy.customer_id != claim.customer_id:
        raise RuleBroken("This policy is another customer's.", "policy_id")
    before = {"policy_id": claim.policy_id}
    claim.policy_id, claim.currency = policy.id, policy.currency
    audit.record("choose_policy", claim, label=policy.number, actor=actor, before=before, policy_id=policy.id)
    return claim


@transactional
def save(*, claim_id: int, actor: Actor, **facts: Any) -> Claim:
    """Keep some of the FACTS of a draft; `claimed` is Money."""
    claim = _draft(claim_id, actor)
    _set_facts(claim, facts, "save", actor)
    return claim


@transactional
def attach(*, claim_id: int, files: Sequence[documents.File], actor: Actor) -> Claim:
    """Add photos or documents, until the claim is decided."""
    check_may(actor, "claim:attach")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status not in TAKES_FILES:
        raise Conflict("This claim is decided. Files can no longer be added; call us if you have something new.")
    if len(queries.attachments(claim.id)) + len(files) > MOST_FILES:
        raise RuleBroken(f"A claim can carry {MOST_FILES} files.", "files")
    for file in files:
        stored = documents.store(file, actor=actor)
        add(Attachment(claim_id=claim.id, file_id=stored.id))
        audit.record("attach", claim, label=_label(claim), actor=actor, file=file.name, sha256=file.sha256)
    if files and claim.status is not ClaimStatus.DRAFT:
        _log(claim, "attach", actor, message=f"Added {', '.join(file.name for file in files)}.")
    return claim


@transactional
def detach(*, claim_id: int, file_id: int, actor: Actor) -> None:
    """Take a file off a draft. The file itself is kept."""
    claim = _draft(claim_id, actor)
    attachment, stored = queries.get_attachment(claim.id, file_id)
    db.session.delete(attachment)
    audit.record("detach", claim, label=_label(claim), actor=actor, file=stored.name)


@transactional
def submit(*, claim_id: int, actor: Actor) -> Claim:
    """File a claim: refused where there was no cover on the date of loss, or above the coverage that is left."""
    check_may(actor, "claim:submit")
    claim, policy = _lock_with_policy(claim_id, actor)
    CLAIM_LIFECYCLE.next(claim.status, "submit")
    check_notice(claim, policy)
    claim.notified_on = clock.today()
    _set_reserve(claim, _cover_claim(claim), "Initial reserve", actor)
    claim.number = numbering.take("CLM")
    _move(claim, "submit", actor, message="We have your claim.")
    _mail(claim, "claim_received")
    return claim


@transactional
@once(Claim)
def file(
    *,
    policy_id: int,
    loss_on: date,
    cause: str,
    description: str,
    claimed: Money,
    payee_name: str,
    files: Sequence[documents.File] = (),
    actor: Actor,
) -> Claim:
    """The whole notice at once: all of it is filed, or nothing is kept."""
    claim = start(policy_id=policy_id, actor=actor)
    save(
        claim_id=claim.id,
        loss_on=loss_on,
        cause=cause,
        description=description,
        claimed=claimed,
        payee_name=payee_name,
        actor=actor,
    )
    attach(claim_id=claim.id, files=files, actor=actor)
    return submit(claim_id=claim.id, actor=actor)


@transactional
def edit(*, claim_id: int, version: int | None = None, actor: Actor, **facts: Any) -> Claim:
    """Correct FACTS of a filed claim until it is decided; cover is checked and the reserve is set anew."""
    check_may(actor, "claim:edit")
    claim, policy = _lock_with_policy(claim_id, actor)
    _check_not_party(claim, actor)
    check_version(claim, version)
    if claim.status not in UNDECIDED:
        raise Conflict("The facts of a claim can be changed after it is filed and until it is decided.")
    if claim.approved and facts.get("loss_on", claim.loss_on) != claim.loss_on:
        raise RuleBroken("A part of this claim is approved already, so its date of loss stays.", "loss_on")
    _set_facts(claim, facts, "edit", actor)
    check_notice(claim, policy)
    _set_reserve(claim, _cover_claim(claim), "Facts changed", actor)
    _log(claim, "edit", actor, note=f"Changed: {', '.join(name.replace('_', ' ') for name in facts)}.")
    return claim


def check_notice(claim: Claim, policy: Policy) -> None:
    """Refuse a notice that is not complete, not covered, or above the coverage that is left; names the fact."""
    if claim.loss_on is None:
        raise RuleBroken("Enter the date it happened.", "loss_on")
    if claim.cause not in CAUSES:
        raise RuleBroken("Choose what kind of damage it is.", "cause")
    if not claim.description:
        raise RuleBroken("Tell us what happened.", "description")
    if not claim.claimed:
        raise RuleBroken("Enter the amount that you claim.", "claimed")
    if not claim.payee_name:
        raise RuleBroken("Enter who is to be paid.", "payee_name")
    if claim.claimed < claim.approved:
        raise RuleBroken(f"{claim.approved.in_words} is approved already. Enter that much or more.", "claimed")
    _check_cover(claim, policy, claim.claimed - claim.approved, "claimed")


def _check_cover(claim: Claim, policy: Policy, further: Money, field: str) -> Money:
    """Refuse a further amount where there was no cover on the date of loss, or less is left; what is left."""
    standing = queries.standing(policy, _loss_on(claim))
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


def _set_facts(claim: Claim, facts: dict[str, Any], action: str, actor: Actor) -> None:
    if not set(facts) <= set(FACTS):
        raise TypeError(f"not facts of a claim: {sorted(set(facts) - set(FACTS))}")
    if (facts.get("loss_on") or date.min) > clock.today():
        raise RuleBroken("The date it happened must be today or in the past.", "loss_on")
    if "claimed" in facts and facts["claimed"].currency != claim.currency:
        raise RuleBroken(f"This policy is kept in {claim.currency}.", "claimed")
    before = {name: getattr(claim, name) for name in facts}
    for name, value in facts.items():
        if name == "claimed":
            claim.claimed_minor = value.minor
        else:
            setattr(claim, name, value)
    claim.version += 1
    audit.record(action, claim, label=_label(claim), actor=actor, before=before, **facts)


def _cover_claim(claim: Claim) -> Money:
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


# The review


@transactional
def review(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim to decide it."""
    claim = _for_staff("claim:review", claim_id, actor)
    claim.handler_id = actor.id
    _move(claim, "review", actor, message=f"{actor.name} has your claim now.")
    return claim


@transactional
def ask(*, claim_id: int, question: str, actor: Actor) -> Claim:
    """Ask the customer something; the claim waits for the answer."""
    claim = _for_staff("claim:ask", claim_id, actor)
    _move(claim, "ask", actor, message=question)
    _mail(claim, "claim_question", question=question)
    return claim


@transactional
def answer(*, claim_id: int, text: str, files: Sequence[documents.File] = (), actor: Actor) -> Claim:
    """Answer what was asked, with files if there are any; the review goes on."""
    check_may(actor, "claim:answer")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _move(claim, "answer", actor, message=text)
    return attach(claim_id=claim.id, files=files, actor=actor) if files else claim


@transactional
def approve(*, claim_id: int, amount: Money, notes: str, version: int | None = None, actor: Actor) -> Claim:
    """Approve an amount, within the cover that is left and the actor's authority, and order its payout.

    What is left of the coverage is settled under the policy's lock. `notes` are the reason; the customer reads them.
    """
    check_may(actor, "claim:approve")
    claim, policy = _lock_with_policy(claim_id, actor)
    _check_not_party(claim, actor)
    check_version(claim, version)
    CLAIM_LIFECYCLE.next(claim.status, "approve")
    left = _check_cover(claim, policy, amount, "amount")
    coverage = queries.get_coverage(claim.id)
    most = queries.payable_now(claim, coverage, left).amount
    check_approval(amount, claimed=claim.claimed, approved=claim.approved, most=most)
    check_authority(claim.approved + amount, actor.authority_minor)
    _check_reason(notes)
    coverage.payable_minor += amount.minor
    claim.approved_minor += amount.minor
    claim.decided_by_id, claim.notes = actor.id, notes
    claim.handler_id = claim.handler_id or actor.id
    _set_reserve(claim, amount, "Approved amount", actor)
    _order_payout(claim, amount, actor)
    _move(claim, "approve", actor, message=f"We pay {amount.in_words}. {notes}", amount=amount, notes=notes)
    _mail(claim, "claim_approved", amount=amount.in_words, notes=notes)
    return claim


def _order_payout(claim: Claim, amount: Money, actor: Actor) -> None:
    """Order the money; from then on it is payable, and no longer in reserve."""
    order = billing.request_disbursement(
        customer_id=claim.customer_id,
        payee_name=claim.payee_name,
        reason=f"Claim {claim.number}",
        amount=amount,
        actor=actor,
    )
    add(Payout(claim_id=claim.id, disbursement_id=order.id))
    _change_reserve(claim, -amount.minor, "Payout ordered", actor)
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
    claim = _for_staff("claim:reject", claim_id, actor)
    check_version(claim, version)
    _check_reason(notes)
    claim.decided_by_id, claim.notes = actor.id, notes
    _move(claim, "reject", actor, message=notes, notes=notes)
    _set_reserve(claim, Money.zero(claim.currency), "Claim rejected", actor)
    _mail(claim, "claim_rejected", notes=notes)
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
    claim = _for_staff(f"claim:{action}", claim_id, actor)
    claim.handler_id = actor.id
    _move(claim, action, actor, message=f"We look at your claim again. {actor.name} has it now.")
    if claim.claimed > claim.approved:
        _set_reserve(claim, _cover_claim(claim), "Claim taken up again", actor)
    return claim


@transactional
def withdraw(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim back before it is decided."""
    check_may(actor, "claim:withdraw")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.approved:
        raise Conflict("This claim was paid before, so it can't be withdrawn. Close it instead.")
    _move(claim, "withdraw", actor, message="The claim was withdrawn.")
    _set_reserve(claim, Money.zero(claim.currency), "Claim withdrawn", actor)
    return claim


@transactional
def close(*, claim_id: int, actor: Actor) -> Claim:
    """Close a claim: nothing more is expected of it, so what is left of the reserve is released."""
    claim = _for_staff("claim:close", claim_id, actor)
    _move(claim, "close", actor, message="The claim is closed.")
    _set_reserve(claim, Money.zero(claim.currency), "Claim closed", actor)
    return claim


@transactional
def note(*, claim_id: int, text: str, actor: Actor) -> Claim:
    """Add a note for staff."""
    claim = _for_staff("claim:note", claim_id, actor)
    _log(claim, "note", actor, note=text)
    audit.record("note", claim, label=_label(claim), actor=actor, note=text)
    return claim


# The payout


@transactional
def approve_payout(*, claim_id: int, actor: Actor) -> Claim:
    """Approve the payout as the second person."""
    claim = _for_staff("claim:approve_payout", claim_id, actor)
    billing.approve_disbursement(id=_payout(claim).id, actor=actor)
    _log(claim, "approve_payout", actor, note="Approved by a second person.")
    return claim


@transactional
def settle(*, claim_id: int, reference: str, on: date, actor: Actor) -> Claim:
    """Record that the payout was made; the claim is paid."""
    claim = _for_staff("claim:settle", claim_id, actor)
    CLAIM_LIFECYCLE.next(claim.status, "settle")
    order = _payout(claim)
    if order.status is DisbursementStatus.REQUESTED:
        raise Conflict("A second person must approve this payout before it is made.")
    if on > clock.today():
        raise RuleBroken("The date of payment must be today or in the past.", "on")
    order = billing.settle_disbursement(id=order.id, reference=reference, on=on, actor=actor)
    ledger.post(
        Event.CLAIM_PAID,
        claim.id,
        debit=(Account.CLAIMS_PAYABLE, claim.id),
        credit=(Account.BANK, COMPANY),
        amount=order.amount,
        on=clock.today(),
    )
    message = f"We paid {order.amount.in_words} to {order.payee_name} on {in_words(on)}."
    _move(claim, "settle", actor, message=message, amount=order.amount, reference=reference)
    _mail(claim, "claim_paid", amount=order.amount.in_words, paid_on=in_words(on))
    return claim


def _payout(claim: Claim) -> Disbursement:
    """The order in hand: the newest."""
    orders = queries.payouts(claim.id)
    if not orders:
        raise Conflict("No payout was ordered for this claim.")
    return orders[0]


# What all acts share


def _bound_policy(policy_id: int, actor: Actor) -> Policy:
    policy = policies.get_policy(policy_id, actor)
    if policy.bound_at is None:
        raise RuleBroken("This is a quote, which gives no cover. Choose a policy.", "policy_id")
    return policy


def _draft(claim_id: int, actor: Actor) -> Claim:
    """A draft, locked, for whoever may write it."""
    check_may(actor, "claim:draft")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status is not ClaimStatus.DRAFT:
        raise Conflict("This claim was sent already. Tell us what is different, and we change it.")
    return claim


def _for_staff(permission: str, claim_id: int, actor: Actor) -> Claim:
    """The claim, locked, for somebody who may do the act and has no part in the claim."""
    check_may(actor, permission)
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _check_not_party(claim, actor)
    return claim


def _lock_with_policy(claim_id: int, actor: Actor) -> tuple[Claim, Policy]:
    """A claim under its policy's lock, where what is left of the coverage can't change."""
    seen = queries.get_claim(claim_id, actor)
    policy = lock(Policy, seen.policy_id)
    claim = lock(Claim, seen.id)
    if claim.policy_id != policy.id:
        raise Conflict("Somebody else changed this claim while you had it open. Look at it again.")
    return claim, policy


def _check_not_party(claim: Claim, actor: Actor) -> None:
    if actor.id is not None and db.session.get_one(Customer, claim.customer_id).user_id == actor.id:
        raise NotAllowed("This is your own claim. Somebody else must handle it.")


def _check_reason(notes: str) -> None:
    if not notes:
        raise RuleBroken("Enter the reason of the decision. The customer reads it.", "notes")


def _loss_on(claim: Claim) -> date:
    assert claim.loss_on is not None, "a filed claim has its date of loss"
    return claim.loss_on


def _in_force(claim: Claim) -> PolicyTransaction:
    policy = db.session.get_one(Policy, claim.policy_id)
    transaction = queries.standing(policy, _loss_on(claim)).in_force
    assert transaction is not None, "there was cover"
    return transaction


def _label(claim: Claim) -> str:
    return claim.number or "draft"


def _move(claim: Claim, action: str, actor: Actor, *, message: str = "", **facts: Any) -> None:
    """The one place that moves a status."""
    before, claim.status = claim.status, CLAIM_LIFECYCLE.next(claim.status, action)
    claim.version += 1
    _log(claim, action, actor, message=message)
    audit.record(
        action, claim, label=_label(claim), actor=actor, before={"status": before}, status=claim.status, **facts
    )


def _log(claim: Claim, action: str, actor: Actor, *, note: str = "", message: str = "") -> None:
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


def _set_reserve(claim: Claim, outstanding: Money, reason: str, actor: Actor) -> None:
    """Set what a claim is still expected to cost, in the ledger too."""
    change = outstanding.minor - queries.outstanding(claim.id)
    if not change:
        return
    _change_reserve(claim, change, reason, actor)
    incurred, reserves = (Account.CLAIMS_INCURRED, claim.id), (Account.CASE_RESERVES, claim.id)
    ledger.post(
        Event.RESERVE,
        claim.id,
        debit=incurred if change > 0 else reserves,
        credit=reserves if change > 0 else incurred,
        amount=Money(abs(change), claim.currency),
        on=clock.today(),
    )


def _change_reserve(claim: Claim, change_minor: int, reason: str, actor: Actor) -> None:
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


def _mail(claim: Claim, template: str, **data: Any) -> None:
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

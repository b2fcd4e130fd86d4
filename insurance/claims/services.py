"""Filing, reviewing and deciding claims, and paying them, each act as one transaction."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import current_app

from ..billing import services as billing
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
from ..policies.models import Policy
from ..products import queries as products
from ..products.domain import initial_reserve
from ..web.uploads import CleanFile
from . import queries
from .domain import CLAIM_LIFECYCLE, ClaimStatus, check_authority, payable
from .models import Attachment, Claim, ClaimCoverage, ClaimEvent, Payout, ReserveChange

MOST_FILES = 20
EDITABLE = (ClaimStatus.DRAFT,)


# The notice, step by step


@transactional
@once(Claim)
def start(*, policy_id: int, actor: Actor) -> Claim:
    """Begin a claim as a draft; it has no number until it is submitted."""
    check_may(actor, "claim:draft")
    policy = policies.get_policy(policy_id, actor)
    if policy.bound_at is None:
        raise RuleBroken("This is a quote, which gives no cover. Choose a policy.", "policy_id")
    customer = db.session.get_one(Customer, policy.customer_id)
    claim = add(
        Claim(
            policy_id=policy.id,
            customer_id=policy.customer_id,
            currency=policy.currency,
            payee_name=customer.name,
            created_at=clock.now(),
            created_by_id=actor.id,
        )
    )
    audit.record("start", claim, label=policy.number, actor=actor)
    return claim


@transactional
def save(*, claim_id: int, actor: Actor, **facts: Any) -> Claim:
    """Keep answers of a draft: loss_on, cause, description, claimed (Money), payee_name."""
    check_may(actor, "claim:draft")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status not in EDITABLE:
        raise Conflict("This claim was sent already. Tell us what is different, and we change it.")
    if "claimed" in facts:
        claimed = facts.pop("claimed")
        if claimed.currency != claim.currency:
            raise RuleBroken(f"This policy is kept in {claim.currency}.", "claimed")
        claim.claimed_minor = claimed.minor
    if facts.get("loss_on") and facts["loss_on"] > clock.today():
        raise RuleBroken("The date it happened must be today or in the past.", "loss_on")
    for name, value in facts.items():
        setattr(claim, name, value)
    claim.version += 1
    return claim


@transactional
def attach(*, claim_id: int, files: Sequence[CleanFile], actor: Actor) -> Claim:
    """Add photos or documents, until the claim is decided."""
    check_may(actor, "claim:attach")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status not in queries.IN_PROGRESS:
        raise Conflict("This claim is decided. Files can no longer be added.")
    if len(queries.attachments(claim.id)) + len(files) > MOST_FILES:
        raise RuleBroken(f"A claim can carry {MOST_FILES} files.", "files")
    for file in files:
        stored = documents.store(file, actor=actor)
        add(Attachment(claim_id=claim.id, file_id=stored.id))
        audit.record("attach", claim, label=claim.number or "draft", actor=actor, file=file.name, sha256=file.sha256)
    return claim


@transactional
def detach(*, claim_id: int, file_id: int, actor: Actor) -> None:
    """Take a file off a draft. The file itself is kept with the audit trail."""
    check_may(actor, "claim:attach")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status not in EDITABLE:
        raise Conflict("This claim was sent already; its files stay with it.")
    stored = queries.get_attachment(claim.id, file_id)
    db.session.delete(db.session.query(Attachment).filter_by(claim_id=claim.id, file_id=stored.id).one())
    audit.record("detach", claim, label="draft", actor=actor, file=stored.name)


@transactional
def submit(*, claim_id: int, actor: Actor) -> Claim:
    """File a claim: refused where there was no cover on the date of loss, or above the coverage that is left."""
    check_may(actor, "claim:submit")
    seen = queries.get_claim(claim_id, actor)
    policy = lock(Policy, seen.policy_id)
    claim = lock(Claim, seen.id)
    _check_complete(claim)
    _check_cover(policy, claim, claim.claimed, field="claimed")
    term = queries.term_on(policy.id, claim.loss_on)  # type: ignore[arg-type]
    assert term is not None, "cover was checked"
    for coverage in term.coverages[:1]:  # products with several coverages ask how a loss divides among them
        db.session.add(
            ClaimCoverage(
                claim_id=claim.id,
                coverage=coverage["code"],
                name=coverage["name"],
                limit_minor=coverage["limit_minor"],
                deductible_minor=coverage["deductible_minor"],
                claimed_minor=claim.claimed_minor,
                currency=claim.currency,
            )
        )
    definition = products.get_version(term.product_version_id).definition
    claim.notified_on = clock.today()
    claim.number = numbering.take("CLM")
    _reserve(claim, initial_reserve(definition, claim.claimed), "Initial reserve", actor)
    _move(claim, "submit", actor, message="We have your claim and will look at it within one working day.")
    _mail(claim, "claim_received")
    return claim


def _check_complete(claim: Claim) -> None:
    if claim.loss_on is None:
        raise RuleBroken("Enter the date it happened.", "loss_on")
    if not claim.cause:
        raise RuleBroken("Choose what happened.", "cause")
    if not claim.description:
        raise RuleBroken("Tell us what happened.", "description")
    if claim.claimed_minor <= 0:
        raise RuleBroken("Enter the amount that you claim.", "claimed")


def _check_cover(policy: Policy, claim: Claim, amount: Money, *, field: str) -> None:
    assert claim.loss_on is not None
    check = queries.cover_on(policy, claim.loss_on)
    if not check.covered:
        raise RuleBroken(check.reason, "loss_on")
    left = queries.left_on(policy, claim.loss_on)
    if amount > left:
        raise RuleBroken(
            f"The coverage that is left for this term is {left.decimal:,f} {left.currency}. Enter that much or less.",
            field,
        )


@transactional
@once(Claim)
def file(
    *, policy_id: int, loss_on: date, cause: str, description: str, claimed: Money, payee_name: str, actor: Actor
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
    return submit(claim_id=claim.id, actor=actor)


# The review


@transactional
def review(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim to decide it."""
    claim = _for_staff("claim:review", claim_id, actor)
    claim.handler_id = actor.id
    _move(claim, "review", actor, message=f"{actor.name} is looking at your claim.")
    return claim


@transactional
def ask(*, claim_id: int, question: str, actor: Actor) -> Claim:
    """Ask the customer something; the claim waits for the answer."""
    claim = _for_staff("claim:ask", claim_id, actor)
    _move(claim, "ask", actor, message=question)
    _mail(claim, "claim_question", question=question)
    return claim


@transactional
def answer(*, claim_id: int, text: str, actor: Actor) -> Claim:
    """Answer what was asked; the review goes on."""
    check_may(actor, "claim:answer")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _move(claim, "answer", actor, message=text)
    return claim


@transactional
def approve(*, claim_id: int, amount: Money, notes: str, version: int | None = None, actor: Actor) -> Claim:
    """Approve an amount: within the cover that is left and the actor's authority. Orders the payout with it."""
    check_may(actor, "claim:approve")
    seen = queries.get_claim(claim_id, actor)
    policy = lock(Policy, seen.policy_id)  # what is left of the coverage is settled under the policy's lock
    claim = lock(Claim, seen.id)
    check_version(claim, version)
    _check_not_party(claim, actor)
    if not CLAIM_LIFECYCLE.allows(claim.status, "approve"):
        CLAIM_LIFECYCLE.next(claim.status, "approve")
    if not notes:
        raise RuleBroken("Enter the reason of the decision.", "notes")
    if amount.minor <= 0:
        raise RuleBroken("Enter an amount above 0. To pay nothing, reject the claim.", "amount")
    if amount > claim.claimed:
        raise RuleBroken(
            f"The customer claims {claim.claimed.decimal:,f} {claim.currency}. Approve that much or less.", "amount"
        )
    _check_cover(policy, claim, amount, field="amount")
    check_authority(claim.approved + amount, actor.authority_minor)
    assert claim.loss_on is not None
    left = queries.left_on(policy, claim.loss_on)
    [coverage] = queries.coverages(claim.id)
    limit, deductible = Money(coverage.limit_minor, claim.currency), Money(coverage.deductible_minor, claim.currency)
    most = payable(claim.claimed, deductible, limit, left).amount
    if amount > most:
        raise RuleBroken(f"At most {most.decimal:,f} {claim.currency} is payable.", "amount")
    coverage.payable_minor += amount.minor
    claim.approved_minor += amount.minor
    claim.decided_by_id = actor.id
    claim.handler_id = claim.handler_id or actor.id
    _reserve(claim, amount, "Approved amount", actor)
    order = billing.request_disbursement(
        customer_id=claim.customer_id,
        payee_name=claim.payee_name,
        reason=f"Claim {claim.number}",
        amount=amount,
        actor=actor,
    )
    add(Payout(claim_id=claim.id, disbursement_id=order.id))
    _reserve(claim, Money.zero(claim.currency), "Payout ordered", actor, posted=False)
    ledger.post(
        Event.CLAIM_APPROVED,
        claim.id,
        debit=(Account.CASE_RESERVES, claim.id),
        credit=(Account.CLAIMS_PAYABLE, claim.id),
        amount=amount,
        on=clock.today(),
    )
    claim.notes = notes
    _move(claim, "approve", actor, message=f"We pay {amount.decimal:,f} {amount.currency}. {notes}", amount=amount)
    _mail(claim, "claim_approved", amount=f"{amount.decimal:,f} {amount.currency}", notes=notes)
    return claim


@transactional
def reject(*, claim_id: int, notes: str, version: int | None = None, actor: Actor) -> Claim:
    """Reject a claim and say why."""
    claim = _for_staff("claim:reject", claim_id, actor)
    check_version(claim, version)
    if not notes:
        raise RuleBroken("Enter the reason of the decision. The customer reads it.", "notes")
    claim.decided_by_id, claim.notes = actor.id, notes
    _reserve(claim, Money.zero(claim.currency), "Claim rejected", actor)
    _move(claim, "reject", actor, message=notes)
    _mail(claim, "claim_rejected", notes=notes)
    return claim


@transactional
def withdraw(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim back before it is decided."""
    check_may(actor, "claim:withdraw")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _reserve(claim, Money.zero(claim.currency), "Claim withdrawn", actor)
    _move(claim, "withdraw", actor, message="The claim was withdrawn.")
    return claim


@transactional
def close(*, claim_id: int, actor: Actor) -> Claim:
    """Close a claim: nothing more is expected of it."""
    claim = _for_staff("claim:close", claim_id, actor)
    _reserve(claim, Money.zero(claim.currency), "Claim closed", actor)
    _move(claim, "close", actor, message="The claim is closed.")
    return claim


@transactional
def reopen(*, claim_id: int, actor: Actor) -> Claim:
    """Take a claim up again after its end."""
    claim = _for_staff("claim:reopen", claim_id, actor)
    claim.handler_id = actor.id
    _move(claim, "reopen", actor, message="We look at your claim again.")
    return claim


@transactional
def note(*, claim_id: int, text: str, actor: Actor) -> Claim:
    """Add a note for staff."""
    claim = _for_staff("claim:note", claim_id, actor)
    _log(claim, "note", actor, note=text)
    audit.record("note", claim, label=claim.number or "draft", actor=actor, note=text)
    return claim


# The payout


@transactional
def approve_payout(*, claim_id: int, actor: Actor) -> Claim:
    """Approve the payout as the second person."""
    check_may(actor, "claim:approve_payout")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _check_not_party(claim, actor)
    billing.approve_disbursement(id=_payout(claim).id, actor=actor)
    _log(claim, "approve_payout", actor, note="Payout approved by a second person.")
    return claim


@transactional
def settle(*, claim_id: int, reference: str, on: date, actor: Actor) -> Claim:
    """Record that the payout was made; the claim is paid."""
    check_may(actor, "claim:settle")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if on > clock.today():
        raise RuleBroken("The date of payment must be today or in the past.", "on")
    order = billing.settle_disbursement(id=_payout(claim).id, reference=reference, on=on, actor=actor)
    ledger.post(
        Event.CLAIM_PAID,
        claim.id,
        debit=(Account.CLAIMS_PAYABLE, claim.id),
        credit=(Account.BANK, COMPANY),
        amount=order.amount,
        on=clock.today(),
    )
    _move(claim, "settle", actor, message=f"Paid on {in_words(on)} to {order.payee_name}.")
    _mail(claim, "claim_paid", amount=f"{order.amount.decimal:,f} {order.currency}", paid_on=in_words(on))
    return claim


def _payout(claim: Claim) -> Any:
    orders = queries.payouts(claim.id)
    if not orders:
        raise Conflict("No payout was ordered for this claim.")
    return orders[0]


# What all acts share


def _for_staff(permission: str, claim_id: int, actor: Actor) -> Claim:
    """The claim, locked, for somebody who may act on it and has no part in it."""
    check_may(actor, permission)
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    _check_not_party(claim, actor)
    return claim


def _check_not_party(claim: Claim, actor: Actor) -> None:
    if actor.id is not None and db.session.get_one(Customer, claim.customer_id).user_id == actor.id:
        raise NotAllowed("This is your own claim. Somebody else must handle it.")


def _move(claim: Claim, action: str, actor: Actor, *, message: str = "", **facts: Any) -> None:
    """The one place that moves a status."""
    before, claim.status = claim.status, CLAIM_LIFECYCLE.next(claim.status, action)
    claim.version += 1
    _log(claim, action, actor, message=message)
    audit.record(
        action,
        claim,
        label=claim.number or "draft",
        actor=actor,
        before={"status": before},
        status=claim.status,
        **facts,
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


def _reserve(claim: Claim, outstanding: Money, reason: str, actor: Actor, *, posted: bool = True) -> None:
    """Set what a claim is still expected to cost. An ordered payout takes it down without a posting of its own."""
    change = outstanding.minor - queries.outstanding(claim.id)
    if not change:
        return
    add(
        ReserveChange(
            claim_id=claim.id,
            coverage="main",
            change_minor=change,
            currency=claim.currency,
            reason=reason,
            recorded_at=clock.now(),
            recorded_by_id=actor.id,
        )
    )
    if posted:
        incurred, reserves = (Account.CLAIMS_INCURRED, claim.id), (Account.CASE_RESERVES, claim.id)
        ledger.post(
            Event.RESERVE,
            claim.id,
            debit=incurred if change > 0 else reserves,
            credit=reserves if change > 0 else incurred,
            amount=Money(abs(change), claim.currency),
            on=clock.today(),
        )


def _mail(claim: Claim, template: str, **data: str) -> None:
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

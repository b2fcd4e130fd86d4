"""The notice, step by step or all at once, and its facts until the decision."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import delete as delete_rows

from ...core import audit, clock, numbering
from ...core.db import add, check_version, db, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...customers.models import Customer
from ...documents import services as documents
from ...policies import queries as policies
from ...policies.models import Policy
from .. import queries
from ..domain import CAUSES, CLAIM_LIFECYCLE, UNDECIDED, ClaimStatus
from ..models import Attachment, Claim
from .record import (
    check_cover,
    check_not_party,
    cover_claim,
    draft,
    label,
    lock_with_policy,
    log,
    mail,
    move,
    set_reserve,
)

MOST_FILES = 20
TAKES_FILES = (ClaimStatus.DRAFT, *UNDECIDED)
FACTS = ("loss_on", "cause", "description", "claimed", "payee_name")
"""What a notice says, and `edit` corrects until the decision."""


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
    claim = draft(claim_id, actor)
    policy = _bound_policy(policy_id, actor)
    if policy.customer_id != claim.customer_id:
        raise RuleBroken("This policy is another customer's.", "policy_id")
    before = {"policy_id": claim.policy_id}
    claim.policy_id, claim.currency = policy.id, policy.currency
    audit.record("choose_policy", claim, label=policy.number, actor=actor, before=before, policy_id=policy.id)
    return claim


@transactional
def save(*, claim_id: int, version: int | None = None, actor: Actor, **facts: Any) -> Claim:
    """Keep some of the FACTS of a draft; `claimed` is Money."""
    claim = draft(claim_id, actor)
    check_version(claim, version)
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
        audit.record("attach", claim, label=label(claim), actor=actor, file=file.name, sha256=file.sha256)
    if files and claim.status is not ClaimStatus.DRAFT:
        log(claim, "attach", actor, message=f"Added {', '.join(file.name for file in files)}.")
    return claim


@transactional
def detach(*, claim_id: int, file_id: int, actor: Actor) -> None:
    """Take a file off a draft. The file itself is kept."""
    claim = draft(claim_id, actor)
    attachment, stored = queries.get_attachment(claim.id, file_id)
    db.session.delete(attachment)
    audit.record("detach", claim, label=label(claim), actor=actor, file=stored.name)


@transactional
def submit(*, claim_id: int, actor: Actor) -> Claim:
    """File a claim: refused where there was no cover on the date of loss, or above the coverage that is left."""
    check_may(actor, "claim:submit")
    claim, policy = lock_with_policy(claim_id, actor)
    CLAIM_LIFECYCLE.next(claim.status, "submit")
    check_notice(claim, policy)
    claim.notified_on = clock.today()
    set_reserve(claim, cover_claim(claim), "Initial reserve", actor)
    claim.number = numbering.take("CLM")
    move(claim, "submit", actor, message="We have your claim.")
    mail(claim, "claim_received")
    return claim


@transactional
def delete(*, claim_id: int, actor: Actor) -> None:
    """Delete a draft. Its files are kept."""
    check_may(actor, "claim:delete")
    claim = lock(Claim, queries.get_claim(claim_id, actor).id)
    if claim.status is not ClaimStatus.DRAFT:
        raise Conflict("This claim was filed, and must be kept. Withdraw it, or close it.")
    audit.record("delete", claim, label=label(claim), actor=actor, before={"policy_id": claim.policy_id})
    db.session.execute(delete_rows(Attachment).where(Attachment.claim_id == claim.id))
    db.session.delete(claim)


@transactional
def start_with_facts(*, policy_id: int, actor: Actor, **facts: Any) -> Claim:
    """Begin a claim as a draft in which some of the FACTS stand already."""
    claim = start(policy_id=policy_id, actor=actor)
    return save(claim_id=claim.id, **facts, actor=actor)


@transactional
@once(Claim)
def file(
    *,
    policy_id: int,
    loss_on: date,
    cause: str,
    description: str,
    claimed: Money,
    payee_name: str | None = None,
    files: Sequence[documents.File] = (),
    actor: Actor,
) -> Claim:
    """The whole notice at once: all of it is filed, or nothing is kept. The policyholder is paid if nobody is named."""
    facts = {"loss_on": loss_on, "cause": cause, "description": description, "claimed": claimed}
    if payee_name is not None:
        facts["payee_name"] = payee_name
    claim = start_with_facts(policy_id=policy_id, **facts, actor=actor)
    attach(claim_id=claim.id, files=files, actor=actor)
    return submit(claim_id=claim.id, actor=actor)


@transactional
def edit(*, claim_id: int, version: int | None = None, actor: Actor, **facts: Any) -> Claim:
    """Correct FACTS of a filed claim until it is decided; cover is checked and the reserve is set anew."""
    check_may(actor, "claim:edit")
    claim, policy = lock_with_policy(claim_id, actor)
    check_not_party(claim, actor)
    check_version(claim, version)
    if claim.status not in UNDECIDED:
        raise Conflict("The facts of a claim can be changed after it is filed and until it is decided.")
    if claim.approved and facts.get("loss_on", claim.loss_on) != claim.loss_on:
        raise RuleBroken("A part of this claim is approved already, so its date of loss stays.", "loss_on")
    _set_facts(claim, facts, "edit", actor)
    check_notice(claim, policy)
    set_reserve(claim, cover_claim(claim), "Facts changed", actor)
    log(claim, "edit", actor, note=f"Changed: {', '.join(name.replace('_', ' ') for name in facts)}.")
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
    check_cover(claim, policy, claim.claimed - claim.approved, "claimed")


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
    audit.record(action, claim, label=label(claim), actor=actor, person=claim.customer_id, before=before, **facts)


def _bound_policy(policy_id: int, actor: Actor) -> Policy:
    policy = policies.get_policy(policy_id, actor)
    if policy.bound_at is None:
        raise RuleBroken("This is a quote, which gives no cover. Choose a policy.", "policy_id")
    return policy

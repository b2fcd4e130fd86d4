"""Claims, as far as the actor may see them, and the facts that decide about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import Any

from sqlalchemy import Row, Select, func, or_, select

from ..accounts.models import User
from ..billing.domain import DisbursementStatus
from ..billing.models import Disbursement
from ..core import clock
from ..core.db import db
from ..core.errors import NotFound
from ..core.money import Money
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from ..documents.models import StoredFile
from ..policies import queries as policies
from ..policies.domain import TransactionKind
from ..policies.models import Policy, PolicyTransaction
from .domain import (
    TO_DECIDE,
    UNDECIDED,
    ClaimStatus,
    Cover,
    CoverCheck,
    Payable,
    Stage,
    check_cover,
    coverage_left,
    less_approved,
    payable,
    stages,
    what_next,
)
from .models import Attachment, Claim, ClaimCoverage, ClaimEvent, Payout, ReserveChange

IN_PROGRESS = (ClaimStatus.DRAFT, *UNDECIDED, ClaimStatus.APPROVED)
OPENS_TERM = (TransactionKind.NEW_BUSINESS, TransactionKind.RENEWAL)
INSURES = (*OPENS_TERM, TransactionKind.ENDORSEMENT)


def _in_sight(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(Claim)
        .join(Customer, Customer.id == Claim.customer_id)
        .join(Policy, Policy.id == Claim.policy_id)
        .where(customers.sight(actor))
    )


def claim_rows(actor: Actor, *, q: str = "", status: str = "") -> Select:
    """Filed claims for lists; drafts are for whoever writes them."""
    statement = _in_sight(
        actor,
        Claim.id,
        Claim.number,
        Claim.loss_on,
        Claim.notified_on,
        Claim.claimed_minor,
        Claim.approved_minor,
        Claim.currency,
        Claim.status,
        Claim.customer_id,
        Customer.name.label("customer_name"),
        Policy.number.label("policy_number"),
        Policy.id.label("policy_id"),
    )
    statement = statement.where(Claim.number.is_not(None))
    if q:
        statement = statement.where(or_(Claim.number == q.upper(), Policy.number == q.upper(), customers.matches(q)))
    if status:
        statement = statement.where(Claim.status == ClaimStatus(status))
    return statement


def find_some(q: str, actor: Actor, most: int = 20) -> list[Row]:
    """The first few claims that a search finds, the newest first."""
    return list(db.session.execute(claim_rows(actor, q=q).order_by(Claim.id.desc()).limit(most)))


def get_claim(id: int, actor: Actor) -> Claim:
    """One claim in sight."""
    claim = db.session.scalar(_in_sight(actor, Claim).where(Claim.id == id))
    if claim is None:
        raise NotFound("We cannot find that claim.")
    return claim


def to_decide(actor: Actor, limit: int) -> list[Row]:
    """The claims that wait for a decision longest."""
    statement = claim_rows(actor).where(Claim.status.in_(TO_DECIDE))
    return list(db.session.execute(statement.order_by(Claim.id).limit(limit)))


def open_claims(actor: Actor) -> Sequence[Claim]:
    """The claims in sight that are not at their end, the newest first."""
    return db.session.scalars(
        _in_sight(actor, Claim).where(Claim.status.in_(IN_PROGRESS)).order_by(Claim.id.desc()).limit(5)
    ).all()


def own_claims(actor: Actor) -> Sequence[Claim]:
    """All claims in sight, drafts too, the newest first."""
    return db.session.scalars(_in_sight(actor, Claim).order_by(Claim.id.desc()).limit(100)).all()


def claims_of_policy(policy_id: int) -> Sequence[Claim]:
    """The filed claims of a policy that is in sight already."""
    return db.session.scalars(
        select(Claim).where(Claim.policy_id == policy_id, Claim.number.is_not(None)).order_by(Claim.id.desc())
    ).all()


def claims_of_customer(customer_id: int) -> Sequence[Claim]:
    """The filed claims of a customer who is in sight already."""
    return db.session.scalars(
        select(Claim)
        .where(Claim.customer_id == customer_id, Claim.number.is_not(None))
        .order_by(Claim.id.desc())
        .limit(20)
    ).all()


# The facts that decide


def _terms(policy_id: int) -> list[PolicyTransaction]:
    return [row for row in policies.transactions(policy_id) if row.kind in OPENS_TERM]


def cover_on(policy: Policy, day: date) -> CoverCheck:
    """Whether a policy gave cover on a day, by its transactions; it may have ended since."""
    covers = [Cover(row.term_start, row.term_end, policy.cancelled_on) for row in _terms(policy.id)]
    return check_cover(policy.status, covers, day)


def find_in_force(policy_id: int, day: date) -> PolicyTransaction | None:
    """The transaction that says what was insured on a day: the last one that was effective in its term by then."""
    in_force = [
        row
        for row in policies.transactions(policy_id)
        if row.kind in INSURES and row.term_start <= day < row.term_end and row.effective_on <= day
    ]
    return in_force[-1] if in_force else None


def left_on(policy: Policy, day: date) -> Money:
    """What is left of a policy's coverage for losses in the term of a day: open claims take nothing."""
    term = find_in_force(policy.id, day)
    if term is None:
        return Money.zero(policy.currency)
    approved = db.session.scalars(
        select(Claim.approved_minor).where(
            Claim.policy_id == policy.id,
            Claim.approved_minor > 0,
            Claim.loss_on >= term.term_start,
            Claim.loss_on < term.term_end,
        )
    )
    limit = sum(coverage["limit_minor"] for coverage in term.coverages)
    return coverage_left(Money(limit, policy.currency), [Money(minor, policy.currency) for minor in approved])


def payable_in_all(claim: Claim, policy: Policy) -> Payable:
    """What may be paid of a filed claim, approved already or not, with its worksheet."""
    coverage = get_coverage(claim.id)
    left = left_on(policy, claim.loss_on) if claim.loss_on else Money.zero(claim.currency)
    return payable(
        claim.claimed,
        deductible=Money(coverage.deductible_minor, claim.currency),
        limit=Money(coverage.limit_minor, claim.currency),
        left=left + claim.approved,
    )


def payable_now(claim: Claim, policy: Policy) -> Payable:
    """What may still be paid of a filed claim, with its worksheet."""
    return less_approved(payable_in_all(claim, policy), claim.approved)


def possible_duplicates(claim: Claim) -> Sequence[Claim]:
    """Other claims on the policy with the same date and cause of loss."""
    return db.session.scalars(
        select(Claim).where(
            Claim.policy_id == claim.policy_id,
            Claim.loss_on == claim.loss_on,
            Claim.cause == claim.cause,
            Claim.number.is_not(None),
            Claim.id != claim.id,
        )
    ).all()


def outstanding(claim_id: int) -> int:
    """The reserve that a claim has left, in minor units."""
    return int(
        db.session.scalar(
            select(func.coalesce(func.sum(ReserveChange.change_minor), 0)).where(ReserveChange.claim_id == claim_id)
        )
        or 0
    )


def reserve_changes(claim_id: int) -> Sequence[ReserveChange]:
    """How the reserve came about, the oldest first."""
    return db.session.scalars(
        select(ReserveChange).where(ReserveChange.claim_id == claim_id).order_by(ReserveChange.id)
    ).all()


def find_coverage(claim_id: int) -> ClaimCoverage | None:
    """What a claim asks of its coverage; none before it is filed."""
    return db.session.scalar(select(ClaimCoverage).where(ClaimCoverage.claim_id == claim_id))


def get_coverage(claim_id: int) -> ClaimCoverage:
    """What a filed claim asks of its coverage."""
    return db.session.scalars(select(ClaimCoverage).where(ClaimCoverage.claim_id == claim_id)).one()


def history(claim_id: int) -> Sequence[ClaimEvent]:
    """What happened, the newest first."""
    return db.session.scalars(
        select(ClaimEvent).where(ClaimEvent.claim_id == claim_id).order_by(ClaimEvent.id.desc())
    ).all()


def question(claim_id: int) -> str:
    """What the customer was asked last."""
    asked = select(ClaimEvent.message).where(ClaimEvent.claim_id == claim_id, ClaimEvent.action == "ask")
    return db.session.scalar(asked.order_by(ClaimEvent.id.desc()).limit(1)) or ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a claim stands, for its customer."""

    stages: tuple[Stage, ...]
    handler: str
    next_words: str


def progress(claim: Claim) -> Progress:
    """The stages with their times, who has the claim, and what comes next by when."""
    handler = db.session.get_one(User, claim.handler_id).name if claim.handler_id else ""
    events = history(claim.id)
    local = {event.action: event.at.astimezone(clock.zone()) for event in reversed(events)}
    in_status = [event.at for event in takewhile(lambda event: event.status is claim.status, events)]
    since = min(in_status, default=claim.created_at).astimezone(clock.zone()).date()
    return Progress(stages(claim.status, local, handler), handler, what_next(claim.status, since, clock.today()))


def attachments(claim_id: int) -> Sequence[StoredFile]:
    """The files on a claim."""
    return db.session.scalars(
        select(StoredFile)
        .join(Attachment, Attachment.file_id == StoredFile.id)
        .where(Attachment.claim_id == claim_id)
        .order_by(StoredFile.id)
    ).all()


def get_attachment(claim_id: int, file_id: int) -> tuple[Attachment, StoredFile]:
    """One file on a claim that is in sight already."""
    row = db.session.execute(
        select(Attachment, StoredFile)
        .join(StoredFile, StoredFile.id == Attachment.file_id)
        .where(Attachment.claim_id == claim_id, StoredFile.id == file_id)
    ).first()
    if row is None:
        raise NotFound("We cannot find that file.")
    return row[0], row[1]


def payouts(claim_id: int) -> Sequence[Disbursement]:
    """The orders that pay a claim out, the newest first."""
    return db.session.scalars(
        select(Disbursement)
        .join(Payout, Payout.disbursement_id == Disbursement.id)
        .where(Payout.claim_id == claim_id)
        .order_by(Disbursement.id.desc())
    ).all()


def payouts_to_approve(limit: int) -> list[Row]:
    """The payouts that wait for a second person."""
    return list(
        db.session.execute(
            select(
                Claim.id.label("claim_id"),
                Claim.number,
                Disbursement.amount_minor,
                Disbursement.currency,
                Disbursement.payee_name,
                User.name.label("maker_name"),
            )
            .join(Payout, Payout.disbursement_id == Disbursement.id)
            .join(Claim, Claim.id == Payout.claim_id)
            .join(User, User.id == Disbursement.maker_id)
            .where(Disbursement.status == DisbursementStatus.REQUESTED)
            .order_by(Disbursement.id)
            .limit(limit)
        )
    )

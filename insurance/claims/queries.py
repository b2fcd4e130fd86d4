"""Claims, as far as the actor may see them, and the facts that decide about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import Any

from sqlalchemy import Row, Select, exists, func, select

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
from ..documents.models import DeletedFile, StoredFile
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


def claim_rows(actor: Actor, *, q: str = "", status: str = "", drafts: bool = False) -> Select:
    """Claims for lists, filed ones only unless drafts are asked for."""
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
    if not drafts:
        statement = statement.where(Claim.number.is_not(None))
    if q:
        statement = statement.where(
            customers.matches(
                q,
                Claim.id,
                (select(Claim.id), Claim.number),
                (select(Claim.id).join(Policy, Policy.id == Claim.policy_id), Policy.number),
                (select(Claim.id).join(Customer, Customer.id == Claim.customer_id), Customer.number),
            )
        )
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


@dataclass(frozen=True, slots=True)
class Record:
    """A claim with what its pages show beside it."""

    claim: Claim
    policy: Policy
    customer: Customer
    coverage: ClaimCoverage | None
    handler_name: str | None


def get_record(id: int, actor: Actor) -> Record:
    """One claim in sight, and what belongs to it."""
    statement = _in_sight(actor, Claim, Policy, Customer, ClaimCoverage, User.name)
    row = db.session.execute(
        statement.outerjoin(ClaimCoverage, ClaimCoverage.claim_id == Claim.id)
        .outerjoin(User, User.id == Claim.handler_id)
        .where(Claim.id == id)
    ).first()
    if row is None:
        raise NotFound("We cannot find that claim.")
    return Record(*row)


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


@dataclass(frozen=True, slots=True)
class Standing:
    """How a policy stands to a loss on a day: whether there was cover, by which transaction, what is left of it, and
    which claims have been filed on the policy.
    """

    cover: CoverCheck
    in_force: PolicyTransaction | None
    left: Money
    claims: Sequence[Row]


def standing(policy: Policy, day: date) -> Standing:
    """What there is to know before a claim for a loss on a day is filed or decided. Open claims take nothing."""
    transactions = policies.transactions(policy.id)
    covers = [
        Cover(row.term_start, row.term_end, policy.cancelled_on) for row in transactions if row.kind in OPENS_TERM
    ]
    claims = _filed(policy.id)
    in_force = _in_force(transactions, day)
    return Standing(check_cover(policy.status, covers, day), in_force, _left(policy, in_force, claims), claims)


def _in_force(transactions: Sequence[PolicyTransaction], day: date) -> PolicyTransaction | None:
    """The transaction that says what was insured on a day: the last one that was effective in its term by then."""
    in_force = [
        row
        for row in transactions
        if row.kind in INSURES and row.term_start <= day < row.term_end and row.effective_on <= day
    ]
    return in_force[-1] if in_force else None


def _left(policy: Policy, term: PolicyTransaction | None, claims: Sequence[Row]) -> Money:
    """What is left of a policy's coverage for losses in a term."""
    if term is None:
        return Money.zero(policy.currency)
    limit = sum(coverage["limit_minor"] for coverage in term.coverages)
    approved = [
        Money(claim.approved_minor, policy.currency)
        for claim in claims
        if term.term_start <= claim.loss_on < term.term_end
    ]
    return coverage_left(Money(limit, policy.currency), approved)


def _filed(policy_id: int) -> Sequence[Row]:
    """The claims filed on a policy, with what was approved of each."""
    return db.session.execute(
        select(Claim.id, Claim.number, Claim.loss_on, Claim.cause, Claim.approved_minor)
        .where(Claim.policy_id == policy_id, Claim.number.is_not(None))
        .order_by(Claim.id)
    ).all()


def payable_in_all(claim: Claim, coverage: ClaimCoverage, left: Money) -> Payable:
    """What may be paid of a filed claim, approved already or not, with its worksheet."""
    return payable(
        claim.claimed,
        deductible=Money(coverage.deductible_minor, claim.currency),
        limit=Money(coverage.limit_minor, claim.currency),
        left=left + claim.approved,
    )


def payable_now(claim: Claim, coverage: ClaimCoverage, left: Money) -> Payable:
    """What may still be paid of a filed claim, with its worksheet."""
    return less_approved(payable_in_all(claim, coverage, left), claim.approved)


def possible_duplicates(claim: Claim, filed: Sequence[Row] | None = None) -> list[Row]:
    """Other claims, of those filed on the policy, with the same date and cause of loss."""
    others = _filed(claim.policy_id) if filed is None else filed
    return [
        other
        for other in others
        if (other.loss_on, other.cause) == (claim.loss_on, claim.cause) and other.id != claim.id
    ]


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
    return progress_of([claim])[claim.id]


def progress_of(claims: Sequence[Claim]) -> dict[int, Progress]:
    """The progress of some claims, by their id."""
    events: dict[int, list[ClaimEvent]] = {claim.id: [] for claim in claims}
    for event in db.session.scalars(
        select(ClaimEvent).where(ClaimEvent.claim_id.in_(events)).order_by(ClaimEvent.id.desc())
    ):
        events[event.claim_id].append(event)
    handler_ids = {claim.handler_id for claim in claims}
    handlers = dict(db.session.execute(select(User.id, User.name).where(User.id.in_(handler_ids))).all())
    return {claim.id: _progress(claim, events[claim.id], handlers.get(claim.handler_id or 0, "")) for claim in claims}


def _progress(claim: Claim, events: Sequence[ClaimEvent], handler: str) -> Progress:
    """A claim's progress by its events, the newest first."""
    local = {event.action: event.at.astimezone(clock.zone()) for event in reversed(events)}
    in_status = [event.at for event in takewhile(lambda event: event.status is claim.status, events)]
    since = min(in_status, default=claim.created_at).astimezone(clock.zone()).date()
    return Progress(stages(claim.status, local, handler), handler, what_next(claim.status, since, clock.today()))


def attachments(claim_id: int) -> Sequence[StoredFile]:
    """The files on a claim that are not deleted."""
    return db.session.scalars(
        select(StoredFile)
        .join(Attachment, Attachment.file_id == StoredFile.id)
        .where(Attachment.claim_id == claim_id, ~exists().where(DeletedFile.file_id == StoredFile.id))
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


def get_claim_of_payout(disbursement_id: int) -> Claim:
    """The claim that an order pays out; for those who may send money out, who see every claim."""
    claim = db.session.scalar(
        select(Claim).join(Payout, Payout.claim_id == Claim.id).where(Payout.disbursement_id == disbursement_id)
    )
    if claim is None:
        raise NotFound("We cannot find that payout.")
    return claim


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

"""What can happen to a claim, whether there was cover, how much of it is left, and who may decide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from ..core.dates import in_words, last_day
from ..core.errors import NotAllowed
from ..core.lifecycle import Lifecycle
from ..core.money import Money
from ..core.words import Words
from ..policies.domain import UNBOUND, PolicyStatus


class ClaimStatus(StrEnum):
    """How far a claim has come."""

    DRAFT = "draft"
    PENDING = "pending"
    UNDER_REVIEW = "under_review"
    WAITING_CUSTOMER = "waiting_customer"
    APPROVED = "approved"
    REJECTED = "rejected"
    PAID = "paid"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


CLAIM_LIFECYCLE = Lifecycle(
    "claim",
    ClaimStatus.DRAFT,
    {
        (ClaimStatus.DRAFT, "submit"): ClaimStatus.PENDING,
        (ClaimStatus.DRAFT, "withdraw"): ClaimStatus.WITHDRAWN,
        (ClaimStatus.PENDING, "review"): ClaimStatus.UNDER_REVIEW,
        (ClaimStatus.PENDING, "approve"): ClaimStatus.APPROVED,
        (ClaimStatus.PENDING, "reject"): ClaimStatus.REJECTED,
        (ClaimStatus.PENDING, "withdraw"): ClaimStatus.WITHDRAWN,
        (ClaimStatus.UNDER_REVIEW, "approve"): ClaimStatus.APPROVED,
        (ClaimStatus.UNDER_REVIEW, "reject"): ClaimStatus.REJECTED,
        (ClaimStatus.UNDER_REVIEW, "ask"): ClaimStatus.WAITING_CUSTOMER,
        (ClaimStatus.UNDER_REVIEW, "withdraw"): ClaimStatus.WITHDRAWN,
        (ClaimStatus.UNDER_REVIEW, "close"): ClaimStatus.CLOSED,
        (ClaimStatus.WAITING_CUSTOMER, "answer"): ClaimStatus.UNDER_REVIEW,
        (ClaimStatus.WAITING_CUSTOMER, "reject"): ClaimStatus.REJECTED,
        (ClaimStatus.WAITING_CUSTOMER, "withdraw"): ClaimStatus.WITHDRAWN,
        (ClaimStatus.APPROVED, "settle"): ClaimStatus.PAID,
        (ClaimStatus.REJECTED, "appeal"): ClaimStatus.UNDER_REVIEW,
        (ClaimStatus.REJECTED, "close"): ClaimStatus.CLOSED,
        (ClaimStatus.PAID, "close"): ClaimStatus.CLOSED,
        (ClaimStatus.PAID, "return_payout"): ClaimStatus.APPROVED,
        (ClaimStatus.PAID, "reopen"): ClaimStatus.UNDER_REVIEW,
        (ClaimStatus.CLOSED, "reopen"): ClaimStatus.UNDER_REVIEW,
    },
    nouns={
        ClaimStatus.UNDER_REVIEW: "a claim under review",
        ClaimStatus.WAITING_CUSTOMER: "a claim that waits for the customer",
    },
    participles={
        "submit": "submitted",
        "withdraw": "withdrawn",
        "review": "taken under review",
        "ask": "held for a question",
        "appeal": "appealed",
        "settle": "paid",
        "return_payout": "marked as returned by the bank",
    },
)

STATUS_WORDS = {
    ClaimStatus.DRAFT: Words("neu", "Draft", "Not sent yet"),
    ClaimStatus.PENDING: Words("info", "Pending", "We have your claim"),
    ClaimStatus.UNDER_REVIEW: Words("info", "Under review", "We are reviewing it"),
    ClaimStatus.WAITING_CUSTOMER: Words("warn", "Waiting for customer", "We need something from you"),
    ClaimStatus.APPROVED: Words("ok", "Approved", "Approved, payment on its way"),
    ClaimStatus.REJECTED: Words("bad", "Rejected", "Not covered"),
    ClaimStatus.PAID: Words("ok", "Paid", "Paid"),
    ClaimStatus.CLOSED: Words("neu", "Closed", "Closed"),
    ClaimStatus.WITHDRAWN: Words("neu", "Withdrawn", "You withdrew it"),
}

CAUSES = {
    "collision": "Collision",
    "glass": "Broken glass",
    "theft": "Theft or break-in",
    "vandalism": "Vandalism",
    "fire": "Fire or smoke",
    "water": "Water damage",
    "weather": "Storm, hail or flood",
    "injury": "Injury",
    "illness": "Illness",
    "liability": "Damage to somebody else",
    "other": "Something else",
}
"""Causes of loss that a notice can name."""


@dataclass(frozen=True, slots=True)
class Cover:
    """A stretch [start, end) for which a policy was bound; `cancelled_on` is the first day without cover, if sooner."""

    start: date
    end: date
    cancelled_on: date | None = None

    @property
    def ends(self) -> date:
        """The first day without cover."""
        return min(self.end, self.cancelled_on) if self.cancelled_on else self.end


@dataclass(frozen=True, slots=True)
class CoverCheck:
    """Whether there was cover on the date of loss, and why, in words for the handler."""

    covered: bool
    reason: str


def check_cover(status: PolicyStatus, covers: Iterable[Cover], loss_on: date) -> CoverCheck:
    """Whether the policy gave cover on the date of loss; it may have ended since. Each term is a stretch of cover,
    and a reinstatement with a gap makes two of one.
    """
    if status in UNBOUND:
        return CoverCheck(False, "The policy was never bound, so it gave no cover.")
    day = in_words(loss_on)
    stretches = sorted((cover for cover in covers if cover.start < cover.ends), key=lambda cover: cover.start)
    if not stretches:
        return CoverCheck(False, "The policy was cancelled from its start, so it gave no cover.")
    before = [cover for cover in stretches if cover.start <= loss_on]
    if not before:
        return CoverCheck(False, f"Cover began on {in_words(stretches[0].start)}, after the loss on {day}.")
    cover = max(before, key=lambda cover: cover.ends)
    if loss_on < cover.ends:
        from_to = f"from {in_words(cover.start)} through {in_words(last_day(cover.ends))}"
        return CoverCheck(True, f"The policy gave cover on {day}: it ran {from_to}.")
    how = "was cancelled" if cover.ends == cover.cancelled_on else "ended"
    return CoverCheck(
        False, f"Cover {how}; its last day was {in_words(last_day(cover.ends))}, before the loss on {day}."
    )


def coverage_left(limit: Money, approved: Sequence[Money]) -> Money:
    """What is left of a limit after the amounts approved for the term; never below zero. Open claims take nothing."""
    return max(limit - sum(approved, Money.zero(limit.currency)), Money.zero(limit.currency))


def check_authority(amount: Money, authority_minor: int) -> None:
    """Refuse a decision above the handler's limit; 0 means that somebody else decides everything."""
    if amount.minor > authority_minor:
        limit = Money(authority_minor, amount.currency).decimal
        raise NotAllowed(
            f"You can approve up to {limit:,f} {amount.currency}. Pass the claim to someone with a higher limit."
        )


def needs_second_person(amount: Money, payout_limit: Money) -> bool:
    """Whether someone other than the handler must approve the payout; a limit of 0 means always."""
    return amount > payout_limit


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the tracker that a customer sees."""

    title: str
    state: Literal["done", "now", "todo"]


def stages(status: ClaimStatus) -> tuple[Stage, ...]:
    """The tracker: what is done, where the claim is now, what is still to come."""
    titles, now = _TRACKER[status]
    return tuple(
        Stage(title, "done" if place < now else "now" if place == now else "todo") for place, title in enumerate(titles)
    )


_TO_PAYMENT = ("Reported", "Being reviewed", "Decision", "Paid")
_ALL_DONE = 4
_TRACKER: dict[ClaimStatus, tuple[tuple[str, ...], int]] = {
    ClaimStatus.DRAFT: (_TO_PAYMENT, 0),
    ClaimStatus.PENDING: (_TO_PAYMENT, 1),
    ClaimStatus.UNDER_REVIEW: (_TO_PAYMENT, 1),
    ClaimStatus.WAITING_CUSTOMER: (("Reported", "Waiting for your answer", "Decision", "Paid"), 1),
    ClaimStatus.APPROVED: (("Reported", "Reviewed", "Approved", "Paid"), 3),
    ClaimStatus.PAID: (("Reported", "Reviewed", "Approved", "Paid"), _ALL_DONE),
    ClaimStatus.CLOSED: (("Reported", "Reviewed", "Decided", "Closed"), _ALL_DONE),
    ClaimStatus.REJECTED: (("Reported", "Reviewed", "Not covered"), _ALL_DONE),
    ClaimStatus.WITHDRAWN: (("Reported", "Withdrawn"), _ALL_DONE),
}


@dataclass(frozen=True, slots=True)
class Payable:
    """What a coverage pays of a loss, and the steps that lead there."""

    amount: Money
    worksheet: tuple[dict[str, str], ...]


def payable(loss: Money, deductible: Money, limit: Money, left: Money) -> Payable:
    """The loss less the deductible, capped by the limit and by what is left of it for the term; never below zero."""
    zero = Money.zero(loss.currency)
    after_deductible = max(loss - deductible, zero)
    within_limit = min(after_deductible, limit)
    amount = min(within_limit, left)
    steps = [("Assessed loss", f"{loss.decimal:,f}", loss)]
    if deductible:
        steps.append(("Deductible", f"− {deductible.decimal:,f}", after_deductible))
    steps.append(("Limit", f"at most {limit.decimal:,f}", within_limit))
    steps.append(("Coverage left in the term", f"at most {left.decimal:,f}", amount))
    return Payable(
        amount, tuple({"label": label, "text": text, "amount": f"{so_far.decimal:,f}"} for label, text, so_far in steps)
    )

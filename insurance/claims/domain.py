"""What can happen to a claim, whether there was cover, how much of it is left, and who may decide."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from ..core.dates import add_working_days, in_words, last_day
from ..core.errors import NotAllowed, RuleBroken
from ..core.lifecycle import Lifecycle
from ..core.money import Exact, Money, exact
from ..core.words import Words
from ..core.worksheet import Worksheet, step
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


TO_DECIDE = (ClaimStatus.PENDING, ClaimStatus.UNDER_REVIEW)
"""Statuses in which the next step is the insurer's decision."""
UNDECIDED = (*TO_DECIDE, ClaimStatus.WAITING_CUSTOMER)
"""Statuses of a filed claim whose facts may still change."""

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

ACT_WORDS = {
    "submit": "Reported",
    "edit": "Facts changed",
    "attach": "Files added",
    "review": "Taken under review",
    "ask": "Question to the customer",
    "answer": "Answer",
    "approve": "Approved",
    "reject": "Rejected",
    "approve_payout": "Payout approved",
    "settle": "Paid",
    "return_payout": "Sent back by the bank",
    "replace_payout": "Payout ordered anew",
    "appeal": "Appealed",
    "withdraw": "Withdrawn",
    "close": "Closed",
    "reopen": "Reopened",
    "note": "Note",
}
"""What the steps of a claim's history are called."""


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
        limit = Money(authority_minor, amount.currency).in_words
        raise NotAllowed(f"You can approve up to {limit}. Pass the claim to someone with a higher limit.")


@dataclass(frozen=True, slots=True)
class Payable:
    """What a coverage pays of a loss, and the steps that lead there."""

    amount: Money
    worksheet: tuple[dict[str, str], ...]


def payable(
    loss: Money,
    *,
    deductible: Money | None = None,
    limit: Money | None = None,
    left: Money | None = None,
    value: Money | None = None,
    carried: Money | None = None,
    coinsurance_rate: Exact = 0,
) -> Payable:
    """The loss, cut by the co-insurance penalty, less the deductible, capped by the limit and by what is left of the
    aggregate; never below zero. The penalty is carried ÷ (value × rate) where less was carried than agreed.
    """
    amount = loss
    steps = [step("Loss", "as claimed", amount)]
    if value and carried is not None and coinsurance_rate:
        amount = loss.times(min(Fraction(1), carried.minor / (value.minor * exact(coinsurance_rate))))
        agreed = value.times(coinsurance_rate)
        steps.append(step("Co-insurance", f"{carried.in_words} carried of {agreed.in_words} agreed", amount))
    if deductible:
        amount = max(amount - deductible, Money.zero(loss.currency))
        steps.append(step("Deductible", f"less {deductible.in_words}", amount))
    for label, most in (("Limit", limit), ("Coverage left in the term", left)):
        if most is not None:
            amount = min(amount, most)
            steps.append(step(label, f"at most {most.in_words}", amount))
    return Payable(amount, tuple(steps))


def less_approved(of_claim: Payable, approved: Money) -> Payable:
    """What is still payable of a claim on which something was approved before."""
    if not approved:
        return of_claim
    amount = max(of_claim.amount - approved, Money.zero(approved.currency))
    return Payable(amount, (*of_claim.worksheet, step("Approved before", f"less {approved.in_words}", amount)))


def of_payout(of_claim: Payable, amount: Money) -> Worksheet:
    """Why a payment on a claim is what it is: from the loss to what is payable now, and what is paid of that."""
    how = "all that is payable now" if amount == of_claim.amount else "as decided, a part of what is payable"
    return [*of_claim.worksheet, step("This payment", how, amount)]


def check_approval(amount: Money, *, claimed: Money, approved: Money, most: Money) -> None:
    """Refuse an amount that is nothing, more than the customer claims in all, or more than is payable."""
    if amount.minor <= 0:
        raise RuleBroken("Enter an amount above 0. To pay nothing, reject the claim.", "amount")
    if amount + approved > claimed:
        before = f", and {approved.in_words} was approved before" if approved else ""
        raise RuleBroken(f"The customer claims {claimed.in_words}{before}. Approve no more than that.", "amount")
    if amount > most:
        raise RuleBroken(f"At most {most.in_words} is payable: the worksheet says why.", "amount")


# What the customer sees of it


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the tracker that a customer sees; `detail` says when it was done or who is at it."""

    title: str
    state: Literal["done", "now", "todo"]
    detail: str = ""


def stages(status: ClaimStatus, done_at: Mapping[str, datetime] | None = None, handler: str = "") -> tuple[Stage, ...]:
    """The tracker: what is done, where the claim is now, what is still to come.

    `done_at` has the local time of each act that led here.
    """
    titles, now = _TRACKER[status]
    tracker = []
    for place, title in enumerate(titles):
        state: Literal["done", "now", "todo"] = "done" if place < now else "now" if place == now else "todo"
        detail = f"{handler} has your claim" if state == "now" and handler and place == _REVIEW else ""
        at = next((at for act, at in (done_at or {}).items() if act in _STAGE_ACTS[title]), None)
        if state == "done" and at:
            detail = f"{in_words(at.date())}, {at:%H:%M}"
        tracker.append(Stage(title, state, detail))
    return tuple(tracker)


_TO_PAYMENT = ("Reported", "Being reviewed", "Decision", "Paid")
_REVIEW = 1
_ALL_DONE = 4
_TRACKER: dict[ClaimStatus, tuple[tuple[str, ...], int]] = {
    ClaimStatus.DRAFT: (_TO_PAYMENT, 0),
    ClaimStatus.PENDING: (_TO_PAYMENT, _REVIEW),
    ClaimStatus.UNDER_REVIEW: (_TO_PAYMENT, _REVIEW),
    ClaimStatus.WAITING_CUSTOMER: (("Reported", "Waiting for your answer", "Decision", "Paid"), _REVIEW),
    ClaimStatus.APPROVED: (("Reported", "Reviewed", "Approved", "Paid"), 3),
    ClaimStatus.PAID: (("Reported", "Reviewed", "Approved", "Paid"), _ALL_DONE),
    ClaimStatus.CLOSED: (("Reported", "Reviewed", "Decided", "Closed"), _ALL_DONE),
    ClaimStatus.REJECTED: (("Reported", "Reviewed", "Not covered"), _ALL_DONE),
    ClaimStatus.WITHDRAWN: (("Reported", "Withdrawn"), _ALL_DONE),
}
_STAGE_ACTS: dict[str, tuple[str, ...]] = {
    "Reported": ("submit",),
    "Being reviewed": (),
    "Waiting for your answer": (),
    "Reviewed": ("review",),
    "Decision": (),
    "Approved": ("approve",),
    "Decided": ("approve", "reject"),
    "Not covered": ("reject",),
    "Paid": ("settle",),
    "Closed": ("close",),
    "Withdrawn": ("withdraw",),
}
"""The acts that finish a stage."""

LOOK_AT_DAYS, DECIDE_DAYS, PAY_DAYS = 1, 10, 3
"""Working days that we allow ourselves."""


def what_next(status: ClaimStatus, since: date, today: date) -> str:
    """What the customer can expect, and by when; `since` is the day on which the claim came to its status."""
    match status:
        case ClaimStatus.PENDING:
            return _promise("We look at your claim", "look at your claim", since, LOOK_AT_DAYS, today)
        case ClaimStatus.UNDER_REVIEW:
            return _promise("We decide, or ask you if something is missing,", "decide", since, DECIDE_DAYS, today)
        case ClaimStatus.APPROVED:
            return _promise("We send the money", "send the money", since, PAY_DAYS, today)
        case ClaimStatus.WAITING_CUSTOMER:
            return "Answer our question, and the review goes on."
        case ClaimStatus.DRAFT:
            return "Check your answers and send the claim."
        case ClaimStatus.REJECTED:
            return "If you see it differently, call us, and somebody else looks at it again."
        case ClaimStatus.WITHDRAWN:
            return "Nothing more. You can report it anew at any time."
        case _:
            return "Nothing more: the claim is settled."


def _promise(we: str, verb: str, since: date, days: int, today: date) -> str:
    by = add_working_days(since, days)
    if today <= by:
        return f"{we} by {in_words(by)}."
    return f"We wanted to {verb} by {in_words(by)} and are late. We have not forgotten you; call us if it is urgent."

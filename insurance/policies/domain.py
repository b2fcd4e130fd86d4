"""What can happen to a policy, what the calendar makes of it, and what a part of its term is worth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from ..core.dates import Basis, day_after, days_between, in_words, share_of_period
from ..core.errors import RuleBroken
from ..core.lifecycle import Lifecycle
from ..core.money import Exact, Money
from ..core.words import Words
from ..core.worksheet import step


class PolicyStatus(StrEnum):
    """Where a policy stands."""

    QUOTED = "quoted"
    REFERRED = "referred"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    QUOTE_EXPIRED = "quote_expired"
    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


UNBOUND = frozenset(
    {
        PolicyStatus.QUOTED,
        PolicyStatus.REFERRED,
        PolicyStatus.DECLINED,
        PolicyStatus.WITHDRAWN,
        PolicyStatus.QUOTE_EXPIRED,
    }
)
"""Statuses that have never given cover."""
BY_CALENDAR = (PolicyStatus.PENDING, PolicyStatus.ACTIVE, PolicyStatus.EXPIRED)
"""Statuses that nothing but the day tells apart."""


class TransactionKind(StrEnum):
    """What a transaction did to its policy."""

    NEW_BUSINESS = "new_business"
    ENDORSEMENT = "endorsement"
    RENEWAL = "renewal"
    CANCELLATION = "cancellation"
    REINSTATEMENT = "reinstatement"
    LAPSE = "lapse"
    REVERSAL = "reversal"


POLICY_LIFECYCLE = Lifecycle(
    "policy",
    PolicyStatus.QUOTED,
    {
        (PolicyStatus.QUOTED, "bind"): (PolicyStatus.PENDING, PolicyStatus.ACTIVE),
        (PolicyStatus.QUOTED, "refer"): PolicyStatus.REFERRED,
        (PolicyStatus.QUOTED, "withdraw"): PolicyStatus.WITHDRAWN,
        (PolicyStatus.QUOTED, "expire"): PolicyStatus.QUOTE_EXPIRED,
        (PolicyStatus.REFERRED, "approve"): PolicyStatus.QUOTED,
        (PolicyStatus.REFERRED, "decline"): PolicyStatus.DECLINED,
        (PolicyStatus.PENDING, "start"): PolicyStatus.ACTIVE,
        (PolicyStatus.PENDING, "endorse"): PolicyStatus.PENDING,
        (PolicyStatus.PENDING, "cancel"): PolicyStatus.CANCELLED,
        (PolicyStatus.ACTIVE, "endorse"): PolicyStatus.ACTIVE,
        (PolicyStatus.ACTIVE, "renew"): PolicyStatus.ACTIVE,
        (PolicyStatus.ACTIVE, "cancel"): PolicyStatus.CANCELLED,
        (PolicyStatus.ACTIVE, "lapse"): PolicyStatus.LAPSED,
        (PolicyStatus.ACTIVE, "expire"): PolicyStatus.EXPIRED,
        (PolicyStatus.EXPIRED, "renew"): PolicyStatus.ACTIVE,
        (PolicyStatus.EXPIRED, "endorse"): PolicyStatus.EXPIRED,
        (PolicyStatus.EXPIRED, "cancel"): PolicyStatus.CANCELLED,
        (PolicyStatus.CANCELLED, "reinstate"): BY_CALENDAR,
        (PolicyStatus.LAPSED, "reinstate"): BY_CALENDAR,
    },
    nouns={
        PolicyStatus.QUOTED: "a quote",
        PolicyStatus.REFERRED: "a referred quote",
        PolicyStatus.DECLINED: "a declined quote",
        PolicyStatus.WITHDRAWN: "a withdrawn quote",
        PolicyStatus.QUOTE_EXPIRED: "an expired quote",
        PolicyStatus.PENDING: "a policy that has not started",
    },
    participles={
        "bind": "bound",
        "refer": "referred",
        "withdraw": "withdrawn",
        "cancel": "cancelled",
    },
)

STATUS_WORDS = {
    PolicyStatus.QUOTED: Words("info", "Quoted", "Quote, ready for you to accept"),
    PolicyStatus.REFERRED: Words("warn", "Referred", "We are checking your quote"),
    PolicyStatus.DECLINED: Words("bad", "Declined", "We can't offer this cover"),
    PolicyStatus.WITHDRAWN: Words("neu", "Withdrawn", "Quote withdrawn"),
    PolicyStatus.QUOTE_EXPIRED: Words("neu", "Quote expired", "Quote no longer valid"),
    PolicyStatus.PENDING: Words("info", "Pending", "Starts soon"),
    PolicyStatus.ACTIVE: Words("ok", "Active", "You are covered"),
    PolicyStatus.EXPIRED: Words("neu", "Expired", "Ended"),
    PolicyStatus.CANCELLED: Words("bad", "Cancelled", "Cancelled"),
    PolicyStatus.LAPSED: Words("bad", "Lapsed", "Ended: a payment is missing"),
}


def check_term(start: date, end: date) -> None:
    """Refuse a term [start, end) without a day in it."""
    if end <= start:
        raise RuleBroken("The last day of cover can't lie before the first.", field="end_date")


def calendar_status(
    stored: PolicyStatus,
    start: date,
    end: date,
    day: date,
    quote_valid_until: date | None = None,
    cancelled_on: date | None = None,
) -> PolicyStatus:
    """The status on a day, given what was stored: the nightly job may not have run yet.

    Cover is [start, end). A quote can be accepted through `quote_valid_until`. A policy that ends early stays what
    the calendar says until `cancelled_on`, its first day without cover.
    """
    if stored is PolicyStatus.QUOTED and quote_valid_until and day > quote_valid_until:
        return PolicyStatus.QUOTE_EXPIRED
    ends_early = stored in (PolicyStatus.CANCELLED, PolicyStatus.LAPSED)
    if stored not in BY_CALENDAR and not (ends_early and cancelled_on and day < cancelled_on):
        return stored
    if day < start:
        return PolicyStatus.PENDING
    return PolicyStatus.ACTIVE if day < end else PolicyStatus.EXPIRED


def prorate(amount: Money, start: date, end: date, from_: date, to: date, basis: str = Basis.DAYS) -> Money:
    """What [from_, to) is worth of an amount that pays for [start, end)."""
    return amount.times(share_of_period(start, end, from_, to, basis))


def endorsement_change(before: Money, after: Money, start: date, end: date, effective_on: date) -> Money:
    """What new terms from `effective_on` change the premium of [start, end) by, given both premiums of a whole term."""
    return prorate(after - before, start, end, effective_on, end)


@dataclass(frozen=True, slots=True)
class PremiumPart:
    """A premium, and the cover of [start, end) that it is earned by, evenly day by day."""

    premium: Money
    start: date
    end: date

    def earned(self, as_of: date) -> Money:
        """What is earned at the end of a day."""
        until = min(max(day_after(as_of), self.start), self.end)
        return prorate(self.premium, self.start, self.end, self.start, until)


def earn(parts: Iterable[PremiumPart], as_of: date, currency: str) -> tuple[Money, Money]:
    """What is earned of some premiums at the end of a day, and what is not: each is rounded by itself."""
    earned = unearned = Money.zero(currency)
    for part in parts:
        earned += part.earned(as_of)
        unearned += part.premium - part.earned(as_of)
    return earned, unearned


class CancellationMethod(StrEnum):
    """How much of the premium a cancelled policy has earned."""

    FLAT = "flat"
    PRO_RATA = "pro_rata"
    SHORT_RATE_90 = "short_rate_90"
    TABLE = "table"


METHOD_WORDS = {
    CancellationMethod.FLAT: "flat: cover never began, everything goes back",
    CancellationMethod.PRO_RATA: "pro rata by days",
    CancellationMethod.SHORT_RATE_90: "short rate: 90 % of what is unearned goes back",
    CancellationMethod.TABLE: "short rate by table",
}
ShortRateTable = Sequence[tuple[int, int, Exact]]
"""Rows of (first day, last day, earned percent) by days in force."""


@dataclass(frozen=True, slots=True)
class MinimumEarned:
    """The least premium that is kept, as a share of the premium or an amount; fees are apart."""

    rate: Exact | None = None
    amount: Money | None = None

    def of(self, premium: Money) -> Money:
        """The minimum in money, never more than the premium."""
        minimum = self.amount if self.amount is not None else premium.times(self.rate or 0)
        return min(minimum, premium)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a cancelled policy has earned and what becomes of what was paid, with its worksheet."""

    earned: Money
    fees_kept: Money
    refund: Money
    due: Money
    worksheet: tuple[dict[str, str], ...]


def cancellation(
    premium: Money,
    start: date,
    end: date,
    effective_on: date,
    method: CancellationMethod,
    *,
    table: ShortRateTable = (),
    minimum: MinimumEarned | None = None,
    fees: Money | None = None,
    paid: Money | None = None,
) -> Cancellation:
    """What is kept of the premium for [start, end) when `effective_on` is the first day without cover.

    The part that goes back is rounded, what is earned is the rest; a minimum raises it. Fees stay, but for flat
    cancellations, which begin with the cover and know no minimum. All of premium and fees is paid if `paid` is left
    out. Refuses days outside the term, and days in force that the table does not have.
    """
    if not start <= effective_on <= end:
        raise RuleBroken("A policy is cancelled within its term.", field="effective_on")
    if method is CancellationMethod.FLAT and effective_on != start:
        raise RuleBroken("A flat cancellation takes effect on the first day of cover.", field="effective_on")
    nothing = Money.zero(premium.currency)
    fees = fees if fees is not None else nothing
    paid = paid if paid is not None else premium + fees
    days, term = days_between(start, effective_on), days_between(start, end)
    back = premium.times(_share_given_back(days, term, method, table))
    earned = premium - back
    steps = [
        step("Premium of the term", f"{in_words(start)}, {term} days", premium),
        step("Goes back", f"{METHOD_WORDS[method]}; {days} of {term} days in force", -back),
    ]
    if minimum and method is not CancellationMethod.FLAT and minimum.of(premium) > earned:
        earned = minimum.of(premium)
        steps.append(step("Minimum earned premium", "the least that is kept", earned))
    steps.append(step("Premium earned", "", earned))
    kept = nothing if method is CancellationMethod.FLAT else fees
    if fees:
        steps.append(step("Fees", "stay" if kept else "go back too", kept))
    owed = earned + kept
    steps.append(step("Paid so far", "", paid))
    refund, due = max(paid - owed, nothing), max(owed - paid, nothing)
    steps.append(step("Still to pay", "", due) if due else step("To be paid back", "", refund))
    return Cancellation(earned, kept, refund, due, tuple(steps))


def _share_given_back(days: int, term: int, method: CancellationMethod, table: ShortRateTable) -> Fraction:
    match method:
        case CancellationMethod.FLAT:
            return Fraction(1)
        case CancellationMethod.PRO_RATA:
            return Fraction(term - days, term)
        case CancellationMethod.SHORT_RATE_90:
            return Fraction(9 * (term - days), 10 * term)
    if days == 0:
        return Fraction(1)
    for first, last, percent in table:
        if first <= days <= last:
            return 1 - Fraction(percent) / 100
    raise RuleBroken(f"The short-rate table has no row for {days} days in force.", field="effective_on")

"""What can happen to a policy, what the calendar makes of it, and what a part of its term is worth."""

from datetime import date
from enum import StrEnum

from ..core.dates import Basis, share_of_period
from ..core.errors import RuleBroken
from ..core.lifecycle import Lifecycle
from ..core.money import Money
from ..core.words import Words


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

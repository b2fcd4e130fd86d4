"""What keeps a person from being erased, what is kept for how long, and what is odd about somebody's access."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from ..core.dates import add_months, in_words, last_day
from ..core.lifecycle import Lifecycle
from ..core.words import Words


class ErasureStatus(StrEnum):
    """How far a request to erase a person has come."""

    REQUESTED = "requested"
    DONE = "done"
    DECLINED = "declined"


ERASURE_LIFECYCLE = Lifecycle(
    "erasure",
    ErasureStatus.REQUESTED,
    {
        (ErasureStatus.REQUESTED, "approve"): ErasureStatus.DONE,
        (ErasureStatus.REQUESTED, "decline"): ErasureStatus.DECLINED,
    },
    nouns={ErasureStatus.DONE: "an erasure that is done"},
)
ERASURE_WORDS = {
    ErasureStatus.REQUESTED: Words("warn", "Waits for a decision", "We are looking at it"),
    ErasureStatus.DONE: Words("ok", "Erased", "Erased"),
    ErasureStatus.DECLINED: Words("neu", "Declined", "Declined"),
}


# What keeps a person from being erased


class Hindrance(StrEnum):
    """Why a person cannot be erased yet."""

    COVER = "cover"
    CLAIM = "claim"
    INVOICE = "invoice"
    CREDIT = "credit"
    PAYMENT = "payment"
    PAYOUT = "payout"
    STAFF = "staff"


def hindrance(kind: Hindrance, name: str, until: date | None) -> str:
    """A reason in words; `name` is the record's number, `until` when its cover ends."""
    match kind:
        case Hindrance.COVER:
            assert until
            return f"Policy {name} gives cover until {in_words(last_day(until))}."
        case Hindrance.CLAIM:
            return f"Claim {name} is open." if name else "A claim is drafted: file it or withdraw it."
        case Hindrance.INVOICE:
            return f"Invoice {name} is not paid."
        case Hindrance.CREDIT:
            return f"There is credit on policy {name}, which is to be paid back first."
        case Hindrance.PAYMENT:
            return f"A payment on policy {name} is on its way."
        case Hindrance.PAYOUT:
            return f"A payment out is on its way, or still to be made: {name}."
    return "This person signs in as staff. Let their account be a customer's first."


# For how long what is kept


@dataclass(frozen=True)
class Span:
    """A time after which something goes."""

    years: int = 0
    days: int = 0

    @property
    def in_words(self) -> str:
        """The span as the table says it."""
        number, unit = (self.years, "year") if self.years else (self.days, "day")
        return f"{number} {unit}{'s' * (number != 1)}"

    def before(self, day: date) -> date:
        """The day by which what is over on a day had begun."""
        return add_months(day, -12 * self.years) - timedelta(days=self.days)


@dataclass(frozen=True)
class Rule:
    """One line of the retention table; the night keeps it."""

    what: str
    keep: Span
    since: str
    then: str
    ground: str

    @property
    def kept(self) -> str:
        """How long it is kept, as the table says it."""
        return f"{self.keep.in_words} after {self.since}" if self.keep != Span() else f"until {self.since} is over"


SECURITY = "security of the sign-in"
SERVICE = "its purpose is over"
LEGAL_YEARS = 10
LEGAL = "commercial and tax law; limitation of claims"
RULES = {
    "quotes": Rule("Quotes never bound", Span(years=2), "they were good for the last time", "deleted", SERVICE),
    "registrations": Rule(
        "Registrations never confirmed", Span(days=30), "they were made", "name and address cleared", SERVICE
    ),
    "links": Rule("Mailed links", Span(days=30), "they were good for the last time", "deleted", SECURITY),
    "sessions": Rule("Sessions with address and browser", Span(years=1), "their end", "deleted", SECURITY),
    "tries": Rule("Wrong passwords and codes", Span(days=30), "the try", "deleted", SECURITY),
    "kept_forms": Rule("Forms kept while signing in again", Span(days=1), "they were sent", "deleted", SERVICE),
    "screenshots": Rule("Screenshots with feedback", Span(years=1), "they were sent", "deleted", SERVICE),
    "visitors": Rule("Network addresses with feedback", Span(days=30), "it was sent", "cleared", SECURITY),
    "mails": Rule(
        "What mails said", Span(years=1), "they were written", "cleared; to whom and when stays", "proof of notice"
    ),
    "webhooks": Rule(
        "What the card gateway told us", Span(years=1), "it came", "cleared, but for its status", "disputes of cards"
    ),
    "files": Rule(
        "Claims' photos and papers of erased persons", Span(), "the legal period", "deleted", LEGAL
    ),
    "claims": Rule(
        "Words and payees in claims of erased persons", Span(), "the legal period", "cleared", LEGAL
    ),
    "documents": Rule("Archived PDFs of erased persons", Span(), "the legal period", "deleted", LEGAL),
}  # fmt: skip
"""What the night clears away, by the name of the query that finds it. No span: the legal period says when."""


@dataclass(frozen=True)
class Kept:
    """What no night clears away: how long it is kept, and why."""

    what: str
    until: str
    ground: str


KEPT = (
    Kept(
        "Policies, invoices, payments, receipts, payments out, ledger",
        f"{LEGAL_YEARS} years after the year of the last entry, under a pseudonym once the person is erased",
        LEGAL,
    ),
    Kept("Documents as they were issued", "as long as the ledger; their data cannot be changed afterwards", LEGAL),
    Kept(
        "Claims with their history, photos and papers", f"{LEGAL_YEARS} years after the year of the last entry", LEGAL
    ),
    Kept(
        "Mandates and orders to the bank, as they were signed and approved; its statements",
        "as long as the ledger",
        LEGAL,
    ),
    Kept("Audit trail", "as long as the installation: entries are chained", "accountability"),
    Kept("Answers to programs", "7 days", SERVICE),
    Kept("Backups", "30 days, or as `backup prune` is told", "security of the records"),
    Kept("Logs", "as your platform is told; faults ten files of 10 MB", SECURITY),
)
MUST_STAY = KEPT[:5]
"""What stays when a person is erased."""


def keep_until(last_day_of_business: date) -> date:
    """The last day on which the law asks for the records of a person: at the end of a year."""
    return date(last_day_of_business.year + LEGAL_YEARS, 12, 31)


def retention_table() -> str:
    """The table for the documentation."""
    rows = [f"| {rule.what} | {rule.kept} | {rule.then} | {rule.ground} |" for rule in RULES.values()]
    rows += [f"| {kept.what} | {kept.until} | not by the night | {kept.ground} |" for kept in KEPT]
    return "\n".join(["| what | kept | then | why so long |", "|---|---|---|---|", *rows])


# Who has access

UNUSED_DAYS, DORMANT_DAYS, REVIEW_DAYS = 90, 180, 90


@dataclass(frozen=True)
class Key:
    """A program's key of a member of staff."""

    name: str
    scopes: Sequence[str]
    expires_on: date
    used_on: date | None

    @property
    def in_words(self) -> str:
        """The key on one line."""
        return f"{self.name}: {', '.join(self.scopes)}, until {in_words(self.expires_on)}"


@dataclass(frozen=True)
class Access:
    """What a member of staff can do, and what is known of it. Days are civil ones."""

    id: int
    name: str
    email: str
    role: str
    active: bool
    authority_minor: int
    wide_sight: bool
    two_step: bool
    approves_own: bool
    created_on: date
    created_by: str
    signed_in_on: date | None
    role_changed_on: date | None
    customers: int
    sessions: int
    keys: Sequence[Key]

    def flags(self, today: date) -> list[str]:
        """What a review should look at."""
        found = []
        if not self.active:
            return ["deactivated, but has keys"] if self.keys else []
        idle = (today - (self.signed_in_on or self.created_on)).days
        if idle > DORMANT_DAYS:
            found.append("dormant")
        if idle > UNUSED_DAYS:
            found.append(f"not signed in for {UNUSED_DAYS} days" if self.signed_in_on else "never signed in")
        if not self.two_step:
            found.append("no second step")
        if self.approves_own:
            found.append("can approve own payouts up to the limit")
        found += [f"key never used: {key.name}" for key in self.keys if key.used_on is None]
        return found

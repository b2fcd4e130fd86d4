"""Where cards are charged. Without keys of a real gateway, the labelled test gateway serves.

A gateway is asked outside of transactions only. What it says comes back as an Answer; no answer is Unreachable, after
which nobody may charge again before the gateway was asked what became of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from ...core.db import db
from ...core.money import Money
from ..models import Autopay, Payment

Asked = TypeVar("Asked", Payment, Autopay)


class Outcome(StrEnum):
    """What has become of a payment at the gateway."""

    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Answer:
    """What the gateway says of a payment; `charge_id` is its own name for the charge."""

    outcome: Outcome
    charge_id: str | None = None


@dataclass(frozen=True)
class Page:
    """A page of the gateway's to send a payer to, and its name for it."""

    url: str
    id: str | None = None


@dataclass(frozen=True)
class Method:
    """A saved way to pay: the gateway's names for it and its owner, and words that the owner knows it by."""

    payer_id: str
    method_id: str
    label: str


class Unreachable(Exception):  # noqa: N818 (it says what we know: nothing)
    """The gateway did not answer, so it may have done what it was asked, or not."""


class Gateway(Protocol):
    """What every gateway can do."""

    label: str

    def page(self, payment: Payment) -> Page:
        """Where the payer goes to pay; the same page however often it is asked for."""

    def ask(self, payment: Payment) -> Answer:
        """What has become of a payment."""

    def close(self, payment: Payment) -> None:
        """Let nobody pay on the page any more."""

    def page_to_save(self, autopay: Autopay) -> Page:
        """Where the payer goes to save a method for later."""

    def saved(self, page_id: str) -> Method | None:
        """The method that was saved on a page, if one was."""

    def charge(self, payment: Payment, autopay: Autopay, key: str) -> Answer:
        """Charge a saved method, once for each `key`."""

    def refund(self, payment: Payment, amount: Money, key: str) -> str | None:
        """Pay an amount back to the card, once for each `key`: the gateway's name for that; None if it refuses."""


def current() -> Gateway | None:
    """The gateway that serves here, if any."""
    from .stripe import Stripe
    from .test import TestGateway

    return next((gateway() for gateway in (Stripe, TestGateway) if gateway.serves()), None)


def on_its_own(row: Asked) -> Asked:
    """The row as it is now, with no transaction open: so it goes to the gateway."""
    db.session.refresh(row)
    db.session.expunge(row)
    db.session.rollback()
    return row

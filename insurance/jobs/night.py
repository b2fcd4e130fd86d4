"""What a new day brings, step by step, each of them safe to repeat, and to run beside itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from ..api import idempotency
from ..billing import queries as billing_queries
from ..billing.services import dunning
from ..billing.services import invoices as billing
from ..core.permissions import SYSTEM
from ..payments import queries as payment_queries
from ..payments import services as payments
from ..payments.services import autopay, direct_debit
from ..policies import queries as policy_queries
from ..policies import services as policies
from ..privacy.services import retention

Ids = Sequence[int] | None
"""Some of what a step goes through, or None: all that there is."""
CHUNK = 200


@dataclass(frozen=True)
class Step:
    """One step: how it is done, what is said of it, and in which chunks workers may share it; in one if not told."""

    act: Callable[[date, Ids], int]
    done: str
    chunks: Callable[[date], Iterable[Ids]] = lambda _on: [None]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + CHUNK] for first in range(0, len(ids), CHUNK))


def _send_notices(on: date, among: Ids) -> int:
    notice_days = partial(policy_queries.notice_days, day=on)
    spared = payment_queries.accounts_with_payments_on_their_way()
    return dunning.send_notices(on=on, notice_days=notice_days, spared=spared, actor=SYSTEM, among=among)


def _to_dun(on: date) -> Iterator[Sequence[int]]:
    for ladder, of in billing_queries.ladders():
        yield from billing_queries.accounts_to_dun(on, ladder, of)


def _lapse(on: date, among: Ids) -> int:
    spared = payment_queries.accounts_with_payments_on_their_way()
    return policies.lapse_unpaid(on=on, spared=spared, among=among)


STEPS = {
    "calendar": Step(
        lambda on, _among: policies.follow_calendar(on=on),
        "policies and quotes followed the calendar",
    ),
    "invoices": Step(
        lambda on, among: billing.issue_all_due(on=on, actor=SYSTEM, among=among),
        "invoices issued",
        billing_queries.accounts_to_bill,
    ),
    "credit": Step(
        lambda _on, among: payments.apply_all_credit(among),
        "accounts had their credit used",
        lambda _on: _chunks(payment_queries.accounts_with_usable_credit()),
    ),
    "debits": Step(lambda on, _among: direct_debit.collect_due(on=on), "direct debits begun"),
    "announcements": Step(lambda on, _among: autopay.announce(on=on), "charges announced"),
    "autopay": Step(
        lambda on, among: autopay.charge_due(on=on, among=among),
        "invoices charged by autopay",
        lambda on: _chunks([invoice_id for invoice_id, _ in payment_queries.due_for_autopay(on)]),
    ),
    "notices": Step(
        _send_notices,
        "notices sent",
        _to_dun,
    ),
    "lapses": Step(
        _lapse,
        "policies lapsed",
        lambda on: _chunks(billing_queries.accounts_to_lapse(on)),
    ),
    "retention": Step(lambda on, _among: retention.run(on), "records cleared away whose time was over"),
    "answers": Step(lambda _on, _among: idempotency.forget(), "answers to programs forgotten"),
}
"""The steps in their order, by the name that their chunks are kept under."""

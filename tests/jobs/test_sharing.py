"""A night that workers share: the same steps in the same order, each chunk once, whoever does it."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from insurance.billing.domain import PaymentPlan
from insurance.billing.models import Invoice
from insurance.core import clock
from insurance.core.db import db
from insurance.jobs import night, queries, services, sharing
from insurance.jobs.models import JobRun, NightChunk
from insurance.operations import verify
from tests import factories
from tests.conftest import TODAY
from tests.races import together

DAY = date(2026, 6, 20)


STEPS = ["calendar", "invoices", "debits", "announcements", "notices", "retention", "answers"]
"""Those with something to go through, and those that are one piece, whatever there is."""


class Hands:
    """Chunks before the workers, in the order in which they came."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.steps: list[str] = []

    def share(self, chunk_ids: Sequence[int]) -> None:
        self.waiting += chunk_ids
        self.steps.append(db.session.get_one(NightChunk, chunk_ids[0]).step)

    def work(self) -> None:
        while self.waiting:
            sharing.do(self.waiting.pop(0), self.share)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insurance.billing.queries.items.CHUNK", 2)
    monkeypatch.setattr("insurance.billing.queries.dunning.CHUNK", 2)


def _book() -> None:
    for _ in range(5):
        factories.bound_policy(plan=PaymentPlan.MONTHLY)
    factories.bound_policy(start_on=TODAY + timedelta(days=1))


def _invoices() -> int:
    return db.session.scalar(select(func.count()).select_from(Invoice))


def test_a_shared_night_says_and_does_what_one_worker_would(app, hands: Hands) -> None:
    _book()
    with clock.at(DAY):
        sharing.begin(DAY, hands.share)
        assert not queries.has_run("nightly", DAY)
        hands.work()
        [run] = db.session.query(JobRun)
        assert hands.steps == STEPS
        assert run.result.startswith("1 policies and quotes followed the calendar; 5 invoices issued; 0 accounts")
        assert queries.has_run("nightly", DAY)
        assert db.session.query(NightChunk).count() == 0
        count = _invoices()
        services.run_nightly(DAY, lambda _: None)
        assert _invoices() == count
    assert [result.violations for result in verify.run() if result.violations] == []


def test_a_night_is_begun_once_and_goes_on_where_it_was(app, hands: Hands) -> None:
    _book()
    with clock.at(DAY):
        sharing.begin(DAY, hands.share)
        sharing.begin(DAY, hands.share)
        assert len(hands.waiting) == 1
        sharing.do(hands.waiting.pop(), hands.share)
        sharing.begin(DAY, hands.share)
        assert len(hands.waiting) == 3
        hands.work()
        sharing.begin(DAY, hands.share)
    assert hands.waiting == []
    assert db.session.query(JobRun).count() == 1


def test_chunks_that_are_done_twice_and_at_once_have_their_effect_once(app, hands: Hands) -> None:
    _book()
    before = _invoices()
    with clock.at(DAY):
        sharing.begin(DAY, hands.share)
        while hands.waiting:
            chunks, hands.waiting = hands.waiting, []
            # Again and at the same time, as if those who did them had been taken for dead.
            together(app, [lambda chunk=chunk: sharing.do(chunk, hands.share) for chunk in chunks * 3])
    assert hands.steps == STEPS
    assert _invoices() == before + 5
    [run] = db.session.query(JobRun)
    assert run.finished_at
    assert [result.violations for result in verify.run() if result.violations] == []


def test_a_chunk_that_fails_keeps_the_next_step_waiting_until_it_is_done(app, hands: Hands, monkeypatch) -> None:
    _book()
    with clock.at(DAY):
        sharing.begin(DAY, hands.share)
        sharing.do(hands.waiting.pop(), hands.share)
        first, *others = hands.waiting
        hands.waiting = others
        whole = night.STEPS["invoices"]
        monkeypatch.setitem(night.STEPS, "invoices", night.Step(lambda _on, _among: 1 // 0, "invoices issued"))
        with pytest.raises(ZeroDivisionError):
            sharing.do(first, hands.share)
        monkeypatch.setitem(night.STEPS, "invoices", whole)
        hands.work()
        assert hands.steps == ["calendar", "invoices"]
        sharing.do(first, hands.share)
        hands.work()
        assert hands.steps == STEPS

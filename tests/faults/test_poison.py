"""Work that always fails keeps nothing else from being done, and is not tried without a pause."""

import os
from datetime import timedelta

import pytest
from flask import Flask

from insurance.core import clock, outbox
from insurance.core.db import db, transaction
from insurance.core.outbox import MailStatus
from insurance.jobs import services as jobs
from insurance.jobs import worker
from insurance.jobs.models import JobRun
from insurance.messages import services as messages
from insurance.policies import services as policies
from tests.faults.experiment import in_child, violations

pytestmark = pytest.mark.fault


def order(*names: str) -> list[int]:
    """Mails to be sent, each to somebody."""
    with transaction():
        mails = [
            outbox.enqueue("already_registered", to=f"{name}@example.com", name=name, reset_url="x") for name in names
        ]
    return [mail.id for mail in mails]


def statuses(ids: list[int]) -> list[MailStatus]:
    db.session.rollback()
    return [db.session.get_one(outbox.Mail, mail_id).status for mail_id in ids]


@pytest.mark.sqlite_only
def test_a_mail_that_kills_the_worker_takes_no_other_along_and_is_given_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends in the midst of it, as if the kernel had killed it."""
    poison, *others = order("poison", "a", "b")
    send = messages._deliver
    monkeypatch.setattr(messages, "_deliver", lambda mail_id: os._exit(9) if mail_id == poison else send(mail_id))
    start = clock.now()
    for number in range(len(messages.RETRY_AFTER) + 2 + len(others)):  # each death costs the others nothing more
        monkeypatch.setattr(clock, "now", lambda number=number: start + number * messages.LEASE * 1.1)
        in_child(app, messages.deliver_due)
    assert statuses([poison]) == [MailStatus.DEAD]
    assert statuses(others) == [MailStatus.KEPT] * 2


def test_a_night_that_fails_is_noted_tried_again_after_a_pause_and_keeps_no_mail_waiting(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def fails(**_: object) -> int:
        tries.append(1)
        raise ZeroDivisionError("a policy that cannot be billed")

    monkeypatch.setattr(policies, "follow_calendar", fails)
    [mail] = order("maria")
    assert worker.round_of_work(app)
    for _ in range(3):
        assert not worker.round_of_work(app)
    assert len(tries) == 1
    assert statuses([mail]) == [MailStatus.KEPT]
    [run] = db.session.query(JobRun)
    assert (run.result, run.finished_at) == ("failed: a policy that cannot be billed", None)

    later = clock.now() + jobs.NIGHT_PAUSE
    monkeypatch.setattr(clock, "now", lambda: later)
    worker.round_of_work(app)
    assert len(tries) == 2
    monkeypatch.undo()
    monkeypatch.setattr(clock, "now", lambda: later + jobs.NIGHT_PAUSE)
    worker.round_of_work(app)
    assert [bool(run.finished_at) for run in db.session.query(JobRun).order_by(JobRun.id)] == [False, False, True]
    assert violations() == []


@pytest.mark.sqlite_only
def test_a_kind_of_work_that_always_fails_stops_no_other_and_lengthens_the_pause(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses grow up to the longest, and are short again when all is well."""
    [mail] = order("maria")
    monkeypatch.setattr(worker.services, "run_backup", lambda *_: 1 / 0)
    monkeypatch.setattr(worker.documents, "archive_due", lambda: 1 / 0)
    with pytest.raises(ExceptionGroup) as fault:
        worker.round_of_work(app)
    assert len(fault.value.exceptions) == 2
    assert statuses([mail]) == [MailStatus.KEPT]

    pauses: list[float] = []

    class Stop:
        def is_set(self) -> bool:
            return len(pauses) == 8

        def wait(self, seconds: float) -> None:
            pauses.append(seconds)

    def round_of_work(*_: object) -> bool:
        if len(pauses) < 6:
            raise ConnectionError("no database")
        return False

    monkeypatch.setattr(worker.threading, "Event", Stop)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker, "round_of_work", round_of_work)
    worker.work(app, lambda: None)
    assert pauses == [2, 4, 8, 16, 30, 30, 1, 1]


@pytest.mark.sqlite_only
def test_mails_that_wait_degrade_the_system_and_take_no_web_process_out_of_service(app: Flask) -> None:
    browser = app.test_client()
    assert browser.get("/readyz").json["status"] == "ok"
    [mail] = order("maria")
    with transaction():
        db.session.get_one(outbox.Mail, mail).due_at -= timedelta(hours=2)
    waiting = browser.get("/readyz")
    assert (waiting.status_code, waiting.json["status"]) == (200, "degraded")
    assert "an hour" in waiting.json["checks"]["outbox"]
    with transaction():
        db.session.get_one(outbox.Mail, mail).status = MailStatus.DEAD
    assert browser.get("/readyz").json["status"] == "ok"  # what nobody will send again does not wait

"""A disk that takes no more: people are told in words, nothing is half written, and with room again all goes on.

The kernel refuses files beyond a size, as a full disk refuses every one.
"""

import hashlib
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from insurance.core import clock
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.documents import services as documents
from insurance.documents.models import StoredFile
from insurance.payments.models import Payment, Receipt
from tests import factories
from tests.faults.experiment import times, violations

pytestmark = [pytest.mark.fault, pytest.mark.sqlite_only]


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let this process write no file beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def database_size() -> int:
    """As large as the largest of the database's files is, once its log is emptied and free pages are given back."""
    path = Path(db.engine.url.database or "")
    with closing(sqlite3.connect(path, isolation_level=None)) as direct:
        direct.execute("VACUUM")
        direct.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return max(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


def test_payments_on_a_full_disk_are_refused_whole_and_taken_when_there_is_room(app: Flask) -> None:
    account = factories.bound_policy().account_id
    browser = factories.browser(factories.user(Role.ADMIN))
    path = f"/payments/new?account={account}"

    def pay(number: int) -> tuple[int, str]:
        form = {"key": f"k{number}", "amount": "1.00", "method": "cash", "paid_on": str(clock.today())}
        answer = browser.post(path, data=form)
        return answer.status_code, answer.text

    tried = times(25, 200)
    db.session.remove()
    with no_file_beyond(database_size() + 64 * 1024):
        answers = [pay(number) for number in range(tried)]
    taken = [number for number, (status, _) in enumerate(answers) if status == 303]
    refused = [text for status, text in answers if status != 303]
    assert taken
    assert refused, "there was room for all of them"
    assert all("Nothing was changed" in text for text in refused)
    assert (db.session.query(Payment).count(), db.session.query(Receipt).count()) == (len(taken), len(taken))
    assert violations() == []
    assert {pay(number)[0] for number in range(tried)} == {303}  # the same keys: each is there once in the end
    db.session.rollback()
    assert db.session.query(Payment).count() == tried
    assert violations() == []


@dataclass
class Photo:
    """An upload that was checked."""

    name: str
    content_type: str
    data: bytes
    sha256: str


def test_an_upload_that_finds_no_room_leaves_neither_file_nor_row(app: Flask) -> None:
    agent = factories.user(Role.AGENT)
    data = os.urandom(2_000_000)
    photo = Photo("door.png", "image/png", data, hashlib.sha256(data).hexdigest())
    db.session.remove()
    with no_file_beyond(1_500_000), pytest.raises(OSError, match="too large"):
        documents.store(photo, actor=agent)
    assert list(documents.folder().iterdir()) == []
    assert db.session.query(StoredFile).count() == 0
    assert violations() == []
    assert documents.read(documents.store(photo, actor=agent)) == data
    assert violations() == []


def test_the_database_says_that_it_is_full_and_not_that_it_is_locked(app: Flask) -> None:
    db.session.remove()

    def fill() -> None:
        for _ in range(50):
            factories.customer()

    with no_file_beyond(database_size()), pytest.raises(OperationalError) as fault:
        fill()
    assert "locked" not in str(fault.value.orig)
    db.session.rollback()
    assert violations() == []

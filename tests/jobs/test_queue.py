"""The queue on PostgreSQL: tasks come with the transaction that wants them, and admins see them."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest
from flask import Flask
from sqlalchemy import text

from insurance.admin.views.records import TASK_WORDS
from insurance.core.db import db, transaction
from insurance.jobs import queue
from tests import factories


@pytest.fixture
def queued(app: Flask) -> Iterator[Flask]:
    """The application with the queue in use."""
    app.config["JOBS_ENGINE"] = "procrastinate"
    yield app
    app.config["JOBS_ENGINE"] = "embedded"
    db.session.rollback()
    with transaction() as session:
        session.execute(text("DELETE FROM procrastinate_jobs"))


def waiting() -> list[dict]:
    db.session.rollback()
    return list(db.session.scalars(text("SELECT args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")))


@pytest.mark.postgresql_only
def test_chunks_come_into_the_queue_with_their_transaction_or_not_at_all(queued: Flask) -> None:
    with transaction(keep=False):
        queue.share([1, 2])
    assert waiting() == []
    with transaction():
        queue.share([1, 2])
    assert waiting() == [{"chunk_id": 1}, {"chunk_id": 2}]


@pytest.mark.postgresql_only
def test_admins_see_what_waits(queued: Flask) -> None:
    admin = factories.browser(factories.user("admin"))
    assert "Nothing waits." in admin.get("/admin/jobs").text
    with transaction():
        queue.share([1, 2])
    page = admin.get("/admin/jobs").text
    assert "0 workers at work" in page
    assert "Parts of a night" in page
    assert '<td class="num" data-label="Waiting">2</td>' in page


def test_every_task_has_words_for_admins() -> None:
    assert set(queue.tasks.tasks) == set(TASK_WORDS)


def test_the_package_is_the_one_whose_schema_the_migration_makes() -> None:
    """Upgrading procrastinate? docs/scaling.md says how its own migrations come into ours."""
    assert version("procrastinate") == "3.10.0"

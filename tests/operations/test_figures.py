"""/metrics: who may see it, what it says, and what it costs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from insurance.core import clock, outbox
from insurance.core.db import add, transaction
from insurance.core.metrics import Metrics
from insurance.core.outbox import MailStatus
from insurance.jobs import services as jobs
from insurance.jobs.models import JobRun
from insurance.operations import figures
from tests import factories

MOST_STATEMENTS = 8


def read(text: str) -> dict[tuple[str, ...], float]:
    """Each figure by its name and the values of its labels, sorted by label."""
    return {
        (sample.name.removeprefix("insurance_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: FlaskClient, **headers: str) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return read(answer.text)


@contextmanager
def statements() -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context.compiled is not None:
            asked.append(statement)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "after_cursor_execute", note)


def test_it_says_how_business_and_work_stand(app: Flask, client: FlaskClient) -> None:
    policy = factories.bound_policy()
    invoice = factories.first_invoice(policy)
    now = clock.now()
    with transaction():
        invoice.due_on = clock.today() - timedelta(days=3)
        mails = [outbox.enqueue("reset", to="somebody@example.com") for _ in range(3)]
        mails[0].due_at = now - timedelta(minutes=10)
        mails[1].attempts, mails[1].due_at = 1, now + timedelta(minutes=5)
        mails[2].status = MailStatus.DEAD
        hour = timedelta(hours=1)
        add(JobRun(name="backup", for_day=now.date(), started_at=now - 2 * hour, finished_at=now - hour))
        add(JobRun(name="backup", for_day=now.date(), started_at=now - hour))
    jobs.beat("a worker")
    with statements() as asked:
        said = scrape(client)
    assert len(asked) <= MOST_STATEMENTS
    assert said["database_up",] == 1
    assert said["policies", "active"] == 1
    assert said["invoices", "open"] == said["invoices", "overdue"] == 1
    assert said["receivable", "USD", "overdue"] == invoice.total_minor / 100
    assert (said["outbox_mails", "failed"], said["outbox_mails", "dead"]) == (1, 1)
    assert 600 <= said["outbox_age_seconds",] < 660
    assert 3600 <= said["job_age_seconds", "backup"] < 3660
    assert said["job_succeeded", "backup"] == 0
    assert said["workers",] == 1
    assert said["worker_heartbeat_age_seconds",] < 60
    assert said["payments", "unknown"] == 0
    assert said["build_info", "0.1.0"] == 1


def test_requests_are_counted_with_time_and_statements(app: Flask, client: FlaskClient) -> None:
    before = scrape(client)
    client.get("/login")
    client.get("/nowhere")
    client.open("/login", method="BREW")
    client.post("/login", data={"email": "somebody@example.com", "password": "wrong-password-1"})
    after = scrape(client)

    def grown(*figure: str) -> float:
        return after.get(figure, 0) - before.get(figure, 0)

    assert grown("http_requests_total", "accounts.login", "GET", "200") == 1
    assert grown("http_requests_total", "accounts.login", "POST", "422") == 1
    assert grown("http_requests_total", "none", "GET", "404") == 1
    assert grown("http_requests_total", "none", "other", "405") == 1
    assert grown("http_request_seconds_count", "accounts.login", "GET") == 1
    assert grown("database_queries_total", "accounts.login") >= 2
    assert grown("database_seconds_total", "accounts.login") > 0
    assert grown("sign_in_failures_total", "password") == 1


@pytest.mark.sqlite_only
def test_figures_are_for_whoever_knows_the_token_or_sits_at_this_machine(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"}).status_code == 404
    for address in ("203.0.113.5", "10.0.0.7"):
        assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}).status_code == 404
    monkeypatch.setitem(app.config, "METRICS_TOKEN", "a-token-nobody-guesses")
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a-token-nobody-guesses"}):
        assert client.get("/metrics", headers=given).status_code == 404
    right = {"Authorization": "Bearer a-token-nobody-guesses"}
    assert client.get("/metrics", headers=right, environ_overrides={"REMOTE_ADDR": "10.0.0.7"}).status_code == 200


@pytest.mark.sqlite_only
def test_without_a_database_the_processes_figures_are_there_all_the_same(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    client.get("/login")
    monkeypatch.setattr(figures, "_outbox", fail)
    said = scrape(client)
    assert said["database_up",] == 0
    assert said["http_requests_total", "accounts.login", "GET", "200"] >= 1


COUNT = """
import sys
from pathlib import Path
from insurance.core.metrics import Metrics
counted = Metrics(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    counted.requests.labels("page", "GET", 200).inc()
    counted.request_seconds.labels("page", "GET").observe(0.02)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.mark.thorough
def test_what_processes_count_adds_up_and_stays_when_they_are_gone(tmp_path: Path) -> None:
    """Two live, one was killed and one ended; a fifth comes later. No total falls, and no file of the dead is left."""

    def count(times: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", COUNT, str(tmp_path), str(times)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
        return process

    total = """
from pathlib import Path; import sys
from insurance.core.metrics import Metrics
from prometheus_client import CollectorRegistry, generate_latest
registry = CollectorRegistry(); registry.register(Metrics(Path(sys.argv[1])))
print(generate_latest(registry).decode())
"""

    def totals() -> tuple[float, float]:
        ran = subprocess.run([sys.executable, "-c", total, str(tmp_path)], capture_output=True, text=True, check=True)
        said = read(ran.stdout)
        return said["http_requests_total", "page", "GET", "200"], said["http_request_seconds_count", "page", "GET"]

    processes = [count(times) for times in (1, 10, 100)]
    assert totals() == (111, 111)
    processes[0].kill()
    processes[0].communicate()
    processes[1].communicate("")
    assert totals() == (111, 111)
    assert totals() == (111, 111)
    assert len(list(tmp_path.glob("counter_*.db"))) == 2  # of the one that lives, and of all the dead
    processes.append(count(1000))
    assert totals() == (1111, 1111)
    for process in processes[2:]:
        process.communicate("")
    assert totals() == (1111, 1111)
    assert {path.name for path in tmp_path.glob("*.db")} == {"counter_dead.db", "histogram_dead.db"}


def test_tests_count_in_memory(app: Flask) -> None:
    counted: Metrics = app.extensions["metrics"]
    assert counted.folder is None

"""The limit of requests a minute, counted by processes together: in Redis, and each alone while it is away."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis, RedisError

from insurance import create_app
from insurance.core.db import db
from tests.operations.site import free_port

pytestmark = pytest.mark.sqlite_only


class Server:
    """A Redis that can be stopped and frozen."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(folder)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                Redis.from_url(self.url).ping()
                return
            except RedisError:
                time.sleep(0.05)
        raise AssertionError("Redis did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    if shutil.which("redis-server") is None:
        assert not os.environ.get("REQUIRE_REDIS"), "redis-server is required here"
        pytest.skip("no redis-server")
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def processes(app: Flask, redis: Server) -> Iterator[list[Flask]]:
    """Two web processes of one installation."""
    configured = {**app.config, "REDIS_URL": redis.url, "API_REQUESTS_PER_MINUTE": 5}
    made = [create_app(configured) for _ in range(2)]
    yield made
    for process in made:
        with process.app_context():
            db.engine.dispose()


def ask(process: Flask) -> tuple[int, int]:
    """A request by a stranger: its status, and how many are left."""
    answer = process.test_client().get("/api/v1/openapi.json")
    return answer.status_code, int(answer.headers["RateLimit-Remaining"])


def test_processes_count_together(processes: list[Flask]) -> None:
    one, other = processes
    seen = [ask(process) for process in (one, other, one, other, one, other, one)]
    assert [left for _, left in seen] == [4, 3, 2, 1, 0, 0, 0]
    assert [status for status, _ in seen] == [200] * 5 + [429] * 2


def test_without_redis_each_counts_alone_at_once_and_together_again_when_it_is_back(
    processes: list[Flask], redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = processes
    assert [ask(one), ask(other)] == [(200, 4), (200, 3)]
    redis.stop()
    began = time.monotonic()
    assert [ask(process)[1] for process in (one, other, one, other)] == [4, 4, 3, 3]
    assert time.monotonic() - began < 1.5
    redis.start()
    monkeypatch.setattr("insurance.api.limits.REDIS_PAUSE", 0)
    assert [ask(one)[1], ask(other)[1]] == [4, 3]


def test_a_redis_that_falls_silent_keeps_one_request_waiting_and_no_more(processes: list[Flask], redis: Server) -> None:
    one, _ = processes
    assert ask(one) == (200, 4)
    redis.process.send_signal(19)  # stopped: it accepts connections and never answers
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert ask(one)[0] == 200
        took.append(time.monotonic() - began)
    assert took[0] < 1
    assert max(took[1:]) < 0.2

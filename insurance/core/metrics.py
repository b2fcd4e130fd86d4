"""Figures that each process counts for itself; `/metrics` adds those of all processes up.

Every process writes files of its own into one folder and holds a lock there for as long as it lives, so that others can
tell when it is gone: what it counted is then added to the files of the dead, and no total ever falls.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: one process, which counts for itself alone
    flock = None  # type: ignore[assignment]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """What is counted. All of it has labels: without, a process would write files before it counts anything."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder if flock is not None else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder)  # the library reads it anew for each file
            values.ValueClass = values.MultiProcessValue(_Presence(self.folder).name)
        self.counted = CollectorRegistry()
        self.requests = self._counter("http_requests", "Requests.", "endpoint", "method", "status")
        self.request_seconds = Histogram(
            "insurance_http_request_seconds",
            "How long requests took.",
            ("endpoint", "method"),
            buckets=SECONDS,
            registry=self.counted,
        )
        self.statements = self._counter("database_queries", "Statements, by the page that asked.", "endpoint")
        self.database_seconds = self._counter("database_seconds", "Time in the database.", "endpoint")
        self.sign_in_failures = self._counter("sign_in_failures", "Wrong passwords, and tries throttled.", "reason")
        self.rounds = self._counter("worker_rounds", "Rounds of the worker: busy, idle or failed.", "outcome")

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"insurance_{name}", says, labels, registry=self.counted)

    def collect(self) -> Iterator[Any]:
        """What all processes have counted."""
        if not self.folder:
            yield from self.counted.collect()
            return
        with _in_turn(self.folder):
            _bury(self.folder)
            everybody = CollectorRegistry()
            MultiProcessCollector(everybody, str(self.folder))
            yield from list(everybody.collect())


def install(app: Flask) -> None:
    """Let the application count; tests count in memory."""
    app.extensions["metrics"] = Metrics(None if app.config["APP_ENV"] == "test" else app.config["METRICS_DIR"])


def of_app() -> Metrics:
    """The metrics of the application at hand."""
    return current_app.extensions["metrics"]


class _Presence:
    """The lock that a process holds while it lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = 0
        self.lock: Any = None

    def name(self) -> str:
        """The process's name among all those that share the folder, of other containers too."""
        pid = os.getpid()
        name = f"{socket.gethostname().replace('_', '-')}-{pid}"
        if pid != self.pid:
            with _in_turn(self.folder):
                lock = open(self.folder / f"{name}.alive", "w")  # noqa: SIM115 (held until the process ends)
                flock(lock, LOCK_EX)
            self.pid, self.lock = pid, lock
        return name


@contextmanager
def _in_turn(folder: Path) -> Iterator[None]:
    with open(folder / "turn", "a") as turn:
        flock(turn, LOCK_EX)
        yield


def _bury(folder: Path) -> None:
    """Add what dead processes have counted to the files of the dead, and delete theirs."""
    for alive in folder.glob("*.alive"):
        with open(alive) as lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                continue
            for path in folder.glob(f"*_{alive.stem}.db"):
                total = MmapedDict(str(folder / f"{path.name.partition('_')[0]}_dead.db"))
                for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(path)):
                    total.write_value(key, total.read_value(key)[0] + value, timestamp)
                total.close()
                path.unlink()
            alive.unlink()

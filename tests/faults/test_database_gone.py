"""PostgreSQL restarted, and connections cut, under load: the site answers again by itself, and nothing is lost."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from insurance.core import clock
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.payments.models import Payment, Receipt
from tests import factories, postgres
from tests.faults.experiment import at_full_strength, times, until, violations
from tests.faults.payers import Payers
from tests.operations.site import Site, free_port
from tests.races import together

pytestmark = pytest.mark.fault

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
TRIES = 60


@pytest.mark.postgresql_only
def test_connections_cut_amid_payments_lose_none_and_double_none(app: Flask) -> None:
    accounts = [factories.bound_policy().account_id for _ in range(4)]
    browsers = [factories.browser(factories.user(Role.ADMIN)) for _ in accounts]
    ended = threading.Event()
    cuts = faults = 0

    def pay(browser: object, account: int | None) -> None:
        nonlocal faults
        for number in range(5):
            form = {"key": f"{account}-{number}", "amount": "1.00", "method": "cash", "paid_on": str(clock.today())}
            for _ in range(TRIES):
                answer = browser.post(f"/payments/new?account={account}", data=form)  # type: ignore[attr-defined]
                if answer.status_code == 303:
                    break
                faults += 1
                time.sleep(0.02)
            else:
                raise AssertionError(answer.text)
        with suppress(OperationalError):  # a connection may be cut while it is given back
            db.session.remove()

    def payer(browser: object, account: int | None) -> Callable[[], None]:
        return lambda: pay(browser, account)

    def cut() -> None:
        nonlocal cuts
        for _ in range(times(4, 12)):
            ended.wait(0.4)
            with db.engine.connect() as connection:
                cuts += len(connection.execute(text(CUT)).all())

    cutting = threading.Thread(target=lambda: [app.app_context().push(), cut()])
    db.session.remove()
    cutting.start()
    try:
        together(app, [payer(browser, account) for browser, account in zip(browsers, accounts, strict=True)])
    finally:
        ended.set()
        cutting.join()
    assert cuts > 0
    assert (db.session.query(Payment).count(), db.session.query(Receipt).count()) == (20, 20)
    assert violations() == []


class Cluster:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        # A server refuses to run as root.
        self.user = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.user, shutil.which(program) or program, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self, how: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", how, "stop")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if not postgres.available() or not shutil.which("initdb"):
        pytest.skip("no PostgreSQL to be had")
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    yield cluster
    cluster.stop("immediate")
    shutil.rmtree(folder)


@at_full_strength
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_server_that_restarts_and_one_that_crashes_under_load_lose_nothing(cluster: Cluster, tmp_path: Path) -> None:
    site = Site(tmp_path, DATABASE_URL=cluster.url).load()
    site.start()
    try:
        payers = Payers(site)
        with payers.paying(4):
            for how in ("fast", "immediate"):
                done = len(payers.answered)
                until(lambda done=done: len(payers.answered) >= done + 10)
                cluster.stop(how)
                time.sleep(1)
                cluster.start()
            done = len(payers.answered)
            until(lambda: len(payers.answered) >= done + 10)
        assert payers.faults
        payers.check()
    finally:
        site.stop_if_running()

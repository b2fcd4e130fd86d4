"""Two web and three worker processes on one PostgreSQL; one of each dies in the midst. Nothing lost, nothing twice."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from flask_migrate import upgrade
from sqlalchemy import make_url

from insurance import create_app
from insurance.core import clock
from insurance.core.db import db
from insurance.demo import portfolio
from insurance.jobs import services as jobs
from insurance.products import services as products
from tests import postgres
from tests.conftest import TODAY, settings
from tests.faults.experiment import until as until_soon
from tests.faults.experiment import verified
from tests.faults.test_mail_server import MailServer, listening
from tests.operations.site import PASSWORD, ROOT, Site, free_port, hidden, send

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not postgres.available(), reason="one machine alone has SQLite"),
]

HALF_A_YEAR = timedelta(days=150)
WORKER = (  # a small book is worth sharing too
    "from insurance.billing.queries import dunning, items; dunning.CHUNK = items.CHUNK = 2\n"
    "from flask.cli import cli; cli.main(['--app', 'wsgi', 'jobs', 'worker'])"
)

until = partial(until_soon, seconds=120)
SENT = "SELECT message_id FROM outbox WHERE status = 'sent'"


class Machines(Site):
    """Processes of several machines that share a PostgreSQL and a folder."""

    def __init__(self, folder: Path, database: str, **settings: str) -> None:
        super().__init__(folder, DATABASE_URL=database, **settings)
        self.database = database
        self.begun: list[subprocess.Popen[bytes]] = []

    def rows(self, statement: str, *values: Any) -> list[tuple]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement, values).fetchall()

    def change(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.database) as connection:
            connection.execute(statement, values)

    def launch(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Begin a process with children of its own."""
        environment = self.environment | settings
        with (self.folder / f"stderr{len(self.begun)}.txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment, stderr=said, start_new_session=True
            )
        self.begun.append(process)
        return process

    def web(self, **settings: str) -> tuple[subprocess.Popen[bytes], str]:
        """A web server and its address."""
        port = free_port()
        return self.launch("-m", "gunicorn", f"--bind=127.0.0.1:{port}", **settings), f"http://127.0.0.1:{port}"

    def finish(self) -> None:
        """Let every process finish what it has in hand."""
        for process in self.begun:
            process.terminate()
        for process in self.begun:
            process.wait(60)

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.begun:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A demo that every test works on a copy of."""
    with postgres.database() as url:
        folder = tmp_path_factory.mktemp("loaded")
        with create_app(settings(url, folder) | {"DEMO_PASSWORD": PASSWORD}).app_context():
            upgrade()
            products.publish_shipped()
            portfolio.load(policies=12, seed=1, if_empty=True)
            with clock.at(TODAY + HALF_A_YEAR):
                jobs.run_nightly(clock.today(), lambda _: None)
            db.session.remove()
            db.engine.dispose()
        yield Machines(folder, url)


@contextmanager
def copied(loaded: Machines, folder: Path, **settings: str) -> Iterator[Machines]:
    """Machines with the same data."""
    template, url = make_url(loaded.database), make_url(loaded.database)
    url = url.set(database=f"{template.database}_copy")
    with psycopg.connect(template.set(database="postgres").render_as_string(False), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {url.database} TEMPLATE {template.database}")
        shutil.copytree(loaded.folder, folder, dirs_exist_ok=True)
        machines = Machines(folder, url.render_as_string(False), **settings)
        try:
            yield machines
        finally:
            machines.end()
            server.execute(f"DROP DATABASE {url.database} WITH (FORCE)")


@contextmanager
def pooler(machines: Machines) -> Iterator[str]:
    """A pgbouncer that gives each transaction another connection; the database's address behind it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    url = make_url(machines.database)
    if program is None or not url.host:
        assert not os.environ.get("REQUIRE_PGBOUNCER"), "pgbouncer is required here"
        yield machines.database
        return
    port = free_port()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    password = f" password={url.password}" if url.password else ""
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={url.host} port={url.port or 5432} user={url.username}{password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 4\n"
    )
    command = [program, *(["-u", "nobody"] if os.getuid() == 0 else []), str(settings)]  # it refuses to be root
    bouncer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        pooled = url.set(host="127.0.0.1", port=port, query={})
        until(lambda: answers(pooled.render_as_string(False)) or bouncer.poll() is not None)
        yield pooled.render_as_string(False)
    finally:
        bouncer.kill()
        bouncer.wait()
        shutil.rmtree(folder)


def answers(database: str) -> bool:
    try:
        psycopg.connect(database).close()
    except psycopg.OperationalError:
        return False
    return True


def serves(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").json()["checks"]["database"] == "ok"
    except httpx.TransportError:
        return False


class People:
    """A customer who pays every invoice that is open, at whichever web server answers."""

    def __init__(self, machines: Machines, urls: list[str]) -> None:
        self.urls = urls
        self.invoices = [
            row[0]
            for row in machines.rows(
                "SELECT i.id FROM invoices i JOIN billing_accounts a ON a.id = i.account_id"
                " JOIN customers c ON c.id = a.customer_id JOIN users u ON u.id = c.user_id"
                " WHERE u.email = 'customer@example.com' AND i.status = 'issued' ORDER BY i.due_on, i.id"
            )
        ]
        with httpx.Client(base_url=urls[0]) as person:
            send(person, "/login", email="customer@example.com", password=PASSWORD)
            self.pages = {number: person.get(f"/portal/pay/{number}").text for number in self.invoices}
            self.cookies = dict(person.cookies)

    def post(self, path: str, form: dict[str, str], first: int) -> str:
        """Send a form until it is answered, as behind a proxy that goes on to the next server; where it leads."""
        for attempt in range(400):
            try:
                url = self.urls[(first + attempt) % len(self.urls)]
                answer = httpx.post(url + path, data=form, cookies=self.cookies, timeout=30)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert answer.status_code == 303, answer.text
            return answer.headers["location"]
        raise AssertionError("never answered")

    def pay(self, number: int, first: int) -> str:
        """From the payment page over the gateway to the result."""
        tokens = {name: hidden(self.pages[number], name) for name in ("csrf_token", "key")}
        gateway = self.post(f"/portal/pay/{number}", tokens, first)
        return self.post(gateway, {"csrf_token": tokens["csrf_token"], "outcome": "accept"}, first)


class Workers:
    """Three workers of the queue. The first has the night to itself until it is killed, so that it is surely at it."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        with psycopg.connect(machines.database) as night:
            night.execute("LOCK TABLE night_chunks")  # which keeps the night from beginning
            self.first = machines.launch("-c", WORKER)
            until(lambda: self._in_hand("night"))
            [(self.name,)] = machines.rows("SELECT id FROM procrastinate_workers")
            self.others = [machines.launch("-c", WORKER) for _ in range(2)]
            until(lambda: machines.value("SELECT count(*) FROM procrastinate_workers") == 3)
            for other in self.others:
                other.send_signal(signal.SIGSTOP)

    def _in_hand(self, task: str) -> int:
        jobs = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND task_name = %s"
        return self.machines.value(jobs, f"insurance:{task}")

    def kill_in_the_midst(self) -> None:
        """Kill the first when it has done what a chunk asks for, and has not noted so yet."""
        until(lambda: self.machines.value("SELECT count(*) FROM night_chunks"))
        with psycopg.connect(self.machines.database) as night:
            night.execute("LOCK TABLE night_chunks IN SHARE ROW EXCLUSIVE MODE")  # which keeps it from noting
            until(lambda: self._in_hand("chunk"))
            os.killpg(self.first.pid, signal.SIGKILL)
            self.first.wait()
        for other in self.others:
            other.send_signal(signal.SIGCONT)
        # The time passes until it is taken for dead.
        dead = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour' WHERE id = %s"
        self.machines.change(dead, self.name)


@pytest.mark.parametrize("engine", ["embedded", "procrastinate"])
def test_machines_die_in_the_midst_and_nothing_is_lost_or_done_twice(
    loaded: Machines, tmp_path: Path, engine: str
) -> None:
    day = TODAY + 2 * HALF_A_YEAR
    port, server = free_port(), MailServer()
    mail = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port), "MAIL_TIMEOUT": "5", "BUSINESS_DATE": str(day)}
    with (
        listening(server, port),
        copied(loaded, tmp_path, JOBS_ENGINE=engine, **mail) as machines,
        pooler(machines) as pooled,
    ):
        (dying, first), (_, second) = [machines.web(DATABASE_URL=pooled) for _ in range(2)]
        until(lambda: serves(first) and serves(second))
        people = People(machines, [first, second])
        assert len(people.invoices) > 3
        receipts = machines.value("SELECT count(*) FROM receipts")
        sent_before = set(machines.rows(SENT))
        with ThreadPoolExecutor(4) as crowd:
            if engine == "procrastinate":
                workers = Workers(machines)
            else:
                some = machines.value("SELECT count(*) FROM invoices") + 2
                dead, *_ = [machines.launch("-c", WORKER) for _ in range(3)]
            paid = [crowd.submit(people.pay, number, turn) for number in people.invoices for turn in (0, 1)]
            until(lambda: any(future.done() for future in paid))
            os.killpg(dying.pid, signal.SIGKILL)
            if engine == "procrastinate":
                workers.kill_in_the_midst()
            else:
                until(lambda: machines.value("SELECT count(*) FROM invoices") >= some)
                os.killpg(dead.pid, signal.SIGKILL)
            results = [future.result() for future in paid]
        assert results[::2] == results[1::2]
        night = "SELECT count(*) FROM job_runs WHERE name = 'nightly' AND for_day = %s AND finished_at IS NOT NULL"
        until(lambda: machines.value(night, day))
        if engine == "procrastinate":
            assert machines.value(night.replace("AND finished_at IS NOT NULL", ""), day) == 1
            assert machines.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'") == 0
        # The time passes until what the dead worker was sending may be sent again.
        machines.change("UPDATE outbox SET leased_until = NULL WHERE status = 'due'")
        until(lambda: not machines.value("SELECT count(*) FROM outbox WHERE status = 'due'"))
        machines.finish()
        assert machines.value("SELECT count(*) FROM receipts") == receipts + len(people.invoices)
        instalments = "SELECT account_id, instalment, count(*) FROM invoices GROUP BY 1, 2 HAVING count(*) > 1"
        assert machines.rows(instalments) == []
        taken = Counter(name for _, name in server.taken)
        assert {(name,) for name in taken} == set(machines.rows(SENT)) - sent_before
        assert max(taken.values()) <= 2, "only what the dead worker had in hand is sent again"
        verified(machines)

"""The system as people run it: real processes on SQLite, real HTTP, and nothing lost whoever is killed."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-demo-password"


class Site:
    """The processes of one installation."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "APP_ENV": "development",
            "DATA_DIR": str(folder),
            "DATABASE_URL": "",
            "PORT": str(self.port),
            "DEMO_PASSWORD": PASSWORD,
            "FLASK_SKIP_DOTENV": "1",
        }
        for arguments in (["db", "upgrade"], ["products", "load"], ["demo", "load", "--policies", "10"]):
            assert self.flask(*arguments).returncode == 0
        self.process: subprocess.Popen[str] | None = None

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "insurance.operations.serve"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(200):
            try:
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the site did not answer")

    def stop(self) -> str:
        """What Ctrl-C does; what was said until then."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[1]

    def processes(self) -> list[int]:
        """All processes that carry this installation's folder in their environment."""
        mark = f"DATA_DIR={self.environment['DATA_DIR']}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # gone, or somebody else's
                continue
        return [pid for pid in found if pid != os.getpid()]

    def web_worker(self) -> int:
        """The process that answers requests: the child of gunicorn's first."""
        for pid in self.processes():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if b"gunicorn" in command and b"gunicorn" in Path(f"/proc/{parent}/cmdline").read_bytes():
                return pid
        raise AssertionError("no web worker")

    def value(self, statement: str) -> int:
        """What a query says that has one answer."""
        with closing(sqlite3.connect(Path(self.environment["DATA_DIR"]) / "insurance.db")) as database:
            return database.execute(statement).fetchone()[0]


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def send(browser: httpx.Client, path: str, **data: str) -> httpx.Response:
    """Open a form and send it."""
    page = browser.get(path).text
    return browser.post(path, data={"csrf_token": hidden(page, "csrf_token"), **data})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start()
    yield site
    if site.process and site.process.poll() is None:
        site.stop()


def test_ctrl_c_stops_every_process_and_the_second_start_takes_seconds(site: Site) -> None:
    assert len(site.processes()) >= 4  # this one, gunicorn and its worker, the job worker
    said = site.stop()
    assert site.processes() == []
    assert all(line.startswith("{") for line in said.splitlines() if line.strip()), said
    began = time.monotonic()
    site.start()
    assert time.monotonic() - began < 20


def test_clients_that_pay_at_once_over_http_lose_nothing_and_pay_nothing_twice(site: Site) -> None:
    """Several browsers pay by form at once, each form sent three times; one is killed in the midst and sent again."""
    account = site.value(
        "SELECT min(a.id) FROM billing_accounts a JOIN customers c ON c.id = a.customer_id"
        " JOIN users u ON u.id = c.agent_id WHERE u.email = 'agent@example.com'"
    )
    path = f"/payments/new?account={account}"
    before = site.value("SELECT count(*) FROM payments")
    with httpx.Client(base_url=site.url) as agent:
        send(agent, "/login", email="agent@example.com", password=PASSWORD)
        pages = [agent.get(path).text for _ in range(10)]
        cookies = dict(agent.cookies)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    forms = [
        {name: hidden(page, name) for name in ("csrf_token", "key")}
        | {"amount": f"{number + 1}.00", "method": "cash", "paid_on": day}
        for number, page in enumerate(pages)
    ]

    def pay(form: dict[str, str]) -> str:
        """Send a form until it is answered, as a browser does whose connection breaks."""
        for _ in range(100):
            try:
                answer = httpx.post(site.url + path, data=form, cookies=cookies, timeout=30)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            assert answer.status_code == 303, answer.text
            return answer.headers["location"]
        raise AssertionError("never answered")

    with ThreadPoolExecutor(8) as people:
        sent = [people.submit(pay, form) for form in forms * 3]
        wait(sent, return_when=FIRST_COMPLETED)
        os.kill(site.web_worker(), signal.SIGKILL)
        answers = [answer.result() for answer in sent]
    assert [answers[at :: len(forms)] for at in range(10)] == [[answers[at]] * 3 for at in range(10)]
    assert len(set(answers)) == 10
    assert site.value("SELECT count(*) FROM payments") - before == 10
    assert site.value("SELECT count(*) FROM receipts") == before + 10
    site.stop()
    verified = site.flask("verify")
    assert verified.returncode == 0, verified.stdout

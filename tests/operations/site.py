"""One installation as people run it: processes of its own, on SQLite in a folder of its own unless told otherwise."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-demo-password"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Site:
    """The processes of one installation. Settings are environment variables."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "APP_ENV": "development",
            "DATA_DIR": str(folder),
            "DATABASE_URL": "",
            "PORT": str(self.port),
            "DEMO_PASSWORD": PASSWORD,
            "FLASK_SKIP_DOTENV": "1",
            **settings,
        }
        self.folder = folder
        self.said = folder / "stderr.txt"
        self.process: subprocess.Popen[str] | None = None

    def load(self, policies: int = 10) -> "Site":
        """Migrate, and load a demo."""
        for arguments in (["db", "upgrade"], ["products", "load"], ["demo", "load", "--policies", str(policies)]):
            self.run(*arguments)
        return self

    def copy(self, folder: Path, **settings: str) -> "Site":
        """A second installation with the same data."""
        return Site(shutil.copytree(self.folder, folder, dirs_exist_ok=True), **settings)

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed; what it printed."""
        ended = self.flask(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command that goes on by itself."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=quiet, stderr=quiet, text=True)

    def start(self) -> None:
        """Start web and worker, and wait until pages are served."""
        command = [sys.executable, "-m", "insurance.operations.serve"]
        # To a file: nobody reads a pipe while the site runs, and a full one would stop it.
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=said, text=True
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
        self.process.wait(timeout=30)
        return self.said.read_text()

    def stop_if_running(self) -> None:
        """Leave no process behind."""
        if self.process and self.process.poll() is None:
            self.stop()

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
        """The process that answers requests: the newest child of gunicorn's first."""
        return max(pid for pid, parent in self._web_processes() if b"gunicorn" in _command(parent))

    def gunicorn(self) -> int:
        """The process that starts and ends those that answer requests."""
        [first] = [pid for pid, parent in self._web_processes() if b"gunicorn" not in _command(parent)]
        return first

    def _web_processes(self) -> list[tuple[int, int]]:
        """Each of gunicorn's processes with the one that started it."""
        web = [pid for pid in self.processes() if b"gunicorn" in _command(pid)]
        stats = {pid: Path(f"/proc/{pid}/stat").read_text() for pid in web}
        return [(pid, int(stat.rpartition(")")[2].split()[1])) for pid, stat in stats.items()]

    def _connect(self) -> Any:
        url = self.environment["DATABASE_URL"]
        return psycopg.connect(url) if url else sqlite3.connect(self.folder / "insurance.db", timeout=30)

    def rows(self, statement: str, *values: Any) -> list[tuple]:
        """What a query says."""
        with closing(self._connect()) as database:
            return database.execute(statement, values).fetchall()

    def value(self, statement: str, *values: Any) -> Any:
        """What a query says that has one answer."""
        return self.rows(statement, *values)[0][0]

    def change(self, statement: str, *values: Any) -> None:
        """Change rows behind the application's back, as only time does otherwise."""
        with closing(self._connect()) as database, database:
            database.execute(statement, values)


def hidden(page: str, name: str) -> str:
    """A hidden field's value in a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def send(browser: httpx.Client, path: str, **data: str) -> httpx.Response:
    """Open a form and send it."""
    page = browser.get(path).text
    return browser.post(path, data={"csrf_token": hidden(page, "csrf_token"), **data})

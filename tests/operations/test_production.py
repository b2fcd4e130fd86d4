"""Production by hand from the files in ops/: proxy, two web processes, two workers, PostgreSQL, Redis, Prometheus."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from aiosmtpd.controller import Controller

from tests import postgres
from tests.faults.test_mail_server import MailServer
from tests.operations.site import ROOT, free_port, hidden
from tests.operations.test_figures import read
from tests.operations.test_files import OPS, expressions

TOKEN = "a-token-nobody-guesses"
PASSWORD = "four-horses-graze-quietly"
TOOLS = ("caddy", "prometheus", "redis-server")

missing = [tool for tool in TOOLS if not shutil.which(tool)] + ([] if postgres.available() else ["PostgreSQL"])
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        bool(missing) and not os.environ.get("REQUIRE_TOOLS"), reason=f"not installed: {', '.join(missing)}"
    ),
]


def until(so: Callable[[], object], seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.05)


class Production:
    """The processes of one installation on ports of its own."""

    def __init__(self, folder: Path, database_url: str, mail_port: int) -> None:
        self.folder = folder
        self.https, self.redis, self.prometheus = free_port(), free_port(), free_port()
        self.web = [free_port(), free_port()]
        self.processes: dict[str, subprocess.Popen[str]] = {}
        for name in ("data", "backups"):
            (folder / name).mkdir(mode=0o700)
        subprocess.run(["sh", OPS / "certificates.sh", folder, "localhost"], check=True)
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "APP_ENV": "production",
            "REQUIRE_TWO_STEP": "false",
            "SECRET_KEY": "4f9d0c1be27a6853f04e9b2c7d815a3e",
            "ENCRYPTION_KEYS": "2026:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
            "DATABASE_URL": database_url,
            "REDIS_URL": f"rediss://localhost:{self.redis}?ssl_ca_certs={self.inside}",
            "PUBLIC_URL": f"https://localhost:{self.https}",
            "TRUSTED_HOSTS": "localhost",
            "TRUSTED_PROXIES": "1",
            "DATA_DIR": str(folder / "data"),
            "BACKUP_DIR": str(folder / "backups"),
            "BACKUP_PASSPHRASE": "five random words for instance",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(mail_port),
            "METRICS_TOKEN": TOKEN,
            "WEB_CONCURRENCY": "2",
            "XDG_DATA_HOME": str(folder / "caddy"),
            "XDG_CONFIG_HOME": str(folder / "caddy"),
            "DOMAIN": "localhost",
            "HTTP_PORT": str(free_port()),
            "HTTPS_PORT": str(self.https),
            "CADDY_ADMIN": "off",
            "UPSTREAMS": " ".join(f"https://localhost:{port}" for port in self.web),
            "UPSTREAM_TLS": f"tls_trusted_ca_certs {self.inside}",
        }

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def begin(self, name: str, *command: str) -> None:
        with self.said(name).open("a") as said:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=said, stderr=said, text=True
            )

    def said(self, name: str) -> Path:
        return self.folder / f"{name}.txt"

    def begin_web(self, number: int) -> None:
        command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{self.web[number]}"]
        certificate = [f"--certfile={self.folder / 'localhost.crt'}", f"--keyfile={self.folder / 'localhost.key'}"]
        self.begin(f"web{number}", *command, *certificate)

    def start(self) -> None:
        """As compose does: what others need first, then all."""
        options = [
            *("--port 0", f"--tls-port {self.redis}", "--tls-auth-clients no", '--save ""', f"--dir {self.folder}"),
            *(f"--tls-cert-file {self.folder}/localhost.crt", f"--tls-key-file {self.folder}/localhost.key"),
            f"--tls-ca-cert-file {self.inside}",
        ]
        self.begin("redis", "redis-server", *options)
        for arguments in (["db", "upgrade"], ["products", "load"]):
            ran = self.flask(*arguments)
            assert ran.returncode == 0, ran.stderr
        for number in (0, 1):
            self.begin_web(number)
            self.begin(f"worker{number}", sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "worker")
        self.begin("caddy", "caddy", "run", "--config", str(OPS / "Caddyfile"), "--adapter", "caddyfile")
        self.begin("prometheus", "prometheus", *self.prometheus_options())
        for number in (0, 1):
            until(lambda number=number: self.answers(self.web[number]))
        until(self.authority.exists)

    def prometheus_options(self) -> list[str]:
        """The repository's configuration, but for where things are and how often they are looked at."""
        settings = (OPS / "prometheus" / "prometheus.yml").read_text()
        settings = settings.replace("web:8000", f"localhost:{self.web[0]}").replace("15s", "1s")
        settings = settings.replace("/trust/authority.crt", str(self.inside))
        settings = settings.replace("alerts.yml", str(OPS / "prometheus" / "alerts.yml"))
        settings = settings.replace("/run/secrets/metrics_token", str(self.folder / "token"))
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "prometheus.yml").write_text(settings)
        return [
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self.prometheus}",
        ]

    @property
    def inside(self) -> Path:
        """The certificate by which those of the installation's own parts are trusted."""
        return self.folder / "authority.crt"

    def ask(self, port: int, path: str, **headers: str) -> httpx.Response:
        """What a web process answers, asked without the proxy."""
        trusted = ssl.create_default_context(cafile=str(self.inside))
        return httpx.get(f"https://localhost:{port}{path}", headers=headers, verify=trusted)

    @property
    def authority(self) -> Path:
        """The certificate by which the proxy's own is trusted."""
        return self.folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def answers(self, port: int) -> bool:
        try:
            return self.ask(port, "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def browser(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(self.authority))
        return httpx.Client(base_url=self.environment["PUBLIC_URL"], verify=trusted, timeout=30)

    def figures(self, number: int = 0) -> dict[tuple[str, ...], float]:
        """What a web process says of all."""
        answer = self.ask(self.web[number], "/metrics", Authorization=f"Bearer {TOKEN}")
        return read(answer.raise_for_status().text)

    def children(self, name: str) -> list[int]:
        task = f"/proc/{self.processes[name].pid}/task/{self.processes[name].pid}/children"
        return [int(pid) for pid in Path(task).read_text().split()]

    def stop(self, *names: str) -> None:
        for name in names:
            self.processes[name].terminate()
        for name in names:
            self.processes.pop(name).wait(60)


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    mail = Controller(MailServer(), hostname="127.0.0.1", port=free_port())
    mail.start()
    with postgres.database() as url:
        site = Production(tmp_path, url, mail.port)
        try:
            site.start()
            yield site
        finally:
            site.stop(*reversed(site.processes))
            mail.stop()


def _the_first_admin_comes_in_by_the_proxy(production: Production) -> None:
    made = production.flask("users", "create", "--role", "admin", "--email", "head@harbor.co", "--name", "Head")
    assert made.returncode == 0, made.stderr
    link = made.stdout.strip()
    assert link.startswith(production.environment["PUBLIC_URL"])
    with production.browser() as browser:
        page = browser.get(link)
        assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        token = hidden(page.text, "csrf_token")
        headers = {"Referer": link}
        sent = browser.post(link, data={"csrf_token": token, "password": PASSWORD}, headers=headers)
        assert sent.status_code == 303, sent.text
        page = browser.get("/login")
        form = {"csrf_token": hidden(page.text, "csrf_token"), "email": "head@harbor.co", "password": PASSWORD}
        sent = browser.post("/login", data=form, headers={"Referer": str(page.url), "X-Forwarded-For": "203.0.113.99"})
        assert sent.status_code == 303, sent.text
        cookies = sent.headers.get_list("set-cookie")
        assert any(re.match(r"__Host-session=.*Secure", cookie) for cookie in cookies)
        assert browser.get(sent.headers["location"]).status_code == 200
        for port in production.web:  # the session holds in every process
            carried = f"__Host-session={browser.cookies['__Host-session']}"
            assert production.ask(port, "/admin", Cookie=carried).status_code == 200
        assert browser.get("/metrics").status_code == 404
        assert browser.get("/healthz").status_code == 200
        plain = f"http://localhost:{production.environment['HTTP_PORT']}"
        led = browser.get(f"{plain}/login")
        assert (led.status_code, led.headers["location"]) == (308, "https://localhost/login")
        assert browser.get(f"{plain}/api/v1/policies").status_code == 403  # nobody sends a key in the clear unseen
    with psycopg.connect(production.environment["DATABASE_URL"]) as database:
        addresses = {row[0] for row in database.execute("SELECT address FROM sign_in_sessions")}
    assert addresses == {"127.0.0.1"}  # not what the client said of itself


def _figures_of_all_processes_add_up_and_a_dead_one_is_not_forgotten(production: Production) -> None:
    login = "http_requests_total", "accounts.login", "GET", "200"
    before = production.figures().get(login, 0)
    with production.browser() as browser, ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: browser.get("/login").status_code, range(40)))
    assert answers == [200] * 40
    assert production.figures(0)[login] - before == production.figures(1)[login] - before == 40
    assert production.figures()["worker_rounds_total", "idle"] > 0  # the job worker counts there too
    victim, *_ = production.children("web1")
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in production.children("web1") and len(production.children("web1")) == 2)
    until(lambda: production.answers(production.web[1]))
    assert production.figures()[login] - before == 40
    assert not list((production.folder / "data" / "metrics").glob(f"*-{victim}.*"))
    assert production.figures()["workers",] == 2


def _a_rolling_restart_fails_nobody(production: Production) -> None:
    over: list[bool] = []

    def visit(_number: int) -> set[int]:
        seen = set()
        with production.browser() as browser:
            while not over:
                seen.add(browser.get("/login").status_code)
                time.sleep(0.02)
        return seen

    with ThreadPoolExecutor(4) as people:
        visits = [people.submit(visit, number) for number in range(4)]
        try:
            for number in (0, 1):
                production.stop(f"web{number}")
                production.begin_web(number)
                until(lambda number=number: production.answers(production.web[number]))
        finally:
            over.append(True)
        assert [visit.result() for visit in visits] == [{200}] * 4


def _prometheus_scrapes_and_every_panel_and_alert_has_an_answer(production: Production) -> None:
    url = f"http://127.0.0.1:{production.prometheus}/api/v1/query"

    def ask(expression: str) -> list:
        answer = httpx.get(url, params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]

    until(lambda: ask('up{job="insurance"} == 1'))
    for expression in expressions():
        ask(expression)
    assert ask("insurance_database_up == 1")
    rules = httpx.get(f"http://127.0.0.1:{production.prometheus}/api/v1/rules").json()["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def _requests_to_the_api_are_counted_for_all_processes_together(production: Production) -> None:
    answers = [production.ask(port, "/api/v1/openapi.json") for port in [*production.web, *production.web]]
    left = [int(answer.headers["RateLimit-Remaining"]) for answer in answers]
    assert left == list(range(left[0], left[0] - 4, -1))


def _the_check_finds_fault_with_nothing_but_what_this_place_lacks(production: Production) -> None:
    for arguments in (["backup", "create"], ["audit", "verify"]):
        ran = production.flask(*arguments)
        assert ran.returncode == 0, (arguments, ran.stdout, ran.stderr)
    checked = {row["check"]: row for row in json.loads(production.flask("check", "--deploy", "--json").stdout)}
    wrong = {name for name, row in checked.items() if row["state"] == "failed"}
    lacks = {"public_name", "mail_sender", "database_password", "free_space", "backup_verified"}
    assert wrong <= lacks, [checked[name] for name in wrong - lacks]


def _everything_that_was_logged_is_json_without_secrets(production: Production) -> None:
    production.stop("worker0")
    for name in ("web0", "web1", "worker0", "worker1"):
        lines = production.said(name).read_text().splitlines()
        assert lines or name.startswith("worker")  # only one of them had the night's work to tell of
        assert all(json.loads(line)["level"] for line in lines)
    every = "".join(path.read_text() for path in production.folder.glob("*.txt"))
    for secret in (PASSWORD, TOKEN, production.environment["SECRET_KEY"], "__Host-session="):
        assert secret not in every
    assert "/invitation/<token>" in every
    errors = production.folder / "data" / "log" / "error.log"
    assert not errors.exists() or '"level": "error"' in errors.read_text()


def test_an_installation_made_of_these_files_serves(production: Production) -> None:
    for experiment in (
        _the_first_admin_comes_in_by_the_proxy,
        _figures_of_all_processes_add_up_and_a_dead_one_is_not_forgotten,
        _a_rolling_restart_fails_nobody,
        _prometheus_scrapes_and_every_panel_and_alert_has_an_answer,
        _requests_to_the_api_are_counted_for_all_processes_together,
        _the_check_finds_fault_with_nothing_but_what_this_place_lacks,
        _everything_that_was_logged_is_json_without_secrets,
    ):
        experiment(production)

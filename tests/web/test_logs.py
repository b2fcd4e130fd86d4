"""What is logged, where it goes, and what never gets there."""

import gzip
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from logging.config import dictConfig
from pathlib import Path

import brotli
import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from insurance.accounts import services as accounts
from insurance.accounts.models import LinkPurpose
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.web import guard, logs, reports
from tests import factories

PASSWORD = "kestrel-canary-Pa55word"
IBAN = "DE89370400440532013000"
CARD = "4242424242424242"
ROOT = Path(__file__).parents[2]
TOKEN = "canary-token-8d7f6e5c4b3a"


@pytest.fixture
def lines(app: Flask) -> Iterator[StringIO]:
    """All that is logged, as production writes it."""
    said = StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logs.JsonLines())
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    app.logger.disabled = False  # what a library's own configuration of logging may have done to it
    yield said
    logging.getLogger().setLevel(level)
    logging.getLogger().removeHandler(handler)


def of(said: StringIO) -> list[dict]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


@pytest.fixture
def faulty(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A page falls over a statement that has secrets in its parameters."""

    def fall() -> str:
        secrets = {"password": PASSWORD, "iban": IBAN, "card": CARD}
        db.session.execute(text("SELECT nothing FROM nowhere WHERE a = :password OR a = :iban OR a = :card"), secrets)
        return ""

    monkeypatch.setitem(app.view_functions, "public.front", guard.public(fall))
    monkeypatch.setitem(app.config, "TESTING", False)
    return app


def test_a_request_is_a_line_with_its_id(app: Flask, client: FlaskClient, lines: StringIO) -> None:
    answer = client.get("/login?next=/portal", headers={"X-Request-ID": "abc123"})
    [line] = of(lines)
    assert answer.status_code == 200
    assert (line["message"], line["path"], line["status"], line["request_id"]) == ("request", "/login", 200, "abc123")
    client.get("/healthz")
    client.get("/metrics")
    assert len(of(lines)) == 1


def test_refusals_are_lines_with_who_and_whence(app: Flask, client: FlaskClient, lines: StringIO) -> None:
    user = factories.user(Role.CUSTOMER)
    client.post("/login", data={"email": "nobody@example.com", "password": PASSWORD})
    client.set_cookie(app.config["SIGN_IN_COOKIE_NAME"], accounts.open_session(user_id=user.id, address="", browser=""))
    assert client.get("/admin").status_code == 403
    warned = [(line["message"], line.get("user"), line["address"]) for line in of(lines) if line["level"] == "warning"]
    assert warned == [("sign-in refused", None, "127.0.0.1"), ("refused", user.id, "127.0.0.1")]
    assert of(lines)[-1]["user"] == user.id


def test_a_fault_has_its_id_in_the_log_and_on_the_page(faulty: Flask, client: FlaskClient, lines: StringIO) -> None:
    answer = client.get("/")
    assert answer.status_code == 500
    [fault] = [line for line in of(lines) if line["level"] == "error"]
    assert f"<strong>{fault['request_id']}</strong>" in answer.text
    assert "nowhere" in fault["exception"]


def test_no_secret_gets_into_the_log(faulty: Flask, client: FlaskClient, lines: StringIO, tmp_path: Path) -> None:
    faulty.config["SLOW_QUERY_MS"], usual = 0, faulty.config["SLOW_QUERY_MS"]
    try:
        user = factories.user(Role.AGENT)
        client.post("/login", data={"email": user.email, "password": PASSWORD})
        for page in ("reset", "invitation", "confirm"):
            client.get(f"/{page}/{TOKEN}")
        client.get("/", headers={"Authorization": f"Bearer {TOKEN}", "Cookie": f"session={TOKEN}"})
        client.get("/api/v1/customers", headers={"Authorization": f"Bearer {TOKEN}"})
        client.post("/api/v1/auth/token", json={"email": user.email, "password": PASSWORD})
        signed_in = factories.browser(user)
        customer = factories.customer(agent=user)
        signed_in.post("/feedback", data={"words": f"My card is {CARD}, my account {IBAN}, my password {PASSWORD}"})
        signed_in.post(f"/customers/{customer.id}/edit", data={"name": IBAN, "phone": CARD})
        signed_in.get("/customers", query_string={"q": IBAN})
    finally:
        faulty.config["SLOW_QUERY_MS"] = usual
    said = lines.getvalue()
    assert len(of(lines)) > 20
    assert "slow query" in said
    assert "/reset/<token>" in said
    for secret in (PASSWORD, IBAN, CARD, TOKEN):
        assert secret not in said


def test_a_slow_query_is_logged_as_it_was_prepared(
    app: Flask, lines: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.session.execute(text("SELECT 1 WHERE 'x' = :secret"), {"secret": PASSWORD})
    assert of(lines) == []
    monkeypatch.setitem(app.config, "SLOW_QUERY_MS", 0)
    db.session.execute(text("SELECT 1 WHERE 'x' = :secret"), {"secret": PASSWORD})
    [line] = [line for line in of(lines) if "SELECT 1" in line.get("statement", "")]
    assert line["level"] == "warning"
    assert PASSWORD not in lines.getvalue()


# Where it goes

WRITE = """
import logging, sys
from logging.config import dictConfig
from pathlib import Path
from insurance.web import logs
logs.FILE_BYTES = int(sys.argv[3])
dictConfig(logs.configuration({"APP_ENV": "production", "LOG_DIR": Path(sys.argv[1]), "LOG_SERVER": ""}))
for number in range(50):
    logging.getLogger("gunicorn.error").error("%s %03d", sys.argv[2], number)
    logging.getLogger("insurance").info("no error")
"""


def write(folder: Path, *names: str, file_bytes: int) -> list[str]:
    commands = [[sys.executable, "-c", WRITE, str(folder), name, str(file_bytes)] for name in names]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [writer.communicate()[1] for writer in writers]
    assert all(writer.returncode == 0 for writer in writers), said
    return said


def test_errors_go_to_a_file_that_several_processes_write_and_rotate(tmp_path: Path) -> None:
    said = write(tmp_path, "one", "two", "three", file_bytes=5000)
    files = [path for path in tmp_path.glob("error.log*") if path.suffix != ".turn"]
    written = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    expected = [f"{name} {number:03d}" for name in ("one", "three", "two") for number in range(50)]
    assert sorted(line["message"] for line in written) == expected
    assert 1 < len(files) <= logs.FILES + 1
    assert all(path.stat().st_size <= 5000 for path in files)
    assert all(json.loads(line)["logger"] == "gunicorn.error" for line in said[0].splitlines())


def line_from(server: socket.socket, context: ssl.SSLContext) -> bytes:
    """What the next client sends over TLS."""
    taken, _ = server.accept()
    with taken, context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False) as encrypted:
        encrypted.do_handshake()
        return encrypted.recv(9999)


def test_a_log_server_gets_each_line_over_tls_and_another_of_its_name_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["sh", ROOT / "ops" / "certificates.sh", tmp_path, "localhost"], check=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "localhost.crt", tmp_path / "localhost.key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        handler = logs.LogServer(f"tls://localhost:{server.getsockname()[1]}")
        handler.setFormatter(logs.JsonLines())
        monkeypatch.setattr(logs, "RETRY_SECONDS", 0.01)
        handler.emit(logging.LogRecord("insurance", logging.WARNING, __file__, 1, "sign-in refused", (), None))
        with pytest.raises(OSError, match="unknown ca"):
            line_from(server, context)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.crt"))
        taken = b""
        while not taken:  # a try that was under way may still not trust it
            with suppress(OSError):
                taken = line_from(server, context)
    assert handler.socket
    handler.socket.close()
    length, _, line = taken.partition(b" ")
    assert int(length) == len(line)
    head, _, message = line.decode().partition(" - - ")
    assert head.startswith("<84>1 2"), "security, a warning"
    assert json.loads(message)["message"] == "sign-in refused"


def test_development_logs_plain_lines_and_no_folder_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = logs.configuration({"APP_ENV": "development", "LOG_DIR": tmp_path / "file" / "log", "LOG_SERVER": ""})
    assert set(made["handlers"]) == {"stderr"}
    kept = logging.getLogger().handlers[:]
    try:
        dictConfig(made)
        formatter = logging.getLogger().handlers[0].formatter
    finally:
        logging.getLogger().handlers[:] = kept
        logging.getLogger("gunicorn.error").handlers.clear()
    assert formatter
    record = logging.LogRecord("insurance", logging.WARNING, __file__, 1, "mail %s is late", (7,), None)
    record.fields = {"ms": 12}
    assert formatter.format(record).endswith("warning mail 7 is late ms=12")


# Sentry


class Inbox(BaseHTTPRequestHandler):
    """A Sentry that takes everything."""

    taken: list[bytes] = []

    def do_POST(self) -> None:
        unpack = {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}[self.headers["Content-Encoding"]]
        self.taken.append(unpack(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        pass


def test_sentry_hears_of_a_fault_and_of_nobody(faulty: Flask, client: FlaskClient) -> None:
    server = HTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    faulty.config["SENTRY_DSN"] = f"http://key@127.0.0.1:{server.server_port}/1"
    user = factories.user(Role.AGENT)
    try:
        reports.install(faulty)
        factories.signed_in(client, user).get(f"/?secret={TOKEN}", headers={"X-Request-ID": "abc123"})
        sentry_sdk.flush(5)
    finally:
        faulty.config["SENTRY_DSN"] = ""
        sentry_sdk.init()  # to nobody
        server.shutdown()
        server.server_close()
    said = b"".join(Inbox.taken).decode()
    assert '"request_id":"abc123"' in said.replace(" ", "")
    assert "OperationalError" in said or "ProgrammingError" in said
    for secret in (PASSWORD, IBAN, CARD, TOKEN, user.email, user.name, '127.0.0.1"', "cookies", "headers"):
        assert secret not in said.partition("\n")[2]


@pytest.mark.sqlite_only
def test_links_are_made_as_the_canaries_say(app: Flask) -> None:
    """The canary above opens the very addresses that mails lead to."""
    rules = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
    for purpose in LinkPurpose:
        assert "<token>" in rules[f"accounts.{purpose}"]
    assert accounts.LINK_LIFE.keys() == set(LinkPurpose)

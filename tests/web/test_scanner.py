"""The virus scanner, played by a fake that speaks clamd's INSTREAM: what it finds is refused, and so is its silence."""

from collections.abc import Iterator
from io import BytesIO
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from PIL import Image

from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.feedback.models import Feedback
from tests import factories

pytestmark = pytest.mark.sqlite_only

# The file that every scanner knows, in two halves, so that none takes this one for it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD" + rb"-ANTIVIRUS-TEST-FILE!$H+H*"


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (300, 200), "navy").save(out, "PNG")
    return out.getvalue()


class Clamd(BaseRequestHandler):
    """Reads one stream in chunks, and says what is in it."""

    def handle(self) -> None:
        stream = self.request.makefile("rb")
        assert stream.read(10) == b"zINSTREAM\0"
        data = b""
        while length := int.from_bytes(stream.read(4), "big"):
            data += stream.read(length)
        self.request.sendall(b"stream: Eicar-Test-Signature FOUND\0" if EICAR in data else b"stream: OK\0")


@pytest.fixture
def clamd(app, monkeypatch) -> Iterator[ThreadingTCPServer]:
    with ThreadingTCPServer(("127.0.0.1", 0), Clamd) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setitem(app.config, "CLAMD_URL", f"tcp://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()


def send(data: bytes):
    browser = factories.browser(factories.user(Role.CUSTOMER))
    fields = {"kind": "idea", "text": "Look at this", "key": "k", "screenshot": (BytesIO(data), "seen.png")}
    return browser.post("/feedback", data=fields, content_type="multipart/form-data")


def test_a_file_with_something_known_in_it_is_refused_by_name_and_others_are_taken(app, clamd) -> None:
    refused = send(picture() + EICAR)
    assert refused.status_code == 422
    assert "seen.png holds something harmful" in refused.text
    assert db.session.query(Feedback).count() == 0
    assert send(picture()).status_code == 303


def test_while_the_scanner_does_not_answer_no_file_is_taken(app, clamd) -> None:
    clamd.shutdown()
    clamd.server_close()
    assert "cannot be checked for viruses just now" in send(picture()).text
    assert db.session.query(Feedback).count() == 0


def test_a_statement_of_the_bank_is_checked_too(app, clamd) -> None:
    browser = factories.browser(factories.user(Role.ADMIN))
    sent = {"file": (BytesIO(b"Date;Amount\n" + EICAR), "july.csv")}
    refused = browser.post("/payments/bank/statements/new", data=sent, content_type="multipart/form-data")
    assert (refused.status_code, "july.csv holds something harmful" in refused.text) == (422, True)

"""A mail server that is down, slow, silent or refuses; a worker killed while it sends. No mail is lost."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from tests.faults.experiment import until, verified
from tests.operations.site import Site, free_port

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]


class MailServer:
    """A mail server that remembers what it took, and answers some recipients otherwise."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.slow = 0.0
        self.answers: dict[str, str] = {}
        self.silent_for = ""

    async def handle_RCPT(self, _server, _session, envelope, address: str, _options) -> str:  # noqa: N802
        if address == self.silent_for:
            await asyncio.sleep(3600)
        answer = self.answers.get(address) or self.answers.get("", "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.taken.append((str(message["To"]), str(message["Message-ID"])))
        await asyncio.sleep(self.slow)
        return "250 OK"


@contextmanager
def listening(server: MailServer, port: int) -> Iterator[MailServer]:
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    yield server
    controller.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def site(loaded: Site, tmp_path: Path, port: int) -> Site:
    """A copy with a mail server's address."""
    return loaded.copy(tmp_path, MAIL_SERVER="127.0.0.1", MAIL_PORT=str(port), MAIL_TIMEOUT="1")


def order_receipts(site: Site, count: int) -> dict[str, str]:
    """Let some receipts be due: the recipient of each Message-ID."""
    chosen = f"SELECT id FROM outbox WHERE template = 'receipt' ORDER BY id LIMIT {count}"
    site.change(f"UPDATE outbox SET status = 'due', attempts = 0, last_error = '' WHERE id IN ({chosen})")
    due = dict(site.rows("SELECT message_id, recipient FROM outbox WHERE status = 'due'"))
    assert len(due) == count
    return due


def later(site: Site) -> None:
    """The time passes until mails are tried again, and until the dead worker's lease has ended."""
    site.change("UPDATE outbox SET due_at = created_at, leased_until = NULL WHERE status = 'due'")


def statuses(site: Site) -> Counter[str]:
    return Counter(dict(site.rows("SELECT status, count(*) FROM outbox WHERE attempts > 0 GROUP BY status")))


def test_a_worker_killed_while_it_sends_loses_no_mail_and_names_copies_alike(site: Site, port: int) -> None:
    due = order_receipts(site, 24)
    server = MailServer()
    server.slow = 0.2
    with listening(server, port):
        worker = site.begin("jobs", "worker")
        until(lambda: len(server.taken) == 5)  # taken, and not answered yet
        worker.kill()
        worker.wait()
        assert statuses(site) == {"sent": 4, "due": 16}
        leases = "SELECT count(*) FROM outbox WHERE status = 'due' AND leased_until IS NOT NULL"
        assert site.value(leases) == 16
        later(site)
        worker = site.begin("jobs", "worker")
        until(lambda: statuses(site) == {"sent": 24})
        worker.terminate()
        assert worker.wait(10) == 0
    copies = Counter(name for _, name in server.taken)
    assert dict(sorted((name, to) for to, name in server.taken)) == dict(sorted(due.items()))
    assert sorted(copies.values()) == [1] * 23 + [2]
    assert copies[server.taken[4][1]] == 2
    verified(site)


def test_mails_wait_for_a_server_that_is_down_and_then_go_out_once(site: Site, port: int) -> None:
    due = order_receipts(site, 6)
    assert site.run("outbox", "send") == "6 mails handled\n"
    assert statuses(site) == {"due": 6}
    assert "refused" in site.value("SELECT group_concat(DISTINCT last_error) FROM outbox WHERE status = 'due'")
    assert site.run("outbox", "send") == "0 mails handled\n"  # not before its time
    later(site)
    with listening(MailServer(), port) as server:
        site.run("outbox", "send")
    assert sorted(name for _, name in server.taken) == sorted(due)
    assert statuses(site) == {"sent": 6}


def test_refused_for_now_all_go_out_later_and_refused_for_good_is_one_recipients_own_fate(
    site: Site, port: int
) -> None:
    due = order_receipts(site, 6)
    [(unknown, count)] = Counter(due.values()).most_common()[-1:]
    server = MailServer()
    with listening(server, port):
        server.answers[""] = "451 Try again later"
        site.run("outbox", "send")
        assert statuses(site) == {"due": 6}
        assert site.rows("SELECT DISTINCT last_error FROM outbox WHERE status = 'due'") == [("451 Try again later",)]
        server.answers = {unknown: "550 No such mailbox"}
        later(site)
        site.run("outbox", "send")
    assert sorted(to for to, _ in server.taken) == sorted(to for to in due.values() if to != unknown)
    dead = site.rows("SELECT recipient, last_error FROM outbox WHERE status = 'dead'")
    assert dead == [(unknown, "550 No such mailbox")] * count
    assert statuses(site) == {"sent": 6 - count, "dead": count}


def test_a_server_that_falls_silent_over_one_mail_keeps_the_others_waiting_for_the_time_out_only(
    site: Site, port: int
) -> None:
    due = order_receipts(site, 5)
    [(silent, count)] = Counter(due.values()).most_common()[-1:]
    server = MailServer()
    server.silent_for = silent
    began = time.monotonic()
    with listening(server, port):
        worker = site.begin("jobs", "worker")
        until(lambda: statuses(site) == {"sent": 5 - count, "due": count} and "timed out" in _fault(site))
        assert time.monotonic() - began < 15
        worker.terminate()
        assert worker.wait(10) == 0
    assert silent not in [to for to, _ in server.taken]


def _fault(site: Site) -> str:
    return site.value("SELECT coalesce(group_concat(last_error), '') FROM outbox WHERE status = 'due'")


def test_a_server_that_accepts_connections_and_never_speaks_is_given_up_after_the_time_out(
    site: Site, port: int
) -> None:
    due = order_receipts(site, 2)
    with socket.create_server(("127.0.0.1", port)):
        assert site.run("outbox", "send") == "2 mails handled\n"
    assert statuses(site) == {"due": 2}
    assert _fault(site).count("timed out") == 2
    later(site)
    with listening(MailServer(), port) as server:
        site.run("outbox", "send")
    assert sorted(name for _, name in server.taken) == sorted(due)

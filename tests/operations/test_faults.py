"""What goes wrong around the system: processes killed, a failing mail server. Nothing is lost, nothing done twice."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller

from tests.operations.site import PASSWORD, Site, free_port, hidden, send

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A demo that every test works on a copy of."""
    return Site(tmp_path_factory.mktemp("loaded")).load(60)


def until(so: Callable[[], object], seconds: float = 40) -> None:
    """Look again and again until something is so."""
    ends = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.01)


def verified(site: Site) -> None:
    site.run("verify")


# Mails


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


# Card payments


def test_card_payments_survive_the_death_of_the_web_process_each_taken_once(loaded: Site, tmp_path: Path) -> None:
    """Every invoice of a year is paid at the gateway by two clients at once that try again, while the server dies."""
    day = date.fromisoformat(loaded.value("SELECT max(for_day) FROM job_runs")) + timedelta(days=300)
    site = loaded.copy(tmp_path, BUSINESS_DATE=str(day))
    site.run("jobs", "nightly")
    invoices = site.rows(
        "SELECT i.id, i.total_minor FROM invoices i JOIN billing_accounts a ON a.id = i.account_id"
        " JOIN customers c ON c.id = a.customer_id JOIN users u ON u.id = c.user_id"
        " WHERE u.email = 'customer@example.com' AND i.status = 'issued' ORDER BY i.due_on, i.id"
    )
    assert len(invoices) >= 8
    receipts = site.value("SELECT count(*) FROM receipts")
    site.start()
    try:
        with httpx.Client(base_url=site.url) as person:
            send(person, "/login", email="customer@example.com", password=PASSWORD)
            pages = [person.get(f"/portal/pay/{number}").text for number, _ in invoices]
            cookies = dict(person.cookies)

        def post(path: str, form: dict[str, str]) -> str:
            """Send a form until it is answered, as a browser does whose connection breaks; where it leads."""
            for _ in range(200):
                try:
                    answer = httpx.post(site.url + path, data=form, cookies=cookies, timeout=30)
                except httpx.TransportError:
                    time.sleep(0.05)
                    continue
                assert answer.status_code == 303, answer.text
                return answer.headers["location"]
            raise AssertionError("never answered")

        def pay(number: int) -> str:
            """From the payment page over the gateway to the result."""
            tokens = {name: hidden(pages[number], name) for name in ("csrf_token", "key")}
            gateway = post(f"/portal/pay/{invoices[number][0]}", tokens)
            return post(gateway, {"csrf_token": tokens["csrf_token"], "outcome": "accept"})

        with ThreadPoolExecutor(6) as people:
            sent = [people.submit(pay, number) for number in range(len(invoices)) for _ in range(2)]
            for share in (1, len(sent) // 2):
                until(lambda share=share: sum(future.done() for future in sent) >= share)
                os.kill(site.web_worker(), signal.SIGKILL)
            results = [future.result() for future in sent]
        assert results[::2] == results[1::2]
        assert len(set(results)) == len(invoices)
        for result in set(results):
            answer = httpx.get(site.url + result, cookies=cookies)
            assert "Thank you" in answer.text
    finally:
        site.stop_if_running()
    paid = site.rows(
        "SELECT p.invoice_id, p.amount_minor FROM payments p JOIN receipts r ON r.payment_id = p.id"
        " WHERE p.method = 'card' AND p.status = 'processed' ORDER BY p.invoice_id"
    )
    assert paid == sorted(invoices)
    assert site.value("SELECT count(*) FROM receipts") == receipts + len(invoices)
    marks = ", ".join(str(number) for number, _ in invoices)
    assert site.rows(f"SELECT DISTINCT status FROM invoices WHERE id IN ({marks})") == [("paid",)]
    verified(site)


# The nightly run

STATE = {
    "invoices": "SELECT number, account_id, instalment, total_minor, paid_minor, status, due_on FROM invoices",
    "numbers": "SELECT * FROM numbers",
    "policies": "SELECT number, status, version FROM policies",
    "ledger": "SELECT debit_account, debit_subject, credit_account, credit_subject, event, sum(amount_minor), count(*)"
    " FROM transfers GROUP BY 1, 2, 3, 4, 5",
    "documents": "SELECT kind, number FROM documents",
    "mails": "SELECT template, recipient, count(*) FROM outbox GROUP BY 1, 2",
    "audit": "SELECT action, count(*) FROM audit_entries GROUP BY 1",
    "accounts": "SELECT id, credit_minor FROM billing_accounts",
    "payments": "SELECT id, allocated_minor, status FROM payments",
}
"""What a nightly run may change, whatever the moments at which it did."""


def state(site: Site, *names: str) -> dict[str, list[tuple]]:
    return {name: sorted(site.rows(STATE[name]), key=repr) for name in names or STATE}


class Nights:
    """A database before a night months ahead, and what an undisturbed run makes of it."""

    def __init__(self, before: Site, folder: Path) -> None:
        self.before = before
        day = date.fromisoformat(before.value("SELECT max(for_day) FROM job_runs"))
        self.command = ["jobs", "nightly", "--on", str(day + timedelta(days=150))]
        self.undisturbed = before.copy(folder)
        self.undisturbed.run(*self.command)
        self.after = state(self.undisturbed)


@pytest.fixture(scope="module")
def nights(loaded: Site, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    return Nights(loaded, tmp_path_factory.mktemp("undisturbed"))


def _when_noted(site: Site, _nights: Nights) -> bool:
    return site.value("SELECT count(*) FROM job_runs WHERE finished_at IS NULL") == 1


def _amid_the_calendar(site: Site, nights: Nights) -> bool:
    return state(site, "policies") != state(nights.before, "policies")


def _amid_the_invoices(site: Site, nights: Nights) -> bool:
    """The calendar was followed; what comes next has begun, or will at once."""
    return state(site, "policies") == {"policies": nights.after["policies"]}


def _step(run: subprocess.Popen) -> bool:
    """Let a process run for a moment and hold it again, so that no state that it passes through is missed."""
    run.send_signal(signal.SIGCONT)
    time.sleep(0.004)
    run.send_signal(signal.SIGSTOP)
    return True


@pytest.mark.parametrize("moment", [_when_noted, _amid_the_calendar, _amid_the_invoices])
def test_a_nightly_run_killed_at_any_moment_is_finished_by_the_next_as_if_nothing_had_been(
    nights: Nights, tmp_path: Path, moment: Callable[[Site, Nights], bool]
) -> None:
    site = nights.before.copy(tmp_path)
    run = site.begin(*nights.command)
    until(lambda: _step(run) and moment(site, nights))
    run.kill()
    run.wait()
    assert site.value("SELECT count(*) FROM job_runs WHERE finished_at IS NULL") == 1, "it had ended before"
    site.run(*nights.command)
    assert state(site) == nights.after
    verified(site)


def test_a_night_run_again_changes_nothing(nights: Nights) -> None:
    site = nights.undisturbed
    assert len(nights.after["invoices"]) > nights.before.value("SELECT count(*) FROM invoices") + 20
    for _ in range(2):
        site.run(*nights.command)
        assert state(site) == nights.after
    verified(site)

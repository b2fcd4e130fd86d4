"""The system as people run it: real processes on SQLite, real HTTP, and nothing lost whoever is killed."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest

from tests.operations.site import PASSWORD, Site, hidden, send

pytestmark = [pytest.mark.fault, pytest.mark.thorough]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path).load()
    site.start()
    yield site
    site.stop_if_running()


def test_ctrl_c_stops_every_process_and_the_second_start_takes_seconds(site: Site) -> None:
    assert len(site.processes()) >= 4  # this one, gunicorn and its worker, the job worker
    said = site.stop()
    assert site.processes() == []
    assert "Traceback" not in said
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

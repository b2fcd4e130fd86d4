"""People who pay at an installation until each payment is answered, whatever happens to it meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.operations.site import PASSWORD, Site, hidden, send


class Payers:
    """Threads that record payments by the agent's form, each under a key of its own, sent until it is answered."""

    def __init__(self, site: Site) -> None:
        self.site = site
        account = site.value(
            "SELECT min(a.id) FROM billing_accounts a JOIN customers c ON c.id = a.customer_id"
            " JOIN users u ON u.id = c.agent_id WHERE u.email = 'agent@example.com'"
        )
        self.path = f"/payments/new?account={account}"
        self.before = self.payments()
        self.answered: list[str] = []
        self.faults: list[str] = []
        self.slowest = 0.0
        self.ended = threading.Event()
        with httpx.Client(base_url=site.url) as agent:
            send(agent, "/login", email="agent@example.com", password=PASSWORD)
            self.token = hidden(agent.get(self.path).text, "csrf_token")
            self.cookies = dict(agent.cookies)

    def payments(self) -> int:
        """How many payments the installation knows."""
        return self.site.value("SELECT count(*) FROM payments")

    @contextmanager
    def paying(self, people: int) -> Iterator["Payers"]:
        """Let so many people pay, one payment after another, while the block runs."""
        threads = [threading.Thread(target=self._pay_on, args=(number,)) for number in range(people)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def _pay_on(self, person: int) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            self._pay(f"{person}-{number}")

    def _pay(self, key: str) -> None:
        day = time.strftime("%Y-%m-%d", time.gmtime())
        form = {"csrf_token": self.token, "key": key, "amount": "1.00", "method": "cash", "paid_on": day}
        for _ in range(400):
            began = time.monotonic()
            try:
                answer = httpx.post(self.site.url + self.path, data=form, cookies=self.cookies, timeout=30)
            except httpx.TransportError as fault:
                self.faults.append(repr(fault))
                time.sleep(0.05)
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status_code == 303:
                self.answered.append(answer.headers["location"])
                return
            self.faults.append(f"{answer.status_code}: {answer.text[:200]}")
            time.sleep(0.05)
        raise AssertionError(f"never answered: {self.faults[-1]}")

    def check(self) -> None:
        """Every payment that was answered is there, once, with its receipt; and every invariant holds."""
        assert len(set(self.answered)) == len(self.answered) == self.payments() - self.before
        receipts = "SELECT count(*) FROM payments p JOIN receipts r ON r.payment_id = p.id WHERE p.status = 'processed'"
        assert self.site.value(receipts) >= len(self.answered)
        self.site.run("verify")

"""Web processes killed while people pay: no payment is lost, none is taken twice."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from tests.faults.experiment import until, verified
from tests.operations.site import PASSWORD, Site, hidden, send

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]


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

"""A gateway that charges and then says nothing: the site goes on, and asking tells what became of each payment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from tests.faults.experiment import times, until
from tests.operations.site import PASSWORD, Site, hidden, send
from tests.payments.fake_stripe import SECRET, serving

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]


def test_payers_who_hang_at_the_gateway_keep_nobody_waiting_and_are_charged_once(loaded: Site, tmp_path: Path) -> None:
    """Each has paid on the gateway's page, and asks whether it has arrived, while the gateway takes five seconds."""
    day = date.fromisoformat(loaded.value("SELECT max(for_day) FROM job_runs")) + timedelta(days=300)
    with serving() as (stripe, address):
        keys = {"STRIPE_API_KEY": "sk_test_fake", "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_API_BASE": address}
        site = loaded.copy(tmp_path, BUSINESS_DATE=str(day), **keys)
        site.run("jobs", "nightly")
        invoices = site.rows(
            "SELECT i.id FROM invoices i JOIN billing_accounts a ON a.id = i.account_id"
            " JOIN customers c ON c.id = a.customer_id JOIN users u ON u.id = c.user_id"
            " WHERE u.email = 'customer@example.com' AND i.status = 'issued' ORDER BY i.id"
        )[: times(3, 8)]
        site.start()
        try:
            with httpx.Client(base_url=site.url, timeout=30) as person:
                send(person, "/login", email="customer@example.com", password=PASSWORD)
                for [invoice] in invoices:
                    page = person.get(f"/portal/pay/{invoice}").text
                    form = {name: hidden(page, name) for name in ("csrf_token", "key")}
                    assert person.post(f"/portal/pay/{invoice}", data=form).status_code == 303
                cookies, token = dict(person.cookies), form["csrf_token"]
                started = site.rows("SELECT id, checkout_id FROM payments WHERE checkout_id IS NOT NULL ORDER BY id")
                assert len(started) == len(invoices)
                for _, page_id in started:
                    stripe.pay(page_id)
                stripe.silent = True
                hanging = threading.Barrier(4 * len(started) + 1)

                def ask(payment: int) -> int:
                    hanging.wait()
                    path = f"{site.url}/portal/payments/{payment}/check"
                    return httpx.post(path, data={"csrf_token": token}, cookies=cookies, timeout=60).status_code

                with ThreadPoolExecutor(4 * len(started)) as payers:
                    asked = [payers.submit(ask, payment) for payment, _ in started * 4]
                    hanging.wait()
                    time.sleep(0.5)
                    began = time.monotonic()
                    for _ in range(5):
                        assert person.get("/portal").status_code == 200
                    assert time.monotonic() - began < 4  # the gateway holds the others for longer
                    assert {future.result() for future in asked} == {303}
                statuses = "SELECT DISTINCT status FROM payments WHERE checkout_id IS NOT NULL"
                assert site.rows(statuses) == [("unknown",)]
                stripe.silent = False
                site.change("UPDATE payments SET created_at = '2020-01-01 00:00:00', asked_at = NULL"
                            " WHERE status = 'unknown'")  # fmt: skip
                until(lambda: site.rows(statuses) == [("processed",)])  # the worker asks
        finally:
            site.stop_if_running()
        assert len(stripe.charged) == len(started)
        marks = ", ".join(str(invoice) for [invoice] in invoices)
        assert site.rows(f"SELECT DISTINCT status FROM invoices WHERE id IN ({marks})") == [("paid",)]
        receipts = (
            "SELECT count(*) FROM receipts r JOIN payments p ON p.id = r.payment_id WHERE p.checkout_id IS NOT NULL"
        )
        assert site.value(receipts) == len(started)
        site.run("verify")

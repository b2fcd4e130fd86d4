"""Times what moves money: payments by the service and over HTTP, against bare inserts, and a night's billing.

`make bench-money N=100000` loads N policies on SQLite; with BENCH_POSTGRES_URL naming a server, there in a database of
its own. Payments are taken once with a mail server that answers at once and once with one that takes 200 ms, each while
a worker delivers the receipts. Written as JSON too.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from pages import PASSWORD, ROOT, place

SECONDS = 3.0
CLIENTS = 8
SLOW_MAIL = 0.2
AHEAD = 17
"""So many days after the demo was loaded, half a month's invoices are due at once."""


def main() -> None:
    """Load, time, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "money.json")
    arguments = parser.parse_args()
    with place() as (folder, url):
        settings = {"DATA_DIR": str(folder), "DATABASE_URL": url, "DEMO_PASSWORD": PASSWORD, "FLASK_SKIP_DOTENV": "1"}
        os.environ |= settings
        flask("db", "upgrade")
        flask("demo", "load", "--policies", str(arguments.policies))
        import config
        from insurance import create_app

        app = create_app(config.read(env_file=None))
        found = {"payments": payments(app), "night": night(app)}
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load", os.getloadavg()
    )
    print(f"\n{'payments':44}{'a second':>10}{'median ms':>11}{'p95 ms':>9}")
    for name, figures in found["payments"].items():
        print(f"{name:44}{figures['per_second']:>10.0f}{figures['median']:>11.1f}{figures['p95']:>9.1f}")
    title = f"night of {arguments.policies:,} policies"
    print(f"\n{title:44}{'records':>10}{'seconds':>11}{'a second':>9}")
    for name, figures in found["night"].items():
        print(f"{name:44}{figures['records']:>10,}{figures['seconds']:>11.2f}{figures['per_second']:>9.0f}")
    arguments.json.write_text(json.dumps(found, indent=2))


def flask(*arguments: str) -> None:
    """Run a command to its end."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def measured(act: Callable[[int], None], clients: int) -> dict[str, float]:
    """How often an act is done in some seconds by so many clients at once, and how long one takes."""
    ends = time.perf_counter() + SECONDS

    def go_on(client: int) -> list[float]:
        times, number = [], 0
        while time.perf_counter() < ends:
            began = time.perf_counter()
            act(client * 1_000_000 + number)
            times.append((time.perf_counter() - began) * 1000)
            number += 1
        return times

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        times = sorted(one for times in threads.map(go_on, range(clients)) for one in times)
    seconds = time.perf_counter() - began
    p95 = times[int(len(times) * 0.95)]
    return {"per_second": len(times) / seconds, "median": statistics.median(times), "p95": p95}


def payments(app: Any) -> dict[str, dict[str, float]]:
    """Bare inserts, the service, and HTTP with two mail servers."""
    from sqlalchemy import text

    from insurance.core.db import db, transaction
    from insurance.core.money import Money
    from insurance.core.permissions import SYSTEM
    from insurance.payments import services
    from insurance.payments.domain import PaymentMethod
    from insurance.policies.models import Policy

    found = {}
    with app.app_context():
        query = db.session.query(Policy.account_id).filter(Policy.account_id.is_not(None)).order_by(Policy.id)
        accounts = [account for [account] in query.limit(500)]
        with transaction() as session:
            session.execute(text("CREATE TABLE bare (id INTEGER, amount BIGINT, note TEXT)"))

    def insert(number: int) -> None:
        with app.app_context(), transaction() as session:
            session.execute(text("INSERT INTO bare VALUES (:n, 100, 'x')"), {"n": number})

    def record(number: int) -> None:
        with app.app_context():
            services.record(
                account_id=accounts[number % len(accounts)],
                amount=Money(100, "USD"),
                method=PaymentMethod.BANK_TRANSFER,
                key=f"bench {number}",
                actor=SYSTEM,
            )

    for clients in (1, CLIENTS):
        found[f"a bare insert and commit, {clients} at once"] = measured(insert, clients)
        found[f"by the service, {clients} at once"] = measured(record, clients)
    with app.app_context(), transaction() as session:
        session.execute(text("DROP TABLE bare"))
        session.execute(text("UPDATE outbox SET status = 'kept' WHERE status = 'due'"))
        db.engine.dispose()
    for name, seconds in (("a fast mail server", 0.0), ("one that takes 200 ms", SLOW_MAIL)):
        with mail_server(seconds) as port, web(MAIL_SERVER="127.0.0.1", MAIL_PORT=str(port)) as address:
            found[f"over HTTP, {CLIENTS} at once, {name}"] = measured(over_http(address, accounts, name), CLIENTS)
    return found


def over_http(address: str, accounts: list[int], name: str) -> Callable[[int], None]:
    """Sends the agent's form."""
    with httpx.Client(base_url=address) as browser:
        token = hidden(browser.get("/login").text)
        answer = browser.post("/login", data={"csrf_token": token, "email": "admin@example.com", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        token = hidden(browser.get(f"/payments/new?account={accounts[0]}").text)
        cookies = dict(browser.cookies)
    clients = [httpx.Client(base_url=address, cookies=cookies, timeout=60) for _ in range(CLIENTS)]
    day = time.strftime("%Y-%m-%d", time.gmtime())

    def pay(number: int) -> None:
        form = {
            "csrf_token": token,
            "key": f"{name} {number}".replace(" ", "-"),
            "amount": "1.00",
            "method": "cash",
            "paid_on": day,
        }
        path = f"/payments/new?account={accounts[number % len(accounts)]}"
        answer = clients[number // 1_000_000].post(path, data=form)
        assert answer.status_code == 303, answer.text

    return pay


def hidden(page: str) -> str:
    """The form's token."""
    found = re.search(r'name="csrf_token" value="([^"]*)"', page)
    assert found, page
    return found[1]


@contextmanager
def mail_server(seconds: float) -> Iterator[int]:
    """A mail server that takes so long over each mail."""
    from aiosmtpd.controller import Controller

    class Takes:
        async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
            await asyncio.sleep(seconds)
            return "250 OK"

    controller = Controller(Takes(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller.port
    controller.stop()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def web(**settings: str) -> Iterator[str]:
    """Web and worker as people run them."""
    port = free_port()
    environment = os.environ | {"PORT": str(port), **settings}
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "insurance.operations.serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            httpx.get(f"{address}/healthz")
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait(30)


def night(app: Any) -> dict[str, dict[str, float]]:
    """Each step of a night, and of an ordinary one that comes a day later."""
    from functools import partial

    from insurance.billing.services import dunning, invoices
    from insurance.core import clock
    from insurance.core.permissions import SYSTEM
    from insurance.payments import queries
    from insurance.payments import services as payment_services
    from insurance.payments.services import autopay
    from insurance.policies import queries as policy_queries
    from insurance.policies import services as policies

    found = {}
    with app.app_context():
        for title, days in (("", AHEAD), (", ordinary night", AHEAD + 1)):
            day = clock.today() + timedelta(days=days)
            steps: dict[str, Callable[[], int]] = {
                "status by the calendar": partial(policies.follow_calendar, on=day),
                "invoices issued": partial(invoices.issue_all_due, on=day, actor=SYSTEM),
                "credit used": payment_services.apply_all_credit,
                "autopay": partial(autopay.charge_due, on=day),
                "notices": partial(
                    dunning.send_notices,
                    on=day,
                    notice_days=partial(policy_queries.notice_days, day=day),
                    actor=SYSTEM,
                ),
                "lapses": lambda day=day: policies.lapse_unpaid(
                    on=day, spared=queries.accounts_with_payments_on_their_way()
                ),
            }
            with clock.at(day):
                for name, step in steps.items():
                    began = time.perf_counter()
                    records = step()
                    seconds = time.perf_counter() - began
                    found[name + title] = {"records": records, "seconds": seconds, "per_second": records / seconds}
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()

"""Times the pages of every role, and payments, on a small and on a large book, and prints how they grow.

`make bench N=100000` loads 1,000 and N policies on SQLite; with BENCH_POSTGRES_URL naming a server, there in databases
of their own. Each figure is the median of several requests in one process without the network. Written as JSON too.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SMALL = 1000
TIMES = 15
BAR = 1.5
BROAD_SEARCH_BAR = 3.0
PASSWORD = "correct-demo-password"

PAGES: dict[str, list[tuple[str, str]]] = {
    "admin": [
        ("overview", "/admin"),
        ("customers", "/customers"),
        ("customers, name", "/customers?q=maria+b.+lopez"),
        ("customers, broad name", "/customers?q=lopez"),
        ("policies", "/policies"),
        ("policies, active", "/policies?status=active"),
        ("policies, pending", "/policies?status=pending"),
        ("policies by customer", "/policies?sort=customer"),
        ("policies by premium", "/policies?sort=-premium"),
        ("policies, a deep page", "/policies?sort=premium&{deep}"),
        ("policy", "/policies/{policy}"),
        ("customer", "/customers/{customer}"),
        ("invoices", "/invoices"),
        ("invoices, overdue", "/invoices?status=overdue"),
        ("invoices by customer", "/invoices?sort=customer"),
        ("invoice", "/invoices/{invoice}"),
        ("payments", "/payments"),
        ("payments by amount", "/payments?sort=-amount"),
        ("payment", "/payments/{payment}"),
        ("claims", "/claims"),
        ("claims, pending", "/claims?status=pending"),
        ("claims by amount", "/claims?sort=-claimed"),
        ("claim", "/claims/{claim}"),
        ("search by number", "/agent/search?q={number}"),
        ("search by name", "/agent/search?q=maria+b.+lopez"),
        ("users", "/admin/users"),
        ("outbox", "/admin/outbox"),
        ("audit", "/admin/audit"),
        ("API: 50 policies", "/api/v1/policies"),
        ("API: 50 policies, active", "/api/v1/policies?status=active"),
        ("API: policy", "/api/v1/policies/{policy}"),
    ],
    "agent": [("work queue", "/agent"), ("own customers", "/customers"), ("own policies", "/policies")],
    "customer": [
        ("portal", "/portal"),
        ("portal policies", "/portal/policies"),
        ("portal payments", "/portal/payments"),
        ("portal claims", "/portal/claims"),
        ("portal documents", "/portal/documents"),
    ],
}


def main() -> int:
    """Load both books, time them, print the table; 1 if a page grows beyond its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "results.json")
    arguments = parser.parse_args()
    small, large = (run(size) for size in (SMALL, arguments.policies))
    print(
        f"\n{large['database']}, {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    print(f"{'milliseconds':32}{SMALL:>10,}{arguments.policies:>12,}{'growth':>9}{'queries':>9}")
    slow = 0
    for name, [time_small, _] in small["pages"].items():
        time_large, queries = large["pages"][name]
        growth = time_large / time_small
        beyond = growth > (BROAD_SEARCH_BAR if "broad" in name else BAR)
        slow += beyond
        figures = f"{name:32}{time_small:>10.1f}{time_large:>12.1f}{growth:>9.2f}{queries:>9}"
        print(figures + ("  beyond the bar" if beyond else ""))
    print(f"\nloading took {small['load']:.1f} s and {large['load']:.1f} s")
    arguments.json.write_text(json.dumps({str(SMALL): small, str(arguments.policies): large}, indent=2))
    return 1 if slow else 0


def run(policies: int) -> dict[str, Any]:
    """Load a book and time its pages."""
    with loaded(policies) as (app, seconds):
        return {"load": seconds, **timed(app)}


@contextmanager
def loaded(policies: int) -> Iterator[tuple[Any, float]]:
    """The application on a book of its own, and the seconds that loading it took, in a process of its own."""
    with place() as (folder, url):
        settings = {"DATA_DIR": str(folder), "DATABASE_URL": url, "DEMO_PASSWORD": PASSWORD, "FLASK_SKIP_DOTENV": "1"}
        os.environ |= settings
        flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
        subprocess.run([*flask, "db", "upgrade"], cwd=ROOT, check=True, capture_output=True)
        began = time.perf_counter()
        subprocess.run([*flask, "demo", "load", "--policies", str(policies)], cwd=ROOT, check=True)
        seconds = time.perf_counter() - began
        import config
        from insurance import create_app

        app = create_app(config.read(env_file=None) | {"WTF_CSRF_ENABLED": False})
        app.logger.disabled = True
        yield app, seconds


@contextmanager
def place() -> Iterator[tuple[Path, str]]:
    """A folder, and a database: in it, or on the server that is named."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    server = os.environ.get("BENCH_POSTGRES_URL", "")
    name = f"bench_{os.getpid()}_{time.time_ns()}"
    if server:
        subprocess.run(["psql", "-qc", f"CREATE DATABASE {name}", server], check=True)
    try:
        yield folder, f"{server.rpartition('/')[0]}/{name}" if server else ""
    finally:
        shutil.rmtree(folder)
        if server:
            subprocess.run(["psql", "-qc", f"DROP DATABASE {name} WITH (FORCE)", server], check=True)


def sign_in(app: Any, role: str) -> dict[str, str]:
    """The headers by which a browser and a program of a role are known."""
    from insurance.accounts import queries, services, tokens

    with app.app_context():
        user = queries.find_user(f"{role}@example.com")
        assert user
        token = services.open_session(user_id=user.id, address="127.0.0.1", browser="bench")
        access = tokens.open_session(user.id, address="127.0.0.1", program="bench").access
    return {"Cookie": f"{app.config['SIGN_IN_COOKIE_NAME']}={token}", "Authorization": f"Bearer {access}"}


def signed_in(app: Any, role: str) -> Any:
    """A client that sends them."""
    client = app.test_client(use_cookies=False)
    client.environ_base |= {f"HTTP_{name.upper()}": value for name, value in sign_in(app, role).items()}
    return client


def timed(app: Any) -> dict[str, Any]:
    """The median of each page in milliseconds, and its statements."""
    from insurance.core.db import db

    pages: dict[str, tuple[float, int]] = {}
    with app.app_context():
        engine = db.engine
        dialect = engine.dialect.name
        found = examples()
    for role, asked in PAGES.items():
        client = signed_in(app, role)
        found["deep"] = deep_page(client) if role == "admin" else ""
        for name, path in asked:
            address = path.format(**found)

            def get(client: Any = client, address: str = address) -> None:
                answer = client.get(address)
                assert answer.status_code in (200, 302), (address, answer.status_code)

            pages[name] = median(get, engine)
    client = signed_in(app, "agent")

    def pay() -> None:
        page = client.get(f"/payments/new?account={found['account']}").text
        key = re.search(r'name="key" value="([^"]+)"', page)
        assert key
        data = {"key": key[1], "amount": "1.00", "method": "cash", "paid_on": time.strftime("%Y-%m-%d", time.gmtime())}
        answer = client.post(f"/payments/new?account={found['account']}", data=data)
        assert answer.status_code == 303, answer.text

    pages["payment taken (two requests)"] = median(pay, engine)
    pages["API: the query of 50 policies"] = median(lambda: query_policies(app), engine)
    engine.dispose()
    return {"database": dialect, "pages": pages}


def query_policies(app: Any) -> None:
    """What the API's list asks the database, and nothing else."""
    from insurance.core.db import db
    from insurance.core.permissions import SYSTEM
    from insurance.policies.api import POLICIES, Policy

    with app.app_context():
        db.session.execute(POLICIES.rows(SYSTEM).order_by(Policy.id.desc()).limit(51)).all()


def examples() -> dict[str, Any]:
    """Records from the middle of the book."""
    from sqlalchemy import func, select

    from insurance.billing.models import Invoice
    from insurance.claims.models import Claim
    from insurance.core.db import db
    from insurance.customers.models import Customer
    from insurance.payments.models import Payment
    from insurance.policies.models import Policy

    def middle(model: Any) -> int:
        half = (db.session.scalar(select(func.max(model.id))) or 2) // 2
        return db.session.scalars(select(model.id).where(model.id >= half).order_by(model.id).limit(1)).one()

    policy = db.session.get_one(Policy, middle(Policy))
    return {
        "policy": policy.id,
        "number": policy.number,
        "customer": middle(Customer),
        "invoice": middle(Invoice),
        "payment": middle(Payment),
        "claim": middle(Claim),
        "account": db.session.scalars(select(Policy.account_id).where(Policy.account_id.is_not(None)).limit(1)).one(),
    }


def deep_page(client: Any) -> str:
    """The cursor of a page near the end of the list by premium."""
    page = client.get("/policies?sort=-premium").text
    for _ in range(3):
        after = re.search(r'after=([^"&]+)"[^>]*>\s*Next', page)
        assert after, "no next page"
        page = client.get(f"/policies?sort=-premium&after={after[1]}").text
    before = re.search(r'after=([^"&]+)"[^>]*>\s*Next', page)
    return f"sort=-premium&after={before[1]}" if before else ""


def median(act: Callable[[], None], engine: Any) -> tuple[float, int]:
    """The median of several runs in milliseconds, after two to warm up, and the statements of one."""
    from sqlalchemy import event

    act()
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN", "SET ")):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    act()
    event.remove(engine, "before_cursor_execute", count)
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), len(statements)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())

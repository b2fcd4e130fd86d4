"""The API as others use it: the printed story, a tester that reads the document, and a client generated from it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.site import PASSWORD, ROOT, Site

pytestmark = [pytest.mark.thorough, pytest.mark.sqlite_only]
ROLES = ["admin", "agent", "customer"]
MAKE_KEYS = """
import config
from datetime import timedelta
from insurance import create_app
from insurance.accounts import queries, tokens
from insurance.accounts.models import COLLECTIONS
from insurance.core import clock
with create_app(config.read(env_file=None)).app_context():
    for role in ["admin", "agent", "customer"]:
        key = {"name": "test", "scopes": [f"{name}:write" for name in COLLECTIONS]}
        actor = queries.find_user(f"{role}@example.com").actor()
        print(tokens.create_key(**key, expires_on=clock.today() + timedelta(days=9), actor=actor))
"""
"""Keys and not tokens: a tester that tries everything signs itself out."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("api")).load()
    running.start()
    yield running
    running.stop_if_running()


def test_the_story_in_the_documentation_runs_as_it_is_printed(site, tmp_path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=os.environ | {"URL": site.url, "DEMO_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "2400.00"
    assert "active" in lines
    assert "approved" in lines
    assert lines[-1] == "colour"
    assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF-")


@pytest.fixture(scope="module")
def keys(site: Site) -> dict[str, str]:
    made = subprocess.run(
        [sys.executable, "-c", MAKE_KEYS], cwd=ROOT, env=site.environment, capture_output=True, text=True, check=True
    )
    return dict(zip(ROLES, made.stdout.split(), strict=True))


@pytest.mark.parametrize("role", ROLES)
def test_what_the_document_says_is_what_the_api_does(site, keys, role) -> None:
    """All checks of schemathesis, with few examples; `make fuzz` has it try everything that it knows."""
    tester = Path(sys.executable).with_name("schemathesis")
    config = ROOT / "tests" / "api" / "schemathesis.toml"
    command = [tester, "--config-file", config, "run", f"{site.url}/api/v1/openapi.json", "--checks", "all"]
    phases = "examples,coverage,fuzzing,stateful" if "FUZZ" in os.environ else "examples,fuzzing"
    some = ["--phases", phases, "--max-examples", os.environ.get("FUZZ", "1"), "--no-color", "--no-shrink"]
    told = subprocess.run(
        [*command, *some, "-H", f"Authorization: Bearer {keys[role]}"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout[-20_000:]
    assert re.search(r"Tested: [0-9]{2}", told.stdout)


STORY = """
import datetime, sys
from made import AuthenticatedClient, Client, models
from made.api.auth import sign_in
from made.api.claims import approve_claim, file_claim, review_claim
from made.api.customers import create_customer
from made.api.events import list_events
from made.api.invoices import list_invoices
from made.api.payments import pay, refund_payment
from made.api.policies import bind_policy, list_policies, quote_policy
from made.api.receipts import list_receipts

url, password = sys.argv[1:]
found = sign_in.sync(client=Client(url), body=models.SignIn("agent@example.com", password))
client = AuthenticatedClient(url, found.access_token, raise_on_unexpected_status=True)
born, today = datetime.date(1986, 1, 1), datetime.datetime.now(datetime.UTC).date()
customer = create_customer.sync(client=client, body=models.NewCustomer("Maria Lopez", birth_date=born))
wanted = models.NewPolicy(customer.id, "comprehensive", "100000.00", today)
quote = quote_policy.sync(client=client, body=wanted, idempotency_key="one")
again = quote_policy.sync(client=client, body=wanted, idempotency_key="one")
policy = bind_policy.sync(quote.id, client=client, body=models.Binding())
invoice = list_invoices.sync(client=client, policy_id=policy.id).items[0]
cash = models.PaymentMethod.CASH
payment = pay.sync(client=client, body=models.NewPayment(invoice.open_, cash, invoice_id=invoice.id))
receipt = list_receipts.sync(client=client, payment_id=payment.id).items[0]
pdf = client.get_httpx_client().get(f"/api/v1/documents/{receipt.document_id}/pdf").content
claim = file_claim.sync(client=client, body=models.NewClaim(policy.id, today, 250.5, "A stone broke the windscreen."))
taken = review_claim.sync(claim.id, client=client)
decided = approve_claim.sync(claim.id, client=client, body=models.Approval("Covered."))
given = models.Refund("100.00", "Paid twice.", account_number="DE89370400440532013000")
refunded = refund_payment.sync(payment.id, client=client, body=given)
told = {event.action for event in list_events.sync(client=client, subject_id=claim.id, subject="claims").items}
refused = list_policies.sync(client=client, limit=101)
print(quote.id == again.id, policy.status, payment.status, receipt.receipt_number == payment.receipt_number)
print(pdf[:5], claim.status, taken.status, decided.status, decided.approved_amount)
print(refunded.refunds[0].amount, refunded.refunds[0].status, told >= {"submit", "approve"}, refused.errors[0].field)
"""


def test_a_client_generated_from_the_document_does_the_story(site, tmp_path) -> None:
    generator = Path(sys.executable).with_name("openapi-python-client")
    document = ["--url", f"{site.url}/api/v1/openapi.json", "--meta", "none", "--output-path", tmp_path / "made"]
    subprocess.run([generator, "generate", *document], capture_output=True, check=True)
    told = subprocess.run(
        [sys.executable, "-c", STORY, site.url, PASSWORD], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        "True active processed True",
        "b'%PDF-' pending under_review approved 250.50",
        "100.00 approved True limit",
    ]

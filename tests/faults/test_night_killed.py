"""A nightly run killed at any moment: the next one ends as if nothing had been."""

import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.faults.experiment import until, verified
from tests.operations.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]

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

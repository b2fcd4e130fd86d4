"""A new version is put in place while people pay: no request fails."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.experiment import times, until
from tests.faults.payers import Payers
from tests.operations.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]


def test_a_graceful_restart_under_load_fails_no_request(loaded: Site, tmp_path: Path) -> None:
    """SIGHUP lets gunicorn start new web processes with the new code and end the old ones after their last answer."""
    site = loaded.copy(tmp_path)
    site.start()
    try:
        payers = Payers(site)
        with payers.paying(4):
            for _ in range(times(1, 5)):
                old, done = site.web_worker(), len(payers.answered)
                until(lambda done=done: len(payers.answered) >= done + 5)
                os.kill(site.gunicorn(), signal.SIGHUP)
                until(lambda old=old: not Path(f"/proc/{old}").exists())
        assert payers.faults == []
        payers.check()
    finally:
        site.stop_if_running()


def test_sigterm_under_load_answers_what_it_has_taken_and_loses_nothing(loaded: Site, tmp_path: Path) -> None:
    """As when the machine goes down: people try again, and find what was answered."""
    site = loaded.copy(tmp_path)
    site.start()
    try:
        payers = Payers(site)
        with payers.paying(4):
            until(lambda: len(payers.answered) >= 5)
            assert site.process
            site.process.terminate()
            assert site.process.wait(20) == 0
            assert site.processes() == []
            done = len(payers.answered)
            site.start()
            until(lambda: len(payers.answered) >= done + 5)
        payers.check()
    finally:
        site.stop_if_running()

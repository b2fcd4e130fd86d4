"""The installation that experiments begin with."""

import pytest

from tests.faults.experiment import FULL
from tests.operations.site import Site

collect_ignore = [] if FULL else ["test_localstripe.py"]
"""`make faults` installs what this one tries."""


@pytest.fixture(scope="package")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A demo that every experiment works on a copy of."""
    return Site(tmp_path_factory.mktemp("loaded")).load(60)

"""The installation that experiments begin with."""

import pytest

from tests.operations.site import Site


@pytest.fixture(scope="package")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A demo that every experiment works on a copy of."""
    import os, pathlib

    if os.environ.get("DEVDEMO"):
        return Site(pathlib.Path("/tmp/demo60"))
    return Site(tmp_path_factory.mktemp("loaded")).load(60)

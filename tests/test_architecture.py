"""The code keeps to its own map: imports go one way, and what is generated from it is up to date."""

from pathlib import Path

from flask import Flask
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]


def test_rooms_and_features_import_one_way() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_printed_lifecycles_are_those_that_the_system_goes_by(app: Flask) -> None:
    printed = app.test_cli_runner().invoke(args=["docs", "lifecycles"]).output
    assert (ROOT / "docs" / "lifecycles.md").read_text() == printed

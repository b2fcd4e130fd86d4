"""The page of the security standard names tests and files that exist, and each requirement once."""

import ast
import re
from pathlib import Path

import pytest
from flask import Flask

from insurance.core.db import Base

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "asvs.md").read_text()
MET, _, OTHERS = PAGE.partition("## Does not apply")
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+)$", re.MULTILINE)
REQUIREMENTS_OF_LEVELS_1_AND_2 = 253


def test_each_requirement_stands_there_once() -> None:
    ids = [row[0] for row in ROW.findall(MET)] + re.findall(r"\d+\.\d+\.\d+", OTHERS)
    assert len(ids) == len(set(ids)) == REQUIREMENTS_OF_LEVELS_1_AND_2
    assert len(ROW.findall(MET)) == 205


def test_every_proof_exists() -> None:
    for requirement, _, cells in ROW.findall(MET):
        proof = cells.rstrip(" |").rpartition(" | ")[2]
        named = re.findall(r"`([^` ]+)`", proof)
        assert "`" in proof, requirement
        for name in named:
            path, _, test = name.partition("::")
            if "/" not in path and "." not in path:
                continue  # a word of code that stands beside a command
            assert (ROOT / path).exists(), (requirement, path)
            assert not test or test in _functions(ROOT / path), (requirement, name)


@pytest.mark.sqlite_only
def test_every_table_is_in_one_class_of_data_and_every_class_says_how_it_is_protected(app: Flask) -> None:
    page, _, tables = (ROOT / "docs" / "data.md").read_text().partition("## Tables")
    rows = dict(re.findall(r"^\| (\w+) \| ([\w, ]+) \|$", tables, re.MULTILINE))
    del rows["class"]
    listed = [name for names in rows.values() for name in names.split(", ")]
    assert sorted(listed) == sorted(Base.metadata.tables)
    protected = re.findall(r"^\| (\w+) \|(?: [^|]+ \|){5}$", page, re.MULTILINE)
    assert [name for name in protected if name != "class"] == list(rows)


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}

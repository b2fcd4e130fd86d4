"""The page of the security standard names tests and files that exist, each requirement once, and what is not met."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "asvs.md").read_text()
MET, _, REST = PAGE.partition("## Not met")
NOT_MET, _, OTHERS = REST.partition("## Does not apply")
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+)$", re.MULTILINE)
REQUIREMENTS_OF_LEVELS_1_AND_2 = 253
KNOWN = [
    "2.4.1",
    "4.1.2",
    "5.4.3",
    "6.2.4",
    "6.2.12",
    "6.3.3",
    "6.5.2",
    "7.5.2",
    "11.4.4",
    "12.3.1",
    "12.3.3",
    "12.3.4",
    "13.2.1",
    "13.2.2",
    "13.2.4",
    "13.2.5",
    "13.3.1",
    "13.3.2",
    "14.1.1",
    "14.1.2",
    "14.2.4",
    "15.2.1",
    "16.4.3",
]
"""What is not met yet. It gets shorter; whoever makes it longer says why."""


def test_each_requirement_stands_there_once() -> None:
    ids = [row[0] for row in ROW.findall(MET + NOT_MET)] + re.findall(r"\d+\.\d+\.\d+", OTHERS)
    assert len(ids) == len(set(ids)) == REQUIREMENTS_OF_LEVELS_1_AND_2
    assert len(ROW.findall(MET)) >= 100


def test_what_is_not_met_is_known() -> None:
    assert [row[0] for row in ROW.findall(NOT_MET)] == KNOWN


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


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}

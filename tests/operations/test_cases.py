"""The rules come to the figures that others worked out, and a difference is said in words."""

from pathlib import Path

import pytest

from insurance.core.errors import RuleBroken
from insurance.operations.cases import read, run

CASES = read((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))
PERIODS = {"kind": "periods", "input": {"start": "2026-01-31", "months": 1, "count": 1}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_rules_come_to_the_expected_figures(case):
    report = run([case])
    assert (report.passed, report.failed) == (1, 0), report.text()


def test_every_difference_is_printed_and_counted():
    report = run(
        [
            {"id": "good", **PERIODS, "expect": {"periods": [["2026-01-31", "2026-02-27"]]}},
            {"id": "bad", **PERIODS, "expect": {"periods": [["2026-01-31", "2026-02-28"]]}},
            {"id": "odd", **PERIODS, "expect": {"weeks": 4}},
        ]
    )
    assert report.text().splitlines() == [
        'bad: periods is [["2026-01-31", "2026-02-27"]], expected [["2026-01-31", "2026-02-28"]]',
        "odd: weeks is null, expected 4",
        "1 passed, 2 failed",
    ]


def test_only_what_is_expected_is_compared():
    given = {"invoices": [], "payment": "1.00"}
    assert run([{"id": "a", "kind": "allocate", "input": given, "expect": {"credit": "1.00"}}]).failed == 0


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"kind": "horoscope", "input": {}, "expect": {"luck": 1}}, "case 1: unknown kind horoscope"),
        ({**PERIODS, "expect": {}}, "case 1: expects nothing"),
        ({**PERIODS}, "case 1: expects nothing"),
        ({**PERIODS, "expect": {"refused": True}}, "case 1: refused is false, expected true"),
        ({"kind": "periods", "input": {}, "expect": {"refused": True}}, "case 1: can't be computed: KeyError: 'start'"),
        (
            {"kind": "split", "input": {"total": "1.00", "parts": 0, "remainder": "first"}, "expect": {"amounts": []}},
            "case 1: refused: An amount is split into at least one part.",
        ),
    ],
)
def test_what_is_unknown_unreadable_or_refused_fails_by_itself(case, words):
    report = run([case, {**PERIODS, "expect": {"periods": [["2026-01-31", "2026-02-27"]]}}])
    assert report.text().splitlines() == [words, "1 passed, 1 failed"]


def test_numbers_in_a_file_are_read_as_they_are_written():
    given = '"input": {"invoices": [], "payment": 1000000000000.10}'
    (case,) = read(f'[{{"kind": "allocate", {given}, "expect": {{"credit": "1000000000000.10"}}}}]')
    assert run([case]).failed == 0


@pytest.mark.parametrize("text", ["{}", "[1]", '"a"'])
def test_a_file_that_holds_no_cases_is_refused(text):
    with pytest.raises(RuleBroken):
        read(text)

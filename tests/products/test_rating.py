"""A definition is checked in all its parts, and a premium is exact, explained and rounded once."""

import json
from copy import deepcopy
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insurance.core.errors import RuleBroken
from insurance.core.money import Money, half_up
from insurance.products import shipped
from insurance.products.domain import (
    add_age,
    check_definition,
    coverages,
    initial_reserve,
    interpolate,
    rate,
    read_answers,
    run_tests,
)

ON = date(2026, 6, 1)
STANDARD = shipped()["standard"]
FORTY = {"age": 40, "policy_type": "comprehensive", "coverage_amount": "100000.00"}

MOTOR: dict[str, Any] = {
    "code": "motor_sample",
    "name": "Motor sample",
    "line": "motor",
    "currency": "EUR",
    "term_months": 12,
    "questions": [
        {"code": "car_value", "label": "Value of the car", "type": "money", "minimum": "500", "maximum": "200000"},
        {"code": "licensed_on", "label": "Day of the driving licence", "type": "date"},
        {"code": "annual_km", "label": "Kilometres a year", "type": "integer", "default": "10000"},
        {"code": "deductible", "label": "Deductible", "type": "choice", "choices": {"250": "€ 250", "500": "€ 500"}},
        {"code": "glass", "label": "Glass cover", "type": "boolean", "default": "no"},
        {
            "code": "garage",
            "label": "Garage",
            "type": "choice",
            "choices": {"yes": "Yes", "no": "No"},
            "required": False,
        },
        {"code": "remark", "label": "Remark", "type": "text", "required": False},
    ],
    "coverages": [
        {"code": "own", "name": "Own damage", "limit": {"answer": "car_value"}, "deductible": {"answer": "deductible"}},
        {"code": "tpl", "name": "Liability", "limit": {"value": "1000000.00"}, "deductible": {"value": "0.00"}},
    ],
    "tables": {
        "by_km": {"match": "range", "rows": [["0", "9999", "0.9"], ["10000", "19999", "1"], ["20000", None, "1.25"]]},
        "by_licence": {"match": "linear", "rows": [["0", "2"], ["10", "1"]], "default": "1"},
        "by_deductible": {"match": "exact", "rows": [["250", "1"], ["500", "0.8"]]},
    },
    "steps": [
        {
            "label": "Own damage",
            "op": "add",
            "steps": [
                {"label": "Value of the car", "op": "constant", "answer": "car_value"},
                {"label": "Rate", "op": "multiply", "value": "0.03"},
                {"label": "Deductible", "op": "multiply", "table": "by_deductible", "answer": "deductible"},
                {"label": "Garage", "op": "multiply", "value": "0.95", "when": {"answer": "garage", "is": ["yes"]}},
            ],
        },
        {"label": "Liability", "op": "add", "value": "150"},
        {"label": "Kilometres", "op": "multiply", "table": "by_km", "answer": "annual_km"},
        {"label": "Experience", "op": "multiply", "table": "by_licence", "answer": "licensed_on"},
        {"label": "Glass", "op": "add", "value": "40", "when": {"answer": "glass", "is": ["yes"]}},
        {"label": "Highest", "op": "cap", "value": "5000"},
        {"label": "Lowest", "op": "floor", "value": "200"},
        {"label": "Full cents by five", "op": "round", "value": "0.05"},
    ],
    "minimum_premium": "220.00",
    "taxes": [{"label": "Insurance tax", "rate": "0.19"}, {"label": "Fire levy", "rate": "0.005", "refundable": False}],
    "fees": [{"label": "Policy fee", "amount": "12.50"}],
    "refuse": [{"when": {"answer": "annual_km", "at_least": "100000"}, "words": "Taxis are not insured here."}],
    "refer": [
        {"when": {"answer": "car_value", "at_least": "80000"}, "words": "A car of this value needs a valuation."},
        {
            "when": {"answer": "annual_km", "at_least": "1", "at_most": "100"},
            "words": "Ask whether the car is laid up.",
        },
    ],
    "payment_plans": ["annual", "monthly"],
    "cancellation": {"method": "table", "table": [[1, 73, 30], [74, 365, 100]], "minimum_earned": {"rate": "0.25"}},
    "initial_reserve": {"amount": "1500.00"},
    "notice_days": 14,
    "quote_valid_days": 21,
    "tests": [
        {
            "answers": {"car_value": "20000", "licensed_on": "2010-01-01", "deductible": "500"},
            "on": "2026-06-01",
            "premium": "630.00",
        }
    ],
}
DRIVER = {"car_value": "20000.00", "licensed_on": "2010-01-01", "deductible": "500"}


@pytest.mark.parametrize("code", shipped())
def test_each_product_that_ships_is_sound_and_passes_its_tests(code):
    check_definition(shipped()[code])
    run_tests(shipped()[code])


@given(
    st.integers(1, 150),
    st.sampled_from(["comprehensive", "basic", "Third party", "комфорт"]),
    st.integers(1, 10**14),
)
def test_the_standard_product_is_the_formula_rounded_once(age, policy_type, coverage_minor):
    factor = Fraction("1.2") if policy_type == "comprehensive" else 1
    expected = half_up(Fraction("0.05") * Fraction(age, 100) * factor * coverage_minor)
    answers = {"age": age, "policy_type": policy_type, "coverage_amount": str(Money(coverage_minor, "USD"))}
    if expected:
        rating = rate(STANDARD, answers, ON)
        assert rating.premium == rating.total == Money(expected, "USD")
        assert rating.referrals == ()
    else:
        with pytest.raises(RuleBroken):
            rate(STANDARD, answers, ON)


@pytest.mark.parametrize(
    ("age", "policy_type", "coverage_amount", "premium"),
    [
        (40, "comprehensive", "100000.00", "2400.00"),
        ("40", " Comprehensive ", 100000, "2400.00"),
        (40, "comprehensive", Decimal("1E+5"), "2400.00"),
        (25, "basic", "50000", "625.00"),
        (33, "comprehensive", "123456.78", "2444.44"),
        (1, "basic", "10.00", "0.01"),  # half a cent
    ],
)
def test_standard_premiums(age, policy_type, coverage_amount, premium):
    answers = {"age": age, "policy_type": policy_type, "coverage_amount": coverage_amount}
    assert str(rate(STANDARD, answers, ON).premium) == premium


def test_the_worksheet_is_what_a_customer_reads():
    rating = rate(STANDARD, FORTY, ON)
    assert [(step.label, step.text, step.amount) for step in rating.worksheet] == [
        ("Base rate", "0.05", "0.05"),
        ("Age", "× 40 (answer)", "2"),
        ("Age counts in hundredths", "÷ 100", "0.02"),
        ("Type of policy", "× 1.2 (table “policy type”, row comprehensive)", "0.024"),
        ("Coverage amount", "× 100,000.00 (answer)", "2400"),
        ("Premium", "rounded half up to 0.01", "2400.00"),
    ]
    assert json.loads(json.dumps(rating.worksheet_dicts()))[3] == {
        "label": "Type of policy",
        "operation": "multiply",
        "operand": "1.2",
        "source": "table “policy type”, row comprehensive",
        "amount": "0.024",
        "text": "× 1.2 (table “policy type”, row comprehensive)",
    }


def test_every_other_type_of_policy_has_the_default_row():
    steps = rate(STANDARD, {**FORTY, "policy_type": "fleet"}, ON).worksheet
    assert (steps[3].operand, steps[3].source) == ("1", "table “policy type”, any other row")


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"age": None}, "age"),
        ({"age": ""}, "age"),
        ({"age": "forty"}, "age"),
        ({"age": "40.5"}, "age"),
        ({"age": "٤٠"}, "age"),
        ({"age": True}, "age"),
        ({"age": -1}, "age"),
        ({"age": 151}, "age"),
        ({"age": []}, "age"),
        ({"policy_type": None}, "policy_type"),
        ({"policy_type": "  "}, "policy_type"),
        ({"policy_type": 7}, "policy_type"),
        ({"policy_type": "x" * 201}, "policy_type"),
        ({"policy_type": "a\x00b"}, "policy_type"),
        ({"policy_type": "\ud800"}, "policy_type"),
        ({"coverage_amount": None}, "coverage_amount"),
        ({"coverage_amount": "0.00"}, "coverage_amount"),
        ({"coverage_amount": "-5"}, "coverage_amount"),
        ({"coverage_amount": "100.001"}, "coverage_amount"),
        ({"coverage_amount": "NaN"}, "coverage_amount"),
        ({"coverage_amount": "1e5"}, "coverage_amount"),
        ({"coverage_amount": {}}, "coverage_amount"),
        ({"colour": "red"}, "colour"),
        ({"age": 0}, None),
    ],
)
def test_what_can_not_be_rated_is_refused_and_names_the_answer(answers, field):
    with pytest.raises(RuleBroken) as refusal:
        rate(STANDARD, {**FORTY, **answers}, ON)
    assert refusal.value.field == field


def test_the_age_comes_from_the_date_of_birth_on_record():
    birth = date(2004, 2, 29)
    given_age = {**FORTY, "age": 99}
    assert add_age(STANDARD, given_age, birth, date(2026, 2, 28))["age"] == 21
    assert add_age(STANDARD, given_age, birth, date(2026, 3, 1))["age"] == 22
    assert add_age(MOTOR, DRIVER, None, ON) == DRIVER
    with pytest.raises(RuleBroken) as refusal:
        add_age(STANDARD, given_age, None, ON)
    assert refusal.value.field == "birth_date"


def test_a_definition_that_uses_everything_is_sound():
    check_definition(MOTOR)
    run_tests(MOTOR)


def test_a_step_may_be_the_sum_of_steps_and_tables_and_conditions_apply():
    # ((20000 × 0.03 × 0.8 × 0.95) + 150) × 1.25 × (2 − 5/10) + 40
    answers = {**DRIVER, "garage": "yes", "annual_km": 20000, "licensed_on": "2021-03-01", "glass": True}
    rating = rate(MOTOR, answers, ON)
    assert str(rating.premium) == "1176.25"
    assert [step.label for step in rating.worksheet][:5] == [
        "Value of the car",
        "Rate",
        "Deductible",
        "Garage",
        "Own damage",
    ]
    assert rating.worksheet[4].source == "the lines above"
    assert "years since 2021-03-01" not in rating.worksheet[7].source
    assert rating.worksheet[7].source == "table “by licence”, between rows at 5"


def test_tax_and_fee_come_on_top_and_each_is_rounded_by_itself():
    rating = rate(MOTOR, DRIVER, ON)
    assert (str(rating.premium), str(rating.tax), str(rating.fee), str(rating.total)) == (
        "630.00",
        "122.85",
        "12.50",
        "765.35",
    )
    assert [(step.label, step.operation, step.operand, step.amount) for step in rating.worksheet[-3:]] == [
        ("Insurance tax", "tax", "119.70", "749.70"),
        ("Fire levy", "tax", "3.15", "752.85"),
        ("Policy fee", "fee", "12.50", "765.35"),
    ]


def test_cap_floor_round_and_minimum_hold_the_premium():
    dear = rate(MOTOR, {**DRIVER, "car_value": "200000", "deductible": 250}, ON)
    assert str(dear.premium) == "5000.00"
    cheap = rate(MOTOR, {**DRIVER, "car_value": "500", "annual_km": 5000}, ON)
    assert str(cheap.premium) == "220.00"
    assert [step.label for step in cheap.worksheet][-5] == "Minimum premium"
    odd = rate(MOTOR, {**DRIVER, "car_value": "20001.00"}, ON)
    assert str(odd.premium) == "630.00"  # 630.024


def test_a_linear_table_serves_its_default_outside_and_refuses_without_one():
    assert rate(MOTOR, DRIVER, ON).worksheet[6].source == "table “by licence”, any other row"
    strict = deepcopy(MOTOR)
    del strict["tables"]["by_licence"]["default"]
    with pytest.raises(RuleBroken) as refusal:
        rate(strict, DRIVER, ON)
    assert refusal.value.field == "licensed_on"


def test_who_is_not_eligible_is_refused_in_the_words_of_the_rule():
    with pytest.raises(RuleBroken, match="Taxis") as refusal:
        rate(MOTOR, {**DRIVER, "annual_km": 100000}, ON)
    assert refusal.value.field == "annual_km"


def test_a_referral_says_why_and_the_premium_is_still_worked_out():
    assert rate(MOTOR, {**DRIVER, "car_value": "80000"}, ON).referrals == ("A car of this value needs a valuation.",)
    assert rate(MOTOR, {**DRIVER, "annual_km": "100"}, ON).referrals == ("Ask whether the car is laid up.",)
    assert rate(MOTOR, {**DRIVER, "annual_km": "101"}, ON).referrals == ()


def test_answers_are_read_by_the_type_of_their_question():
    read = read_answers(MOTOR, {**DRIVER, "glass": "Yes", "licensed_on": date(2010, 1, 1)})
    assert read == {
        "car_value": Money(20000_00, "EUR"),
        "licensed_on": date(2010, 1, 1),
        "annual_km": 10000,
        "deductible": "500",
        "glass": True,
    }
    for code, answer in (
        ("glass", "perhaps"),
        ("deductible", "300"),
        ("licensed_on", "1.1.2010"),
        ("car_value", "499.99"),
    ):
        with pytest.raises(RuleBroken) as refusal:
            read_answers(MOTOR, {**DRIVER, code: answer})
        assert refusal.value.field == code


def test_coverages_take_limit_and_deductible_from_the_answers():
    own, liability = coverages(MOTOR, DRIVER)
    assert (own.limit, own.deductible) == (Money(20000_00, "EUR"), Money(500_00, "EUR"))
    assert (liability.limit, liability.deductible) == (Money(1000000_00, "EUR"), Money(0, "EUR"))
    (main,) = coverages(STANDARD, FORTY)
    assert (main.code, main.name, main.limit) == ("main", "Coverage", Money(100000_00, "USD"))


def test_the_initial_reserve_is_an_amount_or_a_share_of_what_is_claimed():
    assert initial_reserve(MOTOR, Money(9_00, "EUR")) == Money(1500_00, "EUR")
    assert initial_reserve(STANDARD, Money(9_01, "USD")) == Money(9_01, "USD")


def test_a_line_between_points_is_rounded_half_up_and_never_left():
    points = [(91000, 233), (90000, 229)]
    assert interpolate(points, 90500, 2) == Decimal("231.00")
    assert str(interpolate(points, 90000, 2)) == "229.00"
    assert interpolate([(0, 0), (8, 1)], 1, 2) == Decimal("0.13")
    assert interpolate([(Fraction(0), Decimal(0)), (1, 1)], Fraction(1, 200), 2) == Decimal("0.01")
    for x in (89999, 91001):
        with pytest.raises(RuleBroken):
            interpolate(points, x, 2)
    with pytest.raises(TypeError):
        interpolate(points, 90500.0, 2)  # type: ignore[arg-type]


def change(path, value):
    """The motor sample with one place changed, or taken out."""
    definition = deepcopy(MOTOR)
    *way, last = path
    place: Any = definition
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return definition


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["code"], "Motor Sample", "code"),
        (["currency"], "XYZ", "currency"),
        (["currency"], None, "currency"),
        (["term_months"], 0, "term_months"),
        (["term_months"], True, "term_months"),
        (["colour"], "red", "colour"),
        (["steps"], ..., "steps"),
        (["steps"], [], "steps"),
        (["steps"], {}, "steps"),
        (["steps", 0], "add", "steps[0]"),
        (["steps", 0, "op"], "multiply", "steps[0].op"),
        (["steps", 0, "steps", 0, "op"], "multiply", "steps[0].steps[0].op"),
        (["steps", 0, "steps", 0, "answer"], "colour", "steps[0].steps[0].answer"),
        (["steps", 0, "steps", 0, "answer"], "glass", "steps[0].steps[0].answer"),
        (["steps", 1, "op"], "power", "steps[1].op"),
        (["steps", 1, "value"], 150, "steps[1].value"),
        (["steps", 1, "value"], "1e3", "steps[1].value"),
        (["steps", 1, "value"], ..., "steps[1]"),
        (["steps", 1, "answer"], "annual_km", "steps[1]"),
        (["steps", 2, "table"], "by_colour", "steps[2].table"),
        (["steps", 2, "answer"], "glass", "steps[2].answer"),
        (["steps", 2, "answer"], "garage", "steps[2].answer"),
        (["steps", 4, "when"], {"answer": "colour", "is": ["red"]}, "steps[4].when.answer"),
        (["steps", 4, "when"], {"answer": "glass"}, "steps[4].when"),
        (["steps", 4, "when"], {"answer": "glass", "at_least": "1"}, "steps[4].when"),
        (["steps", 7, "value"], "0", "steps[7].value"),
        (["tables", "by_km", "match"], "fuzzy", "tables.by_km.match"),
        (["tables", "by_km", "rows", 0], ["0", "9999"], "tables.by_km.rows[0]"),
        (["tables", "by_km", "rows", 0], ["0", None, "1"], "tables.by_km.rows[0][1]"),
        (["tables", "by_km", "rows", 0], ["0", "10000", "1"], "tables.by_km.rows"),
        (["tables", "by_km", "rows", 0], ["9", "1", "1"], "tables.by_km.rows"),
        (["tables", "by_licence", "rows"], [["0", "1"]], "tables.by_licence.rows"),
        (["tables", "by_licence", "rows"], [["1", "1"], ["1", "2"]], "tables.by_licence.rows"),
        (["tables", "by_licence", "rows", 0, 1], 2, "tables.by_licence.rows[0][1]"),
        (["tables", "by_deductible", "rows", 0, 0], 250, "tables.by_deductible.rows[0][0]"),
        (["tables", "by_deductible", "rows", 0, 0], "500", "tables.by_deductible.rows"),
        (["questions", 0, "type"], "number", "questions[0].type"),
        (["questions", 0, "code"], "annual_km", "questions"),
        (["questions", 2, "default"], "many", "questions[2].default"),
        (["questions", 3, "choices"], ..., "questions[3].choices"),
        (["questions", 6, "minimum"], "1", "questions[6].minimum"),
        (["coverages", 0, "limit"], {}, "coverages[0].limit"),
        (["coverages", 0, "limit"], {"value": "1", "answer": "car_value"}, "coverages[0].limit"),
        (["coverages", 0, "limit"], {"answer": "remark"}, "coverages[0].limit.answer"),
        (["coverages", 1, "limit"], {"value": "1.001"}, "coverages[1].limit.value"),
        (["coverages", 1, "code"], "own", "coverages"),
        (["minimum_premium"], "-1", "minimum_premium"),
        (["fees", 0, "amount"], "0.001", "fees[0].amount"),
        (["taxes", 0, "rate"], "19", "taxes[0].rate"),
        (["taxes", 0, "refundable"], "no", "taxes[0].refundable"),
        (["refuse", 0, "words"], "", "refuse[0].words"),
        (["refer", 0, "when", "answer"], "colour", "refer[0].when.answer"),
        (["payment_plans"], ["weekly"], "payment_plans[0]"),
        (["payment_plans"], [], "payment_plans"),
        (["cancellation", "method"], "never", "cancellation.method"),
        (["cancellation", "table"], ..., "cancellation.table"),
        (["cancellation", "minimum_earned"], {}, "cancellation.minimum_earned"),
        (["initial_reserve"], {}, "initial_reserve"),
        (["tests"], [], "tests"),
        (["tests", 0, "on"], "today", "tests[0].on"),
        (["tests", 0, "premium"], ..., "tests[0]"),
    ],
)
def test_an_unsound_definition_is_refused_with_its_place(path, value, field):
    with pytest.raises(RuleBroken) as refusal:
        check_definition(change(path, value))
    assert refusal.value.field == field
    assert field in refusal.value.message


@pytest.mark.parametrize("definition", [None, [], "motor", 7])
def test_what_is_no_definition_at_all_is_refused(definition):
    with pytest.raises(RuleBroken):
        check_definition(definition)


def test_a_definition_whose_own_tests_fail_is_refused():
    for premium, words in (("630.01", "630.00, expected 630.01"), (..., "630.00, expected refused")):
        wrong = change(["tests", 0, "premium"], premium)
        wrong["tests"][0]["refused"] = premium is ...
        with pytest.raises(RuleBroken, match=words):
            run_tests(wrong)
    unrated = change(["tests", 0, "answers"], {})
    with pytest.raises(RuleBroken, match="Value of the car is needed"):
        run_tests(unrated)


def test_a_premium_beyond_every_limit_is_refused():
    huge = deepcopy(STANDARD)
    huge["steps"][0]["value"] = "1000"
    with pytest.raises(RuleBroken, match="more than any policy"):
        rate(huge, {**FORTY, "coverage_amount": "10000000000000.00"}, ON)

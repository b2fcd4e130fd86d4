"""What must not be taken for something else: every refusal has its status, its field and words, and changes nothing."""

from typing import Any

import pytest
from sqlalchemy import func, select

from insurance.core.audit import AuditEntry
from insurance.core.db import db
from insurance.core.permissions import Actor, Role
from tests import factories
from tests import world as worlds
from tests.operations.site import free_port
from tests.programs import Program, problem

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def program(agent) -> Program:
    return Program(agent)


@pytest.fixture
def customer_id(agent) -> int:
    return factories.customer(agent=agent).id


def quote(of: int, **changes: Any) -> bytes:
    """A quote as bytes of JSON; a change says its own JSON, None leaves the member out."""
    members = {
        "customer_id": str(of), "policy_type": '"basic"', "coverage_amount": '"1000.00"',
        "start_date": '"2026-06-01"',
    } | changes  # fmt: skip
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members.items() if value is not None) + "}").encode()


REFUSED = [
    ({"colour": '"red"'}, 422, "colour"),
    ({"customer_id": '"1"'}, 422, "customer_id"),
    ({"customer_id": "true"}, 422, "customer_id"),
    ({"customer_id": "1.5"}, 422, "customer_id"),
    ({"customer_id": "null"}, 422, "customer_id"),
    ({"customer_id": None}, 422, "customer_id"),
    ({"customer_id": "0"}, 422, "customer_id"),
    ({"customer_id": str(2**63)}, 422, "customer_id"),
    ({"customer_id": "9" * 5000}, 422, "customer_id"),
    ({"coverage_amount": "NaN"}, 422, "coverage_amount"),
    ({"coverage_amount": "Infinity"}, 422, "coverage_amount"),
    ({"coverage_amount": "-Infinity"}, 422, "coverage_amount"),
    ({"coverage_amount": "1e999999999"}, 422, "coverage_amount"),
    ({"coverage_amount": "1e99999999999999999999"}, 422, "coverage_amount"),
    ({"coverage_amount": "0"}, 422, "coverage_amount"),
    ({"coverage_amount": "-1"}, 422, "coverage_amount"),
    ({"coverage_amount": "0.001"}, 422, "coverage_amount"),
    ({"coverage_amount": '"1_000"'}, 422, "coverage_amount"),
    ({"coverage_amount": '"1e3"'}, 422, "coverage_amount"),
    ({"coverage_amount": '"١٢٣"'}, 422, "coverage_amount"),
    ({"coverage_amount": "true"}, 422, "coverage_amount"),
    ({"coverage_amount": "[1]"}, 422, "coverage_amount"),
    ({"coverage_amount": "9" * 25}, 422, "coverage_amount"),
    ({"policy_type": '"a\\u0000b"'}, 422, "policy_type"),
    ({"policy_type": '"\\ud800"'}, 422, "policy_type"),
    ({"policy_type": '"  "'}, 422, "policy_type"),
    ({"policy_type": '"' + "x" * 61 + '"'}, 422, "policy_type"),
    ({"policy_type": "7"}, 422, "policy_type"),
    ({"start_date": '"2026-02-30"'}, 422, "start_date"),
    ({"start_date": '"1.6.2026"'}, 422, "start_date"),
    ({"start_date": "20260601"}, 422, "start_date"),
    ({"end_date": '"2026-05-31"'}, 422, "end_date"),
    ({"answers": "[]"}, 422, "answers"),
    ({"answers": '{"colour": 1}'}, 422, "colour"),
    ({"answers": '{"age": {"deep": NaN}}'}, 422, "deep"),
    ({"premium": '"1.00"'}, 422, "premium"),
    ({"status": '"active"'}, 422, "status"),
    ({"product": '"nothing"'}, 404, ""),
    ({"customer_id": "999999"}, 404, ""),
]


@pytest.mark.parametrize(("changes", "status", "field"), REFUSED)
def test_a_member_that_is_wrong_is_named_and_nothing_changes(program, customer_id, changes, status, field) -> None:
    entries = select(func.count()).select_from(AuditEntry)
    before = db.session.scalar(entries)
    problem(program.raw("POST", "/policies", quote(customer_id, **changes)), status, field)
    db.session.rollback()
    assert db.session.scalar(entries) == before


def test_what_is_right_is_taken_whichever_way_it_is_written(program, customer_id) -> None:
    for amount in ("1000", "1000.00", '"1000"', '"1000.0"', "1e3"):
        made = program.raw("POST", "/policies", quote(customer_id, coverage_amount=amount))
        assert made.status_code == 201, made.text
        assert made.json["coverage_amount"] == "1000.00"  # type: ignore[index]


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("data", "content_type", "status", "field"),
    [
        (b"", "application/json", 422, "customer_id"),
        (b"{", "application/json", 400, ""),
        (b"\xff\xfe", "application/json", 400, ""),
        (b"\xed\xa0\x80", "application/json", 400, ""),
        (b"[" * 100_000, "application/json", 400, ""),
        (b'{"a":' * 100_000, "application/json", 400, ""),
        (b"[]", "application/json", 422, "body"),
        (b"null", "application/json", 422, "body"),
        (b'"text"', "application/json", 422, "body"),
        (b'{"customer_id":1,"customer_id":2}', "application/json", 422, "customer_id"),
        (b'{"answers":{"age":1,"age":2}}', "application/json", 422, "age"),
        (b'{"\\ud800":1}', "application/json", 422, ""),
        (b"customer_id=1", "application/x-www-form-urlencoded", 415, ""),
        (b"{}", "text/plain", 415, ""),
        (b" " * (20 * 1024 * 1024), "application/json", 413, ""),
        (b'{"policy_type":"' + b"x" * (2 * 1024 * 1024) + b'"}', "application/json", 413, ""),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(program, data, content_type, status, field) -> None:
    with worlds.snapshot() as before:
        problem(program.raw("POST", "/policies", data, content_type), status, field)
        assert before.changed() == []


def test_what_the_server_sets_may_be_sent_back_as_it_is_and_not_otherwise(program, customer_id) -> None:
    record = program.raw("POST", "/policies", quote(customer_id)).json
    assert record
    where = f"/policies/{record['id']}"
    assert program.patch(where, record).status_code == 200
    record = program.get(where).json
    assert record
    for name, other in (
        ("policy_number", "POL-2026-999999"), ("premium", "1.00"), ("premium", True), ("status", "active"),
        ("customer_id", customer_id + 1), ("terms", [{}]), ("currency", None), ("cancelled_on", "2026-06-02"),
    ):  # fmt: skip
        problem(program.patch(where, {name: other}), 422, name)
    assert program.patch(where, {"premium": float(record["premium"]), "policy_type": "other"}).status_code == 200


def test_a_fault_is_no_page_and_tells_nothing(app, program, monkeypatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("insurance.policies.queries.policy_rows", fail)
    said = problem(program.get("/policies"), 500)
    assert "secret" not in str(said)
    assert said["request_id"]


def test_too_many_requests_in_a_minute_are_refused_and_headers_say_how_many_are_left(app, program) -> None:
    app.config["API_REQUESTS_PER_MINUTE"], kept = 3, app.config["API_REQUESTS_PER_MINUTE"]
    app.extensions.pop("api_requests", None)
    try:
        left = [program.get("/products").headers["RateLimit-Remaining"] for _ in range(3)]
        refused = program.get("/products")
    finally:
        app.config["API_REQUESTS_PER_MINUTE"] = kept
        app.extensions.pop("api_requests", None)
    assert left == ["2", "1", "0"]
    problem(refused, 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "3"


def test_other_origins_are_told_nothing(program) -> None:
    answer = program.get("/products", Origin="https://elsewhere.example.com")
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    assert program.send("OPTIONS", "/products", Origin="https://elsewhere.example.com").headers.get("Allow")


@pytest.mark.sqlite_only
def test_where_redis_does_not_answer_each_process_counts_on_its_own(app, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    left = [int(Program().get("/openapi.json").headers["RateLimit-Remaining"]) for _ in range(2)]
    assert left[0] - left[1] == 1
    app.extensions.pop("redis")["connection"].close()

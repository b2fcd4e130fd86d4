"""The same request twice, two editors of one record, and acts that are only tried."""

import os
import subprocess
import sys
from datetime import timedelta
from threading import Event
from time import sleep
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from insurance.api import idempotency
from insurance.api.answers import Answer
from insurance.api.models import KeptAnswer
from insurance.api.operations import Operation
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict
from insurance.core.permissions import Actor, Role
from insurance.customers.models import Customer
from insurance.jobs.services import run_nightly
from insurance.operations import verify
from insurance.payments.models import Payment
from insurance.policies.models import Policy
from tests import factories
from tests import world as worlds
from tests.conftest import TODAY
from tests.programs import Program, problem
from tests.races import together

KEY = "1f3a-0042"


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def program(agent) -> Program:
    return Program(agent)


def count(model: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_the_same_key_and_content_get_the_same_answer_and_one_record(program) -> None:
    first = program.post("/customers", {"name": "Maria", "email": "m@example.com"}, Idempotency_Key=KEY)
    again = program.post("/customers", {"email": "m@example.com", "name": "Maria"}, Idempotency_Key=KEY)
    assert (first.status_code, first.data, first.location) == (again.status_code, again.data, again.location)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert count(Customer) == 1


def test_a_key_with_other_content_is_refused_and_counts_for_one_user_and_path_alone(program) -> None:
    body = {"name": "Maria"}
    assert program.post("/customers", body, Idempotency_Key=KEY).status_code == 201
    problem(program.post("/customers", {"name": "Mario"}, Idempotency_Key=KEY), 422, "Idempotency-Key")
    other = Program(factories.user(Role.AGENT))
    assert other.post("/customers", body, Idempotency_Key=KEY).status_code == 201
    answers = {"age": 40, "policy_type": "basic", "coverage_amount": "100.00"}
    assert program.post("/products/standard/rate", {"answers": answers}, Idempotency_Key=KEY).status_code == 200
    for wrong in ("", "x" * 256, "ä", "a b"):
        problem(program.post("/customers", body, Idempotency_Key=wrong), 422, "Idempotency-Key")


def test_what_was_refused_is_tried_anew_with_its_key(program, agent) -> None:
    customer = factories.customer(agent=agent, birth_on=None)
    body = {
        "customer_id": customer.id, "policy_type": "basic", "coverage_amount": "100.00", "start_date": "2026-06-01",
    }  # fmt: skip
    problem(program.post("/policies", body, Idempotency_Key=KEY), 422, "birth_date")
    program.patch(f"/customers/{customer.id}", {"birth_date": "1986-01-01"})
    assert program.post("/policies", body, Idempotency_Key=KEY).status_code == 201


def test_an_act_is_done_once_and_answered_twice(program, agent) -> None:
    policy = factories.quote(customer=factories.customer(agent=agent), actor=agent)
    first = program.post(f"/policies/{policy.id}/bind", Idempotency_Key=KEY)
    assert first.status_code == 200
    assert program.post(f"/policies/{policy.id}/bind", Idempotency_Key=KEY).data == first.data
    problem(program.post(f"/policies/{policy.id}/bind"), 409)


def test_twenty_at_once_with_one_key_make_one_payment(app, agent) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent), actor=agent)
    body = {"amount": "100.00", "payment_method": "cash", "policy_id": policy.id}
    programs = [Program(agent) for _ in range(20)]
    db.session.remove()
    answers = together(
        app,
        [lambda one=one: one.post("/payments", body, Idempotency_Key=KEY) for one in programs],  # type: ignore[misc]
    )
    made = {answer.data for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert count(Payment) == 1
    assert [result for result in verify.run() if result.violations] == []


def test_while_the_first_is_at_work_the_second_is_told_so_and_then_gets_its_answer(app, agent, monkeypatch) -> None:
    begun, told = Event(), Event()
    act = Operation._act

    def slowly(*args: Any) -> Any:
        begun.set()
        assert told.wait(10)
        return act(*args)

    monkeypatch.setattr(Operation, "_act", slowly)
    first, second = Program(agent), Program(agent)
    db.session.remove()

    def second_comes() -> TestResponse:
        assert begun.wait(10)
        try:
            return second.post("/customers", {"name": "Maria"}, Idempotency_Key=KEY)
        finally:
            told.set()

    made, refused = together(
        app, [lambda: first.post("/customers", {"name": "Maria"}, Idempotency_Key=KEY), second_comes]
    )
    assert made.status_code == 201
    assert "at work" in problem(refused, 409)["detail"]
    again = second.post("/customers", {"name": "Maria"}, Idempotency_Key=KEY)
    assert (again.status_code, again.data) == (201, made.data)
    assert count(Customer) == 1


SCRIPT = """
import sys, types
import config
from insurance import create_app
from insurance.api import idempotency
with create_app(config.read(env_file=None)).app_context():
    def act():
        print("at work", flush=True)
        sys.stdin.read()
    idempotency.once("key", types.SimpleNamespace(id=int(sys.argv[1])), "/path", {}, act)
"""


def test_a_process_that_was_killed_at_work_leaves_its_key_free(app, agent) -> None:
    url = db.engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(agent.id)],
        env=os.environ | {"DATABASE_URL": url, "APP_ENV": "test"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "at work\n"

    def come() -> bool:
        try:
            return not idempotency.once("key", agent, "/path", {}, lambda: Answer(200))[1]
        except Conflict:
            return False

    assert not come()
    process.kill()
    process.communicate()
    assert any(come() or sleep(0.05) for _ in range(100)), "the server notices within a moment"


def test_answers_are_kept_for_a_week(program) -> None:
    first = program.post("/customers", {"name": "Maria"}, Idempotency_Key=KEY)
    assert idempotency.forget() == 0
    with transaction():
        db.session.query(KeptAnswer).one().at -= timedelta(days=7, seconds=1)
    run_nightly(TODAY, print)
    assert count(KeptAnswer) == 0
    later = program.post("/customers", {"name": "Maria"}, Idempotency_Key=KEY)
    assert later.json["id"] != first.json["id"]  # type: ignore[index]


def test_a_change_to_what_somebody_else_has_changed_is_refused(program, agent) -> None:
    customer = factories.customer(agent=agent)
    where = f"/customers/{customer.id}"
    seen = program.get(where).headers["ETag"]
    assert program.patch(where, {"address": "1 Old Lane"}, If_Match=seen).status_code == 200
    for stale in (seen, '"99"', "nonsense", ""):
        problem(program.patch(where, {"address": "2 New Lane"}, If_Match=stale), 409)
        problem(program.delete(where, If_Match=stale), 409)
    problem(program.patch(where, {"address": "2 New Lane", "version": 1}), 409)
    assert program.get(where).json["address"] == "1 Old Lane"  # type: ignore[index]
    assert program.patch(where, {"address": "2 New Lane"}, If_Match="*").status_code == 200
    fresh = program.get(where).headers["ETag"]
    assert program.patch(where, {"address": "3 New Lane"}, If_Match=f'W/{fresh[:-1]}:gzip"').status_code == 200


def test_an_act_on_what_somebody_else_has_changed_is_refused(program, agent) -> None:
    policy = factories.quote(customer=factories.customer(agent=agent), actor=agent)
    where = f"/policies/{policy.id}"
    seen = program.get(where).headers["ETag"]
    program.patch(where, {"coverage_amount": "5.00"})
    problem(program.post(f"{where}/bind", If_Match=seen), 409)
    problem(program.post(f"{where}/withdraw", If_Match=seen), 409)
    assert program.post(f"{where}/bind", If_Match='"2"').status_code == 200


def test_of_two_editors_at_once_one_is_refused(app, agent) -> None:
    where = f"/customers/{factories.customer(agent=agent).id}"
    programs = [Program(agent), Program(agent)]
    db.session.remove()
    answers = together(
        app,
        [
            lambda one=one, name=name: one.patch(where, {"name": name}, If_Match='"1"')  # type: ignore[misc]
            for one, name in zip(programs, ("Anna", "Berta"), strict=True)
        ],
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": KEY}])
def test_a_dry_run_shows_what_would_come_and_keeps_nothing(program, agent, key) -> None:
    where = f"/policies/{factories.quote(customer=factories.customer(agent=agent), actor=agent).id}"
    with worlds.snapshot() as before:
        shown = program.post(f"{where}/bind?dry_run=true", **key)
        assert shown.status_code == 200
        assert shown.json["status"] == "active"  # type: ignore[index]
        assert [movement["amount"] for movement in shown.json["effect"]] == ["2400.00", "2400.00"]  # type: ignore[index]
        assert before.changed() == []
    problem(program.post(f"{where}/bind?dry_run=maybe"), 422, "dry_run")
    problem(program.post(f"{where}/withdraw?dry_run=true"), 422, "dry_run")
    assert program.post(f"{where}/bind", **key).json["status"] == "active"  # type: ignore[index]
    problem(program.post(f"{where}/bind?dry_run=true"), 409)
    assert count(Policy) == 1

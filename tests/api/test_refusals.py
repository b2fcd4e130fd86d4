"""Every refusal that the document promises comes, and every operation with a body refuses what it must, unchanged."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from insurance.accounts import tokens
from insurance.accounts.models import COLLECTIONS
from insurance.api import idempotency
from insurance.api.answers import Answer
from insurance.core import clock
from insurance.core.permissions import PERMISSIONS, Role
from tests import world as worlds
from tests.programs import Program, problem
from tests.world import World

pytestmark = pytest.mark.sqlite_only
NOWHERE = 999_999
TWENTY_MEGABYTES = b" " * (20 * 1024 * 1024)
Operation = dict[str, Any]


@pytest.fixture
def document(client) -> dict[str, Any]:
    return client.get("/api/v1/openapi.json").json


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    """Method, path without its beginning, and what the document says."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.removeprefix("/api/v1"), operation


def example(operation: Operation) -> dict[str, Any]:
    """A body that the document shows."""
    return operation["requestBody"]["content"]["application/json"]["example"] if "requestBody" in operation else {}


class Refused:
    """One way to be refused for each status."""

    def __init__(self, world: World, app: Any) -> None:
        self.world, self.app = world, app
        self.office, self.customer, self.nobody = Program(world.admin), Program(world.a.person), Program()
        scopes = {tag: f"{'products' if tag != 'products' else 'events'}:read" for tag in COLLECTIONS}
        days = clock.today() + timedelta(days=9)
        self.keys = {
            tag: Program(secret=tokens.create_key(name="t", scopes=[scope], expires_on=days, actor=world.admin))
            for tag, scope in scopes.items()
        }

    def path(self, path: str) -> str:
        """The path with the ids of records that are there."""
        book = self.world.a
        ids: dict[str, Any] = {
            "policy_id": book.quote_id, "claim_id": book.claims["pending"], "user_id": book.person.id,
            "customer_id": book.customer_id, "payment_id": book.payment_id, "invoice_id": book.invoice_id,
            "document_id": book.document_id, "receipt_id": book.receipt_id, "code": "standard",
        }  # fmt: skip
        return path.format(**ids)

    def by(self, status: str, method: str, path: str, operation: Operation) -> TestResponse:
        """The answer of the operation to what must be refused with the status."""
        send = getattr(self, f"_{status}")
        return send(method, path, operation)

    def _400(self, method: str, path: str, _: Operation) -> TestResponse:
        if method != "GET":
            return self.office.raw(method, self.path(path), b"{")
        self.app.config["TRUSTED_HOSTS"], kept = ["localhost"], self.app.config["TRUSTED_HOSTS"]
        try:
            return self.office.get(self.path(path), Host="elsewhere.example.com")
        finally:
            self.app.config["TRUSTED_HOSTS"] = kept

    def _401(self, method: str, path: str, operation: Operation) -> TestResponse:
        return self.nobody.send(method, self.path(path), example(operation) or None)

    def _403(self, method: str, path: str, operation: Operation) -> TestResponse:
        return self.keys[operation["tags"][0]].send(method, self.path(path), example(operation) or None)

    def _404(self, method: str, path: str, operation: Operation) -> TestResponse:
        body = example(operation)
        if "{code}" in path:
            path = path.replace("{code}", "nothing")
        elif "{" in path:
            path = f"{path.partition('{')[0]}{NOWHERE}{path.rpartition('}')[2]}"
        else:
            body = body | {name: NOWHERE for name in schema_of(operation) if name.endswith("_id")}
        return self.office.send(method, path, body or None)

    def _409(self, method: str, path: str, operation: Operation) -> TestResponse:
        path, body = self.path(path), example(operation)
        if "If-Match" in {parameter["name"] for parameter in operation["parameters"]}:
            return self.office.send(method, path, body or None, If_Match='"99"')
        answers: list[TestResponse] = []

        def first() -> Answer:
            answers.append(self.office.send(method, path, body, Idempotency_Key="one"))
            return Answer(200)

        idempotency.once("one", self.world.admin, f"/api/v1{path}", {}, first)
        return answers[0]

    def _413(self, method: str, path: str, _: Operation) -> TestResponse:
        return self.office.raw(method, self.path(path), TWENTY_MEGABYTES)

    def _415(self, method: str, path: str, _: Operation) -> TestResponse:
        return self.office.raw(method, self.path(path), b"{}", "text/plain")

    def _422(self, method: str, path: str, operation: Operation) -> TestResponse:
        if method == "GET":
            return self.office.get(f"{self.path(path)}?colour=red")
        return self.office.send(method, self.path(path), example(operation) | {"colour": "red"})

    def _429(self, method: str, path: str, operation: Operation) -> TestResponse:
        self.app.config["API_REQUESTS_PER_MINUTE"], kept = 0, self.app.config["API_REQUESTS_PER_MINUTE"]
        try:
            return self.office.send(method, self.path(path), example(operation) or None)
        finally:
            self.app.config["API_REQUESTS_PER_MINUTE"] = kept


SCHEMAS: dict[str, Any] = {}


def schema_of(operation: Operation) -> dict[str, Any]:
    """The members that an operation takes, and their schemas."""
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return SCHEMAS[name]["properties"]


@pytest.fixture(autouse=True)
def schemas(document) -> None:
    SCHEMAS.update(document["components"]["schemas"])


def test_every_refusal_in_the_document_comes_and_changes_nothing(app, world, document) -> None:
    refused, wrong = Refused(world, app), []
    with worlds.snapshot() as before:
        for method, path, operation in operations(document):
            for status in operation["responses"]:
                if status >= "400":
                    answer = refused.by(status, method, path, operation)
                    if answer.status_code != int(status) or answer.mimetype != "application/problem+json":
                        wrong.append((operation["operationId"], status, answer.status_code, answer.text))
        changed = before.changed()
    assert wrong == []
    assert set(changed) == {"api_keys", "kept_answers", "sign_in_tries"}, "what counts uses and tries, and nothing else"


def test_the_roles_that_an_operation_is_not_for_are_refused(app, world, document) -> None:
    from insurance.api import api

    refused = Refused(world, app)
    said = {operation["operationId"]: (method, path, operation) for method, path, operation in operations(document)}
    with worlds.snapshot() as before:
        for each in api.operations:
            if each.tag != "auth" and not PERMISSIONS[Role.CUSTOMER] & set(each.permissions):
                method, path, operation = said[each.name]
                problem(refused.customer.send(method, refused.path(path), example(operation) or None), 403)
        assert before.changed() == []


def test_every_member_of_every_body_refuses_what_it_cannot_be(app, world, document) -> None:
    refused = Refused(world, app)
    with worlds.snapshot() as before:
        for method, path, operation in operations(document):
            if "requestBody" not in operation:
                continue
            path, body, send = refused.path(path), example(operation), refused.office.raw
            problem(send(method, path, json.dumps(body | {"colour": 1}).encode()), 422, "colour")
            for name in schema_of(operation):
                for value in ([], float("nan"), float("inf"), 2**63, "\0", "\ud800"):
                    problem(send(method, path, json.dumps(body | {name: value}).encode()), 422, name)
                twice = f'{{"{name}": null, "{name}": null}}'
                problem(send(method, path, twice.encode()), 422, name)
        assert before.changed() == []

"""The document of the API says what there is, its page shows all of it, and both come without anybody's help."""

import re
from itertools import chain
from typing import Any

import pytest

from insurance.accounts.models import COLLECTIONS
from insurance.api import api, members
from insurance.api.document import example
from insurance.core.permissions import Role
from tests import factories
from tests.programs import Program

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def document(client) -> dict[str, Any]:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json


def references(part: Any) -> set[str]:
    """Whatever the document refers to."""
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_every_operation_is_in_the_document_once_with_examples_and_every_refusal(document) -> None:
    operations = list(chain.from_iterable(each.values() for each in document["paths"].values()))
    assert document["openapi"] == "3.1.0"
    assert sorted(each["operationId"] for each in operations) == sorted(each.name for each in api.operations)
    for each in operations:
        assert each["summary"]
        assert {"400", "429"} <= set(each["responses"]), each["operationId"]
        if "requestBody" in each:
            assert each["requestBody"]["content"]["application/json"]["example"] is not None
            assert {"413", "415", "422"} <= set(each["responses"])
        assert (each.get("security") == []) == (each["tags"] == ["auth"])
    components = document["components"]
    for place in references(document):
        _, _, kind, name = place.split("/")
        assert name in components[kind], place


def test_every_member_is_described_and_shown_and_no_word_is_for_nothing(document) -> None:
    schemas = document["components"]["schemas"]
    named = {name for schema in schemas.values() for name in schema.get("properties", {})}
    assert named == set(members.MEANINGS)
    assert {tuple(name.split(".")) for name in members.CLOSER} <= {
        (schema, name) for schema, facts in schemas.items() for name in facts.get("properties", {})
    }
    for name, schema in schemas.items():
        for member, facts in schema.get("properties", {}).items():
            assert facts["description"].endswith("."), (name, member)
            assert example(facts, schemas) != "text", (name, member)


def test_keys_can_be_for_each_kind_of_record_that_there_is() -> None:
    assert {operation.tag for operation in api.operations} - {"auth"} == set(COLLECTIONS)


def test_the_page_shows_every_operation_and_record_and_asks_no_other_host(client, document) -> None:
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for operation in api.operations:
        assert f'id="{operation.name}"' in page.text
    for link in re.findall(r'href="#([^"]+)"', page.text):
        assert f'id="{link}"' in page.text, link
    assert not re.findall(r'(?:src|href)="https?://', page.text)
    assert "<script>" not in page.text


def test_the_collection_to_download_has_every_operation(client) -> None:
    answer = client.get("/api/v1/postman.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    requests = [item["request"] for folder in answer.json["item"] for item in folder["item"]]
    assert len(requests) == len(api.operations)
    assert all("{" not in request["url"].removeprefix("{{url}}") for request in requests)


def test_answers_are_compressed_and_carry_the_id_of_their_request(app) -> None:
    agent = factories.user(Role.AGENT)
    customer = factories.customer(agent=agent)
    for _ in range(5):
        factories.quote(customer=customer, actor=agent)
    answer = Program(agent).get("/policies", Accept_Encoding="gzip", X_Request_ID="abc123")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["X-Request-ID"] == "abc123"
    assert answer.headers["Cache-Control"] == "no-store"

"""The OpenAPI document, made of the operations, their types and their collections."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from ..core.money import Money
from ..core.permissions import PERMISSIONS
from ..web.guard import PUBLIC
from . import bodies, members
from .collections import DEFAULT_LIMIT, MOST, Collection
from .effects import Movement
from .operations import KEY, VERSION, Operation
from .problems import MIMETYPE, Problem

Json = dict[str, Any]

ABOUT = """\
Everything that the pages do, for programs: the same services, permissions and sight. Sign in with `POST /auth/token`,
or make an API key on your account page, and send either as `Authorization: Bearer …`.

Amounts are decimal texts ("2400.00"), dates ISO 8601; `end_date` is the last day of cover. Lists are newest first: go
on with `after=<next>` until `next` is null. Every POST takes an `Idempotency-Key`: the same key and content again get
the same answer. Records carry a `version`, which is their ETag: send it as `If-Match`, and nobody's change is
overwritten. What is refused is said as problem+json, with the field and the reason.
"""
CURSOR = "^([^~]{1,100}~)?[0-9]{1,18}$"
TAGS = {
    "auth": "Signing in",
    "customers": "Policyholders",
    "policies": "Quotes and policies",
    "invoices": "What is owed",
    "payments": "Money that came in",
    "receipts": "Receipts",
    "claims": "Claims",
    "products": "The catalogue, and rating",
    "documents": "Issued documents",
    "events": "What happened, for programs that poll",
    "users": "Users, for administrators",
}
ERRORS = {
    400: "The request is not readable, or is for a host that is not served here.",
    401: "Nobody is signed in: the token or key is missing, wrong or over.",
    403: "The role, the authority or the key's scope lacks this act.",
    404: "There is no such record in sight, in the path or named in the body.",
    409: "The record's status does not allow this, or somebody else changed it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value is missing, of the wrong type, unknown, or breaks a rule; `errors` says which and why.",
    429: "Too many requests or wrong passwords; `Retry-After` says when to go on.",
}

WITH_PASSWORD = {"sign_in", "refresh"}
"""Operations for everybody that ask who it is."""


def document(operations: Iterable[Operation], server: str) -> Json:
    """The whole document."""
    operations = list(operations)
    schemas, refs = _schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        path = f"/api{VERSION}" + re.sub("<(?:int:)?([a-z_]+)>", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, refs, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Insurance API", "version": "1", "description": ABOUT},
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {_error_name(status): _error(status, said) for status, said in ERRORS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."}
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[str, Json], dict[Any, Json]]:
    """The schemas by name, and how each type refers to its own."""
    found: dict[Any, str] = {Problem: "serialization", Movement: "serialization"}
    for operation in operations:
        if operation.body:
            found[operation.body] = "validation"
        if result := _result(operation):
            found[result] = "serialization"
    inputs = [(type_, mode, TypeAdapter(type_)) for type_, mode in found.items()]
    made, definitions = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas: dict[str, Json] = definitions["$defs"]
    schemas.pop(Money.__name__)  # what amounts become is nobody's business outside
    records = {operation.on.record.__name__ for operation in operations if operation.on}
    for name in records:
        schemas[name]["required"] = ["id"]  # `fields` may leave out all else
    members.say(schemas)
    return schemas, {type_: schema for (type_, _), schema in made.items()}


def _result(operation: Operation) -> Any:
    """The type of the answer: a record, or what else the view gives back; none for a file, and for nothing."""
    if operation.on and operation.method == "GET":
        return operation.on.record
    result = operation.types.get("return")
    return result if is_typeddict(result) else None


def _operation(operation: Operation, refs: Mapping[Any, Json], schemas: Mapping[str, Json]) -> Json:
    summary, _, rest = (operation.view.__doc__ or "").strip().partition(". ")
    public = PUBLIC in operation.permissions
    roles = [role for role, held in PERMISSIONS.items() if held & set(operation.permissions)]
    whom = "" if public else f"For {', '.join(roles)}. API keys need the scope `{operation.scope}`."
    said: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "description": " ".join(filter(None, [rest, whom])),
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": {**_answers(operation, refs, schemas), **_refusals(operation)},
    }
    if public:
        said["security"] = []
    if operation.body:
        schema = refs[operation.body]
        media = {"schema": schema, "example": example(schema, schemas)}
        said["requestBody"] = {
            "required": bool(schemas[operation.body.__name__].get("required")),
            "content": {"application/json": media},
        }
    return said


def _path_parameters(operation: Operation) -> list[Json]:
    number = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
    name = {"type": "string", "pattern": "^[a-z_]{1,40}$"}
    return [
        _parameter("path", found, number if kind else name, 1 if kind else "standard", required=True)
        for kind, found in re.findall("<(int:)?([a-z_]+)>", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    if operation.moves_money:
        words = "true: nothing is kept, and the answer shows what would come of it"
        return [_parameter("query", "dry_run", {"type": "string", "enum": ["true", "false"]}, "true", words)]
    if operation.method != "GET" or not operation.on:
        return []
    members = "|".join(operation.on.record.__annotations__)
    fields = {"type": "string", "pattern": f"^({members})(,({members}))*$"}
    named = _parameter("query", "fields", fields, "id", "Only these members, and the id")
    return [*(_list_parameters(operation.on) if operation.lists else []), named]


def _list_parameters(collection: Collection[Any]) -> list[Json]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}
    order = {"type": "string", "enum": collection.orders, "default": collection.default_sort}
    after = "What came as `next`" + (", or the id of the last event" if collection.oldest_first else "")
    return [
        _parameter("query", "after", {"type": "string", "pattern": CURSOR}, None, after),
        _parameter("query", "limit", limit, None, "How many at most"),
        _parameter("query", "sort", order, None, "- is downwards"),
        *(_parameter("query", name, dict(by.schema)) for name, by in collection.filters.items()),
    ]


def _header_parameters(operation: Operation) -> list[Json]:
    found = []
    if operation.method == "POST" and PUBLIC not in operation.permissions:
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append(_parameter("header", KEY, schema, None, "The same key and content again: the same answer"))
    if operation.on and not operation.creates and operation.method != "GET":
        schema = {"type": "string", "pattern": '^"[0-9]{1,9}"$'}
        found.append(_parameter("header", "If-Match", schema, None, "The ETag of the record as you have seen it"))
    return found


def _parameter(
    place: str, name: str, schema: Json, shown: Any = None, words: str = "", *, required: bool = False
) -> Json:
    said = {"name": name, "in": place, "schema": schema, "required": required}
    return said | ({"description": words} if words else {}) | ({"example": shown} if shown is not None else {})


def _answers(operation: Operation, refs: Mapping[Any, Json], schemas: Mapping[str, Json]) -> Json:
    result = _result(operation)
    if operation.status == 204:
        return {"204": {"description": "Done."}}
    if result is None:
        return {"200": {"description": "The file.", "content": {"application/pdf": {"schema": {"type": "string"}}}}}
    schema = refs[result]
    if operation.lists:
        schema = {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next": {"type": ["string", "null"], "description": "The cursor of the next page"},
            },
        }
    shown = {"application/json": {"schema": schema, "example": example(schema, schemas)}}
    answer: Json = {"description": "Done, and this is the record." if operation.on else "Done.", "content": shown}
    headers = {}
    if operation.creates:
        headers["Location"] = {"description": "Where it is.", "schema": {"type": "string"}}
    if operation.on and not operation.lists and "version" in operation.on.record.__annotations__:
        headers["ETag"] = {"description": "The record's version.", "schema": {"type": "string"}}
    answers = {str(operation.status): answer | ({"headers": headers} if headers else {})}
    if operation.moves_money and operation.creates:
        answers["200"] = {"description": "A dry run: what would come of it.", "content": shown}
    return answers


def _refusals(operation: Operation) -> Json:
    public, reads = PUBLIC in operation.permissions, operation.method == "GET"
    named = [name for name in bodies.names(operation.body).values() if name.endswith("_id")]
    may_come = {
        400: True,
        401: not public or operation.name in WITH_PASSWORD,
        403: not public,
        404: "<" in operation.path or bool(named),
        409: not public and not reads,
        413: not reads,
        415: not reads,
        422: True,
        429: True,
    }
    return {
        str(status): {"$ref": f"#/components/responses/{_error_name(status)}"} for status in ERRORS if may_come[status]
    }


def _error_name(status: int) -> str:
    return f"Error{status}"


def _error(status: int, said: str) -> Json:
    shown = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "At most 100 records at once." if status == 422 else said,
        "errors": [{"field": "limit", "message": "At most 100 records at once."}] if status == 422 else [],
        "request_id": "5f1d7a84db00d2fc",
    }
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    answer: Json = {"description": said, "content": {MIMETYPE: {"schema": schema, "example": shown}}}
    if status == 429:
        answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
    return answer


def example(schema: Mapping[str, Any], schemas: Mapping[str, Json]) -> Any:
    """A value of a schema: what it gives as example, or else the plainest there is."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    if "default" in schema:
        return schema["default"]
    if {"type": "null"} in schema.get("anyOf", []):
        return None
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas)
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            members = schema.get("properties", {})
            told = members if required == ["id"] else {name: members[name] for name in members if name in required}
            return {name: example(member, schemas) for name, member in told.items()}
        case "array":
            return [example(schema["items"], schemas)]
        case "integer" | "number":
            return 1
        case "boolean":
            return False
        case "string":
            return {"date": "2026-06-01"}.get(schema.get("format", ""), "text")
    return None

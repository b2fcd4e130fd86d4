"""The document as a Postman collection (format 2.1): a folder for each kind of record, a request for each operation."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """The requests with their examples; set `token` to an access token or an API key."""
    folders: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            folders[operation["tags"][0]].append(_request(path, method.upper(), operation))
    return {
        "info": {"name": document["info"]["title"], "schema": FORMAT},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": "url", "value": document["servers"][0]["url"]}, {"key": "token", "value": ""}],
        "item": [{"name": name, "item": requests} for name, requests in folders.items()],
    }


def _request(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
    request: dict[str, Any] = {"method": method, "url": "{{url}}" + path, "description": operation["description"]}
    if "requestBody" in operation:
        example = operation["requestBody"]["content"]["application/json"]["example"]
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {"mode": "raw", "raw": to_json(example, indent=2).decode()}
    return {"name": operation["summary"], "request": request}

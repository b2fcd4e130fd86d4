"""Programs that call the API."""

from typing import Any

from flask import current_app
from werkzeug.test import TestResponse

from insurance.accounts import tokens
from insurance.core.permissions import Actor


class Program:
    """A program that has signed in as somebody; without a session of its own it sends the secret that it is given."""

    def __init__(self, actor: Actor | None = None, *, secret: str = "") -> None:
        self.client = current_app.test_client()
        if actor:
            assert actor.id
            secret = tokens.open_session(actor.id, address="127.0.0.1", program="test").access
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """One request; `If_Match` stands for If-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(f"/api/v1{path}", method=method, json=body, headers={**self.headers, **named})

    def get(self, path: str, **headers: str) -> TestResponse:
        """A GET."""
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        """A POST."""
        return self.send("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> TestResponse:
        """A PATCH."""
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> TestResponse:
        """A DELETE."""
        return self.send("DELETE", path, **headers)

    def raw(self, method: str, path: str, data: bytes, content_type: str = "application/json") -> TestResponse:
        """A request with just these bytes."""
        return self.client.open(
            f"/api/v1{path}", method=method, data=data, content_type=content_type, headers=self.headers
        )


def problem(answer: TestResponse, status: int, field: str = "") -> dict[str, Any]:
    """The refusal, which must have this status and, if it is about one, name the field and say something of it."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    said = answer.json
    assert said
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    if field:
        assert [error["message"] for error in said["errors"] if error["field"] == field], said
    return said

"""Refusals as programs read them: RFC 9457, application/problem+json."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from flask import Response, g
from pydantic import Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from ..core.errors import Refusal

MIMETYPE = "application/problem+json"
RETRY_AFTER = 300
"""Seconds for which too many wrong passwords count."""


class FieldError(TypedDict):
    """What is wrong with one member, or with one parameter."""

    field: str
    message: str


class Problem(TypedDict):
    """Why something was not done."""

    type: str
    title: str
    status: Annotated[int, Field(examples=[422])]
    detail: str
    errors: list[FieldError]
    request_id: str


class Invalid(Refusal):
    """Input in which several things may be wrong, each with its field."""

    status = 422

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = list(errors)


def errors_of(refusal: Refusal) -> list[FieldError]:
    """What a refusal says about fields."""
    if isinstance(refusal, Invalid):
        return refusal.errors
    return [{"field": refusal.field, "message": refusal.message}] if refusal.field else []


def respond(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, Any] | None = None
) -> Response:
    """The answer that tells a program why not."""
    problem: Problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": list(errors),
        "request_id": g.get("request_id", ""),
    }
    response = Response(to_json(problem), status, headers, mimetype=MIMETYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    return response

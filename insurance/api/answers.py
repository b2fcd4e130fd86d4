"""What an operation answers."""

from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response
from pydantic_core import to_jsonable_python


@dataclass(frozen=True)
class Answer:
    """Status and JSON; `location` is the address of what was made, `version` that of the record, for its ETag."""

    status: int
    body: bytes = b""
    location: str = ""
    version: int | None = None

    @classmethod
    def of(cls, status: int, content: Any, location: str = "") -> "Answer":
        """The answer with a record, or with anything else that JSON can say."""
        version = content.get("version") if isinstance(content, dict) else None
        return cls(status, b"" if content is None else orjson.dumps(content, to_jsonable_python), location, version)

    def response(self) -> Response:
        """The answer as it is sent."""
        response = Response(self.body, self.status, mimetype="application/json")
        if self.location:
            response.headers["Location"] = self.location
        if self.version is not None:
            response.headers["ETag"] = f'"{self.version}"'
        return response

"""Operations: a view with its types becomes an endpoint that reads strictly, answers JSON and documents itself."""

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

from flask import Blueprint, Response, g, request
from flask_login import current_user
from pydantic_core import to_jsonable_python

from ..core.db import transaction
from ..core.errors import NotAllowed, Refusal, RuleBroken, Stale
from ..web.guard import PUBLIC, requires
from . import bodies, idempotency
from .answers import Answer
from .bodies import Body
from .collections import Collection, arguments, sparse
from .effects import movements
from .problems import Invalid

V = TypeVar("V", bound=Callable[..., Any])

VERSION = "/v1"
KEY = "Idempotency-Key"
STALE = "Somebody else changed this record since you read it. Read it again, then send your change."


@dataclass
class Operation:
    """One method of one path.

    The view takes the ids in the path and, by name, what it needs of: `body`, a model; `version`, which the sender has
    seen. It gives back what its return type says. `on` is the collection whose record it is about; `reads` says that
    it changes nothing, whatever the method.
    """

    method: str
    path: str
    view: Callable[..., Any]
    on: Collection[Any] | None = None
    lists: bool = False
    creates: bool = False
    moves_money: bool = False
    reads: bool = False

    @property
    def name(self) -> str:
        """Its name in the document."""
        return self.view.__name__

    @property
    def tag(self) -> str:
        """The collection that it belongs to."""
        return self.path.split("/")[1]

    @property
    def permissions(self) -> tuple[str, ...]:
        """Whom it is for."""
        return self.view.permissions  # type: ignore[attr-defined]

    @cached_property
    def types(self) -> dict[str, Any]:
        """The types of what the view takes and, as `return`, gives back."""
        return get_type_hints(self.view, include_extras=True)

    @property
    def body(self) -> type[Body] | None:
        """The model of its JSON, if it takes any."""
        return self.types.get("body")

    @property
    def scope(self) -> str:
        """What an API key must have to call it."""
        return f"{self.tag}:{'read' if self.reads or self.method == 'GET' else 'write'}"

    @property
    def status(self) -> int:
        """The status of its answer when all went well."""
        return 201 if self.creates else 204 if self.types.get("return") is type(None) else 200

    def __call__(self, **ids: Any) -> Response:
        """Answer a request."""
        if PUBLIC not in self.permissions:
            check_scope(self.scope)
        try:
            return self._answer(ids)
        except Refusal as refusal:
            called = bodies.names(self.body)
            refusal.field = called.get(refusal.field or "", refusal.field)
            raise

    def _answer(self, ids: dict[str, Any]) -> Response:
        if self.method == "GET":
            if self.on is None:
                arguments(set())
            result = self.view(**ids)
            return result if isinstance(result, Response) else Answer.of(200, result).response()
        dry = arguments({"dry_run"} if self.moves_money else set()).get("dry_run", "false")
        if dry not in ("true", "false"):
            raise RuleBroken("Send true or false.", "dry_run")
        given = bodies.read_json()
        seen = _seen_version() if self.on and not self.creates else None
        key = _key() if self.method == "POST" and PUBLIC not in self.permissions else None
        if dry == "true":
            with transaction(keep=False):
                return Answer.of(200, {**self._act(ids, given, seen), "effect": movements()}).response()
        if key is None:
            return self._act_and_answer(ids, given, seen).response()
        answer, again = idempotency.once(
            key, current_user, request.path, [given, seen], lambda: self._act_and_answer(ids, given, seen)
        )
        response = answer.response()
        if again:
            response.headers["Idempotent-Replayed"] = "true"
        return response

    def _act_and_answer(self, ids: dict[str, Any], given: dict[str, Any], seen: int | None) -> Answer:
        result = self._act(ids, given, seen)
        made = f"{request.path.rstrip('/')}/{result['id']}" if self.creates else ""
        return Answer.of(self.status, result, made)

    def _act(self, ids: dict[str, Any], given: dict[str, Any], seen: int | None) -> Any:
        takes: dict[str, Any] = {}
        # What was seen is compared and acted upon in one piece.
        with transaction() if seen is not None else nullcontext():
            if self.on and ids:
                stored = self.on.get(*ids.values())  # what is out of sight is not there, whatever the body says
                if seen is None and "version" in given and self.method == "PATCH":
                    seen = given["version"]
                _check_seen(stored, seen)
                if self.method == "PATCH":
                    given = _without_what_is_stored(given, stored, self.body)
                if "version" in self.types:
                    takes["version"] = stored["version"]
            if self.body:
                takes["body"] = bodies.read(self.body, given)
            elif given:
                raise Invalid([{"field": name, "message": bodies.WORDS["extra_forbidden"]} for name in given])
            return self.view(**ids, **takes)


def check_scope(scope: str) -> None:
    """Refuse what the API key in use is not for."""
    scopes = g.get("scopes")
    if scopes is not None and scope not in scopes and scope.replace(":read", ":write") not in scopes:
        raise NotAllowed(f"This API key lacks the scope {scope}.")


def _key() -> str | None:
    key = request.headers.get(KEY)
    if key is not None and not re.fullmatch("[!-~]{1,255}", key):
        raise RuleBroken("Send a key of 1 to 255 visible ASCII characters.", KEY)
    return key


def _seen_version() -> int | None:
    """The version that the sender has seen, by If-Match."""
    given = request.headers.get("If-Match", "*").strip()
    if given == "*":
        return None
    # Compression marks the ETags of what it compresses.
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})(?:[:-]\w+)?"', given)
    if not match:
        raise Stale(STALE)  # no record ever had this ETag
    return int(match[1])


def _check_seen(stored: Mapping[str, Any], seen: Any) -> None:
    if seen is not None and seen != stored["version"]:
        raise Stale(STALE)


def _without_what_is_stored(
    given: dict[str, Any], stored: Mapping[str, Any], model: type[Body] | None
) -> dict[str, Any]:
    """What is to be changed: members that the server sets may be sent as they are stored, and then say nothing."""
    changeable = set(bodies.names(model).values())
    fixed = {name for name in given if name in stored and name not in changeable}
    if wrong := [name for name in fixed if not _same(given[name], to_jsonable_python(stored[name]))]:
        raise Invalid(
            [{"field": name, "message": "This is set by the server. Leave it out."} for name in sorted(wrong)]
        )
    return {name: value for name, value in given.items() if name not in fixed}


def _same(given: Any, stored: Any) -> bool:
    if type(given) in (Decimal, int) and isinstance(stored, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", stored):
        return Decimal(stored) == given
    return type(given) is type(stored) and given == stored


class Api(Blueprint):
    """The blueprint of all operations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operations: list[Operation] = []

    def operation(self, method: str, path: str, **facts: Any) -> Callable[[V], V]:
        """Make an operation of a view, which says beneath whom it is for."""

        def add(view: V) -> V:
            operation = Operation(method, path, view, **facts)
            self.operations.append(operation)

            def answer(**ids: Any) -> Response:
                return operation(**ids)

            answer.permissions = operation.permissions  # type: ignore[attr-defined]
            self.add_url_rule(VERSION + path, operation.name, answer, methods=[method], strict_slashes=False)
            return view

        return add

    def read(self, path: str, **facts: Any) -> Callable[[V], V]:
        """A GET."""
        return self.operation("GET", path, **facts)

    def act(self, path: str, **facts: Any) -> Callable[[V], V]:
        """A POST."""
        return self.operation("POST", path, **facts)

    def change(self, path: str, **facts: Any) -> Callable[[V], V]:
        """A PATCH."""
        return self.operation("PATCH", path, **facts)

    def remove(self, path: str, **facts: Any) -> Callable[[V], V]:
        """A DELETE."""
        return self.operation("DELETE", path, **facts)

    def collection(self, permission: str, collection: Collection[Any]) -> None:
        """The list of a collection, and each of its records, if they are there by themselves."""

        def page() -> dict[str, Any]:
            return collection.page()

        def get(**id: int | str) -> Any:
            return sparse([collection.get(*id.values())], collection.record, arguments({"fields"}))[0]

        page.__name__, page.__doc__ = f"list_{collection.name}", f"List {collection.name}."
        self.read(f"/{collection.name}", on=collection, lists=True)(requires(permission)(page))
        if collection.address:
            get.__name__, get.__doc__ = f"get_{collection.one}", f"Read one {collection.one}."
            self.read(f"/{collection.name}/{collection.address}", on=collection)(requires(permission)(get))

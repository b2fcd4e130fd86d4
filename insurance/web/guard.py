"""The guard: every endpoint says who may use it, or the application does not start; nobody else gets in."""

import re
import secrets
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from ..core.errors import NotAllowed, NotSignedIn
from ..core.permissions import EVERY_PERMISSION, Actor, check_may

V = TypeVar("V", bound=Callable)

PUBLIC = "public"
API = "/api/"
"""Where programs ask: there nobody is known by a cookie, and nobody is sent to a page to sign in."""
STATIC = {"static", "bootstrap.static"}
UNREADABLE = re.compile("[\x00\ud800-\udfff]")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'{checkout}; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def requires(*permissions: str) -> Callable[[V], V]:
    """Let only those through whose role has the permission, or one of them."""
    if unknown := set(permissions) - EVERY_PERMISSION:
        raise LookupError(f"unknown permission {', '.join(unknown)}")

    def mark(view: V) -> V:
        view.permissions = permissions  # type: ignore[attr-defined]
        return view

    return mark


def public(view: V) -> V:
    """Let everybody through."""
    view.permissions = (PUBLIC,)  # type: ignore[attr-defined]
    return view


def permissions_of(app: Flask, endpoint: str) -> tuple[str, ...]:
    """What an endpoint asks for, any one of it; nothing if it does not say."""
    return (PUBLIC,) if endpoint in STATIC else getattr(app.view_functions[endpoint], "permissions", ())


def may_open(actor: Actor, path: str) -> bool:
    """Whether a path leads to a page, and the actor may see it."""
    try:
        endpoint, _ = current_app.url_map.bind("").match(path)
    except HTTPException:
        return False
    permissions = permissions_of(current_app, endpoint)
    return PUBLIC in permissions or any(map(actor.may, permissions))


def is_guarded(endpoint: str | None) -> bool:
    """Whether a page is for those alone who are signed in."""
    return endpoint is not None and not is_for_programs() and PUBLIC not in permissions_of(current_app, endpoint)


def is_for_programs() -> bool:
    """Whether the request is one to the API."""
    return request.path.startswith(API)


def install(app: Flask) -> None:
    """Put the guard before every request. Comes last, when all endpoints are there."""
    unmarked = sorted(endpoint for endpoint in app.view_functions if not permissions_of(app, endpoint))
    if unmarked:
        raise RuntimeError(f"endpoints without a permission: {', '.join(unmarked)}")
    app.before_request(_check)
    app.after_request(_protect)


def _check() -> ResponseReturnValue | None:
    g.request_id = _request_id()
    if unreadable(request.full_path):
        abort(400)
    if is_for_programs() and _came_in_the_clear():
        raise NotAllowed("The API answers by https alone. What was sent could be read on its way: change the key.")
    if request.endpoint is None:
        return None
    permissions = permissions_of(current_app, request.endpoint)
    if PUBLIC in permissions:
        return None
    if not current_user.is_authenticated:
        if is_for_programs():
            raise NotSignedIn("Send a token or an API key: Authorization: Bearer …")
        seen = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("accounts.login", next=seen), 303)
    if not any(map(current_user.may, permissions)):
        check_may(current_user, permissions[0])
    return None


def _came_in_the_clear() -> bool:
    """Whether our proxy says so. Programs are not led to https: they would send their key in the clear each time."""
    config = current_app.config
    said = config["TRUSTED_PROXIES"] and "X-Forwarded-Proto" in request.headers
    return bool(config["SESSION_COOKIE_SECURE"] and said and not request.is_secure)


def _request_id() -> str:
    """The proxy's id where it gave a plain one, so that one id runs through all logs."""
    given = request.headers.get("X-Request-ID", "")
    return given if given.isascii() and given.isalnum() and len(given) <= 64 else secrets.token_hex(8)


def unreadable(text: str) -> bool:
    """Whether an address has characters that no database keeps."""
    return bool(UNREADABLE.search(text))


def _protect(response: Response) -> Response:
    checkout = " https://checkout.stripe.com" if current_app.config["STRIPE_API_KEY"] else ""
    for header, value in SECURITY_HEADERS.items():
        response.headers.setdefault(header, value.replace("{checkout}", checkout))
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint not in STATIC and current_user.is_authenticated:
        response.headers["Cache-Control"] = "no-store"
    response.headers["X-Request-ID"] = g.get("request_id", "")
    return response

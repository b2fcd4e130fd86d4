"""How a request finds out who is asking: the cookie's opaque token, looked up at every request."""

from datetime import timedelta

from flask import Flask, Response, current_app, g, request
from flask_login import AnonymousUserMixin, LoginManager, UserMixin

from ..core import clock
from ..core.permissions import Actor
from . import queries, services

TOUCH_EVERY = timedelta(minutes=1)


class SignedIn(Actor, UserMixin):
    """The actor of this request, as Flask-Login wants it."""


def install(app: Flask) -> None:
    """Let `current_user` be the actor of the request."""
    manager = LoginManager(app)
    manager.session_protection = None  # Flask-Login keeps nothing in its own cookie: it still works after logout
    manager.request_loader(_load)
    manager.anonymous_user = AnonymousUserMixin


def _load(_request: object) -> SignedIn | None:
    token = sign_in_token()
    found = queries.find_session(token) if token else None
    if found is None:
        return None
    session, user = found
    g.theme = user.theme
    actor = user.actor()
    if clock.now() - session.seen_at > TOUCH_EVERY:
        services.touch(session.id)
    return SignedIn(**vars(actor))


def sign_in_token() -> str:
    """The token that this browser carries, or ""."""
    return request.cookies.get(current_app.config["SIGN_IN_COOKIE_NAME"], "")


def carry(response: Response, token: str) -> Response:
    """Let the browser keep the token."""
    response.set_cookie(
        current_app.config["SIGN_IN_COOKIE_NAME"],
        token,
        max_age=services.SESSION_LIFE,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def forget(response: Response) -> Response:
    """Take the token from the browser."""
    response.delete_cookie(
        current_app.config["SIGN_IN_COOKIE_NAME"],
        path="/",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response

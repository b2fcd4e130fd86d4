"""How a request finds out who is asking: the cookie's opaque token, or what a program sends, looked up every time."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin, LoginManager, UserMixin, current_user
from werkzeug.datastructures import MultiDict

from ..core import clock
from ..core.errors import NotAllowed
from ..core.permissions import Actor
from ..web import guard
from ..web.arguments import inside
from . import queries, services, tokens, two_step
from .models import actor_of

TOUCH_EVERY = timedelta(minutes=1)
FRESH = timedelta(minutes=10)
KEPT = "kept_form"
LONGEST_PATH = 2000
NEVER_KEPT = {"csrf_token", "password", "old_password", "code", "secret", "credential"}
SET_UP = {
    "accounts.second_step",
    "accounts.set_up_app",
    "accounts.new_passkey",
    "accounts.recovery_codes",
    "accounts.sign_in_again",
}
"""The pages for whoever must set up a second step first; beside them, what is public."""


class SignedIn(Actor, UserMixin):
    """The actor of this request, as Flask-Login wants it."""


def install(app: Flask) -> None:
    """Let `current_user` be the actor of the request."""
    manager = LoginManager(app)
    manager.session_protection = None  # Flask-Login keeps nothing in its own cookie: it still works after logout
    manager.request_loader(_load)
    manager.anonymous_user = AnonymousUserMixin
    app.before_request(_lead_to_set_up)
    app.before_request(_keep_form)
    app.before_request(_fill_form)


def _lead_to_set_up() -> ResponseReturnValue | None:
    """Who needs a second step and has none can set it up, and nothing else."""
    if not current_user.is_authenticated or not g.must_set_up or request.endpoint in SET_UP:
        return None
    if request.endpoint is None or guard.PUBLIC in guard.permissions_of(current_app, request.endpoint):
        return None
    if guard.is_for_programs():
        raise NotAllowed("Your work needs a second step to sign in. Set it up in a browser first.")
    return redirect(url_for("accounts.second_step"), 303)


def _keep_form() -> ResponseReturnValue | None:
    """A form sent after its session had ended is kept, and comes back filled after the same user has signed in."""
    if request.method != "POST" or current_user.is_authenticated or not guard.is_guarded(request.endpoint):
        return None
    user_id = queries.find_user_of(sign_in_token())
    path = request.full_path.rstrip("?")
    if user_id is None or not _can_be_kept(path):
        return None
    _keep(user_id, path)
    return redirect(url_for("accounts.login", next=path), 303)


def _keep(user_id: int, path: str) -> None:
    fields = {name: values for name, values in request.form.lists() if name not in NEVER_KEPT}
    session[KEPT] = services.keep_form(user_id=user_id, path=path, fields=fields).id


def _can_be_kept(path: str) -> bool:
    """Whether the address that was sent to is a page too, to come back to."""
    if len(path) > LONGEST_PATH or guard.unreadable(path):
        return False
    adapter = current_app.create_url_adapter(request)
    return adapter is not None and adapter.test(request.path, method="GET")


def _fill_form() -> None:
    """Let the form of this page, if it was kept, begin with what was typed."""
    if guard.is_for_programs() or request.method != "GET" or KEPT not in session or not current_user.is_authenticated:
        return
    form = queries.find_kept_form(session[KEPT], current_user)
    if form is None:
        del session[KEPT]
    elif form.path == request.full_path.rstrip("?"):
        del session[KEPT]
        g.kept_fields = MultiDict(form.fields)
        flash("You had to sign in in between. What you had filled in is back: check it and send it again.", "info")


def _load(_request: object) -> SignedIn | None:
    found = _load_program() if guard.is_for_programs() else _load_browser()
    g.user_id = found.id if found else None  # for the log, which asks nobody
    return found


def _load_program() -> SignedIn | None:
    """Who a token or an API key stands for. What a browser carries counts for nothing here."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    if secret.startswith(tokens.KEY_PREFIX):
        with_key = tokens.find_key(secret)
        if with_key is None:
            return None
        key, user = with_key
        g.scopes, actor = key.scopes, user.actor()
        g.must_set_up = _must_set_up(user)
        if key.used_at is None or clock.now() - key.used_at > TOUCH_EVERY:
            tokens.touch_key(key.id)
        return SignedIn(**vars(actor))
    found = tokens.find(secret)
    return _touched(found) if found else None


def _load_browser() -> SignedIn | None:
    token = sign_in_token()
    found = queries.find_session(token) if token else None
    if found is None:
        return None
    g.theme, g.signed_in_at = found.theme, found.created_at
    return _touched(found)


def _touched(found: Any) -> SignedIn:
    g.must_set_up = _must_set_up(found)
    if clock.now() - found.seen_at > TOUCH_EVERY:
        services.touch(found.session_id)
    return SignedIn(**vars(actor_of(found)))


def _must_set_up(user: Any) -> bool:
    return user.two_step_since is None and two_step.is_required(user.role)


View = Callable[..., ResponseReturnValue]


def fresh(view: View) -> View:
    """Ask who is sitting here before what few should see or do, if the sign-in is older than ten minutes.

    Goes under `@requires`. Asked for is the second step, or the password of whoever has none.
    """

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        return _ask_again() if clock.now() - g.signed_in_at > FRESH else view(*args, **kwargs)

    run.is_fresh = True  # type: ignore[attr-defined]
    return run


def fresh_download(view: View) -> View:
    """The same for a list's download alone: `/customers.csv`, not `/customers`."""
    asking = fresh(view)

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        return (asking if request.path.endswith(".csv") else view)(*args, **kwargs)

    run.is_fresh = True  # type: ignore[attr-defined]
    return run


def _ask_again() -> ResponseReturnValue:
    """To the page that asks, and from there back; a form that was sent comes back filled."""
    path = request.full_path.rstrip("?")
    if request.method == "POST" and _can_be_kept(path):
        _keep(current_user.id, path)
    elif request.method == "POST":  # a button: back to the page that it is on
        page = urlsplit(request.referrer or "")
        path = inside(page._replace(scheme="", netloc="").geturl()) if page.netloc == request.host else ""
        flash("When you are back, press the button once more.", "info")
    return redirect(url_for("accounts.sign_in_again", next=path or None), 303)


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
    """Take the token from the browser, and what pages have left there; the form cookie stays to say so."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    response.delete_cookie(
        current_app.config["SIGN_IN_COOKIE_NAME"],
        path="/",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response

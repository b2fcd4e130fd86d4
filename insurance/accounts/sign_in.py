"""How a request finds out who is asking: the cookie's opaque token, or what a program sends, looked up every time."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Flask, Response, current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin, LoginManager, UserMixin, current_user
from werkzeug.datastructures import MultiDict

from ..core import clock
from ..core.permissions import Actor
from ..web import guard
from . import queries, services, tokens
from .forms import PasswordAgainForm
from .models import SignInSession, User

TOUCH_EVERY = timedelta(minutes=1)
FRESH = timedelta(minutes=10)
KEPT = "kept_form"
LONGEST_PATH = 2000
NEVER_KEPT = {"csrf_token", "password", "old_password", "password_again", "account_number", "bic"}
"""Fields that no table holds while somebody signs in, for there they would be in plain text."""


class SignedIn(Actor, UserMixin):
    """The actor of this request, as Flask-Login wants it."""


def install(app: Flask) -> None:
    """Let `current_user` be the actor of the request."""
    manager = LoginManager(app)
    manager.session_protection = None  # Flask-Login keeps nothing in its own cookie: it still works after logout
    manager.request_loader(_load)
    manager.anonymous_user = AnonymousUserMixin
    app.before_request(_keep_form)
    app.before_request(_fill_form)


def _keep_form() -> ResponseReturnValue | None:
    """A form sent after its session had ended is kept, and comes back filled after the same user has signed in."""
    if request.method != "POST" or current_user.is_authenticated or not guard.is_guarded(request.endpoint):
        return None
    user_id = queries.find_user_of(sign_in_token())
    path = request.full_path.rstrip("?")
    if user_id is None or not _can_be_opened() or len(path) > LONGEST_PATH or guard.unreadable(path):
        return None
    fields = {name: values for name, values in request.form.lists() if name not in NEVER_KEPT}
    session[KEPT] = services.keep_form(user_id=user_id, path=path, fields=fields).id
    return redirect(url_for("accounts.login", next=path), 303)


def _can_be_opened() -> bool:
    """Whether the address that was sent to is a page too."""
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
        flash("You were signed out in between. What you had filled in is back: check it and send it again.", "info")


def _load(_request: object) -> SignedIn | None:
    return _load_program() if guard.is_for_programs() else _load_browser()


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
        if key.used_at is None or clock.now() - key.used_at > TOUCH_EVERY:
            tokens.touch_key(key.id)
        return SignedIn(**vars(actor))
    found = tokens.find(secret)
    return _touched(*found) if found else None


def _load_browser() -> SignedIn | None:
    token = sign_in_token()
    found = queries.find_session(token) if token else None
    if found is None:
        return None
    g.theme, g.signed_in_at = found[1].theme, found[0].created_at
    return _touched(*found)


def _touched(session: SignInSession, user: User) -> SignedIn:
    actor = user.actor()
    if clock.now() - session.seen_at > TOUCH_EVERY:
        services.touch(session.id)
    return SignedIn(**vars(actor))


def fresh(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Ask for the password before a page that few should see, if the sign-in is older than ten minutes.

    Goes under `@requires`. What was sent to the page goes along with the question and comes back with the answer, so
    that nothing typed is lost and none of it is stored: see docs/decisions.
    """

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if clock.now() - g.signed_in_at <= FRESH:
            return view(*args, **kwargs)
        if request.method != "POST":
            return redirect(url_for("accounts.sign_in_again", next=request.full_path.rstrip("?")), 303)
        form, token = PasswordAgainForm(), ""
        if form.password_again.name in request.form and form.validate():
            with form.refusals():
                token = renew(form.password_again.data)
        if token:
            return carry(current_app.make_response(view(*args, **kwargs)), token)
        sent = [field for field in request.form.items(multi=True) if field[0] not in form and field[0] != "csrf_token"]
        return form.page("accounts/password_again.html", sent=sent)

    return run


def renew(password: str) -> str:
    """The token of a new session that takes the place of the present one, for the right password."""
    token = services.sign_in(
        email=current_user.email,
        password=password,
        address=request.remote_addr or "",
        browser=request.user_agent.string,
    )
    services.sign_out(token=sign_in_token())
    return token


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

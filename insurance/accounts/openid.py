"""Staff sign in with their company's account (OpenID Connect: code flow, PKCE, state, nonce), where it is set up.

It stands for the password: who has a second step here is asked for it all the same. It makes no users: the first time,
a verified address leads to the account of that address; from then on the provider's own id of the person does.
"""

from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import current_app
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError

from ..core import audit, clock
from ..core.db import lock, transactional
from ..core.errors import RuleBroken
from ..core.permissions import Role
from . import queries
from .models import User

TIMEOUT_SECONDS = 10
FAILED = "That did not work. Try again, or sign in with your password."
NOBODY = "No staff account here goes with that sign-in. Ask an administrator to invite you with the same address."
UNREACHABLE = (AuthlibBaseError, JoseError, requests.RequestException, ValueError, KeyError, RuntimeError)
"""What the library raises for an answer that is wrong, or none."""


def is_offered() -> bool:
    """Whether there is a provider."""
    return bool(current_app.config["OIDC_ISSUER"])


def begin(redirect_uri: str, *, again: bool) -> ResponseReturnValue:
    """Send the browser to the provider; `again`, to one that asks who is sitting there, even if it knows."""
    asked = {"prompt": "login"} if again else {}
    try:
        return _provider().authorize_redirect(redirect_uri, **asked)
    except UNREACHABLE as error:
        _note(error)
        raise RuleBroken(FAILED) from None


def finish() -> User:
    """The staff user with whom the provider sent the browser back."""
    return _find_or_link(_claims())


def sign_out_url(then: str) -> str | None:
    """Where the browser signs out at the provider too, if it has such a page."""
    try:
        sent = {"post_logout_redirect_uri": then, "client_id": current_app.config["OIDC_CLIENT_ID"]}
        return _provider().create_logout_url(**sent)["url"]
    except UNREACHABLE:
        return None


def _claims() -> dict[str, Any]:
    """What the provider says of the person, in a token signed for us, for this sign-in, and now."""
    config = current_app.config
    try:
        claims = _provider().authorize_access_token()["userinfo"]
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims["iss"] != config["OIDC_ISSUER"] or config["OIDC_CLIENT_ID"] not in audience or not claims["nonce"]:
            raise ValueError("the token was made by or for somebody else")
    except UNREACHABLE as error:
        _note(error)
        raise RuleBroken(FAILED) from None
    return claims


@transactional
def _find_or_link(claims: dict[str, Any]) -> User:
    subject = queries.hash_token(f"{claims['iss']} {claims['sub']}")
    user = queries.find_user_by_subject(subject) or _link(claims, subject)
    if user is None or not user.active or user.role is Role.CUSTOMER:
        raise RuleBroken(NOBODY)
    return user


def _link(claims: dict[str, Any], subject: str) -> User | None:
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    found = queries.find_user(email)
    user = lock(User, found.id) if found else None
    if user is None or not user.active or user.role is Role.CUSTOMER or user.openid_subject:
        return None
    user.openid_subject = subject
    user.confirmed_at = user.confirmed_at or clock.now()
    audit.record("link_openid", user, label=user.label, actor=user.actor())
    return user


def _provider() -> Any:
    config = current_app.config
    name = f"{config['OIDC_ISSUER']} {config['OIDC_CLIENT_ID']}"
    known = current_app.extensions.setdefault("openid", {})
    if name not in known:
        known[name] = OAuth(current_app).register(
            "openid",
            server_metadata_url=f"{config['OIDC_ISSUER'].rstrip('/')}/.well-known/openid-configuration",
            client_id=config["OIDC_CLIENT_ID"],
            client_secret=config["OIDC_CLIENT_SECRET"],
            client_kwargs={
                "scope": "openid email",
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_SECONDS,
                "max_redirects": 0,
            },
        )
    return known[name]


def _note(error: Exception) -> None:
    current_app.logger.warning("sign-in by OpenID Connect refused: %s", error)

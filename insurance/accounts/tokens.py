"""How programs sign in: short tokens (JWT) that a session stands behind, and API keys.

A session is opened with the password, like a browser's, and ends like one: at the next request after logout,
deactivation, a new role or a new password. Its refresh token is good once; used twice, it was stolen, and the session
ends.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from flask import current_app
from sqlalchemy import select, update

from ..core import audit, clock
from ..core.db import add, db, lock, transactional
from ..core.errors import NotFound, NotSignedIn, RuleBroken
from ..core.permissions import Actor, check_may
from . import queries, services, two_step
from .models import ApiKey, SignInSession, User

ACCESS, REFRESH = "access", "refresh"
LIFE = {ACCESS: timedelta(minutes=60), REFRESH: timedelta(days=1)}
AUDIENCE = "insurance-api"
ALGORITHM = "HS256"
CLAIMS = ["iss", "aud", "sub", "sid", "jti", "type", "iat", "exp"]
KEY_PREFIX = "key_"
LONGEST_KEY_LIFE = timedelta(days=366)
OVER = "This token is not valid, or no longer. Sign in again."


@dataclass(frozen=True)
class Tokens:
    """What a program gets when it signs in."""

    access: str
    refresh: str


def sign_in(*, email: str, password: str, otp: str, address: str, program: str) -> Tokens:
    """Open a session for the right password and, where the account has a second step, a right code."""
    try:
        user = services.authenticate(email=email, password=password, address=address)
        if user.two_step_since and not otp:
            raise RuleBroken("This account has a second step. Send its code, or a recovery code, as otp.", "otp")
        if user.two_step_since:
            two_step.check_code(user_id=user.id, code=re.sub(r"[\s-]", "", otp).lower(), address=address)
    except RuleBroken as refusal:
        field = "otp" if refusal.field == "code" else refusal.field
        raise NotSignedIn(refusal.message, field) from None
    return open_session(user.id, address=address, program=program)


@transactional
def open_session(user_id: int, *, address: str, program: str) -> Tokens:
    """The tokens of a new session."""
    name = secrets.token_urlsafe(32)
    life = LIFE[REFRESH]
    session = services.add_session(user_id, _hash(name), life, address=address, browser=program, by_api=True)
    return _issue(session, name)


def refresh(token: str) -> Tokens:
    """New tokens for a refresh token, which is good once."""
    claims = _read(token, REFRESH)
    tokens = _rotate(claims["sid"], claims["jti"])
    if tokens is None:
        raise NotSignedIn(OVER)
    return tokens


@transactional
def _rotate(session_id: int, name: str) -> Tokens | None:
    """The next tokens of a session; none if it is over, or ends because its token was used before."""
    session = lock(SignInSession, session_id)
    if queries.find_api_session(session_id) is None:
        return None
    if session.token_hash != _hash(name):
        session.ended_at = clock.now()
        user = queries.get_user(session.user_id)
        audit.record("refresh_reused", user, label=user.label, actor=user.actor())
        return None
    new = secrets.token_urlsafe(32)
    session.token_hash, session.seen_at = _hash(new), clock.now()
    session.ends_at = clock.now() + LIFE[REFRESH]
    return _issue(session, new)


@transactional
def revoke(token: str) -> None:
    """End the session of a token of either type; one that is not valid has nothing to end."""
    for kind in (REFRESH, ACCESS):
        try:
            session_id = _read(token, kind)["sid"]
        except NotSignedIn:
            continue
        ended = update(SignInSession).where(SignInSession.id == session_id, SignInSession.ended_at.is_(None))
        db.session.execute(ended.values(ended_at=clock.now()))


def find(token: str) -> Any | None:
    """The live session of an access token, with its user's columns."""
    try:
        return queries.find_api_session(_read(token, ACCESS)["sid"])
    except NotSignedIn:
        return None


def _issue(session: SignInSession, name: str) -> Tokens:
    """The tokens of a session; `name` is the refresh token's, by which it is known to be the last one."""
    return Tokens(_sign(session, ACCESS, secrets.token_urlsafe(8)), _sign(session, REFRESH, name))


def _sign(session: SignInSession, kind: str, name: str) -> str:
    now = clock.now()
    claims = {
        "iss": current_app.config["PUBLIC_URL"],
        "aud": AUDIENCE,
        "sub": str(session.user_id),
        "sid": session.id,
        "jti": name,
        "type": kind,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE[kind]).timestamp()),
    }
    return jwt.encode(claims, _secret(), ALGORITHM)


def _read(token: str, kind: str) -> Mapping[str, Any]:
    try:
        claims = _verified(token, _secret(), current_app.config["PUBLIC_URL"])
    except jwt.InvalidTokenError:
        raise NotSignedIn(OVER) from None
    if claims["type"] != kind or claims["exp"] <= clock.now().timestamp():
        raise NotSignedIn(OVER)
    return claims


@lru_cache(maxsize=1000)
def _verified(token: str, secret: bytes, issuer: str) -> Mapping[str, Any]:
    """What a token claims, if we have signed it: that never changes, so it is kept. Whether it still holds may."""
    return jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=issuer,
        # Instants are compared by the reader: the business clock may be set to another day.
        options={"require": CLAIMS, "verify_exp": False, "verify_iat": False},
    )


def _secret() -> bytes:
    """A secret of its own, so that what is signed elsewhere with SECRET_KEY is never a token."""
    return hmac.digest(current_app.config["SECRET_KEY"].encode(), b"api tokens", "sha256")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# API keys


@transactional
def create_key(*, name: str, scopes: list[str], expires_on: date, actor: Actor) -> str:
    """An API key for the actor's own programs: it can do what they can, within its scopes. Shown this once."""
    if not scopes:
        raise RuleBroken("Choose at least one thing that the key may do.", "scopes")
    if not clock.today() < expires_on <= clock.today() + LONGEST_KEY_LIFE:
        raise RuleBroken("Choose a day after today, and within a year.", "expires_on")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = add(
        ApiKey(
            user_id=actor.id,
            name=name,
            beginning=secret[:10],
            key_hash=_hash(secret),
            scopes=scopes,
            created_at=clock.now(),
            expires_at=datetime.combine(expires_on, datetime.min.time(), clock.zone()),
        )
    )
    audit.record("create", key, label=name, actor=actor, scopes=scopes, expires_on=expires_on)
    return secret


@transactional
def revoke_key(*, key_id: int, user_id: int, actor: Actor) -> None:
    """End a key of a user's: one's own, or anybody's as an admin does."""
    if user_id != actor.id:
        check_may(actor, "user:edit")
    key = lock(ApiKey, key_id)
    if key.user_id != user_id:
        raise NotFound("We cannot find that key.")
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        audit.record("revoke", key, label=key.name, actor=actor)


def find_key(secret: str) -> tuple[ApiKey, User] | None:
    """The live key, and the active user whose it is."""
    row = db.session.execute(
        select(ApiKey, User)
        .join(User, User.id == ApiKey.user_id)
        .where(
            ApiKey.key_hash == _hash(secret),
            ApiKey.revoked_at.is_(None),
            ApiKey.expires_at > clock.now(),
            User.active,
        )
    ).first()
    return (row[0], row[1]) if row else None


@transactional
def touch_key(key_id: int) -> None:
    """Note that a key is in use, at most once a minute."""
    db.session.execute(update(ApiKey).where(ApiKey.id == key_id).values(used_at=clock.now()))

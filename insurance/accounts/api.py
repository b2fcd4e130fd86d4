"""Programs sign in, and administrators keep users, by the API."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from flask import current_app, request
from flask_login import current_user
from pydantic import AfterValidator, Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import AnyAmount, Body, Email, Name, filled, left_out
from ..api.collections import Collection
from ..api.records import AmountText, InstantText
from ..core.money import decimal_text
from ..core.permissions import Role
from ..web.guard import public, requires
from . import queries, services, tokens
from .models import User

# Signing in


class SignIn(Body):
    """Who signs in. `otp` is the code of an account with a second step: that of its app, or a recovery code."""

    email: Annotated[str, Field(max_length=254, examples=["agent@example.com"])]
    password: Annotated[str, Field(max_length=1024, examples=["several words of your own"])]
    otp: Annotated[str, Field(max_length=30, examples=["123456"])] = ""


class Refresh(Body):
    """The refresh token that came last."""

    refresh_token: Annotated[str, Field(max_length=4000)]


class Revoke(Body):
    """Either token of a session; left out, it is that of the request."""

    refresh_token: Annotated[str, Field(max_length=4000)] = ""
    access_token: Annotated[str, Field(max_length=4000)] = ""


class TokenRecord(TypedDict):
    """Send the access token with each request, as Authorization: Bearer …"""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


@api.act("/auth/token")
@public
def sign_in(body: SignIn) -> TokenRecord:
    """Sign in with e-mail address and password. Wrong tries are counted; too many are refused for five minutes."""
    found = tokens.sign_in(
        email=body.email,
        password=body.password,
        otp=body.otp,
        address=request.remote_addr or "",
        program=request.user_agent.string,
    )
    return _shown_tokens(found)


@api.act("/auth/refresh")
@public
def refresh(body: Refresh) -> TokenRecord:
    """Get new tokens. Each refresh token is good once: one that comes twice ends the session, for it was stolen."""
    return _shown_tokens(tokens.refresh(body.refresh_token))


@api.act("/auth/revoke")
@public
def revoke(body: Revoke) -> None:
    """Sign out: both tokens of the session are over at once."""
    sent = request.headers.get("Authorization", "").partition(" ")[2]
    tokens.revoke(body.refresh_token or body.access_token or sent)


def _shown_tokens(found: tokens.Tokens) -> TokenRecord:
    return {
        "access_token": found.access,
        "refresh_token": found.refresh,
        "token_type": "Bearer",
        "expires_in": int(tokens.LIFE[tokens.ACCESS].total_seconds()),
    }


# Users


class UserRecord(TypedDict):
    """Somebody who can sign in."""

    id: int
    email: str
    name: str
    role: Role
    active: bool
    wide_sight: bool
    authority: AmountText
    confirmed: bool
    created_at: InstantText
    version: int


class NewUser(Body):
    """Whom to invite: an agent or an administrator. Customers are invited from their own record."""

    email: Annotated[Email, Field(min_length=6), AfterValidator(filled)]
    name: Name
    role: Literal["agent", "admin"]
    authority: AnyAmount | None = None


class UserChanges(Body):
    """What may change about a user."""

    name: Name = left_out()
    role: Literal["customer", "agent", "admin"] | None = None
    active: bool | None = None
    wide_sight: bool | None = None
    authority: AnyAmount | None = None


def _shown(rows: Sequence[Row[Any]]) -> list[UserRecord]:
    return [
        {
            "id": row.id,
            "email": row.email,
            "name": row.name,
            "role": row.role,
            "active": row.active,
            "wide_sight": row.wide_sight,
            "authority": decimal_text(row.authority_minor, current_app.config["CURRENCY"]),
            "confirmed": row.confirmed_at is not None,
            "created_at": row.created_at.isoformat(),
            "version": row.version,
        }
        for row in rows
    ]


USERS = Collection(
    "users",
    "user",
    UserRecord,
    rows=lambda _actor: queries.user_rows().add_columns(
        User.wide_sight, User.authority_minor, User.confirmed_at, User.version
    ),
    key=User.id,
    shown=_shown,
    filters={
        "email": collections.text(User.email),
        "name": collections.text(User.name),
        "role": collections.one_of(Role, lambda role: User.role == role),
        "active": collections.flag(lambda: User.active),
    },
)
api.collection("user:read", USERS)


@api.act("/users", on=USERS, creates=True)
@requires("user:create")
def invite_user(body: NewUser) -> UserRecord:
    """Invite a colleague: a mail brings the link with which they set their password."""
    user = services.invite(
        email=body.email,
        name=body.name,
        role=Role(body.role),
        authority_minor=body.authority.minor if body.authority else 0,
        actor=current_user,
    )
    return USERS.get(user.id)


@api.change("/users/<int:user_id>", on=USERS)
@requires("user:edit")
def edit_user(user_id: int, body: UserChanges, version: int) -> UserRecord:
    """Change name, role, authority or access; it holds from their next request on."""
    user = queries.get_user(user_id)
    services.edit_user(
        user_id=user_id,
        version=version,
        name=body.name or user.name,
        role=Role(body.role or user.role),
        active=user.active if body.active is None else body.active,
        wide_sight=user.wide_sight if body.wide_sight is None else body.wide_sight,
        authority_minor=user.authority_minor if body.authority is None else body.authority.minor,
        actor=current_user,
    )
    return USERS.get(user_id)

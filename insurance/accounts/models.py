"""Users, their sessions, the single-use links mailed to them, and the tries to sign in."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity, words
from ..core.encryption import unseal
from ..core.permissions import Actor, Role


class Theme(StrEnum):
    """The look that a user prefers."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class User(Base):
    """Somebody who can sign in."""

    __tablename__ = "users"

    id: Mapped[int] = identity()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(words(Role))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    confirmed_at: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(Boolean(name="active"), default=True)
    wide_sight: Mapped[bool] = mapped_column(Boolean(name="wide_sight"), default=False)
    authority_minor: Mapped[int] = mapped_column(BigId, default=0)
    theme: Mapped[Theme] = mapped_column(words(Theme), default=Theme.AUTO)
    two_step_since: Mapped[datetime | None]
    openid_subject: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    @property
    def label(self) -> str:
        """How the audit trail calls them. It cannot forget, so it says nothing of a customer but that they are one."""
        return f"Portal user {self.id}" if self.role is Role.CUSTOMER else self.email

    def actor(self) -> Actor:
        """The user as the one on whose behalf something is done."""
        return actor_of(self)


def actor_of(user: Any) -> Actor:
    """The actor that a user is, or a row with a user's columns."""
    return Actor(
        id=user.id,
        role=user.role,
        name=user.name,
        email=user.email,
        wide_sight=user.wide_sight or user.role is Role.ADMIN,
        authority_minor=user.authority_minor,
    )


class SignInSession(Base):
    """One browser or, by the API, one program that a user is signed in with. Its token is stored hashed only."""

    __tablename__ = "sign_in_sessions"

    id: Mapped[int] = identity()
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(60))
    browser: Mapped[str] = mapped_column(String(200))
    by_api: Mapped[bool] = mapped_column(Boolean(name="by_api"), default=False)


COLLECTIONS = (
    "customers", "policies", "invoices", "payments", "receipts", "claims", "products", "documents", "events", "users",
)  # fmt: skip
"""What an API key may be for, each to read or to write."""


class ApiKey(Base):
    """What a program of a user's carries instead of a password, stored hashed; `beginning` tells keys apart."""

    __tablename__ = "api_keys"

    id: Mapped[int] = identity()
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    beginning: Mapped[str] = mapped_column(String(10))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LinkPurpose(StrEnum):
    """What a mailed link is good for."""

    CONFIRM = "confirm"
    RESET = "reset"
    INVITATION = "invitation"


class Link(Base):
    """A single-use link. Its token is the signed id, so nothing that could be replayed is stored.

    A registration's link carries the name and password that were chosen with it, and the browser that chose them:
    whoever else registered the same address has a link of their own.
    """

    __tablename__ = "links"

    id: Mapped[int] = identity()
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    purpose: Mapped[LinkPurpose] = mapped_column(words(LinkPurpose))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    name: Mapped[str | None] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    browser_hash: Mapped[str | None] = mapped_column(String(64))


class KeptForm(Base):
    """What a user had filled in when they had to sign in again; sealed, for it may be bank data."""

    __tablename__ = "kept_forms"

    id: Mapped[int] = identity()
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    path: Mapped[str] = mapped_column(String(2000))
    sealed: Mapped[str] = mapped_column("fields", JSON)
    kept_at: Mapped[datetime] = mapped_column(index=True)

    @property
    def fields(self) -> dict[str, list[str]]:
        """The fields and what was typed in them."""
        return json.loads(unseal(self.sealed, self.purpose(self.user_id)))

    @staticmethod
    def purpose(user_id: int) -> str:
        """For what it is sealed: nobody else can open it."""
        return f"form kept for user {user_id}"


class SignInTry(Base):
    """A failed try to sign in, counted by every worker alike."""

    __tablename__ = "sign_in_tries"
    __table_args__ = (Index(None, "email", "at"), Index(None, "address", "at"))

    id: Mapped[int] = identity()
    email: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime]
    by_code: Mapped[bool] = mapped_column(Boolean(name="by_code"), default=False)


class MailRequest(Base):
    """A mail that a visitor asked us to send to an address, counted by every worker alike and kept for an hour."""

    __tablename__ = "mail_requests"
    __table_args__ = (Index(None, "email", "at"), Index(None, "address", "at"))

    id: Mapped[int] = identity()
    email: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(index=True)


# The second step


class AuthenticatorApp(Base):
    """The app that shows a user's codes. `last_step` is the half minute of the last one used: none is good twice."""

    __tablename__ = "authenticator_apps"

    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    secret: Mapped[str] = mapped_column(String(300))
    last_step: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime]

    @staticmethod
    def purpose(user_id: int) -> str:
        """For what the secret is sealed: it is of use to nobody else."""
        return f"authenticator app of {user_id}"


class RecoveryCode(Base):
    """A code on paper for the day when phone or key is lost, good once; a fingerprint of it is kept."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = identity()
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(String(100))
    used_at: Mapped[datetime | None]


class Passkey(Base):
    """A key that a user's phone, computer or security key holds; the public half of it, and how often it has signed."""

    __tablename__ = "passkeys"

    id: Mapped[int] = identity()
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    credential_id: Mapped[str] = mapped_column(String(1400), unique=True)
    public_key: Mapped[str] = mapped_column(String(4000))
    sign_count: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class UsedChallenge(Base):
    """A challenge that a passkey has answered, kept until it would be too old anyway: no answer counts twice."""

    __tablename__ = "used_challenges"

    id: Mapped[int] = identity()
    challenge_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PendingSignIn(Base):
    """A sign-in between the first step and the second. It opens nothing yet."""

    __tablename__ = "pending_sign_ins"

    id: Mapped[int] = identity()
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)

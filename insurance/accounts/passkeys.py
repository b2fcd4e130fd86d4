"""Passkeys (WebAuthn): keys in a phone, a computer or a security key that sign a challenge of this site.

A challenge is signed by us and travels through the page, so that opening a page stores nothing; the answer to it counts
once. A passkey is a second step after the password; one that has asked for finger, face or PIN is both steps in one.
"""

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import webauthn
from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..core import clock
from ..core.db import INSERT, add, db, lock, transactional
from ..core.errors import RuleBroken
from ..core.permissions import Actor
from . import queries, services, two_step
from .models import Passkey, UsedChallenge, User

CHALLENGE_LIFE = timedelta(minutes=10)
MOST_PASSKEYS = 20
NONE_CAME = "Your browser gave no passkey. Try again, or go on without one."
WRONG = "This passkey opens no account here. Try another one, or sign in with your password."
OLD = "This page was open too long. Try again."
UNREADABLE = (WebAuthnException, ValueError, KeyError, TypeError)
"""What the library raises for an answer that is wrong, or no answer at all."""


# What the page asks the browser for


def site() -> tuple[str, list[str]]:
    """The name that passkeys are bound to, and the addresses at which they are used; from PUBLIC_URL, never from Host.

    No passkey is bound to a number: what is served at 127.0.0.1 is reached as localhost.
    """
    url = urlsplit(current_app.config["PUBLIC_URL"])
    name = "localhost" if url.hostname == "127.0.0.1" else url.hostname or ""
    port = f":{url.port}" if url.port else ""
    return name, [f"{url.scheme}://{name}{port}"]


def registration_options(actor: Actor, company: str) -> str:
    """What makes the browser offer a new passkey, as JSON."""
    assert actor.id
    options = webauthn.generate_registration_options(
        rp_id=site()[0],
        rp_name=company,
        user_id=str(actor.id).encode(),
        user_name=actor.email,
        user_display_name=actor.name,
        challenge=_challenge(f"new passkey of {actor.id}"),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_descriptors(queries.second_steps_of(actor.id)[1]),
    )
    return webauthn.options_to_json(options)


def sign_in_options(passkeys: list[Passkey] | None = None) -> str:
    """What makes the browser sign with one of these passkeys or, at sign-in, with any that it has, as JSON."""
    needed = UserVerificationRequirement.PREFERRED if passkeys else UserVerificationRequirement.REQUIRED
    options = webauthn.generate_authentication_options(
        rp_id=site()[0],
        challenge=_challenge("sign-in"),
        allow_credentials=_descriptors(passkeys or []),
        user_verification=needed,
    )
    return webauthn.options_to_json(options)


def _descriptors(passkeys: list[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id)) for passkey in passkeys]


# Challenges


def _signer(purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=f"challenge: {purpose}")


def _challenge(purpose: str) -> bytes:
    return _signer(purpose).dumps([secrets.token_urlsafe(16), int(clock.now().timestamp())]).encode()


def _spend_challenge(client_data: bytes, purpose: str) -> bytes:
    """The challenge that was answered, if it is ours, for this, not too old, and answered for the first time."""
    challenge = parse_client_data_json(client_data).challenge
    try:
        issued = _signer(purpose).loads(challenge)[1]
    except BadSignature:
        raise RuleBroken(OLD) from None
    now, life = clock.now(), CHALLENGE_LIFE
    if not 0 <= now.timestamp() - issued < life.total_seconds():
        raise RuleBroken(OLD)
    db.session.execute(delete(UsedChallenge).where(UsedChallenge.expires_at <= now))
    used: Any = INSERT[db.engine.dialect.name](UsedChallenge).values(
        challenge_hash=queries.hash_token(challenge.decode()), expires_at=now + life
    )
    if db.session.scalar(used.on_conflict_do_nothing().returning(UsedChallenge.id)) is None:
        raise RuleBroken(OLD)
    return challenge


# Keeping and using them


@transactional
def register(*, credential: str, name: str, actor: Actor) -> list[str]:
    """Keep a new passkey; recovery codes, if it is the account's first second step."""
    if not credential:
        raise RuleBroken(NONE_CAME)
    user = lock(User, actor.id)
    rp_id, origins = site()
    try:
        sent = parse_registration_credential_json(credential)
        verified = webauthn.verify_registration_response(
            credential=sent,
            expected_challenge=_spend_challenge(sent.response.client_data_json, f"new passkey of {user.id}"),
            expected_rp_id=rp_id,
            expected_origin=origins,
        )
    except UNREADABLE:
        raise RuleBroken("This passkey could not be read. Try again, or another one.") from None
    credential_id = bytes_to_base64url(verified.credential_id)
    if queries.find_passkey(credential_id):
        raise RuleBroken("This passkey is kept already.")
    if len(queries.second_steps_of(user.id)[1]) >= MOST_PASSKEYS:
        raise RuleBroken("There are 20 passkeys already. Remove one first.")
    add(
        Passkey(
            user_id=user.id,
            name=name,
            credential_id=credential_id,
            public_key=bytes_to_base64url(verified.credential_public_key),
            sign_count=verified.sign_count,
            created_at=clock.now(),
        )
    )
    return two_step.added(user, f"The passkey “{name}” was added.", actor)


@transactional
def remove(*, passkey_id: int, actor: Actor) -> None:
    """One of the actor's passkeys is good no longer."""
    user = lock(User, actor.id)
    passkey = queries.get_passkey(passkey_id, actor)
    db.session.delete(passkey)
    db.session.flush()
    two_step.removed(user, f"The passkey “{passkey.name}” was removed.", actor)


@transactional
def sign_in(*, credential: str, address: str, browser: str) -> str:
    """A session's token for a passkey alone, whoever's it is: it must have asked for finger, face or PIN."""
    user = _verify(credential, alone=True)
    return services.open_session(user_id=user.id, address=address, browser=browser)


@transactional
def finish_sign_in(*, pending: str, credential: str, address: str, browser: str) -> str:
    """A session's token for one of the passkeys of whoever gave the password."""
    user = two_step.get_pending_user(pending)
    check(credential=credential, user_id=user.id)
    return two_step.finish(pending=pending, address=address, browser=browser)


@transactional
def check(*, credential: str, user_id: int) -> None:
    """Refuse what was not signed by one of this user's passkeys."""
    _verify(credential, user_id=user_id)


def _verify(credential: str, *, user_id: int | None = None, alone: bool = False) -> User:
    """Whose passkey has signed. It is the same refusal whether it is unknown, copied, or somebody's who may not."""
    if not credential:
        raise RuleBroken(NONE_CAME)
    rp_id, origins = site()
    try:
        sent = parse_authentication_credential_json(credential)
        found = queries.find_passkey(bytes_to_base64url(sent.raw_id))
        passkey = lock(Passkey, found.id) if found else None  # its counter is compared and moved on
        if passkey is None or user_id not in (None, passkey.user_id):
            raise RuleBroken(WRONG)
        verified = webauthn.verify_authentication_response(
            credential=sent,
            expected_challenge=_spend_challenge(sent.response.client_data_json, "sign-in"),
            expected_rp_id=rp_id,
            expected_origin=origins,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except UNREADABLE:
        raise RuleBroken(WRONG) from None
    user = queries.get_user(passkey.user_id)
    if not user.active or not user.confirmed_at:
        raise RuleBroken(WRONG)
    passkey.sign_count, passkey.used_at = verified.new_sign_count, clock.now()
    return user

"""The second step of signing in: codes of an app, recovery codes, and the time between password and session.

An account has a second step from the first app or passkey on, and then has recovery codes too.
"""

import hmac
import secrets
from datetime import timedelta

import pyotp
from flask import current_app
from sqlalchemy import delete, update

from ..core import audit, clock, encryption, outbox
from ..core.db import add, add_all, db, lock, transactional
from ..core.errors import Conflict, NotAllowed, NotSignedIn, RuleBroken, TooMany
from ..core.permissions import Actor, Role, check_may
from . import queries, services
from .models import AuthenticatorApp, Passkey, PendingSignIn, RecoveryCode, User

PENDING_LIFE = timedelta(minutes=10)
STEP_SECONDS = 30
DRIFT = 1
"""How many half minutes a phone's clock may be ahead or behind."""
CODES, GROUPS, IN_GROUP = 10, 6, 4
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
"""Of recovery codes: 24 of them are 120 bits, so that fingerprints need no stretching."""
APP_DIGITS = 6
RECOVERY = "recovery code"
WRONG_CODE = "This code is not right, or was used already. Wait for the next one, or use a recovery code."
TOO_LATE = "That took longer than ten minutes. Sign in again."


def is_required(role: Role) -> bool:
    """Whether people of a role may work only with a second step."""
    who = current_app.config["REQUIRE_TWO_STEP"]
    return who == "everybody" or (who == "staff" and role is not Role.CUSTOMER)


# Between password and session


@transactional
def begin(*, user_id: int) -> str:
    """The password was right: the token that this browser carries until the second step is done."""
    db.session.execute(delete(PendingSignIn).where(PendingSignIn.expires_at <= clock.now()))
    token = secrets.token_urlsafe(32)
    expires_at = clock.now() + PENDING_LIFE
    add(PendingSignIn(token_hash=queries.hash_token(token), user_id=user_id, expires_at=expires_at))
    return token


def sign_in(*, pending: str, code: str, address: str, browser: str) -> str:
    """A new session's token for the right code."""
    token = _sign_in(pending=pending, code=code, address=address, browser=browser)
    if token is None:
        raise RuleBroken(WRONG_CODE, "code")
    return token


@transactional
def _sign_in(*, pending: str, code: str, address: str, browser: str) -> str | None:
    user = get_pending_user(pending)
    return finish(pending=pending, address=address, browser=browser) if _try(user.id, code, address) else None


def get_pending_user(pending: str) -> User:
    """Whose sign-in waits for the second step."""
    user = queries.find_pending_user(pending)
    if user is None:
        raise NotSignedIn(TOO_LATE)
    return user


@transactional
def finish(*, pending: str, address: str, browser: str) -> str:
    """The second step is done: a session's token, once."""
    ended = delete(PendingSignIn).where(PendingSignIn.token_hash == queries.hash_token(pending))
    user_id = db.session.scalar(ended.returning(PendingSignIn.user_id))
    if user_id is None:
        raise NotSignedIn(TOO_LATE)
    return services.open_session(user_id=user_id, address=address, browser=browser)


# Codes


def check_code(*, user_id: int, code: str, address: str) -> None:
    """Spend a code of the app or a recovery code; wrong ones are counted."""
    if not _try(user_id, code, address):
        raise RuleBroken(WRONG_CODE, "code")


@transactional
def _try(user_id: int, code: str, address: str) -> bool:
    user = lock(User, user_id)  # of many who send the same code at once, one is first
    if queries.failures(user.email, clock.now() - queries.THROTTLE_WINDOW, by_code=True) >= queries.MOST_TRIES:
        raise TooMany("Too many wrong codes for this account. Wait five minutes.")
    right = _spend_app_code(user, code) if len(code) == APP_DIGITS else _spend_recovery_code(user, code)
    if not right:
        services.count_failure(user.email, address, by_code=True)
    return right


def _spend_app_code(user: User, code: str) -> bool:
    app = db.session.get(AuthenticatorApp, user.id, populate_existing=True)
    step = app and _step_of(encryption.unseal(app.secret, AuthenticatorApp.purpose(user.id)), code)
    if not app or not step or step <= app.last_step:
        return False
    app.last_step, app.used_at = step, clock.now()
    return True


def _step_of(secret: str, code: str) -> int | None:
    """The half minute whose code this is, if that is about now."""
    now = int(clock.unix_time()) // STEP_SECONDS
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    steps = range(now - DRIFT, now + DRIFT + 1)
    right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())]
    return max(right, default=None)


def _spend_recovery_code(user: User, code: str) -> bool:
    spent = update(RecoveryCode).where(
        RecoveryCode.user_id == user.id,
        RecoveryCode.used_at.is_(None),
        RecoveryCode.fingerprint.in_(encryption.fingerprints(code, RECOVERY)),
    )
    if not db.session.execute(spent.values(used_at=clock.now())).rowcount:  # type: ignore[attr-defined]
        return False
    left = queries.recovery_codes_left(user.id)
    outbox.enqueue("recovery_code_used", to=user.email, name=user.name, left=left)
    audit.record("use_recovery_code", user, label=user.label, actor=user.actor(), left=left)
    return True


# What an account has


def new_secret(actor: Actor) -> str:
    """A secret for an app that is being set up, sealed for its way through the form; nothing is stored yet."""
    return encryption.seal(pyotp.random_base32(), f"set-up of {actor.id}")


def read_secret(sealed: str, actor: Actor) -> str:
    """The secret that came back with the form."""
    try:
        return encryption.unseal(sealed, f"set-up of {actor.id}")
    except encryption.Unreadable:
        raise RuleBroken("This page was open too long, or it was changed on its way. Open it again.") from None


def address_of(secret: str, *, email: str, company: str) -> str:
    """What an app reads from the picture: whose codes it is to show, and how they are made."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=email, issuer_name=company)


@transactional
def set_up_app(*, sealed: str, code: str, actor: Actor) -> list[str]:
    """Keep the secret of an app that has shown a right code, in place of the one before.

    Gives recovery codes if this is the account's first second step.
    """
    secret = read_secret(sealed, actor)
    step = _step_of(secret, code)
    if step is None:
        raise RuleBroken("This is not the code that the app shows now. Check that its clock is right.", "code")
    user = lock(User, actor.id)
    db.session.execute(delete(AuthenticatorApp).where(AuthenticatorApp.user_id == user.id))
    now = clock.now()
    kept = encryption.seal(secret, AuthenticatorApp.purpose(user.id))
    add(AuthenticatorApp(user_id=user.id, secret=kept, last_step=step, created_at=now, used_at=now))
    return added(user, "An authenticator app was set up.", actor)


@transactional
def remove_app(*, actor: Actor) -> None:
    """Codes of the actor's app are good no longer."""
    user = lock(User, actor.id)
    if db.session.execute(delete(AuthenticatorApp).where(AuthenticatorApp.user_id == user.id)).rowcount:  # type: ignore[attr-defined]
        removed(user, "The authenticator app was removed.", actor)


@transactional
def renew_codes(*, actor: Actor) -> list[str]:
    """New recovery codes for the actor; those from before are good no longer."""
    user = lock(User, actor.id)
    if user.two_step_since is None:
        raise Conflict("Recovery codes come with an authenticator app or a passkey. Set up one of them first.")
    codes = _make_codes(user)
    _tell(user, "New recovery codes were made. The earlier ones are good no longer.", actor)
    return codes


def _make_codes(user: User) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [[_group() for _ in range(GROUPS)] for _ in range(CODES)]
    fingerprints = [encryption.fingerprint("".join(code), RECOVERY) for code in codes]
    add_all([RecoveryCode(user_id=user.id, fingerprint=fingerprint) for fingerprint in fingerprints])
    return [" ".join(code) for code in codes]


def _group() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(IN_GROUP))


def added(user: User, what: str, actor: Actor) -> list[str]:
    """An app or a passkey is there, whose user is locked: recovery codes, if it is the first."""
    first = user.two_step_since is None
    user.two_step_since = user.two_step_since or clock.now()
    _tell(user, what, actor)
    return _make_codes(user) if first else []


def removed(user: User, what: str, actor: Actor) -> None:
    """An app or a passkey is gone, whose user is locked: with the last one, the second step is."""
    app, passkeys = queries.second_steps_of(user.id)
    if not app and not passkeys:
        if is_required(user.role):
            raise Conflict("Your work needs a second step. Set up another one before you remove this one.")
        _turn_off(user)
    _tell(user, what, actor)


def _turn_off(user: User) -> None:
    user.two_step_since = None
    for model in (AuthenticatorApp, Passkey, RecoveryCode):
        db.session.execute(delete(model).where(model.user_id == user.id))


def _tell(user: User, what: str, actor: Actor) -> None:
    """Note it, and mail it to its user: whoever did it may be somebody else."""
    outbox.enqueue("two_step_changed", to=user.email, name=user.name, change=what)
    audit.record("change_two_step", user, label=user.label, actor=actor, change=what)


@transactional
def reset(*, user_id: int, actor: Actor) -> None:
    """For somebody who lost phone, keys and codes: they sign in by password alone, and are signed out everywhere."""
    check_may(actor, "user:edit")
    if user_id == actor.id:
        raise NotAllowed("Change your own second step on your account page, or ask another administrator.")
    user = lock(User, user_id)
    if user.two_step_since is None:
        raise Conflict("This user has no second step.")
    _turn_off(user)
    services.end_sessions(user.id)
    _tell(user, "An administrator has reset your second step. Sign in with your password and set it up anew.", actor)

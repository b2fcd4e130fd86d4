"""Users, sessions and links as they are looked up."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select

from ..core import clock
from ..core.db import db, fetch
from ..core.errors import NotFound
from ..core.permissions import Actor, Role
from .models import (
    ApiKey,
    AuthenticatorApp,
    KeptForm,
    Link,
    LinkPurpose,
    MailRequest,
    Passkey,
    PendingSignIn,
    RecoveryCode,
    SignInSession,
    SignInTry,
    User,
)

IDLE = {Role.ADMIN: timedelta(minutes=15), Role.AGENT: timedelta(minutes=30), Role.CUSTOMER: timedelta(minutes=30)}
KEPT_FOR = timedelta(hours=1)
THROTTLE_WINDOW = timedelta(minutes=5)
MOST_TRIES = 10
MOST_TRIES_OF_ADDRESS = 50
MAIL_WINDOW = timedelta(hours=1)
MOST_MAILS, MOST_MAILS_OF_ADDRESS = 5, 30
"""How many mails visitors may have sent within the window, to one address of mail and from one of the network."""


def hash_token(token: str) -> str:
    """How a session's token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


_LIVE = (
    select(
        SignInSession.id.label("session_id"), SignInSession.created_at, SignInSession.seen_at,
        User.id, User.role, User.name, User.email, User.wide_sight, User.authority_minor, User.theme,
        User.two_step_since,
    )
    .join(User, User.id == SignInSession.user_id)
    .where(SignInSession.ended_at.is_(None), SignInSession.ends_at > bindparam("now"), User.active)
)  # fmt: skip
_OF_BROWSER = _LIVE.where(SignInSession.token_hash == bindparam("token_hash"), ~SignInSession.by_api)
_OF_PROGRAM = _LIVE.where(SignInSession.id == bindparam("session_id"), SignInSession.by_api)


def find_session(token: str) -> Any | None:
    """The live session of a token with its active user's columns, if there is one."""
    now = clock.now()
    for row in fetch(_OF_BROWSER, token_hash=hash_token(token), now=now):
        return row if row.seen_at + IDLE[row.role] >= now else None
    return None


def find_api_session(id: int) -> Any | None:
    """A program's session if it is live, with its active user's columns."""
    return next(iter(fetch(_OF_PROGRAM, session_id=id, now=clock.now())), None)


def keys_of(user_id: int) -> list[ApiKey]:
    """A user's API keys that are not revoked, the newest first."""
    keys = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return list(db.session.scalars(keys.order_by(ApiKey.id.desc())))


def find_user_of(token: str) -> int | None:
    """Whose session a token is or was."""
    session = select(SignInSession.user_id).where(SignInSession.token_hash == hash_token(token), ~SignInSession.by_api)
    return db.session.scalar(session)


def find_kept_form(id: int, actor: Actor) -> KeptForm | None:
    """What the actor had filled in when their session ended, if it is not too long ago."""
    form = db.session.get(KeptForm, id)
    return form if form and form.user_id == actor.id and form.kept_at > clock.now() - KEPT_FOR else None


def sessions_of(actor: Actor) -> list[SignInSession]:
    """The live sessions of a user, the newest first."""
    return list(
        db.session.scalars(
            select(SignInSession)
            .where(
                SignInSession.user_id == actor.id,
                SignInSession.ended_at.is_(None),
                SignInSession.ends_at > clock.now(),
                SignInSession.by_api | (SignInSession.seen_at >= clock.now() - IDLE[actor.role]),
            )
            .order_by(SignInSession.id.desc())
        )
    )


def find_user(email: str) -> User | None:
    """The user with an e-mail address."""
    return db.session.scalar(select(User).where(User.email == email.lower()))


def find_user_by_subject(subject: str) -> User | None:
    """The user whom the company's own sign-in knows by this."""
    return db.session.scalar(select(User).where(User.openid_subject == subject))


def get_user(id: int) -> User:
    """One user."""
    user = db.session.get(User, id)
    if user is None:
        raise NotFound("We cannot find that user.")
    return user


def get_link(id: int, purpose: LinkPurpose) -> tuple[Link, User]:
    """A link that can still be used, and whose it is."""
    row = db.session.execute(
        select(Link, User)
        .join(User, User.id == Link.user_id)
        .where(
            Link.id == id, Link.purpose == purpose, Link.used_at.is_(None), Link.expires_at > clock.now(), User.active
        )
    ).first()
    if row is None:
        raise NotFound("This link was used already or is too old. Ask for a new one.")
    return row[0], row[1]


def registered_in(link: Link, browser: str) -> bool:
    """Whether a registration was made in the browser that keeps this secret."""
    return link.browser_hash == hash_token(browser)


def throttled(email: str, address: str, since: datetime) -> bool:
    """Whether this address has tried this account, or accounts in general, too often."""
    tries = db.session.execute(
        select(
            func.count().filter(SignInTry.email == email),
            func.count(),
        ).where(SignInTry.address == address, SignInTry.at > since)
    ).one()
    return tries[0] >= MOST_TRIES or tries[1] >= MOST_TRIES_OF_ADDRESS


def failures(email: str, since: datetime, *, by_code: bool = False) -> int:
    """How often anybody gave a wrong password for an account or, `by_code`, a wrong code."""
    tries = select(func.count()).where(SignInTry.email == email, SignInTry.at > since, SignInTry.by_code == by_code)
    return db.session.scalar(tries) or 0


def mails_asked_for(since: datetime, **of: str) -> int:
    """How many mails visitors asked for, to an `email` or from an `address` of the network."""
    asked = select(func.count()).select_from(MailRequest).where(MailRequest.at > since).filter_by(**of)
    return db.session.scalar(asked) or 0


def find_pending_user(token: str) -> User | None:
    """Whose sign-in waits for the second step, if it is theirs still to do."""
    pending = select(User).join(PendingSignIn, PendingSignIn.user_id == User.id)
    return db.session.scalar(
        pending.where(
            PendingSignIn.token_hash == hash_token(token), PendingSignIn.expires_at > clock.now(), User.active
        )
    )


def second_steps_of(user_id: int) -> tuple[AuthenticatorApp | None, list[Passkey]]:
    """The app that shows a user's codes, and their passkeys, the newest first."""
    passkeys = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id.desc())
    return db.session.get(AuthenticatorApp, user_id), list(db.session.scalars(passkeys))


def recovery_codes_left(user_id: int) -> int:
    """How many recovery codes a user has not used."""
    left = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(left) or 0


def find_passkey(credential_id: str) -> Passkey | None:
    """The passkey that calls itself so."""
    return db.session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))


def get_passkey(id: int, actor: Actor) -> Passkey:
    """One of the actor's passkeys."""
    passkey = db.session.get(Passkey, id)
    if passkey is None or passkey.user_id != actor.id:
        raise NotFound("We cannot find that passkey.")
    return passkey


def user_rows(*, q: str = "", role: str = "") -> Select:
    """Users for the list."""
    statement = select(User.id, User.name, User.email, User.role, User.active, User.created_at)
    if q:
        found = (column.contains(q.lower(), autoescape=True) for column in (User.email, func.lower(User.name)))
        statement = statement.where(or_(*found))
    if role:
        statement = statement.where(User.role == Role(role))
    return statement


def agents() -> list[User]:
    """Everybody who can have a book of customers."""
    return list(db.session.scalars(select(User).where(User.role == Role.AGENT, User.active).order_by(User.name)))

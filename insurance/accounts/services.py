"""Registering, confirming, signing in and out, and what an admin does to users."""

import json
import secrets
from datetime import timedelta
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, update

from ..core import audit, clock, metrics, outbox, person_keys
from ..core.db import INSERT, add, check_version, db, lock, transactional
from ..core.encryption import seal
from ..core.errors import Conflict, NotAllowed, NotFound, RuleBroken, TooMany
from ..core.permissions import SYSTEM, Actor, Role, check_may
from . import passwords, queries
from .models import KeptForm, Link, LinkPurpose, MailRequest, PendingSignIn, SignInSession, SignInTry, Theme, User

SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = {
    LinkPurpose.CONFIRM: timedelta(days=2),
    LinkPurpose.RESET: timedelta(hours=1),
    LinkPurpose.INVITATION: timedelta(days=14),
}
LINK_PATHS = {LinkPurpose.CONFIRM: "confirm", LinkPurpose.RESET: "reset", LinkPurpose.INVITATION: "invitation"}
WRONG = "The e-mail address or the password is not right."


# Links


def _signer(purpose: LinkPurpose) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=f"link-{purpose}")


def link_url(link_id: int) -> str:
    """The address to mail for a link, from PUBLIC_URL and never from what a request calls itself."""
    link = db.session.get_one(Link, link_id)
    token = _signer(link.purpose).dumps(link.id)
    return f"{current_app.config['PUBLIC_URL']}/{LINK_PATHS[link.purpose]}/{token}"


def read_token(token: str, purpose: LinkPurpose) -> int:
    """The id of the link that a token stands for."""
    try:
        return _signer(purpose).loads(token)
    except BadSignature:
        raise NotFound("This link is not complete. Copy all of it from the mail.") from None


def make_link(user: User, purpose: LinkPurpose) -> Link:
    """A single-use link for a user; part of the transaction that mails it."""
    return add(Link(user_id=user.id, purpose=purpose, expires_at=clock.now() + LINK_LIFE[purpose]))


def _use(link_id: int, purpose: LinkPurpose) -> User:
    """Spend a link, once even when it is followed twice at the same time, and with it all others of its user."""
    _, user = queries.get_link(link_id, purpose)
    lock(User, user.id)
    queries.get_link(link_id, purpose)  # it may have been spent while we waited
    _spend_links(user)
    return user


def _spend_links(user: User) -> None:
    """No link that was mailed before may undo what is done now."""
    db.session.execute(update(Link).where(Link.user_id == user.id, Link.used_at.is_(None)).values(used_at=clock.now()))


# Getting an account


@transactional
def ask_for_mail(*, email: str, address: str) -> None:
    """Count a mail that a visitor asks for; too many are refused, whether there is an account or not."""
    email, address = email.lower(), address[:60]
    since = clock.now() - queries.MAIL_WINDOW
    db.session.execute(delete(MailRequest).where(MailRequest.at <= since))
    if queries.mails_asked_for(since, email=email) >= queries.MOST_MAILS:
        raise TooMany("Many mails went to this address within an hour. Look for them, or try again later.")
    if queries.mails_asked_for(since, address=address) >= queries.MOST_MAILS_OF_ADDRESS:
        raise TooMany("Many mails were asked for from where you are within an hour. Try again later, or call us.")
    add(MailRequest(email=email, address=address, at=clock.now()))


def register(*, name: str, email: str, password: str, browser: str, address: str = "") -> None:
    """Make a customer's account and mail the link that confirms it. A known address gets a mail that says so.

    `browser` is a secret that the registering browser keeps: in it, the link alone confirms. `address` is where the
    request is from.
    """
    passwords.check_password(password, email=email, name=name)
    ask_for_mail(email=email, address=address)
    password_hash = passwords.hash_password(password)
    _register(name=name, email=email, password_hash=password_hash, browser_hash=queries.hash_token(browser))


@transactional
def _register(*, name: str, email: str, password_hash: str, browser_hash: str) -> None:
    user = _find_or_add(email=email, name=name, role=Role.CUSTOMER)[0]
    if user.confirmed_at:
        outbox.enqueue("already_registered", to=email, name=user.name)
        return
    link = make_link(user, LinkPurpose.CONFIRM)
    link.name, link.password_hash, link.browser_hash = name, password_hash, browser_hash
    outbox.enqueue("confirm", to=email, name=name, link_id=link.id)
    audit.record("register", user, label=user.label, actor=user.actor())


def _find_or_add(*, email: str, **facts: Any) -> tuple[User, bool]:
    """The user with an address, new or not, and whether they are new; two who ask at once get the same one."""
    new: Any = INSERT[db.engine.dialect.name](User).values(
        email=email.lower(), created_at=clock.now(), **{"authority_minor": 0} | facts
    )
    added = db.session.scalar(new.on_conflict_do_nothing(index_elements=["email"]).returning(User.id))
    return db.session.scalars(select(User).where(User.email == email.lower())).one(), added is not None


def _add_user(**facts: Any) -> User:
    user, new = _find_or_add(**facts)
    if not new:
        raise RuleBroken("Somebody with this e-mail address has an account already.", "email")
    return user


@transactional
def invite(*, email: str, name: str, role: Role, actor: Actor, authority_minor: int = 0) -> User:
    """Make an account for somebody and mail the link with which they set their password."""
    check_may(actor, "customer:invite" if role is Role.CUSTOMER else "user:create")
    user = _add_user(email=email, name=name, role=role, authority_minor=authority_minor)
    outbox.enqueue(
        "invitation", to=email, name=name, invited_by=actor.name, link_id=make_link(user, LinkPurpose.INVITATION).id
    )
    audit.record("invite", user, label=user.label, actor=actor, role=role)
    return user


def hash_chosen(password: str, link_id: int, purpose: LinkPurpose) -> str:
    """The hash of a password that the user of a link has chosen, if it is good enough."""
    _, user = queries.get_link(link_id, purpose)
    passwords.check_password(password, email=user.email, name=user.name)
    return passwords.hash_password(password)


def reset_password(*, link_id: int, password: str) -> User:
    """Set a new password and end every session."""
    return set_password(link_id, LinkPurpose.RESET, hash_chosen(password, link_id, LinkPurpose.RESET))


@transactional
def set_password(link_id: int, purpose: LinkPurpose, password_hash: str) -> User:
    """Spend a link on a password. Following the mailed link has confirmed the address."""
    user = _use(link_id, purpose)
    user.password_hash = password_hash
    user.confirmed_at = user.confirmed_at or clock.now()
    end_sessions(user.id)
    audit.record(f"{purpose}_password", user, label=user.label, actor=user.actor())
    return user


def ask_for_reset(*, email: str, address: str = "") -> None:
    """Mail a link to set a new password, if the address has an account; the caller is not told whether."""
    ask_for_mail(email=email, address=address)
    _ask_for_reset(email)


@transactional
def _ask_for_reset(email: str) -> None:
    user = queries.find_user(email)
    if user and user.active and user.confirmed_at:
        outbox.enqueue("reset", to=user.email, name=user.name, link_id=make_link(user, LinkPurpose.RESET).id)
        audit.record("ask_for_reset", user, label=user.label, actor=SYSTEM)


def check_registered_here(link_id: int, *, browser: str, password: str) -> None:
    """Refuse to confirm what somebody else registered: the browser must be the one that did, or know the password."""
    link, _ = queries.get_link(link_id, LinkPurpose.CONFIRM)
    if not queries.registered_in(link, browser) and not passwords.matches(link.password_hash, password):
        raise RuleBroken("This is not the password that was chosen for this account. Try again.", "password")


@transactional
def confirm(*, link_id: int) -> User:
    """The address is theirs: from now on they can sign in, with the password of the registration that is confirmed."""
    user = _use(link_id, LinkPurpose.CONFIRM)
    link = db.session.get_one(Link, link_id)
    user.name, user.password_hash = link.name or user.name, link.password_hash
    user.confirmed_at = clock.now()
    audit.record("confirm", user, label=user.label, actor=user.actor())
    return user


# Signing in and out


def authenticate(*, email: str, password: str, address: str) -> User:
    """Whose password it is. Wrong ones are counted, whether the account exists or not.

    Before a session is opened, an account with `two_step_since` needs its second step too.
    """
    email = email.lower()
    since = clock.now() - queries.THROTTLE_WINDOW
    if queries.throttled(email, address, since):
        metrics.of_app().sign_in_failures.labels("throttled").inc()
        raise TooMany("Too many wrong tries. Wait five minutes, or set a new password.")
    user = queries.find_user(email)
    right = passwords.matches(user.password_hash if user else None, password)
    if user is None or not right or not user.active or not user.confirmed_at:
        tries = queries.failures(email, since)
        count_failure(email, address)
        metrics.of_app().sign_in_failures.labels("password").inc()
        if tries >= queries.MOST_TRIES:
            raise TooMany("Too many wrong tries for this account. Wait five minutes, or set a new password.")
        raise RuleBroken(WRONG, "password")
    return user


@transactional
def count_failure(email: str, address: str, *, by_code: bool = False) -> None:
    """Remember a wrong password or, `by_code`, a wrong code of the second step."""
    fields = {"address": address, "step": "second" if by_code else "first"}
    current_app.logger.warning("sign-in refused", extra={"fields": fields})
    add(SignInTry(email=email[:254], address=address, at=clock.now(), by_code=by_code))


@transactional
def open_session(*, user_id: int, address: str, browser: str) -> str:
    """A new session; its token is known to the browser alone."""
    token = secrets.token_urlsafe(32)
    add_session(user_id, queries.hash_token(token), SESSION_LIFE, address=address, browser=browser)
    return token


@transactional
def add_session(
    user_id: int, token_hash: str, life: timedelta, *, address: str, browser: str, by_api: bool = False
) -> SignInSession:
    """A session of a browser or, by the API, of a program."""
    now = clock.now()
    user = queries.get_user(user_id)
    session = add(
        SignInSession(
            token_hash=token_hash,
            user_id=user_id,
            created_at=now,
            seen_at=now,
            ends_at=now + life,
            address=address[:60],
            browser=browser[:200],
            by_api=by_api,
        )
    )
    audit.record("sign_in", user, label=user.label, actor=user.actor())
    return session


@transactional
def touch(session_id: int) -> None:
    """Note that a session is in use. At most once a minute: the one thing that a GET may write."""
    db.session.execute(update(SignInSession).where(SignInSession.id == session_id).values(seen_at=clock.now()))


@transactional
def sign_out(*, token: str) -> None:
    """End the session of a token."""
    db.session.execute(
        update(SignInSession)
        .where(SignInSession.token_hash == queries.hash_token(token), SignInSession.ended_at.is_(None))
        .values(ended_at=clock.now())
    )


@transactional
def keep_form(*, user_id: int, path: str, fields: dict[str, list[str]]) -> KeptForm:
    """Keep what somebody sent after their session had ended; what was kept too long ago goes."""
    db.session.execute(delete(KeptForm).where(KeptForm.kept_at < clock.now() - queries.KEPT_FOR))
    sealed = seal(json.dumps(fields), KeptForm.purpose(user_id))
    return add(KeptForm(user_id=user_id, path=path, sealed=sealed, kept_at=clock.now()))


@transactional
def end_session(*, session_id: int, actor: Actor) -> None:
    """End one of the actor's own sessions."""
    session = lock(SignInSession, session_id)
    if session.user_id != actor.id:
        raise NotFound("We cannot find that session.")
    session.ended_at = session.ended_at or clock.now()


@transactional
def end_session_of(*, user_id: int, session_id: int, actor: Actor) -> None:
    """End one of somebody's sessions, as an admin does."""
    check_may(actor, "user:edit")
    user, session = queries.get_user(user_id), lock(SignInSession, session_id)
    if session.user_id != user.id:
        raise NotFound("We cannot find that session.")
    session.ended_at = session.ended_at or clock.now()
    audit.record(
        "end_session", user, label=user.label, actor=actor, person=person_keys.of_user(user.id),
        address=session.address, browser=session.browser,
    )  # fmt: skip


def end_sessions(user_id: int, *, but: str = "") -> None:
    """End a user's sessions, but for the one with a token, and what waits for a second step."""
    db.session.execute(delete(PendingSignIn).where(PendingSignIn.user_id == user_id))
    db.session.execute(
        update(SignInSession)
        .where(
            SignInSession.user_id == user_id,
            SignInSession.ended_at.is_(None),
            SignInSession.token_hash != queries.hash_token(but),
        )
        .values(ended_at=clock.now())
    )


def change_password(*, old: str, new: str, token: str, actor: Actor) -> None:
    """Change the actor's own password and end their other sessions."""
    user = queries.get_user(actor.id)  # type: ignore[arg-type]
    if not passwords.matches(user.password_hash, old):
        raise RuleBroken("This is not your present password.", "old_password")
    passwords.check_password(new, email=user.email, name=user.name)
    _change_password(actor=actor, password_hash=passwords.hash_password(new), token=token)


@transactional
def _change_password(*, password_hash: str, token: str, actor: Actor) -> None:
    user = lock(User, actor.id)
    user.password_hash = password_hash
    _spend_links(user)
    end_sessions(user.id, but=token)
    audit.record("change_password", user, label=user.label, actor=actor)


@transactional
def set_theme(*, theme: Theme, actor: Actor) -> None:
    """The look that the actor prefers."""
    lock(User, actor.id).theme = theme


# What an admin does


@transactional
def edit_user(
    *,
    user_id: int,
    version: int,
    name: str,
    role: Role,
    active: bool,
    wide_sight: bool,
    authority_minor: int,
    actor: Actor,
) -> User:
    """Change somebody's name, role, authority or right to sign in; it holds from their next request on."""
    check_may(actor, "user:edit")
    # Both under lock: two admins may be taking each other's role away.
    locked = {key: lock(User, key) for key in sorted({user_id, actor.id or user_id})}
    if actor.id and not (locked[actor.id].active and locked[actor.id].role is Role.ADMIN):
        raise NotAllowed("You are no longer an administrator.")
    user = locked[user_id]
    check_version(user, version)
    if user.id == actor.id and (role is not user.role or not active):
        raise NotAllowed("You cannot take your own role or access away. Ask another administrator.")
    before = {key: getattr(user, key) for key in ("name", "role", "active", "wide_sight", "authority_minor")}
    after = {
        "name": name,
        "role": role,
        "active": active,
        "wide_sight": wide_sight,
        "authority_minor": authority_minor,
    }
    for key, value in after.items():
        setattr(user, key, value)
    user.version += 1
    if not active or role is not before["role"]:
        end_sessions(user.id)
    audit.record(
        "edit", user, label=user.label, actor=actor, person=person_keys.of_user(user.id), before=before, **after
    )
    return user


@transactional
def send_reset(*, user_id: int, actor: Actor) -> None:
    """Mail somebody the link to set their password; no admin ever sets one."""
    check_may(actor, "user:edit")
    user = lock(User, user_id)
    if not user.active:
        raise Conflict("This user may not sign in, so a link would lead nowhere. Let them sign in first.")
    if user.confirmed_at:
        outbox.enqueue("reset", to=user.email, name=user.name, link_id=make_link(user, LinkPurpose.RESET).id)
    else:
        link = make_link(user, LinkPurpose.INVITATION)
        outbox.enqueue("invitation", to=user.email, name=user.name, invited_by=actor.name, link_id=link.id)
    audit.record("send_reset", user, label=user.label, actor=actor)


@transactional
def create_user(*, email: str, name: str, role: Role, authority_minor: int, password_hash: str | None = None) -> str:
    """For commands: an account, and the one-time address at which its password is set."""
    user = _add_user(
        email=email,
        name=name,
        role=role,
        authority_minor=authority_minor,
        password_hash=password_hash,
        confirmed_at=clock.now() if password_hash else None,
    )
    audit.record("create", user, label=user.label, actor=SYSTEM, role=role)
    return link_url(make_link(user, LinkPurpose.INVITATION).id)

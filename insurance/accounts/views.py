"""Pages to get an account, sign in and out, and look after it."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..core import clock
from ..core.errors import NotFound, RuleBroken
from ..core.permissions import Role
from ..customers import queries as customer_queries
from ..customers import services as customers
from ..web.arguments import inside
from ..web.forms import Form
from ..web.guard import public, requires
from . import forms, openid, passkeys, queries, services, tokens, two_step
from .models import LinkPurpose, Theme, User
from .sign_in import KEPT, carry, forget, fresh, sign_in_token

bp = Blueprint("accounts", __name__)

PENDING = "pending_sign_in"
BY_PROVIDER, LEFT_PROVIDER, AFTER_PROVIDER = "by_provider", "left_provider", "after_provider"
"""What the form cookie notes of a sign-in by the company's own account: that it was, that it ended, where it leads."""
HOMES = {Role.CUSTOMER: "/portal", Role.AGENT: "/agent", Role.ADMIN: "/admin"}


@bp.get("/login")
@bp.post("/login")
@public
def login() -> ResponseReturnValue:
    """By password, or by a passkey without a name or a password."""
    if current_user.is_authenticated and request.method == "GET":
        return redirect(HOMES[current_user.role])

    def accept(sent: Any) -> ResponseReturnValue:
        if isinstance(sent, forms.PasskeyForm):
            return _enter(passkeys.sign_in(credential=sent.credential.data or "", **_browser()), sent.next.data)
        user = services.authenticate(email=sent.email.data, password=sent.password.data, address=_address())
        return _admit(user, sent.next.data)

    return _ask(forms.LoginForm, "accounts/login.html", accept, left_provider=session.pop(LEFT_PROVIDER, False))


@bp.get("/two-step")
@bp.post("/two-step")
@public
def enter_code() -> ResponseReturnValue:
    """Between password and session: a code of the app, a recovery code, or a passkey."""
    pending = session.get(PENDING, "")
    user = queries.find_pending_user(pending)
    if user is None:
        if session.pop(PENDING, None):
            flash(two_step.TOO_LATE, "info")
        return redirect(url_for("accounts.login", next=inside(request.args.get("next")) or None), 303)

    def accept(sent: Any) -> ResponseReturnValue:
        if isinstance(sent, forms.PasskeyForm):
            token = passkeys.finish_sign_in(pending=pending, credential=sent.credential.data or "", **_browser())
        else:
            token = two_step.sign_in(pending=pending, code=sent.code.data, **_browser())
        return _enter(token, sent.next.data)

    return _ask(forms.CodeForm, "accounts/enter_code.html", accept, user=user)


@bp.get("/login/again")
@bp.post("/login/again")
@requires("account:use")
def sign_in_again() -> ResponseReturnValue:
    """Who is sitting here, before what needs a fresh sign-in: a new session takes the place of the old one."""
    user = queries.get_user(current_user.id)

    def accept(sent: Any) -> ResponseReturnValue:
        if isinstance(sent, forms.PasskeyForm):
            passkeys.check(credential=sent.credential.data or "", user_id=user.id)
        elif isinstance(sent, forms.CodeForm):
            two_step.check_code(user_id=user.id, code=sent.code.data, address=_address())
        else:
            services.authenticate(email=user.email, password=sent.password.data, address=_address())
        token = services.open_session(user_id=current_user.id, **_browser())
        services.sign_out(token=sign_in_token())
        return carry(redirect(inside(sent.next.data) or HOMES[current_user.role], 303), token)  # type: ignore[arg-type]

    form_class = forms.CodeForm if user.two_step_since else forms.SignInAgainForm
    return _ask(form_class, "accounts/sign_in_again.html", accept, user=user)


def _ask(
    form_class: type[Form],
    template: str,
    accept: Callable[[Any], ResponseReturnValue],
    *,
    user: User | None = None,
    **context: Any,
) -> ResponseReturnValue:
    """A page that takes what its own form asks for, or a passkey: one of the user's or, at sign-in, anybody's."""
    then = inside(request.args.get("next"))
    sent = forms.PasskeyForm() if "credential" in request.form else form_class(next=then)
    if sent.validate_on_submit():
        with sent.refusals():
            return accept(sent)
    form = sent
    if isinstance(sent, forms.PasskeyForm):  # what was wrong with it stands above the page's own form
        form = form_class(formdata=None, next=sent.next.data)
        form.form_errors, form.status = [message for _, message in sent.errors_in_order], sent.status
    own = queries.second_steps_of(user.id)[1] if user else None
    return form.page(
        template,
        passkey_form=forms.PasskeyForm(formdata=None, next=form["next"].data),
        passkey_options="" if own == [] else passkeys.sign_in_options(own),
        provider=current_app.config["OIDC_NAME"] if openid.is_offered() else "",
        **context,
    )


def _address() -> str:
    return request.remote_addr or ""


def _browser() -> dict[str, str]:
    return {"address": _address(), "browser": request.user_agent.string}


def _admit(user: User, then: str | None) -> ResponseReturnValue:
    """The first step is done: in, or on to the second one."""
    if user.two_step_since is None:
        return _enter(services.open_session(user_id=user.id, **_browser()), then)
    session[PENDING] = two_step.begin(user_id=user.id)
    return redirect(url_for("accounts.enter_code", next=inside(then) or None), 303)


def _enter(token: str, then: str | None) -> ResponseReturnValue:
    """In, with a new session; a form that was kept stays so until its page is opened."""
    services.sign_out(token=sign_in_token())  # what this browser was signed in as before
    found = queries.find_session(token)
    kept = {name: session[name] for name in (KEPT, BY_PROVIDER) if name in session}
    session.clear()  # a new request token for whoever is signed in now
    session.update(kept)
    home = HOMES[found.role] if found else "/"
    return carry(redirect(inside(then) or home, 303), token)  # type: ignore[arg-type]


@bp.get("/login/openid")
@public
def openid_begin() -> ResponseReturnValue:
    """To the company's own sign-in."""
    if not openid.is_offered():
        return redirect(url_for("accounts.login"), 303)
    again = "again" in request.args
    try:
        answer = openid.begin(current_app.config["PUBLIC_URL"] + url_for("accounts.openid_return"), again=again)
    except RuleBroken as refusal:
        flash(refusal.message, "bad")
        return redirect(url_for("accounts.login"), 303)
    session[AFTER_PROVIDER] = inside(request.args.get("next"))
    return answer


@bp.get("/login/openid/return")
@public
def openid_return() -> ResponseReturnValue:
    """Back from there: what `state`, `nonce` and the provider's signature say is believed, and nothing else."""
    if not openid.is_offered():
        return redirect(url_for("accounts.login"), 303)
    try:
        user = openid.finish()
    except RuleBroken as refusal:
        flash(refusal.message, "bad")
        return redirect(url_for("accounts.login"), 303)
    session[BY_PROVIDER] = True
    return _admit(user, session.pop(AFTER_PROVIDER, ""))


@bp.get("/logout/openid")
@public
def openid_leave() -> ResponseReturnValue:
    """To the provider, to sign out there too."""
    login = url_for("accounts.login")
    there = openid.sign_out_url(current_app.config["PUBLIC_URL"] + login) if openid.is_offered() else None
    return redirect(there or login, 303)


@bp.post("/logout")
@public
def logout() -> ResponseReturnValue:
    services.sign_out(token=sign_in_token())
    by_provider = session.get(BY_PROVIDER, False)
    session.clear()
    session[LEFT_PROVIDER] = by_provider
    flash("You are signed out.", "ok")
    return forget(redirect(url_for("accounts.login"), 303))  # type: ignore[arg-type]


@bp.get("/register")
@bp.post("/register")
@public
def register() -> ResponseReturnValue:
    form = forms.RegisterForm()
    if form.validate_on_submit():
        with form.refusals():
            session["registration"] = session.get("registration") or secrets.token_urlsafe(32)
            services.register(
                name=form.name.data,
                email=form.email.data,
                password=form.password.data,
                browser=session["registration"],
                address=_address(),
            )
            session["mailed_to"] = form.email.data
            return redirect(url_for("accounts.mailed"), 303)
    return form.page("accounts/register.html")


@bp.get("/register/mailed")
@public
def mailed() -> ResponseReturnValue:
    return render_template("accounts/mailed.html", email=session.get("mailed_to", "your address"))


@bp.get("/confirm/<token>")
@bp.post("/confirm/<token>")
@public
def confirm(token: str) -> ResponseReturnValue:
    """A button in the browser that registered; any other is asked for the password too."""
    link_id = services.read_token(token, LinkPurpose.CONFIRM)
    link, user = queries.get_link(link_id, LinkPurpose.CONFIRM)
    browser = session.get("registration", "")
    form = forms.ActForm() if queries.registered_in(link, browser) else forms.ConfirmForm()
    if form.validate_on_submit():
        with form.refusals():
            password = form.password.data if "password" in form else ""
            customers.confirm(link_id=link_id, browser=browser, password=password)
            flash("Your address is confirmed. Sign in to go on.", "ok")
            return redirect(url_for("accounts.login"), 303)
    return form.page("accounts/confirm.html", email=user.email)


@bp.get("/forgot")
@bp.post("/forgot")
@public
def forgot() -> ResponseReturnValue:
    form = forms.ForgotForm()
    if form.validate_on_submit():
        with form.refusals():
            services.ask_for_reset(email=form.email.data, address=_address())
            session["mailed_to"] = form.email.data
            return redirect(url_for("accounts.forgot_mailed"), 303)
    return form.page("accounts/forgot.html")


@bp.get("/forgot/mailed")
@public
def forgot_mailed() -> ResponseReturnValue:
    return render_template("accounts/forgot_mailed.html", email=session.get("mailed_to", "your address"))


@bp.get("/reset/<token>")
@bp.post("/reset/<token>")
@public
def reset(token: str) -> ResponseReturnValue:
    link_id = services.read_token(token, LinkPurpose.RESET)
    form = forms.PasswordForm()
    if form.validate_on_submit():
        with form.refusals():
            services.reset_password(link_id=link_id, password=form.password.data)
            flash("Your new password is set. Sign in with it.", "ok")
            return redirect(url_for("accounts.login"), 303)
    _, user = queries.get_link(link_id, LinkPurpose.RESET)
    return form.page("accounts/password.html", email=user.email, heading="Choose a new password")


@bp.get("/invitation/<token>")
@bp.post("/invitation/<token>")
@public
def invitation(token: str) -> ResponseReturnValue:
    link_id = services.read_token(token, LinkPurpose.INVITATION)
    form = forms.PasswordForm()
    if form.validate_on_submit():
        with form.refusals():
            customers.accept_invitation(link_id=link_id, password=form.password.data)
            flash("Your account is ready. Sign in with your new password.", "ok")
            return redirect(url_for("accounts.login"), 303)
    _, user = queries.get_link(link_id, LinkPurpose.INVITATION)
    return form.page("accounts/password.html", email=user.email, heading=f"Welcome, {user.name}")


@bp.get("/account")
@requires("account:use")
def account() -> ResponseReturnValue:
    return render_template(
        "accounts/account.html",
        user=queries.get_user(current_user.id),
        customer=customer_queries.find_own(current_user),
        sessions=queries.sessions_of(current_user),
        keys=queries.keys_of(current_user.id),
        this_session=queries.hash_token(sign_in_token()),
        form=forms.ThemeForm(theme=queries.get_user(current_user.id).theme),
    )


@bp.post("/account/theme")
@requires("account:use")
def set_theme() -> ResponseReturnValue:
    form = forms.ThemeForm()
    if form.validate_on_submit():
        services.set_theme(theme=Theme(form.theme.data), actor=current_user)
        flash("Saved. Pages look like this from now on.", "ok")
    return redirect(url_for("accounts.account"), 303)


@bp.get("/account/password")
@bp.post("/account/password")
@requires("account:use")
def change_password() -> ResponseReturnValue:
    form = forms.ChangePasswordForm()
    if form.validate_on_submit():
        with form.refusals():
            services.change_password(
                old=form.old_password.data, new=form.password.data, token=sign_in_token(), actor=current_user
            )
            flash("Your password is changed. Other browsers are signed out.", "ok")
            return redirect(url_for("accounts.account"), 303)
    return form.page("accounts/change_password.html")


@bp.post("/account/sessions/<int:session_id>/end")
@requires("account:use")
@fresh
def end_session(session_id: int) -> ResponseReturnValue:
    if not forms.ActForm().validate_on_submit():
        raise NotFound("We cannot find that session.")
    services.end_session(session_id=session_id, actor=current_user)
    flash("That browser is signed out.", "ok")
    return redirect(url_for("accounts.account"), 303)


@bp.get("/account/keys/new")
@bp.post("/account/keys/new")
@requires("account:use")
@fresh
def new_key() -> ResponseReturnValue:
    form = forms.KeyForm(expires_on=clock.today() + timedelta(days=90))
    if form.validate_on_submit():
        with form.refusals():
            session["new_key"] = tokens.create_key(
                name=form.name.data,
                scopes=form.scopes,
                expires_on=form.expires_on.data,
                actor=current_user,
            )
            return redirect(url_for("accounts.key_made"), 303)
    return form.page("accounts/new_key.html")


@bp.get("/account/keys/made")
@requires("account:use")
def key_made() -> ResponseReturnValue:
    """The new key, once."""
    return render_template("accounts/key.html", secret=session.pop("new_key", ""))


@bp.post("/account/keys/<int:key_id>/revoke")
@requires("account:use")
def revoke_key(key_id: int) -> ResponseReturnValue:
    tokens.revoke_key(key_id=key_id, user_id=current_user.id, actor=current_user)
    flash("The key is revoked: no program gets in with it any more.", "ok")
    return redirect(url_for("accounts.account"), 303)

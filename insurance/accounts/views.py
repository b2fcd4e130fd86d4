"""Pages to get an account, sign in and out, and look after it."""

import secrets
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..core import clock
from ..core.errors import NotFound
from ..core.permissions import Role
from ..customers import queries as customer_queries
from ..customers import services as customers
from ..web.arguments import inside
from ..web.guard import public, requires
from . import forms, queries, services, tokens
from .models import LinkPurpose, Theme
from .sign_in import KEPT, carry, forget, renew, sign_in_token

bp = Blueprint("accounts", __name__)

HOMES = {Role.CUSTOMER: "/portal", Role.AGENT: "/agent", Role.ADMIN: "/admin"}


@bp.get("/login")
@bp.post("/login")
@public
def login() -> ResponseReturnValue:
    if current_user.is_authenticated and request.method == "GET":
        return redirect(HOMES[current_user.role])
    form = forms.LoginForm(next=inside(request.args.get("next")))
    if form.validate_on_submit():
        with form.refusals():
            token = services.sign_in(
                email=form.email.data,
                password=form.password.data,
                address=request.remote_addr or "",
                browser=request.user_agent.string,
            )
            services.sign_out(token=sign_in_token())  # what this browser was signed in as before
            found = queries.find_session(token)
            kept = session.get(KEPT)
            session.clear()  # a new request token for whoever is signed in now
            if kept:
                session[KEPT] = kept
            home = HOMES[found[1].role] if found else "/"
            return carry(redirect(inside(form.next.data) or home, 303), token)  # type: ignore[arg-type]
    return form.page("accounts/login.html")


@bp.get("/login/again")
@bp.post("/login/again")
@requires("account:use")
def sign_in_again() -> ResponseReturnValue:
    """The password once more before what needs a fresh sign-in: a new session takes the place of the old one."""
    form = forms.SignInAgainForm(next=inside(request.args.get("next")))
    if form.validate_on_submit():
        with form.refusals():
            token = renew(form.password.data)
            return carry(redirect(inside(form.next.data) or HOMES[current_user.role], 303), token)  # type: ignore[arg-type]
    return form.page("accounts/sign_in_again.html")


@bp.post("/logout")
@public
def logout() -> ResponseReturnValue:
    services.sign_out(token=sign_in_token())
    session.clear()
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
        services.ask_for_reset(email=form.email.data)
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
def end_session(session_id: int) -> ResponseReturnValue:
    if not forms.ActForm().validate_on_submit():
        raise NotFound("We cannot find that session.")
    services.end_session(session_id=session_id, actor=current_user)
    flash("That browser is signed out.", "ok")
    return redirect(url_for("accounts.account"), 303)


@bp.get("/account/keys/new")
@bp.post("/account/keys/new")
@requires("account:use")
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

"""Pages on which people look after their second step: app, passkeys, recovery codes."""

import segno
from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..core import encryption, settings
from ..core.errors import RuleBroken
from ..web.guard import requires
from . import forms, passkeys, queries, two_step
from .sign_in import fresh
from .views import bp

NEW_CODES = "new_recovery_codes"


@bp.get("/account/two-step")
@requires("account:use")
def second_step() -> ResponseReturnValue:
    app, own = queries.second_steps_of(current_user.id)
    user = queries.get_user(current_user.id)
    return render_template(
        "accounts/second_step.html",
        app=app,
        passkeys=own,
        since=user.two_step_since,
        left=queries.recovery_codes_left(user.id),
        required=two_step.is_required(user.role),
    )


@bp.get("/account/two-step/app")
@bp.post("/account/two-step/app")
@requires("account:use")
@fresh
def set_up_app() -> ResponseReturnValue:
    form = forms.AppForm(secret=two_step.new_secret(current_user))
    if form.validate_on_submit():
        with form.refusals():
            codes = two_step.set_up_app(sealed=form.secret.data, code=form.code.data, actor=current_user)
            return _done("The app is set up. From now on its code is asked when you sign in.", codes)
    try:
        secret = two_step.read_secret(form.secret.data or "", current_user)
    except RuleBroken:  # it was changed on its way: begin anew
        form.secret.data = form.secret.typed = two_step.new_secret(current_user)
        secret = two_step.read_secret(form.secret.data, current_user)
    address = two_step.address_of(secret, email=current_user.email, company=settings.company()["name"])
    picture = segno.make(address, error="m").svg_data_uri(scale=5, border=4, light="#fff")
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return form.page("accounts/set_up_app.html", picture=picture, secret=groups)


@bp.get("/account/two-step/app/remove")
@bp.post("/account/two-step/app/remove")
@requires("account:use")
@fresh
def remove_app() -> ResponseReturnValue:
    form = forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            two_step.remove_app(actor=current_user)
            return _done("The app is removed: its codes are good no longer.")
    return form.page("accounts/remove_app.html")


@bp.get("/account/two-step/passkeys/new")
@bp.post("/account/two-step/passkeys/new")
@requires("account:use")
@fresh
def new_passkey() -> ResponseReturnValue:
    form = forms.NewPasskeyForm()
    if form.validate_on_submit():
        with form.refusals():
            codes = passkeys.register(credential=form.credential.data or "", name=form.name.data, actor=current_user)
            return _done("The passkey is added. Sign in with it from now on.", codes)
    form.credential.data = form.credential.typed = None  # each is signed once
    company = settings.company()["name"]
    return form.page("accounts/new_passkey.html", options=passkeys.registration_options(current_user, company))


@bp.get("/account/two-step/passkeys/<int:passkey_id>/remove")
@bp.post("/account/two-step/passkeys/<int:passkey_id>/remove")
@requires("account:use")
@fresh
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    passkey = queries.get_passkey(passkey_id, current_user)
    form = forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            passkeys.remove(passkey_id=passkey_id, actor=current_user)
            return _done("The passkey is removed: it opens your account no longer.")
    return form.page("accounts/remove_passkey.html", passkey=passkey)


@bp.get("/account/two-step/codes")
@bp.post("/account/two-step/codes")
@requires("account:use")
@fresh
def recovery_codes() -> ResponseReturnValue:
    """The new codes, once; else the button that makes new ones."""
    form = forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            _show_once(two_step.renew_codes(actor=current_user))
            return redirect(url_for("accounts.recovery_codes"), 303)
    sealed = session.pop(NEW_CODES, "")
    codes = encryption.unseal(sealed, _for_me()).split("\n") if sealed else []
    return form.page("accounts/recovery_codes.html", codes=codes, left=queries.recovery_codes_left(current_user.id))


def _done(words: str, codes: list[str] | None = None) -> ResponseReturnValue:
    """Back to the overview, by way of the recovery codes if there are new ones."""
    flash(words, "ok")
    if not codes:
        return redirect(url_for("accounts.second_step"), 303)
    _show_once(codes)
    return redirect(url_for("accounts.recovery_codes"), 303)


def _show_once(codes: list[str]) -> None:
    """Keep them in this browser until the next page has shown them; they are stored nowhere else."""
    session[NEW_CODES] = encryption.seal("\n".join(codes), _for_me())


def _for_me() -> str:
    return f"recovery codes of {current_user.id}"

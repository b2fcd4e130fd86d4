"""Users: inviting, changing and deactivating them, and ending their sessions."""

from flask import current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts import forms as account_forms
from ...accounts import queries as accounts
from ...accounts import services as account_services
from ...accounts import tokens, two_step
from ...accounts.models import User
from ...accounts.sign_in import fresh, fresh_download
from ...core.money import Money
from ...core.permissions import Role
from ...core.words import Words
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, queries

ROLE_WORDS = {Role.ADMIN: "Admin", Role.AGENT: "Agent", Role.CUSTOMER: "Customer"}
ACCESS = {True: Words("ok", "May sign in", ""), False: Words("neu", "Deactivated", "")}


USERS = ListPage(
    title="Users",
    one="user",
    many="users",
    key=User.id,
    default_sort="name",
    search_hint="Name or e-mail",
    filters=[Choice("role", "Role", list(ROLE_WORDS.items()))],
    columns=[
        Col("Name", lambda r: r.name, sort=User.name, href=lambda r: url_for("admin.user", user_id=r.id)),
        Col("Email", lambda r: r.email, sort=User.email),
        Col("Role", lambda r: ROLE_WORDS[r.role]),
        Col("Access", lambda r: ACCESS[r.active], kind="badge"),
        Col("Since", lambda r: r.created_at, kind="date", sort=User.created_at, sort_name="since"),
    ],
)


@bp.get("/users")
@bp.get("/users.csv", endpoint="user_csv")
@requires("user:read")
@fresh_download
def user_list() -> ResponseReturnValue:
    return USERS.respond(accounts.user_rows(**USERS.arguments()), new=(url_for("admin.new_user"), "Invite user"))


@bp.get("/users/new")
@bp.post("/users/new")
@requires("user:create")
@fresh
def new_user() -> ResponseReturnValue:
    form = account_forms.InviteUserForm(authority=Money.zero(_currency()))
    if form.validate_on_submit():
        with form.refusals():
            user = account_services.invite(
                email=form.email.data,
                name=form.name.data,
                role=Role(form.role.data),
                authority_minor=form.authority.data.minor,
                actor=current_user,
            )
            flash(f"The invitation is on its way to {user.email}.", "ok")
            return redirect(url_for("admin.user", user_id=user.id), 303)
    return form.page("admin/new_user.html")


@bp.get("/users/<int:user_id>")
@requires("user:read")
def user(user_id: int) -> ResponseReturnValue:
    record = accounts.get_user(user_id)
    app, passkeys = accounts.second_steps_of(user_id) if record.two_step_since else (None, [])
    return render_template(
        "admin/user.html",
        user=record,
        role=ROLE_WORDS[record.role],
        words=ACCESS[record.active],
        authority=Money(record.authority_minor, _currency()),
        entries=queries.audit_of("users", user_id),
        sessions=accounts.sessions_of(record.actor()),
        keys=accounts.keys_of(user_id),
        app=app,
        passkeys=passkeys,
        left=accounts.recovery_codes_left(user_id) if record.two_step_since else 0,
        form=account_forms.ActForm(),
    )


@bp.get("/users/<int:user_id>/edit")
@bp.post("/users/<int:user_id>/edit")
@requires("user:edit")
@fresh
def edit_user(user_id: int) -> ResponseReturnValue:
    record = accounts.get_user(user_id)
    form = account_forms.UserForm(obj=record, authority=Money(record.authority_minor, _currency()))
    if form.validate_on_submit():
        with form.refusals():
            account_services.edit_user(
                user_id=user_id,
                version=form.version.data,
                name=form.name.data,
                role=Role(form.role.data),
                active=form.active.data,
                wide_sight=form.wide_sight.data,
                authority_minor=form.authority.data.minor,
                actor=current_user,
            )
            flash("Saved. It holds from their next click on.", "ok")
            return redirect(url_for("admin.user", user_id=user_id), 303)
    return form.page("admin/edit_user.html", user=record)


@bp.post("/users/<int:user_id>/reset")
@requires("user:edit")
@fresh
def reset_user(user_id: int) -> ResponseReturnValue:
    account_services.send_reset(user_id=user_id, actor=current_user)
    flash("A link to set the password is on its way.", "ok")
    return redirect(url_for("admin.user", user_id=user_id), 303)


@bp.get("/users/<int:user_id>/two-step")
@bp.post("/users/<int:user_id>/two-step")
@requires("user:edit")
@fresh
def reset_two_step(user_id: int) -> ResponseReturnValue:
    """For somebody who lost phone, keys and codes."""
    form = account_forms.ActForm()
    if form.validate_on_submit():
        with form.refusals():
            two_step.reset(user_id=user_id, actor=current_user)
            flash("They sign in by password alone now, and are signed out everywhere. A mail tells them.", "ok")
            return redirect(url_for("admin.user", user_id=user_id), 303)
    return form.page("admin/reset_two_step.html", user=accounts.get_user(user_id))


@bp.post("/users/<int:user_id>/sessions/<int:session_id>/end")
@requires("user:edit")
def end_session(user_id: int, session_id: int) -> ResponseReturnValue:
    account_services.end_session_of(user_id=user_id, session_id=session_id, actor=current_user)
    flash("That browser is signed out.", "ok")
    return redirect(url_for("admin.user", user_id=user_id), 303)


@bp.post("/users/<int:user_id>/keys/<int:key_id>/revoke")
@requires("user:edit")
def revoke_key(user_id: int, key_id: int) -> ResponseReturnValue:
    tokens.revoke_key(key_id=key_id, user_id=user_id, actor=current_user)
    flash("The key is revoked: no program gets in with it any more.", "ok")
    return redirect(url_for("admin.user", user_id=user_id), 303)


def _currency() -> str:
    return current_app.config["CURRENCY"]

"""Who of the staff has access to what, and when it was reviewed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime

from flask import current_app
from sqlalchemy import Row, case, func, or_, select

from ...accounts.models import ApiKey, SignInSession, User
from ...accounts.queries import IDLE
from ...core import clock
from ...core.audit import AuditEntry
from ...core.db import db
from ...core.permissions import PERMISSIONS, Role
from ...customers.models import Customer
from ..domain import Access, Key
from ..models import AccessReview

SHOWN = 10
ORDER_AND_APPROVE = {"refund:request", "disbursement:approve"}


def staff() -> list[Access]:
    """Every member of staff, the deactivated too, by name."""
    now = clock.now()
    on_user = (AuditEntry.subject == "users", AuditEntry.subject_id == User.id)
    made = (
        select(AuditEntry.actor_name)
        .where(*on_user, AuditEntry.action.in_(("invite", "create")))
        .order_by(AuditEntry.id)
        .limit(1)
    )
    role_changed = select(func.max(AuditEntry.at)).where(
        *on_user,
        AuditEntry.action == "edit",
        AuditEntry.before["role"].as_string() != AuditEntry.after["role"].as_string(),
    )
    sessions = select(func.count()).where(
        SignInSession.user_id == User.id,
        SignInSession.ended_at.is_(None),
        SignInSession.ends_at > now,
        or_(
            SignInSession.by_api,
            SignInSession.seen_at
            >= case((User.role == Role.ADMIN, now - IDLE[Role.ADMIN]), else_=now - IDLE[Role.AGENT]),
        ),
    )
    rows = db.session.execute(
        select(
            User,
            made.scalar_subquery().label("created_by"),
            role_changed.scalar_subquery().label("role_changed_at"),
            select(func.max(SignInSession.created_at))
            .where(SignInSession.user_id == User.id)
            .scalar_subquery()
            .label("signed_in_at"),
            select(func.count()).where(Customer.agent_id == User.id).scalar_subquery().label("customers"),
            sessions.scalar_subquery().label("sessions"),
        )
        .where(User.role != Role.CUSTOMER)
        .order_by(User.name, User.id)
    ).all()
    keys = _keys()
    return [
        Access(
            id=row.User.id,
            name=row.User.name,
            email=row.User.email,
            role=row.User.role,
            active=row.User.active,
            authority_minor=row.User.authority_minor,
            wide_sight=row.User.wide_sight or row.User.role is Role.ADMIN,
            two_step=row.User.two_step_since is not None,
            approves_own=PERMISSIONS[row.User.role] >= ORDER_AND_APPROVE
            and current_app.config["PAYOUT_LIMIT_MINOR"] > 0,
            created_on=_day(row.User.created_at),
            created_by=row.created_by or "",
            signed_in_on=row.signed_in_at and _day(row.signed_in_at),
            role_changed_on=row.role_changed_at and _day(row.role_changed_at),
            customers=row.customers,
            sessions=row.sessions,
            keys=keys[row.User.id],
        )
        for row in rows
    ]


def _keys() -> dict[int, list[Key]]:
    """The keys of staff that open something, by whose they are."""
    found: dict[int, list[Key]] = defaultdict(list)
    for key in db.session.scalars(
        select(ApiKey)
        .join(User, User.id == ApiKey.user_id)
        .where(User.role != Role.CUSTOMER, ApiKey.revoked_at.is_(None), ApiKey.expires_at > clock.now())
        .order_by(ApiKey.id)
    ):
        used_on = _day(key.used_at) if key.used_at else None
        found[key.user_id].append(Key(key.name, key.scopes, _day(key.expires_at), used_on))
    return found


def _day(instant: datetime) -> date:
    return instant.astimezone(clock.zone()).date()


def reviews() -> Sequence[Row]:
    """The latest reviews with the name of who made them."""
    made = select(AccessReview, User.name).join(User, User.id == AccessReview.reviewed_by_id)
    return db.session.execute(made.order_by(AccessReview.id.desc()).limit(SHOWN)).all()


def last_review() -> datetime | None:
    """When access was last reviewed."""
    return db.session.scalar(select(func.max(AccessReview.reviewed_at)))

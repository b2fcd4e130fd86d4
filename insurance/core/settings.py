"""What admins set by forms: read by every page, so kept in each process for a few seconds."""

from datetime import datetime
from typing import Any, ClassVar

from flask import current_app, has_app_context
from sqlalchemy import JSON, ForeignKey, String, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from . import clock, formats
from .db import Base, BigId, db

SECONDS = 10
"""For so long another process may still go by what was set before."""


class Setting(Base):
    """A setting as it is now; empty, the standard holds. The audit trail has what it was before."""

    __tablename__ = "settings"

    id: ClassVar[int] = 0  # the audit trail knows a setting by its label
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)
    version: Mapped[int]
    changed_at: Mapped[datetime]
    changed_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))


def get(name: str) -> dict[str, Any]:
    """The value of a setting; empty if it is not set."""
    kept, read_at = current_app.extensions.get("settings", ({}, None))
    if read_at is None or clock.seconds() - read_at > SECONDS:
        read_at = clock.seconds()
        kept = dict(db.session.execute(select(Setting.name, Setting.value)).all())
        current_app.extensions["settings"] = kept, read_at
    return kept.get(name, {})


def get_all(beginning: str) -> dict[str, dict[str, Any]]:
    """The settings whose names begin alike and that are set, by the rest of their name."""
    get(beginning)  # reads anew what is kept for too long
    kept, _ = current_app.extensions["settings"]
    return {name.removeprefix(beginning): value for name, value in kept.items() if name.startswith(beginning) and value}


def forget() -> None:
    """Let this process read again at once."""
    current_app.extensions.pop("settings", None)


def locale() -> str:
    """The locale by which amounts, numbers and days are written."""
    if not has_app_context() or "sqlalchemy" not in current_app.extensions:
        return formats.STANDARD
    try:
        return get("formats").get("locale", formats.STANDARD)
    except SQLAlchemyError:  # the page that says so has figures as well
        return formats.STANDARD


formats.choose_by(locale)


def company() -> dict[str, str]:
    """The company's name, phone and address: as set, or else as configured."""
    configured = {key: current_app.config[f"COMPANY_{key.upper()}"] for key in ("name", "phone", "address")}
    try:
        return configured | get("company")
    except SQLAlchemyError:  # the page that says so carries the company's name as well
        return configured

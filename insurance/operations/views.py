"""Whether the system is alive, and whether it is ready."""

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import select, text

from ..core import clock
from ..core.db import db
from ..core.outbox import Mail, MailStatus
from ..web.guard import public

bp = Blueprint("operations", __name__)

LATEST_OUTBOX_AGE = 3600


@bp.get("/healthz")
@public
def healthz() -> Response:
    """Alive: the process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
@public
def readyz() -> tuple[Response, int]:
    """Ready: the database answers and has all migrations. Mails that wait are said, and take no web process out."""
    checks = {"database": "ok", "migrations": "ok", "outbox": "ok"}
    try:
        script = ScriptDirectory(f"{current_app.root_path}/migrations")
        if db.session.scalar(text("SELECT version_num FROM alembic_version")) != script.get_current_head():
            checks["migrations"] = "run flask db upgrade"
        oldest = db.session.scalar(
            select(Mail.due_at).where(Mail.status == MailStatus.DUE).order_by(Mail.due_at).limit(1)
        )
        if oldest and (clock.now() - oldest).total_seconds() > LATEST_OUTBOX_AGE:
            checks["outbox"] = "mails have waited for more than an hour: is the worker running?"
    except Exception:
        current_app.logger.exception("not ready")
        checks["database"] = "does not answer as it should"
    if checks["database"] != "ok" or checks["migrations"] != "ok":
        return jsonify(status="not ready", checks=checks), 503
    return jsonify(status="ok" if checks["outbox"] == "ok" else "degraded", checks=checks), 200

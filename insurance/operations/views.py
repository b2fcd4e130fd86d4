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
    """Ready: the database answers, has all migrations, and mails are leaving."""
    checks = {"database": "ok", "migrations": "ok", "outbox": "ok"}
    try:
        script = ScriptDirectory(f"{current_app.root_path}/migrations")
        version = db.session.scalar(text("SELECT version_num FROM alembic_version"))
        older = {known.revision for known in script.walk_revisions()} - {script.get_current_head()}
        if version is None or version in older:  # one that is not known is of a newer release, beside which we serve on
            checks["migrations"] = "run flask db upgrade"
        oldest = db.session.scalar(
            select(Mail.due_at).where(Mail.status == MailStatus.DUE).order_by(Mail.due_at).limit(1)
        )
        if oldest and (clock.now() - oldest).total_seconds() > LATEST_OUTBOX_AGE:
            checks["outbox"] = "mails have waited for more than an hour: is the worker running?"
    except Exception:
        current_app.logger.exception("not ready")
        checks["database"] = "does not answer as it should"
    ready = all(state == "ok" for state in checks.values())
    return jsonify(status="ok" if ready else "not ready", checks=checks), 200 if ready else 503

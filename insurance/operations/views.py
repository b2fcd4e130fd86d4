"""Whether the system is alive, whether it is ready, and how it does."""

import ipaddress
import secrets

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import select, text

from ..core import clock
from ..core.db import db
from ..core.outbox import Mail, MailStatus
from ..web.guard import public
from . import figures

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
    ready = all(state == "ok" for state in checks.values())
    return jsonify(status="ok" if ready else "not ready", checks=checks), 200 if ready else 503


@bp.get("/metrics")
@public
def metrics() -> Response:
    """Figures for Prometheus: for whoever knows METRICS_TOKEN; without one, for this machine alone."""
    if not _may_see_figures():
        abort(404)
    return Response(figures.text(), content_type=CONTENT_TYPE_LATEST)


def _may_see_figures() -> bool:
    if token := current_app.config["METRICS_TOKEN"]:
        return secrets.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    forwarded = "X-Forwarded-For" in request.headers  # a proxy on this machine brings everybody's requests
    return not forwarded and ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104

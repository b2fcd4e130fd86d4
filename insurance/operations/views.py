"""Whether the system is alive, whether it is ready, and how it does."""

import ipaddress
import secrets

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

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
    """Ready: the database answers and has all migrations. Mails that wait are said, and take no web process out."""
    checks = {}
    for name, look in (("database", _database), ("migrations", _migrations), ("outbox", _outbox)):
        try:
            checks[name] = look() or "ok"
        except SQLAlchemyError:
            current_app.logger.exception("not ready: %s", name)
            checks[name] = "the database does not answer as it should"
    if checks["database"] != "ok" or checks["migrations"] != "ok":
        return jsonify(status="not ready", checks=checks), 503
    return jsonify(status="ok" if checks["outbox"] == "ok" else "degraded", checks=checks), 200


def _database() -> str:
    db.session.execute(text("SELECT 1"))
    return ""


def _migrations() -> str:
    """A database that is newer than this program is ready: it was migrated for the next version, which comes soon."""
    script = ScriptDirectory(f"{current_app.root_path}/migrations")
    at = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    known = {revision.revision for revision in script.walk_revisions()}
    behind = at is None or (at in known and at != script.get_current_head())
    return "run flask db upgrade" if behind else ""


def _outbox() -> str:
    oldest = db.session.scalar(select(Mail.due_at).where(Mail.status == MailStatus.DUE).order_by(Mail.due_at).limit(1))
    late = oldest and (clock.now() - oldest).total_seconds() > LATEST_OUTBOX_AGE
    return "mails have waited for more than an hour: is the worker running?" if late else ""


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

"""A complete insurance management system: customers, policies, billing, payments, claims, and books behind them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask_bootstrap import Bootstrap5
from flask_compress import Compress
from flask_login import current_user
from flask_mail import Mail
from flask_migrate import Migrate
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from .core import metrics, settings
from .core.db import db
from .web import errors, filters, guard, logs, measures, navigation, probes, reports
from .web.arguments import IdConverter

ROOT = Path(__file__).parent.parent


def create_app(config: dict[str, Any]) -> Flask:
    """The application with all its features; the guard comes last and refuses endpoints that say nothing of access."""
    app = Flask(__name__, root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(config)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if proxies := app.config["TRUSTED_PROXIES"]:  # behind none, what a client says of its address is not believed
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign]
    app.wsgi_app = probes.ByAddress(app.wsgi_app, app.config)  # type: ignore[method-assign]
    logs.install(app)
    reports.install(app)
    metrics.install(app)
    measures.install(app)
    db.init_app(app)
    Migrate(app, db, directory=str(ROOT / "migrations"), render_as_batch=True)
    csrf = CSRFProtect(app)
    csrf.exempt("insurance.payments.views.stripe")  # which is signed
    Bootstrap5(app)
    Mail(app)
    Compress(app)
    filters.register(app)
    app.url_map.converters["int"] = IdConverter
    errors.register(app)
    _add_features(app)
    _add_api(app, csrf)
    app.context_processor(_page_context)
    guard.install(app)
    app.after_request(_read_assets_whole)
    return app


def _add_features(app: Flask) -> None:
    from . import admin, payments, portal
    from .accounts import (
        sign_in,
        two_step_views,  # noqa: F401 (adds its pages to the blueprint)
    )
    from .accounts.views import bp as accounts
    from .admin import views as admin_views  # noqa: F401 (adds its pages to the blueprint)
    from .agents.views import bp as agents
    from .billing.views import bp as billing
    from .books.views import bp as books
    from .claims.views import bp as claims
    from .customers.views import bp as customers
    from .documents.views import bp as documents
    from .feedback.views import bp as feedback
    from .operations import cli
    from .operations.views import bp as operations
    from .payments import views as payment_views  # noqa: F401 (adds its pages to the blueprint)
    from .policies.views import bp as policies
    from .portal import views  # noqa: F401 (adds its pages to the blueprint)
    from .privacy.views import bp as privacy
    from .web.public import bp as public

    sign_in.install(app)
    for blueprint in (
        accounts, admin.bp, agents, billing, books, claims, customers, documents, feedback, operations, payments.bp,
        policies, portal.bp, privacy, public,
    ):  # fmt: skip
        app.register_blueprint(blueprint)
    cli.register(app)


def _add_api(app: Flask, csrf: CSRFProtect) -> None:
    from .api import api as blueprint

    for room in (
        "accounts.api", "customers.api", "products.api", "policies.api", "billing.api", "payments.api", "claims.api",
        "documents.api", "admin.api", "api.views",
    ):  # fmt: skip
        import_module(f".{room}", __name__)
    app.register_blueprint(blueprint)
    csrf.exempt(blueprint)  # no cookie counts there, so no other site can act in somebody's name


def _page_context() -> dict[str, Any]:
    """What every page may need; the navigation only for whoever is signed in."""
    every = {"company": settings.company(), "feedback_href": navigation.feedback_href()}
    if not request.endpoint or not current_user.is_authenticated:
        return {**every, "theme": "auto", "navigation": []}
    return {**every, "theme": g.get("theme", "auto"), "navigation": navigation.items(current_user)}


def _read_assets_whole(response: Response) -> Response:
    """Style and script are compressed like pages, which what is streamed would not be."""
    if request.endpoint in guard.STATIC:
        response.direct_passthrough = False
        response.make_sequence()
    return response

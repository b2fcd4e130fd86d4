"""Each request is timed, counted and logged; never what was sent, and no secret of its address."""

import time

from flask import Flask, Response, g, request

from ..core import metrics, statements
from .guard import STATIC

SECRETS = {"token"}
"""What in an address opens a door to whoever has it."""
QUIET = STATIC | {"operations.healthz", "operations.readyz", "operations.readyz_web", "operations.metrics"}
"""What is asked for so often that nobody wants to read of it."""


def install(app: Flask) -> None:
    """Measure every request."""

    @app.before_request
    def _begin() -> None:
        g.started = time.perf_counter()
        statements.begin()

    @app.after_request
    def _log(response: Response) -> Response:
        took = time.perf_counter() - g.get("started", time.perf_counter())
        endpoint = request.endpoint or "none"
        method = request.method if request.method in metrics.METHODS else "other"
        counted = metrics.of_app()
        counted.requests.labels(endpoint, method, response.status_code).inc()
        counted.request_seconds.labels(endpoint, method).observe(took)
        if endpoint not in QUIET:
            fields = {
                "method": request.method,
                "path": _path(),
                "status": response.status_code,
                "ms": round(took * 1000, 1),
                "address": request.remote_addr,
                "user": g.get("user_id"),
            }
            app.logger.info("request", extra={"fields": fields})
        return response

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        statements.end(request.endpoint or "none")


def _path() -> str:
    """The address, with its secrets left out."""
    path = request.path
    for name in SECRETS & (request.view_args or {}).keys():
        path = path.replace(str((request.view_args or {})[name]), f"<{name}>")
    return path

"""Errors reported to Sentry, if an address for it is set: what went wrong where, and nothing about whom."""

from typing import Any

from flask import Flask, g, has_request_context, request

KEPT = ("event_id", "timestamp", "level", "logger", "platform", "exception", "release", "environment", "transaction")
"""What of an event is sent. Everything else may say who was there, or what they entered."""


def install(app: Flask) -> None:
    """Report errors that are logged."""
    if app.config["SENTRY_DSN"]:
        import sentry_sdk

        sentry_sdk.init(
            dsn=app.config["SENTRY_DSN"],
            environment=app.config["APP_ENV"],
            include_local_variables=False,
            max_breadcrumbs=0,
            before_send=_strip,  # type: ignore[arg-type]
        )


def _strip(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """Keep the kind of error and where it was, not what it says: that quotes what was entered."""
    kept = {name: event[name] for name in KEPT if name in event}
    for exception in kept.get("exception", {}).get("values", []):
        exception.pop("value", None)
    if has_request_context():
        kept["tags"] = {"request_id": g.get("request_id", ""), "endpoint": request.endpoint or "none"}
    return kept

"""Logs as one JSON object a line, with the request's id."""

import json
import logging
import sys
import time

from flask import Flask, Response, g, has_request_context, request


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, message, and what the request adds."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in the message."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id", "")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def install(app: Flask) -> None:
    """Log to standard error, and each request with its status and time; never what was sent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    app.logger.handlers = [handler]
    app.logger.setLevel(logging.INFO)
    app.logger.propagate = False

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _log(response: Response) -> Response:
        if app.config["APP_ENV"] != "test" and request.endpoint not in ("static", "bootstrap.static"):
            took = round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1)
            fields = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": took,
                "address": request.remote_addr,
            }
            app.logger.info("request", extra={"fields": fields})
        return response

"""Logs: a JSON object a line in production, plain lines elsewhere; errors go to a file as well.

Web, worker and gunicorn log alike, by the handlers of the root logger.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from logging.config import dictConfig
from logging.handlers import RotatingFileHandler
from typing import Any, TextIO

from flask import Flask, g, has_request_context

try:
    from fcntl import LOCK_EX, flock
except ImportError:  # Windows: one process, which takes no turns
    flock = None  # type: ignore[assignment]

FILE_BYTES = 10 * 1024 * 1024
FILES = 10


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, message, and what the request adds."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in the message."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
            **_of_request(),
            "process": record.process,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainLines(logging.Formatter):
    """A record for people who develop."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and what comes with it."""
        fields = {**getattr(record, "fields", {}), **_of_request()}
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.getMessage()}"
        line += "".join(f" {name}={value}" for name, value in fields.items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _of_request() -> dict[str, str]:
    return {"request_id": g.get("request_id", "")} if has_request_context() else {}


class ErrorFile(RotatingFileHandler):
    """The file of errors, which several processes write and any of them may rotate: each line in its turn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write to the file that has the name now."""
        try:
            with open(f"{self.baseFilename}.turn", "a") as turn:
                if flock is not None:
                    flock(turn, LOCK_EX)
                if self.stream and not self._is_current(self.stream):
                    self.stream.close()
                    self.stream = None
                super().emit(record)
        except OSError:
            self.handleError(record)

    def _is_current(self, stream: TextIO) -> bool:
        """Whether no other process has rotated the file meanwhile."""
        try:
            return os.path.samestat(os.fstat(stream.fileno()), os.stat(self.baseFilename))
        except FileNotFoundError:
            return False


def configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `logging.config` and gunicorn take."""
    lines = "json" if settings["APP_ENV"] == "production" else "plain"
    handlers: dict[str, dict[str, Any]] = {"stderr": {"class": "logging.StreamHandler", "formatter": lines}}
    if _can_hold_files(settings):
        handlers["errors"] = {
            "()": ErrorFile,
            "filename": settings["LOG_DIR"] / "error.log",
            "maxBytes": FILE_BYTES,
            "backupCount": FILES,
            "delay": True,
            "encoding": "utf-8",
            "level": "ERROR",
            "formatter": "json",
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}, "plain": {"()": PlainLines}},
        "handlers": handlers,
        "root": {"level": "WARNING", "handlers": list(handlers)},
        "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": [], "propagate": True}},
    }


def _can_hold_files(settings: Mapping[str, Any]) -> bool:
    """Whether there is a place for the file; without, `flask check --deploy` says so, and the rest works on."""
    try:
        settings["LOG_DIR"].mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(settings["LOG_DIR"], os.W_OK)


def install(app: Flask) -> None:
    """Log to standard error and the file. Tests keep the handlers of their own."""
    if app.config["APP_ENV"] != "test":
        dictConfig(configuration(app.config))
        app.logger.handlers = []
    app.logger.setLevel(logging.INFO)

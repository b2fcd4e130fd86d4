"""Logs: a JSON object a line in production, plain lines elsewhere; errors go to a file as well.

Web, worker and gunicorn log alike, by the handlers of the root logger.
"""

import json
import logging
import os
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from logging.config import dictConfig
from logging.handlers import RotatingFileHandler
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, TextIO
from urllib.parse import urlsplit

from flask import Flask, g, has_request_context

try:
    from fcntl import LOCK_EX, flock
except ImportError:  # Windows: one process, which takes no turns
    flock = None  # type: ignore[assignment]

FILE_BYTES = 10 * 1024 * 1024
FILES = 10
KEPT_LINES = 10_000
RETRY_SECONDS = 1.0
FACILITY = 10  # security (RFC 5424)
SEVERITIES = [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7)]


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


class LogServer(logging.Handler):
    """Sends each line to a syslog server (RFC 5424, framed by RFC 6587 and, over TLS, RFC 5425), from a thread.

    Nobody waits for it: while the server does not take lines, the latest are kept, and standard error has them all.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.parts, self.process = urlsplit(url), 0
        self.lines: Queue[bytes] = Queue(KEPT_LINES)
        self.socket: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line to the thread, of which each process has its own."""
        if self.process != os.getpid():
            self.process, self.lines, self.socket = os.getpid(), Queue(KEPT_LINES), None
            Thread(target=self._send_all, daemon=True, name="log server").start()
        severity = next(number for level, number in SEVERITIES if record.levelno >= level)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        head = f"<{FACILITY * 8 + severity}>1 {at} {socket.gethostname()} insurance {record.process} - - "
        if self.lines.full():
            with suppress(Empty):
                self.lines.get_nowait()
        with suppress(Full):
            self.lines.put_nowait((head + self.format(record)).encode())

    def _send_all(self) -> None:
        while True:
            line = self.lines.get()
            while not self._sent(b"%d %s" % (len(line), line)):
                time.sleep(RETRY_SECONDS)

    def _sent(self, frame: bytes) -> bool:
        try:
            self.socket = self.socket or self._connect()
            self.socket.sendall(frame)
        except OSError:
            self.socket = None
            return False
        return True

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self.parts.hostname, self.parts.port or 6514), 10)
        if self.parts.scheme == "tcp":
            return connection
        return ssl.create_default_context().wrap_socket(connection, server_hostname=self.parts.hostname)


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
    if settings["LOG_SERVER"]:
        handlers["server"] = {"()": LogServer, "url": settings["LOG_SERVER"], "formatter": "json"}
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

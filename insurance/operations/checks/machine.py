"""Checks of the machine: folders, disk, and what is reached from here."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from flask import current_app

from ...payments.gateways.test import TestGateway
from . import Checks, Settings

CHECKS = Checks()
FREE_BYTES = 1024**3
PACKAGE = Path(__file__).parents[3]


@CHECKS.failure()
def data_folder(settings: Settings) -> str:
    """DATA_DIR can be written to."""
    return _unwritable("DATA_DIR", settings["DATA_DIR"])


@CHECKS.failure()
def data_private(settings: Settings) -> str:
    """Nobody else on the machine reads DATA_DIR, where contracts and photos lie."""
    mode = settings["DATA_DIR"].stat().st_mode
    return f"chmod o-rwx {settings['DATA_DIR']}" if mode & stat.S_IRWXO else ""


@CHECKS.failure()
def data_place(settings: Settings) -> str:
    """DATA_DIR lies where a new version of the program does not overwrite it."""
    inside = settings["DATA_DIR"].is_relative_to(PACKAGE)
    return "Set DATA_DIR to a folder apart from the program, such as /var/lib/insurance." if inside else ""


@CHECKS.failure()
def free_space(settings: Settings) -> str:
    """There is room for data and backups."""
    folders = [settings["DATA_DIR"], settings["BACKUP_DIR"]]
    full = [str(folder) for folder in folders if folder and folder.is_dir() and _free(folder) < FREE_BYTES]
    return f"Less than 1 GB is free in {' and '.join(full)}. Make room." if full else ""


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@CHECKS.failure()
def log_folder(settings: Settings) -> str:
    """The file of errors can be written."""
    return _unwritable("LOG_DIR", settings["LOG_DIR"])


@CHECKS.failure()
def backup_writable(settings: Settings) -> str:
    """BACKUP_DIR can be written to."""
    return _unwritable("BACKUP_DIR", settings["BACKUP_DIR"]) if settings["BACKUP_DIR"] else ""


def _unwritable(name: str, folder: Path) -> str:
    if not folder.is_dir():
        return f"{name} is {folder}, which does not exist. Make it, and let the program own it."
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{name} is {folder}, which cannot be written to: {error.strerror}."


@CHECKS.failure()
def redis_answers(settings: Settings) -> str:
    """Redis answers, if it is to be used."""
    if not settings["REDIS_URL"]:
        return ""
    import redis

    try:
        with redis.Redis.from_url(settings["REDIS_URL"], socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError:
        return "Redis does not answer at REDIS_URL. Start it, or leave REDIS_URL out."
    return ""


@CHECKS.failure()
def gateway(_settings: Settings) -> str:
    """Nobody can pay without paying: the test gateway is shut."""
    return "Set APP_ENV=production: the test gateway serves." if TestGateway.serves() else ""


@CHECKS.failure()
def debugger(_settings: Settings) -> str:
    """The application itself runs without debugger."""
    return "Start the application without --debug." if current_app.debug else ""


@CHECKS.warning
def not_root(_settings: Settings) -> str:
    """The program runs as a user who can do little."""
    return "Run it as a user of its own, not as root." if os.geteuid() == 0 else ""

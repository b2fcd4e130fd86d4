"""The virus scanner, where there is one: clamd is sent each file as it came, before anybody looks inside."""

import socket
from urllib.parse import urlsplit

from flask import current_app

from ..core.errors import RuleBroken

CHUNK = 2**16
SECONDS = 30


def refuse_infected(data: bytes, name: str) -> None:
    """Refuse a file in which something known is found, and every file while the scanner does not answer."""
    if not current_app.config["CLAMD_URL"]:
        return
    try:
        said = scan(data, current_app.config["CLAMD_URL"])
    except OSError as error:
        said = f"{type(error).__name__} ERROR"
    if said.endswith(" OK"):
        return
    current_app.logger.warning("upload refused", extra={"fields": {"scanner": said}})
    if said.endswith(" FOUND"):
        raise RuleBroken(f"{name} holds something harmful, so we do not take it. Have your device checked for viruses")
    raise RuleBroken(f"{name} cannot be checked for viruses just now. Add it again in a few minutes")


def scan(data: bytes, url: str) -> str:
    """What clamd says of the data: "stream: OK", "stream: NAME FOUND", or an error."""
    with _connect(url) as scanner:
        scanner.sendall(b"zINSTREAM\0")
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            scanner.sendall(len(chunk).to_bytes(4, "big") + chunk)
        scanner.sendall(bytes(4))
        said = b""
        while not said.endswith(b"\0") and (more := scanner.recv(1000)):
            said += more
    return said.rstrip(b"\0").decode("utf-8", "replace")


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        scanner = socket.socket(socket.AF_UNIX)
        scanner.settimeout(SECONDS)
        scanner.connect(parts.path)
        return scanner
    return socket.create_connection((parts.hostname, parts.port or 3310), SECONDS)

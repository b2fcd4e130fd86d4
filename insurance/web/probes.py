"""Probes and scrapers know a process by its address, not by the name that TRUSTED_HOSTS lets in."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

PATHS = {"/healthz", "/readyz", "/readyz/web", "/metrics"}
"""What answers without a link or a cookie, so that no name can do harm."""


class ByAddress:
    """Let these paths be asked for by any name."""

    def __init__(self, application: Any, public_url: str) -> None:
        self.application = application
        self.host = urlsplit(public_url).netloc

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as if asked for by the public name."""
        if environ.get("PATH_INFO") in PATHS:
            environ["HTTP_HOST"] = self.host
        return self.application(environ, start_response)

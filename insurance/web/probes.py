"""Probes and scrapers know a process by its address, not by the name that TRUSTED_HOSTS lets in."""

from collections.abc import Iterable, Mapping
from typing import Any

PATHS = {"/healthz", "/readyz", "/metrics"}
"""What answers without a link or a cookie, so that no name can do harm."""


class ByAddress:
    """Let these paths be asked for by any name."""

    def __init__(self, application: Any, config: Mapping[str, Any]) -> None:
        self.application = application
        self.config = config

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as if asked for by a name that is served."""
        hosts = self.config["TRUSTED_HOSTS"]
        if hosts and environ.get("PATH_INFO") in PATHS:
            environ["HTTP_HOST"] = hosts[0].lstrip(".")
        return self.application(environ, start_response)

"""Where the program may connect to: the hosts that its configuration names, and no other."""

import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url

HERE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", ""})  # noqa: S104 (a name that is looked up, not bound)


def hosts(settings: Mapping[str, Any]) -> frozenset[str]:
    """The hosts that the settings name, and those of this machine."""
    database = make_url(settings["SQLALCHEMY_DATABASE_URI"])
    urls = [settings[name] for name in ("REDIS_URL", "CLAMD_URL", "LOG_SERVER", "OIDC_ISSUER", "SENTRY_DSN")]
    urls += ["https://api.stripe.com", settings["STRIPE_API_BASE"]] if settings["STRIPE_API_KEY"] else []
    listed = [database.host or "", database.query.get("host", ""), settings["MAIL_SERVER"] or ""]
    named = {urlsplit(url).hostname or "" for url in urls} | {name for text in listed for name in str(text).split(",")}
    return frozenset(name.lower() for name in named | set(settings["OUTBOUND_HOSTS"])) | HERE


def watcher(allowed: frozenset[str]) -> Callable[[str, tuple], None]:
    """An audit hook that refuses to look up any other host, which comes before each connection."""

    def watch(event: str, arguments: tuple) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0].decode("ascii", "replace") if isinstance(arguments[0], bytes) else arguments[0] or ""
            if host.lower() not in allowed:
                raise PermissionError(f"{host} is none of the hosts that the configuration names. See OUTBOUND_HOSTS.")

    return watch


def enforce(settings: Mapping[str, Any]) -> None:
    """Hold this process to the list until it ends."""
    sys.addaudithook(watcher(hosts(settings)))

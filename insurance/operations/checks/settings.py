"""Checks of the settings alone."""

import ipaddress
import tempfile
from collections.abc import Iterator
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url

from . import Checks, Settings

CHECKS = Checks()
PLACEHOLDERS = ("change", "replace", "example", "secret", "password", "insecure", "django", "default")
"""Words of keys that were copied from somewhere."""
EXAMPLES = ("example.com", "example.org", "example.net", "example", "test", "invalid", "localhost")
"""Domains that nobody has (RFC 2606)."""
NEAR = ("localhost", "127.0.0.1", "::1", "")
TLS_MODES = ("require", "verify-ca", "verify-full")


def _is_example(domain: str) -> bool:
    return any(domain == example or domain.endswith(f".{example}") for example in EXAMPLES)


def _database(settings: Settings) -> URL:
    return make_url(settings["SQLALCHEMY_DATABASE_URI"])


def _is_postgresql(settings: Settings) -> bool:
    return _database(settings).get_backend_name() == "postgresql"


@CHECKS.failure(at_start=True)
def readable(settings: Settings) -> str:
    """Every value of the environment can be read, time zone and currency among them."""
    return "; ".join(settings["UNREADABLE"])


@CHECKS.failure()
def environment(settings: Settings) -> str:
    """The application runs as production."""
    return "" if settings["APP_ENV"] == "production" else "Set APP_ENV=production."


@CHECKS.failure(at_start=True)
def secret_key(settings: Settings) -> str:
    """SECRET_KEY is long, random and used nowhere else."""
    key = settings["SECRET_KEY"] or ""
    own = settings["DATA_DIR"] / "secret_key"
    if len(key) < 32:
        return "SECRET_KEY must have at least 32 characters: openssl rand -hex 32 makes one."
    if len(set(key)) < 10 or any(word in key.lower() for word in PLACEHOLDERS):
        return "SECRET_KEY is not random: openssl rand -hex 32 makes one that is."
    if own.is_file() and own.read_text().strip() == key:
        return "SECRET_KEY is the one that was made for development in DATA_DIR/secret_key. Make another."
    return ""


@CHECKS.failure(at_start=True)
def encryption_keys(settings: Settings) -> str:
    """What is secret in the database is sealed with a key that does not lie in it."""
    if settings["ENCRYPTION_KEYS"]:
        return ""
    return "ENCRYPTION_KEYS must hold a key, like 2026: and what `openssl rand -base64 32` prints."


@CHECKS.failure(at_start=True)
def openid(settings: Settings) -> str:
    """The company's own sign-in, if there is one, is asked over TLS."""
    issuer = settings["OIDC_ISSUER"]
    if not issuer or (issuer.startswith("https://") and settings["OIDC_CLIENT_ID"]):
        return ""
    return "OIDC_ISSUER must begin with https:// and needs OIDC_CLIENT_ID."


@CHECKS.warning
def two_steps(settings: Settings) -> str:
    """Everybody signs in with a second step."""
    if settings["REQUIRE_TWO_STEP"] == "everybody":
        return ""
    return "Set REQUIRE_TWO_STEP=everybody, or one lost password opens all that its owner sees."


@CHECKS.warning
def virus_scanner(settings: Settings) -> str:
    """Uploads are checked for viruses."""
    return "" if settings["CLAMD_URL"] else "Set CLAMD_URL to a clamd, such as tcp://scanner:3310."


@CHECKS.warning
def log_server(settings: Settings) -> str:
    """Logs go to another system over TLS."""
    if settings["LOG_SERVER"].startswith("tls://"):
        return ""
    return "Set LOG_SERVER to a syslog server that takes TLS, such as tls://logs.my-company.com:6514."


@CHECKS.failure(at_start=True)
def public_url(settings: Settings) -> str:
    """PUBLIC_URL is an https address that the world can reach."""
    url = urlsplit(settings["PUBLIC_URL"])
    if url.scheme != "https":
        return "PUBLIC_URL must begin with https://"
    if not url.hostname or url.path or url.query:
        return "PUBLIC_URL must be a scheme and a host alone, such as https://insurance.my-company.com"
    return ""


@CHECKS.failure()
def public_name(settings: Settings) -> str:
    """PUBLIC_URL has a name of its own, which is no example."""
    host = urlsplit(settings["PUBLIC_URL"]).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "Set PUBLIC_URL to the name that your customers know." if _is_example(host) else ""
    return "PUBLIC_URL must carry a name, not a number: certificates and mails need one."


@CHECKS.failure(at_start=True)
def trusted_hosts(settings: Settings) -> str:
    """TRUSTED_HOSTS names the hosts that are served, that of PUBLIC_URL among them."""
    hosts = settings["TRUSTED_HOSTS"] or []
    host = urlsplit(settings["PUBLIC_URL"]).hostname or ""
    if not hosts or "*" in hosts:
        return "TRUSTED_HOSTS must name the hosts served."
    if not any(host == name or (name.startswith(".") and f".{host}".endswith(name)) for name in hosts):
        return f"TRUSTED_HOSTS must have {host}, the host of PUBLIC_URL."
    return ""


@CHECKS.failure(at_start=True)
def debug(settings: Settings) -> str:
    """The debugger is off."""
    return "FLASK_DEBUG may not be set: the debugger runs code for everybody." if settings["DEBUG"] else ""


@CHECKS.failure(at_start=True)
def business_date(settings: Settings) -> str:
    """The day is that of the calendar."""
    return "BUSINESS_DATE may not be set." if settings["BUSINESS_DATE"] else ""


@CHECKS.failure(at_start=True)
def demo_password(settings: Settings) -> str:
    """No password for a demo is set."""
    return "DEMO_PASSWORD may not be set." if settings["DEMO_PASSWORD"] else ""


@CHECKS.failure()
def session_cookie(settings: Settings) -> str:
    """Cookies go over TLS alone, and no other host can set them."""
    names = settings["SESSION_COOKIE_NAME"], settings["SIGN_IN_COOKIE_NAME"]
    if settings["SESSION_COOKIE_SECURE"] and all(name.startswith("__Host-") for name in names):
        return ""
    return "Set PUBLIC_URL to an https address: cookies are Secure and named __Host- then."


@CHECKS.warning
def trusted_proxies(settings: Settings) -> str:
    """The addresses of clients are seen through the proxy."""
    if settings["TRUSTED_PROXIES"]:
        return ""
    return "Set TRUSTED_PROXIES to the number of proxies, or all clients seem to have the proxy's address."


# Database


@CHECKS.failure()
def database_place(settings: Settings) -> str:
    """The database does not lie where a restart clears away."""
    url = _database(settings)
    if url.get_backend_name() != "sqlite":
        return ""
    path = Path(url.database or ":memory:")
    if url.database in (None, "", ":memory:") or path.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()):
        return "Set DATABASE_URL, or DATA_DIR to a folder that is kept."
    return ""


@CHECKS.warning
def database_kind(settings: Settings) -> str:
    """The database takes many writers at once."""
    if _is_postgresql(settings):
        return ""
    return "SQLite serves one machine and one writer at a time. For more, set DATABASE_URL=postgresql://…"


@CHECKS.failure()
def database_password(settings: Settings) -> str:
    """Who reaches the database over the network needs a password."""
    url = _database(settings)
    if not _is_postgresql(settings) or _by_socket(url):
        return ""
    if not url.password:
        return "Put a password into DATABASE_URL."
    if len(url.password) < 12 or url.password in (url.username, url.database, "postgres"):
        return "The password in DATABASE_URL can be guessed. Give the role another."
    return ""


@CHECKS.failure()
def database_tls(settings: Settings) -> str:
    """What goes to the database over the network is encrypted."""
    url = _database(settings)
    if not _is_postgresql(settings) or _by_socket(url) or (url.host or "") in NEAR:
        return ""
    if url.query.get("sslmode") in TLS_MODES:
        return ""
    return "Add ?sslmode=verify-full (or require, within a network that is yours alone) to DATABASE_URL."


def _by_socket(url: URL) -> bool:
    return not url.host or url.host.startswith("/")


@CHECKS.failure()
def redis_url(settings: Settings) -> str:
    """REDIS_URL, if there is one, is an address of Redis."""
    url = settings["REDIS_URL"]
    right = not url or url.startswith(("redis://", "rediss://", "unix://"))
    return "" if right else "REDIS_URL must begin with redis://, rediss:// or unix://"


@CHECKS.failure()
def redis_tls(settings: Settings) -> str:
    """What goes to Redis over the network is encrypted."""
    url = urlsplit(settings["REDIS_URL"])
    return "" if url.scheme != "redis" or url.hostname in NEAR else "REDIS_URL must begin with rediss:// (TLS)."


# Mail


@CHECKS.failure(at_start=True)
def mail_server(settings: Settings) -> str:
    """Mails go out."""
    return "" if settings["MAIL_SERVER"] else "MAIL_SERVER must be set."


@CHECKS.failure()
def mail_tls(settings: Settings) -> str:
    """Mails, and the password of the mail server, go over TLS."""
    near = settings["MAIL_SERVER"] in NEAR
    return "" if settings["MAIL_USE_TLS"] or near else "Set MAIL_USE_TLS=1 and MAIL_PORT=587."


@CHECKS.failure()
def mail_sender(settings: Settings) -> str:
    """Mails come from an address that is yours."""
    domain = parseaddr(settings["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2]
    if domain and not _is_example(domain):
        return ""
    return "Set MAIL_DEFAULT_SENDER to an address of your own, such as Company <service@my-company.com>."


@CHECKS.warning
def mail_domain(settings: Settings) -> str:
    """Mails come from the domain that their links lead to."""
    domain = parseaddr(settings["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2]
    host = urlsplit(settings["PUBLIC_URL"]).hostname or ""
    shared = set(_parents(domain)) & set(_parents(host))
    return "" if shared else f"Mails from {domain} with links to {host} look like fraud. Use one domain for both."


def _parents(domain: str) -> Iterator[str]:
    """The domain, and those that it is part of, but for the last label."""
    labels = domain.split(".")
    for at in range(len(labels) - 1):
        yield ".".join(labels[at:])


# Money


@CHECKS.failure(at_start=True)
def stripe_webhook(settings: Settings) -> str:
    """What Stripe says is believed by its signature."""
    if not settings["STRIPE_API_KEY"] or settings["STRIPE_WEBHOOK_SECRET"]:
        return ""
    return "STRIPE_WEBHOOK_SECRET must be set with STRIPE_API_KEY."


@CHECKS.failure()
def stripe_key(settings: Settings) -> str:
    """Cards are charged for real."""
    key = settings["STRIPE_API_KEY"]
    live = not key or key.startswith(("sk_live_", "rk_live_"))
    return "" if live else "STRIPE_API_KEY is a key for tests: no money moves. Set the live one."


@CHECKS.failure()
def stripe_address(settings: Settings) -> str:
    """Stripe itself is asked, and nobody in its name."""
    return "Do not set STRIPE_API_BASE." if settings["STRIPE_API_BASE"] else ""


@CHECKS.warning
def card_payments(settings: Settings) -> str:
    """Customers can pay by card."""
    return "" if settings["STRIPE_API_KEY"] else "Cards cannot be charged. Set STRIPE_API_KEY, or accept that."


# Operations


@CHECKS.failure()
def metrics_token(settings: Settings) -> str:
    """Figures are for those who know a token."""
    token = settings["METRICS_TOKEN"]
    if not token:
        return "Set METRICS_TOKEN: without one, nobody but this machine can read /metrics."
    return "" if len(token) >= 16 else "METRICS_TOKEN must have at least 16 characters."


@CHECKS.failure()
def backup_folder(settings: Settings) -> str:
    """Backups are made, and into a folder apart from the data."""
    folder = settings["BACKUP_DIR"]
    if not folder:
        return "Set BACKUP_DIR, and the worker makes a backup each day."
    if folder.is_relative_to(settings["DATA_DIR"]) or settings["DATA_DIR"].is_relative_to(folder):
        return "BACKUP_DIR must lie apart from DATA_DIR, best on another disk."
    return ""


@CHECKS.failure()
def backup_passphrase(settings: Settings) -> str:
    """Whoever finds a backup cannot read it."""
    passphrase = settings["BACKUP_PASSPHRASE"]
    if len(passphrase) < 16:
        return "Set BACKUP_PASSPHRASE to at least 16 characters, five random words for instance."
    return "BACKUP_PASSPHRASE must differ from SECRET_KEY." if passphrase == settings["SECRET_KEY"] else ""

"""Configuration from the environment, and from a .env file beside this one."""

import base64
import hmac
import os
import secrets
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from dotenv import load_dotenv

from insurance.core.errors import Refusal
from insurance.core.money import CURRENCIES, Money
from insurance.operations import checks
from insurance.operations.checks.settings import CHECKS

T = TypeVar("T")
ROOT = Path(__file__).parent
ENVIRONMENTS = ("development", "test", "production")


class UnsafeConfigurationError(SystemExit):
    """A value cannot be read, or production was asked to start with an unsafe one. Ends a program with these words."""


NAMES = [
    "APP_ENV",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "DATABASE_URL",
    "DATABASE_POOL",
    "REDIS_URL",
    "JOBS_ENGINE",
    "PUBLIC_URL",
    "TRUSTED_HOSTS",
    "DATA_DIR",
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_USERNAME",
    "MAIL_PASSWORD",
    "MAIL_USE_TLS",
    "MAIL_DEFAULT_SENDER",
    "MAIL_TIMEOUT",
    "BUSINESS_TIMEZONE",
    "BUSINESS_DATE",
    "CURRENCY",
    "DEMO_PASSWORD",
    "COMPANY_NAME",
    "COMPANY_PHONE",
    "COMPANY_ADDRESS",
    "PAYOUT_LIMIT",
    "API_REQUESTS_PER_MINUTE",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "BACKUP_DIR",
    "BACKUP_PASSPHRASE",
    "METRICS_TOKEN",
    "PROMETHEUS_MULTIPROC_DIR",
    "SENTRY_DSN",
    "LOG_DIR",
    "SLOW_QUERY_MS",
    "TRUSTED_PROXIES",
    "REQUIRE_TWO_STEP",
    "CLAMD_URL",
    "LOG_SERVER",
    "OUTBOUND_HOSTS",
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
    "OIDC_NAME",
    "WEB_CONCURRENCY",
    "FLASK_DEBUG",
    "HOST",
    "PORT",
]
"""The variables that are read."""
TWO_STEP = {"false": "nobody", "0": "nobody", "no": "nobody", "true": "staff", "1": "staff", "yes": "staff"}
"""Who needs a second step, in the words of before."""
ENGINES = ("embedded", "procrastinate")
CONNECTIONS = 10
"""How many connections a process may hold: one for each thread that serves, and some for what these leave late."""


def read(env_file: Path | None = ROOT / ".env", *, refuse: bool = True) -> dict:
    """The settings as Flask wants them; what cannot be read, or is unsafe in production, is refused in words."""
    if env_file:
        load_dotenv(env_file)
    env = _env
    unreadable: list[str] = []

    def parsed(name: str, default: str, parse: Callable[[str], T], wanted: str) -> T:
        try:
            return parse(env(name) or default)
        except (ValueError, LookupError, Refusal):
            unreadable.append(f"{name} must be {wanted}")
            return parse(default)

    data_dir = Path(env("DATA_DIR") or ROOT / "instance").resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    app_env = parsed("APP_ENV", "development", _one_of(ENVIRONMENTS), " or ".join(ENVIRONMENTS))
    public_url = (env("PUBLIC_URL") or f"http://{env('HOST') or '127.0.0.1'}:{env('PORT') or '8000'}").rstrip("/")
    secure = public_url.startswith("https://")
    currency = parsed("CURRENCY", "USD", _one_of(CURRENCIES), "the code of a currency, such as USD")
    minutes = "a number of requests"
    production = app_env == "production"
    careful = "staff" if production else "nobody"
    secret = env("SECRET_KEY") or (None if production else _own_secret(data_dir))
    ring = parsed("ENCRYPTION_KEYS", "", _keys, "like id:base64 of 32 bytes, separated by commas")
    url = _database_url(env("DATABASE_URL") or f"sqlite:///{data_dir / 'insurance.db'}")
    connections = parsed("DATABASE_POOL", str(CONNECTIONS), int, "a number of connections")
    engine = parsed("JOBS_ENGINE", "embedded", _one_of(ENGINES), " or ".join(ENGINES))
    if engine == "procrastinate" and not url.startswith("postgresql"):
        unreadable.append("JOBS_ENGINE=procrastinate needs PostgreSQL")
    settings: dict[str, Any] = {
        "APP_ENV": app_env,
        "DEBUG": _is_true(env("FLASK_DEBUG", "")),
        "SECRET_KEY": secret,
        "ENCRYPTION_KEYS": ring or ({} if production else _derived_key(secret or "")),
        "SQLALCHEMY_DATABASE_URI": url,
        "REDIS_URL": env("REDIS_URL", ""),
        "JOBS_ENGINE": engine,
        "PUBLIC_URL": public_url,
        "TRUSTED_HOSTS": [host.strip() for host in env("TRUSTED_HOSTS", "").split(",") if host.strip()] or None,
        "DATA_DIR": data_dir,
        "MAIL_SERVER": env("MAIL_SERVER") or None,
        "MAIL_PORT": parsed("MAIL_PORT", "25", int, "the number of a port"),
        "MAIL_USERNAME": env("MAIL_USERNAME") or None,
        "MAIL_PASSWORD": env("MAIL_PASSWORD") or None,
        "MAIL_USE_TLS": _is_true(env("MAIL_USE_TLS", "")),
        "MAIL_DEFAULT_SENDER": env("MAIL_DEFAULT_SENDER") or "Harbor Mutual <service@example.com>",
        "MAIL_TIMEOUT": parsed("MAIL_TIMEOUT", "10", float, "a number of seconds"),
        "BUSINESS_TIMEZONE": parsed("BUSINESS_TIMEZONE", "UTC", ZoneInfo, "a time zone, such as America/New_York"),
        "BUSINESS_DATE": parsed("BUSINESS_DATE", "", _day, "a day, such as 2026-06-01"),
        "CURRENCY": currency,
        "DEMO_PASSWORD": env("DEMO_PASSWORD") or None,
        "COMPANY_NAME": env("COMPANY_NAME") or "Harbor Mutual",
        "COMPANY_PHONE": env("COMPANY_PHONE") or "1-800-555-0142",
        "COMPANY_ADDRESS": env("COMPANY_ADDRESS") or "1 Harbor Square, Example City",
        "PAYOUT_LIMIT_MINOR": parsed("PAYOUT_LIMIT", "10000", lambda text: _minor(text, currency), "an amount"),
        "API_REQUESTS_PER_MINUTE": parsed("API_REQUESTS_PER_MINUTE", "120000", int, minutes),
        "STRIPE_API_KEY": env("STRIPE_API_KEY", ""),
        "STRIPE_WEBHOOK_SECRET": env("STRIPE_WEBHOOK_SECRET", ""),
        "STRIPE_API_BASE": env("STRIPE_API_BASE", ""),
        "STRIPE_TIMEOUT": 20.0,
        "BACKUP_DIR": Path(env("BACKUP_DIR", "")).resolve() if env("BACKUP_DIR") else None,
        "BACKUP_PASSPHRASE": env("BACKUP_PASSPHRASE", ""),
        "METRICS_TOKEN": env("METRICS_TOKEN", ""),
        "METRICS_DIR": _folder("PROMETHEUS_MULTIPROC_DIR", data_dir / "metrics"),
        "SENTRY_DSN": env("SENTRY_DSN", ""),
        "LOG_DIR": _folder("LOG_DIR", data_dir / "log"),
        "SLOW_QUERY_MS": parsed("SLOW_QUERY_MS", "500", int, "a number of milliseconds"),
        "TRUSTED_PROXIES": parsed("TRUSTED_PROXIES", "0", int, "a number of proxies"),
        "WEB_CONCURRENCY": parsed("WEB_CONCURRENCY", "1", int, "a number of processes"),
        "REQUIRE_TWO_STEP": parsed("REQUIRE_TWO_STEP", careful, _who, "nobody, staff or everybody"),
        "CLAMD_URL": env("CLAMD_URL", ""),
        "LOG_SERVER": env("LOG_SERVER", ""),
        "OUTBOUND_HOSTS": [host.strip() for host in env("OUTBOUND_HOSTS", "").split(",") if host.strip()],
        "OIDC_ISSUER": env("OIDC_ISSUER", ""),
        "OIDC_CLIENT_ID": env("OIDC_CLIENT_ID", ""),
        "OIDC_CLIENT_SECRET": env("OIDC_CLIENT_SECRET", ""),
        "OIDC_NAME": env("OIDC_NAME") or "your company's account",
        "SESSION_COOKIE_NAME": "__Host-form" if secure else "form",
        "SIGN_IN_COOKIE_NAME": "__Host-session" if secure else "session",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,
        "MAX_CONTENT_LENGTH": 64 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
        "MAX_FORM_PARTS": 300,
        "BOOTSTRAP_SERVE_LOCAL": True,
        "COMPRESS_STREAMS": False,
        "SEND_FILE_MAX_AGE_DEFAULT": 365 * 24 * 3600,  # addresses of style and script change with their content
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(url, connections),
        "UNREADABLE": unreadable,
    }
    wrong = [found.advice for found in checks.run(CHECKS, settings) if found.check.at_start and found.advice]
    if refuse and (unreadable or (production and wrong)):
        raise UnsafeConfigurationError("\n".join(["This configuration is refused:", *(unreadable or wrong)]))
    return settings


def _env(name: str, default: Any = None) -> Any:
    """A variable or, where NAME_FILE says which, what a file holds: so secret stores and systemd hand out secrets."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text().strip()
    return os.environ.get(name, default)


def _who(text: str) -> str:
    word = text.lower()
    return _one_of(("nobody", "staff", "everybody"))(TWO_STEP.get(word, word))


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


def _keys(text: str) -> dict[str, bytes]:
    """The key ring, as in "2026:base64,2025:base64": what is encrypted from now on is by the first."""
    ring = {}
    for entry in filter(None, text.split(",")):
        key_id, _, key = entry.strip().partition(":")
        ring[key_id] = base64.b64decode(key, validate=True)
        if not key_id or len(key_id) > 20 or len(ring[key_id]) != 32:
            raise ValueError(key_id)
    return ring


def _derived_key(secret: str) -> dict[str, bytes]:
    """A key of its own made of the secret, so that development needs no set-up."""
    return {"own": hmac.digest(secret.encode(), b"encryption key", "sha256")}


def _folder(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default).resolve()


def _one_of(known: Collection[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return parse


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _minor(amount: str, currency: str) -> int:
    return Money.parse(amount, currency).minor


def _database_url(url: str) -> str:
    """Cloud platforms still hand out the scheme that SQLAlchemy dropped."""
    return url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url


def engine_options(url: str, connections: int) -> dict:
    """How connections are held; on PostgreSQL so that a pooler may give each transaction another one."""
    # Faults are logged: what a statement was given is none of the log's business.
    options: dict = {"pool_pre_ping": True, "hide_parameters": True}
    if url.startswith("postgresql"):
        options |= {
            "pool_size": connections,
            "max_overflow": 0,
            "pool_recycle": 1800,
            "connect_args": {"prepare_threshold": None, "connect_timeout": 10, "application_name": "insurance"},
        }
    return options


def _own_secret(data_dir: Path) -> str:
    """A secret made once and kept with the data, so that development needs no set-up."""
    path = data_dir / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()

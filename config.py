"""Configuration from the environment, and from a .env file beside this one."""

import os
import secrets
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dotenv import load_dotenv

from insurance.core.money import Money

ROOT = Path(__file__).parent


class UnsafeConfigurationError(Exception):
    """Production was asked to start with a value that is missing or unsafe."""


NAMES = [
    "APP_ENV",
    "SECRET_KEY",
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
    "TRUSTED_PROXIES",
    "HOST",
    "PORT",
]
"""The variables that are read."""
ENGINES = ("embedded", "procrastinate")
CONNECTIONS = 10
"""How many connections a process may hold: one for each thread that serves, and some for what these leave late."""


def read(env_file: Path | None = ROOT / ".env") -> dict:
    """The settings as Flask wants them; in production, refuse what is missing or unsafe and say which."""
    if env_file:
        load_dotenv(env_file)
    env = os.environ.get
    data_dir = Path(env("DATA_DIR") or ROOT / "instance").resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    app_env = env("APP_ENV", "development")
    public_url = env("PUBLIC_URL", f"http://{env('HOST', '127.0.0.1')}:{env('PORT', '8000')}").rstrip("/")
    secure = public_url.startswith("https://")
    settings: dict[str, Any] = {
        "APP_ENV": app_env,
        "SECRET_KEY": env("SECRET_KEY") or (None if app_env == "production" else _own_secret(data_dir)),
        "SQLALCHEMY_DATABASE_URI": _database_url(env("DATABASE_URL") or f"sqlite:///{data_dir / 'insurance.db'}"),
        "REDIS_URL": env("REDIS_URL", ""),
        "JOBS_ENGINE": env("JOBS_ENGINE") or "embedded",
        "PUBLIC_URL": public_url,
        "TRUSTED_HOSTS": [host for host in env("TRUSTED_HOSTS", "").split(",") if host] or None,
        "DATA_DIR": data_dir,
        "MAIL_SERVER": env("MAIL_SERVER"),
        "MAIL_PORT": int(env("MAIL_PORT", "25")),
        "MAIL_USERNAME": env("MAIL_USERNAME"),
        "MAIL_PASSWORD": env("MAIL_PASSWORD"),
        "MAIL_USE_TLS": env("MAIL_USE_TLS", "").lower() in ("1", "true", "yes"),
        "MAIL_DEFAULT_SENDER": env("MAIL_DEFAULT_SENDER", "Harbor Mutual <service@example.com>"),
        "MAIL_TIMEOUT": float(env("MAIL_TIMEOUT", "10")),
        "BUSINESS_TIMEZONE": ZoneInfo(env("BUSINESS_TIMEZONE", "UTC")),
        "BUSINESS_DATE": date.fromisoformat(env("BUSINESS_DATE", "")) if env("BUSINESS_DATE") else None,
        "CURRENCY": env("CURRENCY", "USD"),
        "DEMO_PASSWORD": env("DEMO_PASSWORD"),
        "COMPANY_NAME": env("COMPANY_NAME", "Harbor Mutual"),
        "COMPANY_PHONE": env("COMPANY_PHONE", "1-800-555-0142"),
        "COMPANY_ADDRESS": env("COMPANY_ADDRESS", "1 Harbor Square, Example City"),
        "PAYOUT_LIMIT_MINOR": _minor(env("PAYOUT_LIMIT", "10000"), env("CURRENCY", "USD")),
        "API_REQUESTS_PER_MINUTE": int(env("API_REQUESTS_PER_MINUTE", "120000")),
        "STRIPE_API_KEY": env("STRIPE_API_KEY", ""),
        "STRIPE_WEBHOOK_SECRET": env("STRIPE_WEBHOOK_SECRET", ""),
        "STRIPE_API_BASE": env("STRIPE_API_BASE", ""),
        "STRIPE_TIMEOUT": 20.0,
        "BACKUP_DIR": Path(env("BACKUP_DIR", "")).resolve() if env("BACKUP_DIR") else None,
        "BACKUP_PASSPHRASE": env("BACKUP_PASSPHRASE", ""),
        "TRUSTED_PROXIES": int(env("TRUSTED_PROXIES", "0")),
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
    }
    url = settings["SQLALCHEMY_DATABASE_URI"]
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, int(env("DATABASE_POOL") or CONNECTIONS))
    if settings["JOBS_ENGINE"] not in ENGINES:
        raise UnsafeConfigurationError(f"JOBS_ENGINE must be one of {', '.join(ENGINES)}")
    if settings["JOBS_ENGINE"] == "procrastinate" and not url.startswith("postgresql"):
        raise UnsafeConfigurationError("JOBS_ENGINE=procrastinate needs PostgreSQL")
    if app_env == "production":
        _refuse_unsafe(settings)
    return settings


def _minor(amount: str, currency: str) -> int:
    return Money.parse(amount, currency).minor


def _database_url(url: str) -> str:
    """Cloud platforms still hand out the scheme that SQLAlchemy dropped."""
    return url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url


def engine_options(url: str, connections: int) -> dict:
    """How connections are held; on PostgreSQL so that a pooler may give each transaction another one."""
    options: dict = {"pool_pre_ping": True}
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


def _refuse_unsafe(settings: dict) -> None:
    wrong = []
    if len(settings["SECRET_KEY"] or "") < 32:
        wrong.append("SECRET_KEY must have at least 32 characters")
    if not settings["PUBLIC_URL"].startswith("https://"):
        wrong.append("PUBLIC_URL must begin with https://")
    if not settings["TRUSTED_HOSTS"]:
        wrong.append("TRUSTED_HOSTS must name the hosts served")
    if not settings["MAIL_SERVER"]:
        wrong.append("MAIL_SERVER must be set")
    if settings["BUSINESS_DATE"]:
        wrong.append("BUSINESS_DATE may not be set")
    if settings["STRIPE_API_KEY"] and not settings["STRIPE_WEBHOOK_SECRET"]:
        wrong.append("STRIPE_WEBHOOK_SECRET must be set with STRIPE_API_KEY")
    if settings["DEMO_PASSWORD"]:
        wrong.append("DEMO_PASSWORD may not be set")
    if wrong:
        raise UnsafeConfigurationError("; ".join(wrong))

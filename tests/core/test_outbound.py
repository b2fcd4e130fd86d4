"""Production connects to the hosts that its configuration names, and to no other."""

import subprocess
import sys
from typing import Any

import pytest

from insurance.core import outbound

SETTINGS: dict[str, Any] = {
    "SQLALCHEMY_DATABASE_URI": "postgresql://me@db.harbor.co,db2.harbor.co/insurance",
    "REDIS_URL": "rediss://cache:6379/0",
    "CLAMD_URL": "tcp://scanner:3310",
    "LOG_SERVER": "tls://logs.harbor.co:6514",
    "OIDC_ISSUER": "https://login.harbor.co/realm",
    "SENTRY_DSN": "",
    "STRIPE_API_KEY": "sk_live_1",
    "STRIPE_API_BASE": "",
    "MAIL_SERVER": "smtp.harbor.co",
    "OUTBOUND_HOSTS": ["tokens.harbor.co"],
}


def test_hosts_are_those_that_settings_name() -> None:
    assert outbound.hosts(SETTINGS) - outbound.HERE == {
        "db.harbor.co", "db2.harbor.co", "cache", "scanner", "logs.harbor.co", "login.harbor.co", "api.stripe.com",
        "smtp.harbor.co", "tokens.harbor.co",
    }  # fmt: skip
    assert "api.stripe.com" not in outbound.hosts({**SETTINGS, "STRIPE_API_KEY": ""})


@pytest.mark.parametrize("host", ["evil.example", "169.254.169.254", b"evil.example", "db.harbor.co.evil.example"])
def test_any_other_host_is_refused_before_it_is_asked_for(host: str | bytes) -> None:
    watch = outbound.watcher(outbound.hosts(SETTINGS))
    watch("socket.getaddrinfo", ("SMTP.harbor.co", 587))
    watch("socket.getaddrinfo", (None, 0))
    with pytest.raises(PermissionError, match="OUTBOUND_HOSTS"):
        watch("socket.getaddrinfo", (host, 443))


def test_a_process_is_held_to_it_until_it_ends() -> None:
    program = (
        "import socket; from insurance.core import outbound\n"
        f"outbound.enforce({SETTINGS!r})\n"
        "try: socket.create_connection(('192.0.2.1', 9), 1)\n"
        "except PermissionError as refusal: print(refusal)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.startswith("192.0.2.1 is none of the hosts")

"""What is read from the environment, and what production refuses to start with."""

import base64

import pytest

import config

KEY = base64.b64encode(b"k" * 32).decode()
SAFE = {
    "APP_ENV": "production",
    "SECRET_KEY": "4f9d0c1be27a6853f04e9b2c7d815a3e",
    "ENCRYPTION_KEYS": f"2026:{KEY}",
    "PUBLIC_URL": "https://insurance.example.com",
    "TRUSTED_HOSTS": "insurance.example.com",
    "MAIL_SERVER": "mail.example.com",
}


@pytest.fixture
def read(monkeypatch, tmp_path):
    def read(**changes: str) -> dict:
        for name in config.NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {**SAFE, "DATA_DIR": str(tmp_path), **changes}.items():
            monkeypatch.setenv(name, value)
        return config.read(env_file=None)

    return read


def test_production_starts_with_what_is_safe_and_asks_staff_for_two_steps(read) -> None:
    found = read()
    assert found["ENCRYPTION_KEYS"] == {"2026": b"k" * 32}
    assert found["REQUIRE_TWO_STEP"] == "staff"
    assert read(REQUIRE_TWO_STEP="false")["REQUIRE_TWO_STEP"] == "nobody"
    assert read(REQUIRE_TWO_STEP="everybody")["REQUIRE_TWO_STEP"] == "everybody"


def test_development_makes_its_own_key_and_asks_for_one_step(read) -> None:
    found = read(APP_ENV="development", ENCRYPTION_KEYS="")
    assert found["REQUIRE_TWO_STEP"] == "nobody"
    assert [len(key) for key in found["ENCRYPTION_KEYS"].values()] == [32]
    assert read(APP_ENV="development", REQUIRE_TWO_STEP="true")["REQUIRE_TWO_STEP"] == "staff"


def test_a_secret_can_come_from_the_file_of_a_secret_store(read, tmp_path) -> None:
    (tmp_path / "key").write_text("a1b2c3d4e5f60718293a4b5c6d7e8f90\n")
    assert (
        read(SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / "key"))["SECRET_KEY"] == "a1b2c3d4e5f60718293a4b5c6d7e8f90"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"SECRET_KEY": "short"},
        {"ENCRYPTION_KEYS": ""},
        {"ENCRYPTION_KEYS": KEY},
        {"ENCRYPTION_KEYS": "2026:short"},
        {"ENCRYPTION_KEYS": "2026:not base64 at all"},
        {"OIDC_ISSUER": "http://id.example.com", "OIDC_CLIENT_ID": "x"},
        {"OIDC_ISSUER": "https://id.example.com"},
        {"PUBLIC_URL": "http://insurance.example.com"},
        {"TRUSTED_HOSTS": ""},
        {"MAIL_SERVER": ""},
        {"BUSINESS_DATE": "2026-06-01"},
        {"DEMO_PASSWORD": "x"},
    ],
    ids=str,
)
def test_production_refuses_what_is_missing_or_unsafe_and_says_which(read, changes) -> None:
    with pytest.raises(config.UnsafeConfigurationError, match=next(iter(changes))):
        read(**changes)

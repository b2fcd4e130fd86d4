"""Secrets at rest: sealed with AES-GCM under the newest key of a ring, opened with whichever key sealed them."""

import base64
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

NONCE_BYTES = 12


class Unreadable(ValueError):  # noqa: N818 (it says what the text is)
    """Sealed with a key that is not in the ring, for another purpose, or changed since."""


def seal(plain: str, purpose: str) -> str:
    """The text, encrypted; what is sealed for one purpose does not open for another.

    The purpose names the place where the text lies, down to the row, so that it cannot be moved to another.
    """
    return seal_with(ring(), plain.encode(), purpose)


def unseal(sealed: str, purpose: str) -> str:
    """The text that was sealed for this purpose; else Unreadable."""
    return unseal_with(ring(), sealed, purpose).decode()


def reseal(sealed: str, purpose: str) -> str:
    """The same, sealed under the newest key."""
    return seal_with(ring(), unseal_with(ring(), sealed, purpose), purpose)


def seal_with(keys: Mapping[str, bytes], plain: bytes, purpose: str) -> str:
    """What `seal` does, with the first of some other keys."""
    key_id, key = next(iter(keys.items()))
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, plain, purpose.encode())
    return f"{key_id}:{base64.urlsafe_b64encode(sealed).decode()}"


def unseal_with(keys: Mapping[str, bytes], sealed: str, purpose: str) -> bytes:
    """What `unseal` does, with whichever of some other keys it was."""
    key_id, _, content = sealed.partition(":")
    if key_id not in keys:
        raise Unreadable(f"This is sealed with the key {key_id[:20]!r}, which is not in ENCRYPTION_KEYS.")
    try:
        raw = base64.urlsafe_b64decode(content.encode("ascii"))
        return AESGCM(keys[key_id]).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
    except (ValueError, InvalidTag):
        raise Unreadable(
            f"This does not open with the key {key_id!r}: it is another key of that name, or the text was changed."
        ) from None


class Sealed(TypeDecorator):
    """A file that is stored sealed under the ring and read plain; `place` is its table and column."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Seal it on its way in."""
        return None if value is None else seal_with(ring(), value, self.place).encode()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Open it on its way out."""
        return None if value is None else unseal_with(ring(), bytes(value).decode(), self.place)


def fingerprint(text: str, purpose: str) -> str:
    """What stands for a text where it is only looked for, never read: nobody without the key can make it, or guess."""
    return fingerprints(text, purpose)[0]


def fingerprints(text: str, purpose: str) -> list[str]:
    """The fingerprint under each key of the ring, the newest first: one of them was kept, whenever that was."""
    return [
        f"{key_id}:{hmac.digest(key, f'fingerprint {purpose}: {text}'.encode(), 'sha256').hex()}"
        for key_id, key in ring().items()
    ]


def ring() -> dict[str, bytes]:
    """The keys by their names, the newest first."""
    return current_app.config["ENCRYPTION_KEYS"]

"""Secrets at rest: sealed with AES-GCM under the newest key of a ring, opened with whichever key sealed them."""

import base64
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app

NONCE_BYTES = 12


class Unreadable(ValueError):  # noqa: N818 (it says what the text is)
    """Sealed with a key that is not in the ring, for another purpose, or changed since."""


def seal(plain: str, purpose: str) -> str:
    """The text, encrypted; what is sealed for one purpose does not open for another.

    The purpose names the place where the text lies, down to the row, so that it cannot be moved to another.
    """
    key_id, key = next(iter(_ring().items()))
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, plain.encode(), purpose.encode())
    return f"{key_id}:{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(sealed: str, purpose: str) -> str:
    """The text that was sealed for this purpose; else Unreadable."""
    key_id, _, content = sealed.partition(":")
    try:
        raw = base64.urlsafe_b64decode(content.encode("ascii"))
        return AESGCM(_ring()[key_id]).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode()).decode()
    except (KeyError, ValueError, InvalidTag):
        raise Unreadable("This cannot be opened with the keys that there are.") from None


def fingerprint(text: str, purpose: str) -> str:
    """What stands for a text where it is only looked for, never read: nobody without the key can make it, or guess."""
    return fingerprints(text, purpose)[0]


def fingerprints(text: str, purpose: str) -> list[str]:
    """The fingerprint under each key of the ring, the newest first: one of them was kept, whenever that was."""
    return [
        f"{key_id}:{hmac.digest(key, f'fingerprint {purpose}: {text}'.encode(), 'sha256').hex()}"
        for key_id, key in _ring().items()
    ]


def _ring() -> dict[str, bytes]:
    return current_app.config["ENCRYPTION_KEYS"]

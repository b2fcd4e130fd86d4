"""A stream encrypted under a passphrase, in chunks, so that a file of any size is sealed and opened in little memory.

Each chunk's nonce carries its place and whether it is the last: chunks that were changed, moved, repeated or cut off do
not open (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, with AES-256-GCM).
"""

import secrets
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ..core.errors import RuleBroken

MAGIC = b"SEALED02"
"""What new archives begin with."""
STRETCHING = {b"SEALED01": 1, MAGIC: 3}
"""By what an archive begins with, how often scrypt goes its 32 MB way (p): what older versions sealed opens still."""
CHUNK = 1 << 20
SALT_BYTES = 16
TAG_BYTES = 16


def _cipher(magic: bytes, passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=STRETCHING[magic]).derive(passphrase.encode()))


def _nonce(place: int, last: bool) -> bytes:
    """Never used twice: every stream has a key of its own, from its own salt."""
    return place.to_bytes(11, "big") + bytes([last])


class Sealer:
    """Takes what is written, and writes it sealed. Without `close` the stream has no end and does not open."""

    def __init__(self, out: BinaryIO, passphrase: str) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        self._out, self._cipher, self._place, self._waiting = out, _cipher(MAGIC, passphrase, salt), 0, bytearray()
        out.write(MAGIC + salt)

    def write(self, data: bytes) -> int:
        """Seal the chunks that are full; the last one waits, as it may be the end."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            self._seal(last=False)
        return len(data)

    def close(self) -> None:
        """Seal what is left as the end."""
        self._seal(last=True)

    def _seal(self, *, last: bool) -> None:
        chunk = bytes(self._waiting[:CHUNK])
        del self._waiting[:CHUNK]
        self._out.write(self._cipher.encrypt(_nonce(self._place, last), chunk, MAGIC))
        self._place += 1


class Opener:
    """Reads a sealed stream, and gives what was written; refuses whatever is not exactly that."""

    def __init__(self, sealed: BinaryIO, passphrase: str) -> None:
        self._magic = sealed.read(len(MAGIC))
        if self._magic not in STRETCHING:
            raise RuleBroken("The file is not a sealed backup.")
        self._cipher = _cipher(self._magic, passphrase, sealed.read(SALT_BYTES))
        self._sealed, self._place, self._ready = sealed, 0, bytearray()
        self._next = sealed.read(CHUNK + TAG_BYTES)
        self._ended = False

    def read(self, size: int) -> bytes:
        """Up to so many bytes; fewer at the end alone."""
        while len(self._ready) < size and not self._ended:
            self._open()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _open(self) -> None:
        chunk, self._next = self._next, self._sealed.read(CHUNK + TAG_BYTES)
        self._ended = not self._next
        try:
            self._ready += self._cipher.decrypt(_nonce(self._place, self._ended), chunk, self._magic)
        except InvalidTag as error:
            raise RuleBroken("The backup does not open: another passphrase sealed it, or it was damaged.") from error
        self._place += 1

"""A passkey in software: signs as a browser with an authenticator would."""

import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

from insurance.accounts import passkeys
from insurance.core.permissions import Actor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class SoftKey:
    """One key pair, how often it has signed, and whether it asks for finger, face or PIN."""

    def __init__(self, *, counts: bool = True, verifies: bool = True) -> None:
        self.private = generate_private_key(SECP256R1())
        self.id = os.urandom(16)
        self.count, self.step = 0, int(counts)
        self.flags = PRESENT | (VERIFIED if verifies else 0)

    def create(self, options: str, origin: str = "") -> str:
        """What a browser sends for a new passkey."""
        numbers = self.private.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        wanted = json.loads(options)
        data = self._data(wanted["rp"]["id"], ATTESTED) + attested
        client = self._client("webauthn.create", wanted, origin)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential({"attestationObject": attestation, "clientDataJSON": client})

    def sign(self, options: str, origin: str = "") -> str:
        """What a browser sends to sign in."""
        self.count += self.step
        wanted = json.loads(options)
        data, client = self._data(wanted["rpId"]), self._client("webauthn.get", wanted, origin)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ECDSA(SHA256()))
        return self._credential({"authenticatorData": data, "clientDataJSON": client, "signature": signature})

    def _data(self, site: str, more: int = 0) -> bytes:
        return hashlib.sha256(site.encode()).digest() + bytes([self.flags | more]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, wanted: dict[str, Any], origin: str) -> bytes:
        said = {"type": kind, "challenge": wanted["challenge"], "origin": origin or passkeys.site()[1][0]}
        return json.dumps(said).encode()

    def _credential(self, response: dict[str, bytes]) -> str:
        name = bytes_to_base64url(self.id)
        shown = {part: bytes_to_base64url(value) for part, value in response.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": shown})


def registered(actor: Actor, name: str = "Phone", **facts: bool) -> SoftKey:
    """A passkey that the actor has added."""
    key = SoftKey(**facts)
    passkeys.register(
        credential=key.create(passkeys.registration_options(actor, "Harbor Mutual")), name=name, actor=actor
    )
    return key

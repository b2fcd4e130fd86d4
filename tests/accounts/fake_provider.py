"""A provider of OpenID Connect on this machine: discovery, keys, and tokens that say what a test wants them to say."""

import base64
import hashlib
import json
import secrets
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from insurance.core import clock

CLIENT, SECRET = "insurance", "a secret of both"


class Provider:
    """Knows one person. `changes` are put over what the next token says, `signed_with` is its key."""

    def __init__(self) -> None:
        self.key = self.signed_with = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.person: dict[str, Any] = {"sub": "42", "email": "ann@example.com", "email_verified": True}
        self.changes: dict[str, Any] = {}
        self.discovered: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self.server.shutdown()
        self.server.server_close()

    def authorize(self, url: str) -> str:
        """What the person does there: sign in, and be sent back. Gives the address back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert urlsplit(url).path == "/authorize"
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.asked = self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    @Request.application
    def answer(self, request: Request) -> Response:
        """The pages that the application asks for by itself."""
        match request.path:
            case "/.well-known/openid-configuration":
                return self._json(
                    {
                        "issuer": self.issuer,
                        "authorization_endpoint": f"{self.issuer}/authorize",
                        "token_endpoint": f"{self.issuer}/token",
                        "jwks_uri": f"{self.issuer}/jwks",
                        "end_session_endpoint": f"{self.issuer}/leave",
                        "id_token_signing_alg_values_supported": ["RS256"],
                        **self.discovered,
                    }
                )
            case "/jwks":
                return self._json({"keys": [self.key.as_dict(private=False)]})
            case "/token":
                return self._token(request)
        return Response(status=404)

    def _token(self, request: Request) -> Response:
        asked = self.codes.pop(request.form.get("code", ""), None)
        verifier = request.form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        authorized = request.authorization
        known = authorized and (authorized.username, authorized.password) == (CLIENT, SECRET)
        if asked is None or not known or challenge != asked["code_challenge"]:
            return Response('{"error": "invalid_grant"}', 400, mimetype="application/json")
        now = int(clock.unix_time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signed_with)
        return self._json({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    @staticmethod
    def _json(content: dict[str, Any]) -> Response:
        return Response(json.dumps(content), mimetype="application/json")

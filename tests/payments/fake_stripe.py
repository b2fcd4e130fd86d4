"""A Stripe of our own: Checkout Sessions, charges, refunds, disputes, idempotency keys, signed events, and silence.

It speaks as much of the real one's HTTP as the stripe library asks for here. Tests pay on its pages by calling it.
"""

import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SECRET = "whsec_of_the_tests"


class FakeStripe:
    """What Stripe knows. `silent` lets it do what it is asked and not answer; `down` lets it do nothing at all."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {}
        self.calls: list[str] = []
        self.silent, self.down = False, False
        self.searches = True
        self.released = Event()
        self.lock = Lock()
        self.numbers = itertools.count(1)

    @property
    def charged(self) -> list[dict[str, Any]]:
        """Every charge that took money."""
        return [intent for intent in self.intents.values() if intent["status"] == "succeeded"]

    def new_id(self, kind: str) -> str:
        return f"{kind}_{next(self.numbers)}"

    # What a payer and their bank do

    def pay(self, session_id: str, *, at_once: bool = True) -> dict[str, Any]:
        """Pay on the page; the event that says so. A page is paid once."""
        session = self.sessions[session_id]
        if session["status"] == "open":
            intent = self.intents[session["payment_intent"]]
            session["status"] = "complete"
            intent["status"] = "succeeded" if at_once else "processing"
            session["payment_status"] = "paid" if at_once else "unpaid"
        return event("checkout.session.completed", session)

    def decline(self, session_id: str) -> dict[str, Any]:
        """Try a card that is declined; the page stays open."""
        return event("payment_intent.payment_failed", self.intents[self.sessions[session_id]["payment_intent"]])

    def save_card(self, session_id: str, *, good: bool = True) -> dict[str, Any]:
        """Save a card on a page that was made for that."""
        session = self.sessions[session_id]
        method = {"id": "pm_good" if good else "pm_bad", "card": {"brand": "visa", "last4": "4242"}}
        session |= {"status": "complete", "customer": self.new_id("cus")}
        session["setup_intent"] = {"object": "setup_intent", "id": self.new_id("seti"), "payment_method": method}
        return event("checkout.session.completed", session | {"setup_intent": session["setup_intent"]["id"]})

    def refund(self, intent_id: str, amount: int) -> dict[str, Any]:
        """Pay a part back from Stripe's own pages."""
        intent = self.intents[intent_id]
        intent["amount_refunded"] = intent.get("amount_refunded", 0) + amount
        return event("charge.refunded", self.charge(intent))

    def charge(self, intent: dict[str, Any]) -> dict[str, Any]:
        return {
            "object": "charge",
            "id": f"ch_{intent['id']}",
            "payment_intent": intent["id"],
            "amount": intent["amount"],
            "amount_refunded": intent.get("amount_refunded", 0),
            "metadata": intent["metadata"],
        }

    def dispute(self, intent_id: str, status: str = "needs_response") -> dict[str, Any]:
        """The card's owner disputes the charge; or, with won or lost, how that ended."""
        kind = "closed" if status in ("won", "lost") else "created"
        about = {"object": "dispute", "id": f"dp_{intent_id}", "payment_intent": intent_id, "status": status}
        return event(f"charge.dispute.{kind}", about | {"reason": "fraudulent", "metadata": {}})

    # What the API does

    def answer(self, method: str, path: str, data: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        """Do what is asked, once for each idempotency key."""
        with self.lock:
            self.calls.append(f"{method} {path}")
            if key and key in self.answers:
                sent, status, said = self.answers[key]
                return (status, said) if sent == data else (400, error("idempotency_error", "other parameters"))
            status, said = self.do(method, path, data)
            if key:
                self.answers[key] = data, status, said
            return status, said

    def do(self, method: str, path: str, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if (method, path) == ("POST", "/v1/checkout/sessions"):
            return 200, self.new_session(data)
        if (method, path) == ("POST", "/v1/payment_intents"):
            return self.new_intent(data)
        if path == "/v1/payment_intents/search" and not self.searches:
            return 400, error("invalid_request_error", "Search is not offered to accounts here")
        if path == "/v1/payment_intents/search":
            token = re.search("'token'\\]:'(.*)'", data["query"])
            found = [one for one in self.intents.values() if token and one["metadata"].get("token") == token[1]]
            return 200, {"object": "search_result", "data": found, "has_more": False}
        if (method, path) == ("POST", "/v1/refunds"):
            return self.new_refund(data)
        session = self.sessions.get(path.removeprefix("/v1/checkout/sessions/").removesuffix("/expire"))
        if session is None:
            return 404, error("invalid_request_error", "No such object")
        if path.endswith("/expire"):
            if session["status"] != "open":
                return 400, error("invalid_request_error", "Only open sessions can be expired")
            session["status"] = "expired"
        shown = dict(session)
        if isinstance(shown["setup_intent"], dict) and not any(name.startswith("expand") for name in data):
            shown["setup_intent"] = shown["setup_intent"]["id"]
        return 200, shown

    def new_session(self, data: dict[str, Any]) -> dict[str, Any]:
        session: dict[str, Any] = {
            "object": "checkout.session",
            "id": self.new_id("cs"),
            "mode": data["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "client_reference_id": data["client_reference_id"],
            "customer": None,
            "setup_intent": None,
            "payment_intent": None,
        }
        session["url"] = f"https://checkout.stripe.com/c/{session['id']}"
        if data["mode"] == "payment":
            amount = int(data["line_items[0][price_data][unit_amount]"])
            currency = data["line_items[0][price_data][currency]"]
            metadata = {"token": data["payment_intent_data[metadata][token]"]}
            session |= {"amount_total": amount, "currency": currency}
            session["payment_intent"] = self.intent(amount, currency, metadata)["id"]
        self.sessions[session["id"]] = session
        return session

    def new_intent(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert data["off_session"] == data["confirm"] == "true"
        metadata = {"token": data["metadata[token]"]}
        intent = self.intent(int(data["amount"]), data["currency"], metadata)
        if data["payment_method"] == "pm_bad":
            return 402, error("card_error", "Your card was declined.") | {}
        intent["status"] = "succeeded"
        return 200, intent

    def new_refund(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        intent, amount = self.intents[data["payment_intent"]], int(data["amount"])
        if intent.get("amount_refunded", 0) + amount > intent["amount"]:
            return 400, error("invalid_request_error", "The charge has been refunded already")
        self.refund(intent["id"], amount)
        return 200, {"object": "refund", "id": self.new_id("re"), "status": "succeeded"}

    def intent(self, amount: int, currency: str, metadata: dict[str, str]) -> dict[str, Any]:
        intent = {
            "object": "payment_intent",
            "id": self.new_id("pi"),
            "status": "requires_payment_method",
            "amount": amount,
            "currency": currency,
            "metadata": metadata,
        }
        return self.intents.setdefault(str(intent["id"]), intent)


def error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}


_events = itertools.count(1)


def event(kind: str, about: dict[str, Any]) -> dict[str, Any]:
    """An event as Stripe makes it: what it is about, as it was then."""
    copy = json.loads(json.dumps(about))
    return {"object": "event", "id": f"evt_{next(_events)}", "type": kind, "data": {"object": copy}}


def signed(body: dict[str, Any], *, secret: str = SECRET, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """A request to the webhook: its body and its headers."""
    payload, stamp = json.dumps(body).encode(), int(at or time.time())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + payload, hashlib.sha256).hexdigest()
    return payload, {"Stripe-Signature": f"t={stamp},v1={mac}", "Content-Type": "application/json"}


@contextmanager
def serving() -> Iterator[tuple[FakeStripe, str]]:
    """The fake on a port of its own, and its address."""
    fake = FakeStripe()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.reply(dict(parse_qsl(self.rfile.read(length).decode())))

        def reply(self, data: dict[str, Any]) -> None:
            status, said = 500, error("api_error", "down")
            if not fake.down:
                path = urlsplit(self.path).path
                status, said = fake.answer(self.command, path, data, self.headers.get("Idempotency-Key"))
            if fake.silent:
                fake.released.wait(5)  # it has done what it was asked, and says nothing
                return
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    ThreadingHTTPServer.request_queue_size = 64  # twenty clients at once are not turned away
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        fake.released.set()
        server.shutdown()
        thread.join()
        server.server_close()

"""Stripe: its hosted page, saved methods, and what its signed events say. No card data ever comes here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import requests
import stripe
from flask import current_app

from ...core import clock
from ...core.money import Money
from ..models import Autopay, Payment
from . import Answer, Method, Outcome, Page, Unreachable

LOST_AFTER = timedelta(days=1)
"""After so long a payment that Stripe has never heard of was never begun; its pages expire by then, too."""

CHARGES = {
    "succeeded": Outcome.PAID,
    "processing": Outcome.PENDING,
    "requires_capture": Outcome.PENDING,
    "canceled": Outcome.FAILED,
    "requires_payment_method": Outcome.FAILED,
    "requires_action": Outcome.FAILED,  # the owner is not there to answer their bank
}
"""What the status of a charge to a saved method comes to."""


class Stripe:
    """The gateway, as far as keys are configured."""

    label = "The card company’s page opens. Your card number stays with them"

    @staticmethod
    def serves() -> bool:
        """Whether there is a key."""
        return bool(current_app.config["STRIPE_API_KEY"])

    def page(self, payment: Payment) -> Page:
        """A Checkout Session, named by our token: asked for again, Stripe gives the same one."""
        metadata = {"token": payment.token or ""}
        with _calls() as client:
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "client_reference_id": payment.token or "",
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata},
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": payment.currency.lower(),
                                "unit_amount": payment.amount_minor,
                                "product_data": {"name": f"Insurance premium, payment {payment.id}"},
                            },
                        }
                    ],
                    **_return_to(f"/portal/payments/{payment.id}"),
                },
                {"idempotency_key": f"page-{payment.token}"},
            )
        return Page(session.url or "", session.id)

    def ask(self, payment: Payment) -> Answer:
        """By the page if it is known, else by our token."""
        with _calls() as client:
            try:
                if payment.checkout_id:
                    return session_says(client.v1.checkout.sessions.retrieve(payment.checkout_id).to_dict())
                found = client.v1.payment_intents.search({"query": f"metadata['token']:'{payment.token}'"}).data
            except stripe.InvalidRequestError as error:  # a page of another account's, or no search: nothing is known
                raise Unreachable(str(error)) from error
        if found:
            return Answer(CHARGES.get(found[0].status, Outcome.PENDING), found[0].id)
        return Answer(Outcome.EXPIRED if clock.now() - payment.created_at > LOST_AFTER else Outcome.OPEN)

    def close(self, payment: Payment) -> None:
        """Expire the page; one that was paid or has expired stays as it is, and is asked about next."""
        if payment.checkout_id:
            with _calls() as client:
                try:
                    client.v1.checkout.sessions.expire(payment.checkout_id)
                except stripe.InvalidRequestError:
                    return

    def page_to_save(self, autopay: Autopay) -> Page:
        """A Checkout Session that saves a method and charges nothing."""
        with _calls() as client:
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "setup",
                    "currency": current_app.config["CURRENCY"].lower(),
                    "customer_creation": "always",
                    "client_reference_id": autopay.token,
                    **_return_to(f"/portal/autopay/{autopay.account_id}"),
                },
                {"idempotency_key": f"save-{autopay.token}"},
            )
        return Page(session.url or "", session.id)

    def saved(self, page_id: str) -> Method | None:
        """What was saved on a page."""
        with _calls() as client:
            session = client.v1.checkout.sessions.retrieve(
                page_id, {"expand": ["setup_intent.payment_method"]}
            ).to_dict()
        setup = session["setup_intent"]
        if session["status"] != "complete" or not setup:
            return None
        method = setup["payment_method"]
        card = method.get("card")
        label = f"{card['brand'].capitalize()} ending in {card['last4']}" if card else "Your saved method"
        return Method(session["customer"], method["id"], label)

    def charge(self, payment: Payment, autopay: Autopay, key: str) -> Answer:
        """A PaymentIntent for somebody who is not there."""
        with _calls() as client:
            try:
                intent = client.v1.payment_intents.create(
                    {
                        "amount": payment.amount_minor,
                        "currency": payment.currency.lower(),
                        "customer": autopay.payer_id,
                        "payment_method": autopay.method_id,
                        "off_session": True,
                        "confirm": True,
                        "metadata": {"token": payment.token or ""},
                    },
                    {"idempotency_key": key},
                )
            except (stripe.CardError, stripe.InvalidRequestError):
                return Answer(Outcome.FAILED)
        return Answer(CHARGES.get(intent.status, Outcome.PENDING), intent.id)

    def refund(self, payment: Payment, amount: Money, key: str) -> str | None:
        """A Refund of the PaymentIntent; Stripe tells us of it by an event as well."""
        with _calls() as client:
            try:
                refund = client.v1.refunds.create(
                    {"payment_intent": payment.charge_id or "", "amount": amount.minor}, {"idempotency_key": key}
                )
            except stripe.InvalidRequestError:
                return None
        return None if refund.status in ("failed", "canceled") else refund.id


def session_says(session: dict[str, Any]) -> Answer:
    """What a Checkout Session says of its payment."""
    charge_id = session.get("payment_intent")
    if session["payment_status"] == "paid":
        return Answer(Outcome.PAID, charge_id)
    if session["status"] == "expired":
        return Answer(Outcome.EXPIRED, charge_id)
    return Answer(Outcome.PENDING if session["status"] == "complete" else Outcome.OPEN, charge_id)


def signed_event(body: bytes, signature: str) -> dict[str, Any] | None:
    """The event in a request to our webhook; None unless Stripe signed it, within the last minutes."""
    secret = current_app.config["STRIPE_WEBHOOK_SECRET"]
    if not secret:
        return None
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
        event = json.loads(body)
    except (ValueError, stripe.SignatureVerificationError):
        return None
    match event:
        case {"id": str(), "type": str(), "data": {"object": {}}}:
            return event
    return None


def _return_to(path: str) -> Any:
    url = current_app.config["PUBLIC_URL"] + path
    return {"success_url": url, "cancel_url": url}


@contextmanager
def _calls() -> Iterator[stripe.StripeClient]:
    """A client for some calls. Each is tried once: who calls decides what no answer means."""
    config = current_app.config
    session = requests.Session()
    session.max_redirects = 0  # the key goes to no other host
    http = stripe.RequestsClient(timeout=config["STRIPE_TIMEOUT"], session=session)
    addresses: Any = {"api": config["STRIPE_API_BASE"]} if config["STRIPE_API_BASE"] else None
    try:
        yield stripe.StripeClient(
            config["STRIPE_API_KEY"], base_addresses=addresses, http_client=http, max_network_retries=0
        )
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        raise Unreachable(str(error)) from error
    finally:
        http.close()

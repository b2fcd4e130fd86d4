"""The test gateway: a page that says that no money moves, with a button for each outcome."""

from flask import current_app, url_for

from ..models import Payment

LABEL = "Test gateway: no money moves"


def serves() -> bool:
    """Whether it may stand in for a real one: never in production, where its payments would cost nothing."""
    return current_app.config["APP_ENV"] != "production"


def checkout_url(payment: Payment) -> str:
    """Where the payer goes to pay."""
    return url_for("payments.test_gateway", token=payment.token)

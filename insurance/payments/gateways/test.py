"""The test gateway: a page that says that no money moves, with a button for each outcome."""

from flask import url_for

from ..models import Payment

LABEL = "Test gateway: no money moves"


def checkout_url(payment: Payment) -> str:
    """Where the payer goes to pay."""
    return url_for("payments.test_gateway", token=payment.token)

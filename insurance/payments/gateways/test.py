"""The test gateway: pages that say that no money moves, with a button for each outcome."""

from flask import current_app, url_for

from ...core.money import Money
from ..models import Autopay, Payment
from . import Answer, Method, Outcome, Page


class TestGateway:
    """Stands in for a real one: never in production, where its payments would cost nothing."""

    __test__ = False
    label = "Test gateway: no money moves"

    @staticmethod
    def serves() -> bool:
        """Whether it may stand in here."""
        return current_app.config["APP_ENV"] != "production"

    def page(self, payment: Payment) -> Page:
        """The page with the buttons."""
        return Page(url_for("payments.test_gateway", token=payment.token))

    def ask(self, payment: Payment) -> Answer:  # noqa: ARG002
        """Nothing happens here but by the buttons."""
        return Answer(Outcome.OPEN)

    def close(self, payment: Payment) -> None:
        """The page asks for the payment's status by itself."""

    def page_to_save(self, autopay: Autopay) -> Page:
        """The page that saves a card that is none."""
        return Page(url_for("payments.test_gateway_save", token=autopay.token))

    def saved(self, page_id: str) -> Method | None:  # noqa: ARG002
        """Told by the page itself."""
        return None

    def charge(self, payment: Payment, autopay: Autopay, key: str) -> Answer:  # noqa: ARG002
        """Accept the good test card, decline the other."""
        return Answer(Outcome.PAID if autopay.method_id == "test-good" else Outcome.FAILED)

    def refund(self, payment: Payment, amount: Money, key: str) -> str | None:  # noqa: ARG002
        """Refuse nothing."""
        return f"test-{key}"

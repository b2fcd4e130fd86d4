"""What the gateway tells, and the test gateway's pages."""

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ...core.errors import NotFound
from ...web.guard import public, requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, forms, queries, services
from ..gateways import Method
from ..gateways import stripe as stripe_gateway
from ..gateways.test import TestGateway
from ..models import GatewayEvent
from ..services import autopay, gateway

EVENTS = ListPage(
    title="Gateway events",
    one="event",
    many="events",
    key=GatewayEvent.id,
    default_sort="-received",
    empty="The gateway has told us nothing yet.",
    filters=[Choice("status", "Status", [("handled", "Handled"), ("waiting", "Waiting")])],
    columns=[
        Col("Event", lambda r: r.event_id),
        Col("Kind", lambda r: r.type.replace(".", " ").replace("_", " ")),
        Col("Received", lambda r: r.received_at, kind="datetime", sort=GatewayEvent.received_at, sort_name="received"),
        Col("Handled", lambda r: r.handled_at, kind="datetime"),
        Col("Waits because", lambda r: r.error),
    ],
)


@bp.get("/payments/events")
@bp.get("/payments/events.csv", endpoint="event_csv")
@requires("gateway:read")
def event_list() -> ResponseReturnValue:
    return EVENTS.respond(queries.event_rows(**EVENTS.arguments()))


@bp.post("/webhooks/stripe")
@public
def stripe() -> ResponseReturnValue:
    """What Stripe tells us. Unsigned, forged or old: refused before anything is read of it."""
    event = stripe_gateway.signed_event(request.get_data(), request.headers.get("Stripe-Signature", ""))
    if event is None:
        abort(400)
    gateway.receive(event)
    return "", 200


@bp.get("/payments/test-gateway/<token>")
@bp.post("/payments/test-gateway/<token>")
@public
def test_gateway(token: str) -> ResponseReturnValue:
    """Stands in for a gateway's hosted page: whoever has the address may pay."""
    payment = queries.find_by_token(token)
    if payment is None:
        raise NotFound("We cannot find that payment.")
    form = forms.GatewayForm()
    if form.validate_on_submit():
        payment = services.finish_card(token=token, accepted=request.form.get("outcome") == "accept")
        return redirect(url_for("portal.payment", payment_id=payment.id), 303)
    return form.page("payments/test_gateway.html", payment=payment, label=TestGateway.label)


@bp.get("/payments/test-gateway/save/<token>")
@bp.post("/payments/test-gateway/save/<token>")
@public
def test_gateway_save(token: str) -> ResponseReturnValue:
    """Stands in for a gateway's page that saves a card: one that will be accepted, or one that will be declined."""
    ordered = queries.find_autopay_by_token(token)
    if ordered is None or not TestGateway.serves():
        raise NotFound("We cannot find that order.")
    form = forms.GatewayForm()
    if form.validate_on_submit():
        good = request.form.get("card") == "good"
        card = (
            Method("test", "test-good", "Test card") if good else Method("test", "test-bad", "Test card that declines")
        )
        autopay.save(token=token, method=card)
        return redirect(url_for("portal.autopay", account_id=ordered.account_id), 303)
    return form.page("payments/test_gateway_save.html", autopay=ordered, label=TestGateway.label)

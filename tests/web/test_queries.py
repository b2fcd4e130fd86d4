"""What each page asks the database: little, and no more the more there is. The pages are those of the address map."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, template_rendered

from insurance.claims import services as claims
from insurance.core.db import transaction
from insurance.feedback import services as feedback
from insurance.feedback.domain import FeedbackKind
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.payments.services import suspense
from tests import factories
from tests.agents.test_pages import statements
from tests.conftest import TODAY
from tests.web.test_doors import cells, program
from tests.world import World, photo, usd

MOST = 8
MOST_OF_A_LIST = 5
pytestmark = pytest.mark.sqlite_only


def more_of_everything(world: World, many: int) -> None:
    """Give A and the office more of what their pages list."""
    a = world.a
    for number in range(many):
        factories.bound_policy(customer=factories.customer(agent=a.agent), actor=a.agent)
        factories.browser(a.person)
        feedback.send(kind=FeedbackKind.IDEA, text="Larger letters.", actor=a.person, key=f"more-{number}")
        suspense.record(amount=usd("5.00"), received_on=TODAY, reference="?", payer="R RAMAN", actor=world.admin)
        claim = {"policy_id": a.policy_id, "loss_on": TODAY, "cause": "collision", "description": "A dent."}
        claims.file(**claim, claimed=usd("10.00"), payee_name="Maria Lopez", files=[photo()], actor=a.person)
        payments.record(account_id=a.account_id, amount=usd("1.00"), method=PaymentMethod.CASH, actor=a.agent)


@dataclass
class Counts:
    """The statements of each page, and which pages are lists."""

    pages: dict[str, int] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)


def counts(app: Flask, world: World, who: str) -> Counts:
    """Open each page, and each list and record of the API, that somebody may open."""
    found = Counts()
    actor = world.actors[who]
    shown: list[dict[str, Any]] = []

    def note(_app: Flask, context: dict[str, Any], **_: Any) -> None:
        shown.append(context)

    for api, browser in ((False, factories.browser(actor)), (True, program(app, actor))):
        for method, address, endpoint, status in cells(app, who, world, api=api):
            if method != "GET" or status:
                continue
            shown.clear()
            with statements() as asked, template_rendered.connected_to(note, app):
                assert browser.get(address, buffered=True).status_code < 400, address
            found.pages[address] = len(asked)
            if endpoint.startswith("api.list_") or any("listing" in context for context in shown):
                found.lists.add(address)
    return found


@pytest.mark.parametrize("who", ["customer A", "agent A", "admin"])
def test_every_page_asks_little_and_no_more_the_more_there_is(app, world, who) -> None:
    few = counts(app, world, who)
    with transaction():  # one, since many commits take their time
        more_of_everything(world, 12)
    many = counts(app, world, who)
    assert len(few.lists) > 5
    assert len(few.pages) > 50
    assert {page: (few.pages[page], count) for page, count in many.pages.items() if few.pages[page] != count} == {}
    most = {page: MOST_OF_A_LIST if page in many.lists else MOST for page in many.pages}
    assert {page: count for page, count in many.pages.items() if count > most[page]} == {}

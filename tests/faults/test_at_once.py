"""Two people at one record, and a form sent again with another amount; docs/faults.md says where the others are."""

import pytest
from flask import Flask

from insurance.core.db import db
from insurance.core.permissions import SYSTEM, Role
from insurance.payments.models import Payment, Receipt
from insurance.policies import services as policies
from insurance.policies.models import Policy
from tests import factories
from tests.conftest import TODAY
from tests.faults.experiment import violations
from tests.races import together

pytestmark = pytest.mark.fault


def test_of_two_editors_of_one_policy_who_send_at_once_one_is_told_of_the_other(app: Flask) -> None:
    quote = factories.quote()
    policy_id, version, coverage = quote.id, quote.version, quote.coverage

    def edit(policy_type: str) -> Policy:
        facts = {"policy_type": policy_type, "coverage": coverage, "start_on": TODAY}
        return policies.edit(policy_id=policy_id, version=version, **facts, actor=SYSTEM)

    outcomes = together(app, [lambda: edit("comprehensive"), lambda: edit("liability")])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Policy", "Stale"]
    assert violations() == []


@pytest.mark.sqlite_only
def test_a_form_sent_again_with_another_amount_is_refused(app: Flask) -> None:
    account = factories.bound_policy().account_id
    browser = factories.browser(factories.user(Role.ADMIN))
    form = {"key": "k", "amount": "10.00", "method": "cash", "paid_on": str(TODAY)}
    assert browser.post(f"/payments/new?account={account}", data=form).status_code == 303
    again = browser.post(f"/payments/new?account={account}", data=form | {"amount": "11.00"})
    assert (again.status_code, "already sent with other values" in again.text) == (422, True)
    assert (db.session.query(Payment).count(), db.session.query(Receipt).count()) == (1, 1)
    assert violations() == []

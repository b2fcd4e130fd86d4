"""The pages of privacy: what a person and an admin see and do."""

import csv
import json
from io import StringIO

import pytest
from sqlalchemy import select

from insurance.core.audit import AuditEntry
from insurance.core.db import db
from insurance.core.permissions import Actor, Role
from insurance.customers.models import Customer
from insurance.privacy.domain import ErasureStatus
from insurance.privacy.models import AccessReview, Erasure
from tests import factories

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, name="Ada Admin")


@pytest.fixture
def desk(admin):
    return factories.browser(admin)


@pytest.fixture
def person(app) -> Actor:
    return factories.user(Role.CUSTOMER, name="Zoraida Quilantan")


@pytest.fixture
def customer(person) -> Customer:
    return factories.customer(user=person, name="Zoraida Quilantan")


def test_a_customer_downloads_their_data_from_their_account(customer, person) -> None:
    browser = factories.browser(person)
    assert "/portal/privacy" in browser.get("/account").text
    assert "/portal/privacy" in browser.get("/portal/profile").text
    assert "Download my data" in browser.get("/portal/privacy").text
    answer = browser.post("/portal/privacy/export")
    assert answer.mimetype == "application/json"
    assert f"filename={customer.number}-2026-06-01.json" in answer.headers["Content-Disposition"]
    assert json.loads(answer.data)["person"]["name"] == "Zoraida Quilantan"


def test_a_person_asks_and_an_admin_erases(customer, person, desk) -> None:
    browser = factories.browser(person)
    assert browser.post("/portal/privacy", data={"reason": "I have moved."}).status_code == 303
    assert "You asked on" in browser.get("/portal/privacy").text
    assert "1 person asks to be erased" in desk.get("/admin").text
    erasure_id = db.session.scalars(select(Erasure.id)).one()
    assert f"/admin/privacy/erasures/{erasure_id}" in desk.get("/admin/privacy?status=requested").text
    page = desk.get(f"/admin/privacy/erasures/{erasure_id}").text
    assert f"Zoraida Quilantan becomes Erased person {customer.number}" in page
    assert "What must stay until 31 Dec 2036" in page
    assert "I have moved." in page
    assert desk.post(f"/admin/privacy/erasures/{erasure_id}", data={"version": "1"}).status_code == 303
    assert browser.get("/portal/privacy").status_code == 303  # to the sign-in
    assert "Kept" in desk.get("/admin/privacy/retention").text
    record = desk.get(f"/customers/{customer.id}").text
    assert "Erased on" in record
    assert "Activate again" not in record
    assert "Zoraida" not in record
    assert "Erased" in desk.get(f"/admin/privacy/erasures/{erasure_id}").text


def test_what_hinders_it_is_said_on_each_page(customer, person, desk) -> None:
    policy = factories.bound_policy(customer=customer)
    said = f"Policy {policy.number} gives cover until"
    browser = factories.browser(person)
    assert said in browser.get("/portal/privacy").text
    refused = browser.post("/portal/privacy", data={})
    assert refused.status_code == 409
    assert said in refused.text
    assert said in desk.get(f"/customers/{customer.id}/erasure").text
    assert desk.post(f"/customers/{customer.id}/erasure", data={}).status_code == 409
    assert not db.session.scalars(select(Erasure)).all()


def test_an_admin_asks_and_another_declines(customer, desk) -> None:
    assert desk.post(f"/customers/{customer.id}/erasure", data={"reason": "By letter."}).status_code == 303
    erasure_id = db.session.scalars(select(Erasure.id)).one()
    address = f"/admin/privacy/erasures/{erasure_id}"
    assert "You asked for this" in desk.get(address).text
    refused = desk.post(address, data={"version": "1"})
    assert refused.status_code == 403
    assert "Somebody else must approve it" in refused.text
    other = factories.browser(factories.user(Role.ADMIN))
    assert other.post(f"{address}/decline", data={"version": "1", "note": ""}).status_code == 422
    assert other.post(f"{address}/decline", data={"version": "1", "note": "Not she."}).status_code == 303
    assert "Not she." in other.get(address).text
    assert db.session.get_one(Erasure, erasure_id).status is ErasureStatus.DECLINED


def test_an_admin_downloads_a_customers_data_and_it_is_noted(customer, desk, admin) -> None:
    answer = desk.post(f"/customers/{customer.id}/export")
    assert json.loads(answer.data)["person"]["number"] == customer.number
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert (entry.actor_id, entry.label) == (admin.id, customer.number)


def test_access_is_reviewed_on_a_page_and_as_a_file(desk, admin) -> None:
    page = desk.get("/admin/privacy/access").text
    assert "No second step; can approve own payouts" in page
    assert "No reviews yet." in page
    rows = list(csv.reader(StringIO(desk.get("/admin/privacy/access.csv").text.removeprefix("\ufeff"))))
    assert rows[0][-1] == "Look at"
    assert rows[1][0] == "Ada Admin"
    assert desk.post("/admin/privacy/access", data={"notes": ""}).status_code == 422
    assert desk.post("/admin/privacy/access", data={"notes": "Two left, deactivated."}).status_code == 303
    assert "Two left, deactivated." in desk.get("/admin/privacy/access").text
    assert db.session.scalars(select(AccessReview.reviewed_by_id)).one() == admin.id


def test_agents_have_no_part_in_it(customer) -> None:
    agent = factories.browser(factories.user(Role.AGENT, wide_sight=True))
    assert "Download their data" not in agent.get(f"/customers/{customer.id}").text
    assert agent.post(f"/customers/{customer.id}/export").status_code == 403

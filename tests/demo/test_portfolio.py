"""The demo: every status, the books right, and the same at any size."""

import pytest
from flask import Flask
from sqlalchemy import func, inspect, select

from insurance.accounts import queries as accounts
from insurance.core import clock
from insurance.core.db import db
from insurance.core.errors import RuleBroken
from insurance.customers import queries as customers
from insurance.customers.models import Customer
from insurance.demo import portfolio
from insurance.documents import services as documents
from insurance.documents.models import Document
from insurance.operations import verify
from insurance.policies import queries as policies
from insurance.policies.domain import PolicyStatus
from insurance.policies.models import Policy, status_on
from tests import factories

STATUSES = {
    PolicyStatus.QUOTED,
    PolicyStatus.WITHDRAWN,
    PolicyStatus.QUOTE_EXPIRED,
    PolicyStatus.PENDING,
    PolicyStatus.ACTIVE,
    PolicyStatus.EXPIRED,
}


@pytest.fixture
def small(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The services make few, so that a small book is already made of copies."""
    monkeypatch.setattr(portfolio, "MADE_BY_SERVICES", 14)
    return app


def violations() -> list[list[str]]:
    return [result.violations for result in verify.run() if result.violations]


def test_it_has_policies_of_every_status_that_there_is_by_now(app: Flask) -> None:
    assert portfolio.load(policies=20, seed=1, if_empty=True)
    assert set(db.session.scalars(select(status_on(clock.today())).distinct())) == STATUSES
    assert db.session.query(Policy).count() == 20
    assert violations() == []
    assert not portfolio.load(policies=20, seed=1, if_empty=True)
    with pytest.raises(RuleBroken):
        portfolio.load(policies=20, seed=1, if_empty=False)


def test_of_any_size_it_has_as_many_policies_as_asked_for_and_the_books_are_right(small: Flask) -> None:
    portfolio.load(policies=97, seed=2, if_empty=False)
    assert db.session.query(Policy).count() == 97
    assert violations() == []


def test_copies_are_other_people_with_other_numbers_and_documents_of_their_own(small: Flask) -> None:
    portfolio.load(policies=60, seed=2, if_empty=False)
    people = db.session.execute(select(func.count(), func.count(func.distinct(Customer.email)))).one()
    assert people[0] == people[1]
    newest = db.session.scalars(select(Document).order_by(Document.id.desc())).first()
    assert newest
    holder = db.session.get_one(Customer, newest.customer_id)
    said = newest.data
    assert (said["number"], said["policy_number"]) == (newest.number, newest.policy_number)
    assert (said["customer"]["name"], said["customer"]["number"]) == (holder.name, holder.number)
    assert documents.pdf(newest).startswith(b"%PDF")
    admin = accounts.find_user("admin@example.com")
    assert admin
    assert holder in customers.find_some(holder.name, admin.actor(), 100)


def built() -> list[str]:
    """Every index, foreign key and unique constraint there is."""
    schema = inspect(db.engine)
    return sorted(
        f"{table}: {one['name']} {one.get('column_names', one.get('constrained_columns'))} {one.get('unique')}"
        for table in schema.get_table_names()
        for one in (
            *schema.get_indexes(table), *schema.get_foreign_keys(table), *schema.get_unique_constraints(table),
        )
    )  # fmt: skip


def test_business_goes_on_after_the_copies(small: Flask) -> None:
    before = built()
    portfolio.load(policies=60, seed=2, if_empty=False)
    assert built() == before
    last = max(
        number for (number,) in db.session.execute(select(Policy.number).where(Policy.number.like("POL-2026-%")))
    )
    policy = factories.bound_policy()
    assert int(policy.number[-6:]) == int(last[-6:]) + 1
    assert policies.get_policy(policy.id, factories.SYSTEM_ACTOR).account_id
    assert violations() == []

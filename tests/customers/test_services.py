"""Customers: whose book they are in, who changes what about them, and what is refused."""

from datetime import date, timedelta

import pytest

from insurance.accounts.models import User
from insurance.core.audit import AuditEntry, opened
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken, Stale
from insurance.core.idempotency import IdempotencyKey
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.core.person_keys import ERASED
from insurance.customers import queries, services
from insurance.customers.models import Customer, CustomerKind
from insurance.policies import queries as policies
from tests import factories
from tests.conftest import TODAY
from tests.races import together


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, wide_sight=True)


def found(q: str, actor: Actor) -> list[str]:
    return [customer.name for customer in queries.find_some(q, actor)]


# Entering


def test_an_agents_new_customer_goes_into_their_own_book_and_an_admins_into_none(agent, admin) -> None:
    assert services.create(name="Maria Lopez", actor=agent).agent_id == agent.id
    assert services.create(name="Jan Kowalski", actor=admin).agent_id is None


def test_a_customer_has_a_number_and_what_was_entered(agent) -> None:
    made = services.create(
        name="Harbor Café",
        kind=CustomerKind.ORGANISATION,
        email="Desk@Harbor.example",
        phone="555 0142",
        address="1 Square",
        actor=agent,
    )
    assert made.number == "CUS-2026-000001"
    assert (made.kind, made.email, made.search_name) == ("organisation", "desk@harbor.example", "harbor cafe")
    assert (made.phone, made.address, made.birth_on, made.active, made.version) == (
        "555 0142",
        "1 Square",
        None,
        True,
        1,
    )
    entry = db.session.query(AuditEntry).filter_by(action="create", subject="customers").one()
    assert (entry.label, entry.actor_id, opened(entry)[1]) == (made.number, agent.id, {"name": "Harbor Café"})


def test_the_same_key_twice_is_one_customer_and_with_other_content_is_refused(agent) -> None:
    first = services.create(name="Maria Lopez", key="k1", actor=agent)
    again = services.create(name="Maria Lopez", key="k1", actor=agent)
    assert first.id == again.id
    with pytest.raises(RuleBroken, match="already sent with other values") as refusal:
        services.create(name="Maria Lopes", key="k1", actor=agent)
    assert refusal.value.status == 422
    assert db.session.query(Customer).count() == 1


def test_a_key_belongs_to_whoever_sent_it(agent, admin) -> None:
    first = services.create(name="Maria Lopez", key="k1", actor=agent)
    assert services.create(name="Maria Lopez", key="k1", actor=admin).id != first.id


def test_the_same_key_at_the_same_time_is_one_customer(app, agent) -> None:
    made = together(app, [lambda: services.create(name="Maria Lopez", key="k1", actor=agent).id] * 4)
    assert len(set(made)) == 1
    assert (db.session.query(Customer).count(), db.session.query(IdempotencyKey).count()) == (1, 1)


def test_numbers_have_no_gaps_however_many_enter_at_once(app, agent) -> None:
    together(app, [lambda: services.create(name="Maria Lopez", actor=agent)] * 5)
    numbers = sorted(number for (number,) in db.session.query(Customer.number))
    assert numbers == [f"CUS-2026-{number:06d}" for number in range(1, 6)]


def test_nobody_is_born_in_the_future(agent) -> None:
    tomorrow = TODAY + timedelta(days=1)
    with pytest.raises(RuleBroken, match="in the past") as refusal:
        services.create(name="Maria Lopez", birth_on=tomorrow, actor=agent)
    assert refusal.value.field == "birth_on"
    born_today = services.create(name="Maria Lopez", birth_on=TODAY, actor=agent)
    with pytest.raises(RuleBroken):
        services.edit(customer_id=born_today.id, birth_on=tomorrow, actor=agent)
    assert queries.get_customer(born_today.id, agent).birth_on == TODAY


def test_customers_enter_and_invite_nobody(app) -> None:
    person = factories.user(Role.CUSTOMER)
    own = factories.customer(user=person)
    for act in (
        lambda: services.create(name="Maria Lopez", actor=person),
        lambda: services.invite(customer_id=own.id, actor=person),
        lambda: services.delete(customer_id=own.id, actor=person),
        lambda: services.set_active(customer_id=own.id, active=False, actor=person),
        lambda: services.transfer(customer_id=own.id, agent_id=None, actor=person),
    ):
        with pytest.raises(NotAllowed):
            act()


# Changing


def test_an_edit_keeps_before_and_after_and_the_name_is_found_as_it_is_now(agent) -> None:
    customer = factories.customer(agent=agent, name="Ana Old")
    services.edit(customer_id=customer.id, version=customer.version, name="Zoë New", actor=agent)
    assert (found("zoe new", agent), found("ana", agent)) == (["Zoë New"], [])
    entry = db.session.query(AuditEntry).filter_by(action="edit").one()
    assert opened(entry) == ({"name": "Ana Old"}, {"name": "Zoë New"})


def test_an_edit_of_what_somebody_changed_meanwhile_is_refused(agent) -> None:
    customer = factories.customer(agent=agent)
    seen = customer.version
    services.edit(customer_id=customer.id, version=seen, phone="555 0100", actor=agent)
    with pytest.raises(Stale) as refusal:
        services.edit(customer_id=customer.id, version=seen, phone="555 0200", actor=agent)
    assert refusal.value.status == 409
    assert queries.get_customer(customer.id, agent).phone == "555 0100"


def test_of_two_edits_at_the_same_time_one_is_refused(app, agent) -> None:
    customer = factories.customer(agent=agent)
    customer_id, seen = customer.id, customer.version
    phones = ["555 0100", "555 0200", "555 0300"]
    outcomes = together(
        app,
        [
            lambda phone=phone: services.edit(customer_id=customer_id, version=seen, phone=phone, actor=agent)
            for phone in phones
        ],
    )
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 2
    assert queries.get_customer(customer_id, agent).version == seen + 1


def test_a_customer_changes_how_they_are_reached_and_nothing_else(app) -> None:
    person = factories.user(Role.CUSTOMER)
    own = factories.customer(user=person)
    services.edit(customer_id=own.id, phone="555 0100", address="2 Quay", email="new@example.com", actor=person)
    changed = queries.get_customer(own.id, person)
    assert (changed.phone, changed.address, changed.email) == ("555 0100", "2 Quay", "new@example.com")
    for facts in ({"name": "Other"}, {"birth_on": date(1990, 1, 1)}, {"agent_id": 1}, {"user_id": 1}, {"active": True}):
        with pytest.raises(NotAllowed, match="For anything else, call us"):
            services.edit(customer_id=own.id, **facts, actor=person)


def test_nobody_changes_a_customer_out_of_their_sight(agent) -> None:
    customer = factories.customer(agent=agent)
    for stranger in (factories.user(Role.AGENT), factories.user(Role.CUSTOMER)):
        with pytest.raises(NotFound):
            services.edit(customer_id=customer.id, phone="555 0100", actor=stranger)
    for act in (
        lambda: services.invite(customer_id=customer.id, actor=factories.user(Role.AGENT)),
        lambda: services.delete(customer_id=customer.id, actor=factories.user(Role.AGENT)),
        lambda: services.set_active(customer_id=customer.id, active=False, actor=factories.user(Role.AGENT)),
    ):
        with pytest.raises(NotFound):
            act()


# Transfer


def test_after_a_transfer_the_new_agent_has_the_customer_and_the_old_one_has_not(agent, admin) -> None:
    other = factories.user(Role.AGENT)
    customer = factories.customer(agent=agent)
    services.transfer(customer_id=customer.id, agent_id=other.id, actor=admin)
    assert queries.get_customer(customer.id, other).agent_id == other.id
    with pytest.raises(NotFound):
        queries.get_customer(customer.id, agent)
    entry = db.session.query(AuditEntry).filter_by(action="transfer").one()
    assert (entry.before, entry.after) == ({"agent_id": agent.id}, {"agent_id": other.id})


def test_only_admins_transfer(agent) -> None:
    customer = factories.customer(agent=agent)
    with pytest.raises(NotAllowed):
        services.transfer(customer_id=customer.id, agent_id=factories.user(Role.AGENT).id, actor=agent)


@pytest.mark.parametrize("facts", [{"role": Role.CUSTOMER}, {"role": Role.AGENT, "active": False}])
def test_nobody_is_transferred_to_a_customer_or_to_an_agent_who_left(agent, admin, facts: dict) -> None:
    customer = factories.customer(agent=agent)
    with pytest.raises(RuleBroken, match="an agent who can sign in") as refusal:
        services.transfer(customer_id=customer.id, agent_id=factories.user(**facts).id, actor=admin)
    assert refusal.value.field == "agent_id"
    with pytest.raises(NotFound):
        services.transfer(customer_id=customer.id, agent_id=10**9, actor=admin)
    assert queries.get_customer(customer.id, admin).agent_id == agent.id


# Deactivating and deleting


def test_a_deactivated_customer_keeps_everything_and_gets_no_quote(agent) -> None:
    customer = factories.customer(agent=agent)
    policy = factories.bound_policy(customer=customer, actor=agent)
    services.set_active(customer_id=customer.id, active=False, actor=agent)
    assert not queries.get_customer(customer.id, agent).active
    assert policies.get_policy(policy.id, agent).status == "active"
    with pytest.raises(RuleBroken, match="deactivated"):
        factories.quote(customer=customer, actor=agent)
    services.set_active(customer_id=customer.id, active=True, actor=agent)
    assert factories.quote(customer=customer, actor=agent).status == "quoted"


def test_a_customer_without_history_is_deleted_and_the_audit_trail_keeps_who_did_it(agent) -> None:
    customer = factories.customer(agent=agent, name="Maria Lopez")
    customer_id, number = customer.id, customer.number
    services.delete(customer_id=customer_id, actor=agent)
    assert db.session.query(Customer).count() == 0
    entry = db.session.query(AuditEntry).filter_by(action="delete").one()
    assert (entry.subject_id, entry.label, entry.actor_id) == (customer_id, number, agent.id)
    made = db.session.query(AuditEntry).filter_by(action="create", subject="customers").one()
    assert opened(made) == ({}, {"name": ERASED})


@pytest.mark.parametrize("make", [factories.quote, factories.bound_policy])
def test_a_customer_with_a_quote_or_a_policy_is_not_deleted(agent, make) -> None:
    customer = factories.customer(agent=agent)
    make(customer=customer)
    with pytest.raises(Conflict, match="has a history") as refusal:
        services.delete(customer_id=customer.id, actor=agent)
    assert refusal.value.status == 409
    assert queries.get_customer(customer.id, agent).active
    assert db.session.query(AuditEntry).filter_by(action="delete").count() == 0


# Inviting


def test_an_invited_customer_gets_a_mail_and_a_user(agent) -> None:
    customer = factories.customer(agent=agent, name="Zoë", email="zoe@example.com")
    user = services.invite(customer_id=customer.id, actor=agent)
    assert (user.role, user.email, user.name, user.confirmed_at) == (Role.CUSTOMER, "zoe@example.com", "Zoë", None)
    assert queries.find_own(user.actor()).id == customer.id
    mail = db.session.query(Mail).one()
    assert (mail.template, mail.recipient, mail.data["invited_by"]) == ("invitation", "zoe@example.com", agent.name)


def test_nobody_is_invited_without_an_address_or_twice(agent) -> None:
    customer = factories.customer(agent=agent, email="")
    with pytest.raises(RuleBroken, match="e-mail address first") as refusal:
        services.invite(customer_id=customer.id, actor=agent)
    assert refusal.value.field == "email"
    services.edit(customer_id=customer.id, email="zoe@example.com", actor=agent)
    services.invite(customer_id=customer.id, actor=agent)
    with pytest.raises(Conflict, match="has an account already"):
        services.invite(customer_id=customer.id, actor=agent)
    assert db.session.query(Mail).count() == 1


def test_an_address_with_an_account_is_not_invited(agent) -> None:
    taken = factories.user(Role.CUSTOMER)
    customer = factories.customer(agent=agent, email=taken.email)
    with pytest.raises(RuleBroken, match="has an account already"):
        services.invite(customer_id=customer.id, actor=agent)
    assert db.session.query(Mail).count() == 0
    assert queries.get_customer(customer.id, agent).user_id is None


def test_invited_at_the_same_time_a_customer_gets_one_mail(app, agent) -> None:
    customer_id = factories.customer(agent=agent).id
    outcomes = together(app, [lambda: services.invite(customer_id=customer_id, actor=agent)] * 3)
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert db.session.query(Mail).count() == 1


# Finding


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("CUS-2026-000001", ["Zoë Łukasiewicz"]),
        ("cus-2026-000001", ["Zoë Łukasiewicz"]),
        ("CUS-2026", []),
        ("zoe", ["Zoë Łukasiewicz"]),
        ("ZOË", ["Zoë Łukasiewicz"]),
        ("łuk zo", ["Zoë Łukasiewicz"]),
        ("kasie", []),
        ("zl@", ["Zoë Łukasiewicz"]),
        ("ZL@EX", ["Zoë Łukasiewicz"]),
        ("@example.com", []),
        ("100%", ["100% Roofing"]),
        ("%", []),
        ("a_b", ["a_b Ltd"]),
        ("a_", ["a_b Ltd"]),
        ("_", []),
        ("l_@", []),
        ("back\\", ["back\\slash"]),
        ("\\", []),
        ("nobody", []),
    ],
)
def test_a_search_finds_by_number_and_by_how_the_words_of_the_name_and_the_address_begin(agent, q, names) -> None:
    for name, email in (
        ("Zoë Łukasiewicz", "zl@example.com"),
        ("100% Roofing", "roof@example.com"),
        ("a_b Ltd", "ltd@example.com"),
        ("axb Ltd", "axb@example.com"),
        ("back\\slash", "b@example.com"),
    ):
        services.create(name=name, email=email, actor=agent)
    assert found(q, agent) == names
    assert [row.name for row in db.session.execute(queries.customer_rows(agent, q=q))] == names


def test_what_is_out_of_sight_is_not_found_and_wide_sight_finds_all(agent, admin) -> None:
    services.create(name="Maria Lopez", actor=agent)
    other, wide = factories.user(Role.AGENT), factories.user(Role.AGENT, wide_sight=True)
    assert found("maria", agent) == found("maria", wide) == found("maria", admin) == ["Maria Lopez"]
    assert found("maria", other) == found("maria", factories.user(Role.CUSTOMER)) == []


@pytest.mark.parametrize(
    ("name", "email", "birth_on", "pointed_out"),
    [
        ("Somebody Else", "maria@example.com", None, True),
        ("Lopez Maria", "", date(1986, 5, 4), True),
        ("María López", "", date(1986, 5, 4), True),
        ("Marie Lopez", "", date(1986, 5, 4), True),
        ("John Smith", "", date(1986, 5, 4), False),
        ("Maria Lopez", "", date(1986, 5, 5), False),
        ("Maria Lopez", "", None, False),
        ("Maria Lopez", "other@example.com", None, False),
    ],
)
def test_the_same_address_or_the_same_birth_date_and_a_similar_name_may_be_the_same(
    agent, name, email, birth_on, pointed_out
) -> None:
    known = services.create(name="Maria Lopez", email="maria@example.com", birth_on=date(1986, 5, 4), actor=agent)
    assert bool(queries.duplicates(name=name, email=email, birth_on=birth_on)) is pointed_out
    assert queries.duplicates(name=name, email=email, birth_on=birth_on, but=known.id) == []


def test_lists_by_status_tell_the_active_from_the_deactivated(agent) -> None:
    kept, gone = factories.customer(agent=agent), factories.customer(agent=agent)
    with transaction():
        db.session.get_one(Customer, gone.id).active = False
    for status, ids in (("active", {kept.id}), ("inactive", {gone.id}), ("", {kept.id, gone.id})):
        assert {row.id for row in db.session.execute(queries.customer_rows(agent, status=status))} == ids

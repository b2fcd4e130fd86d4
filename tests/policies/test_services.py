"""From quote to cover: what a quote costs, what binding makes, and what each status refuses."""

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from insurance.billing import queries as billing
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import BillingAccount, Invoice
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, NotFound, RuleBroken, Stale
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.documents import services as documents
from insurance.documents.models import Document
from insurance.operations import verify
from insurance.policies import queries, services
from insurance.policies.domain import PolicyStatus, TransactionKind
from insurance.policies.models import Policy, PolicyTransaction
from insurance.products import queries as products
from tests import factories
from tests.conftest import TODAY
from tests.races import together

DAY = timedelta(days=1)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def customer(agent):
    return factories.customer(agent=agent)


def changed(policy: Policy, *, actor: Actor, **facts) -> Policy:
    """Edit a quote of 100,000.00 that starts today."""
    facts = {
        "version": policy.version,
        "policy_type": "comprehensive",
        "coverage": usd("100000.00"),
        "start_on": TODAY,
        **facts,
    }
    return services.edit(policy_id=policy.id, actor=actor, **facts)


# Quote


@pytest.mark.parametrize(
    ("policy_type", "coverage", "premium"),
    [
        ("comprehensive", "100000.00", "2400.00"),
        ("basic", "100000.00", "2000.00"),
        ("comprehensive", "123456.78", "2962.96"),
        ("basic", "0.50", "0.01"),
    ],
)
def test_a_quote_costs_what_age_type_and_coverage_make_of_it(agent, customer, policy_type, coverage, premium) -> None:
    quote = factories.quote(customer=customer, policy_type=policy_type, coverage=coverage, actor=agent)
    assert quote.premium == usd(premium)
    assert (quote.status, quote.coverage, quote.account_id, quote.bound_at) == ("quoted", usd(coverage), None, None)


def test_a_quote_keeps_its_answers_and_its_worksheet(agent, customer) -> None:
    quote = factories.quote(customer=customer, actor=agent)
    assert quote.premium == quote.total == usd("2400.00")
    assert quote.answers == {"policy_type": "comprehensive", "coverage_amount": "100000.00", "age": 40}
    labels = [line["label"] for line in quote.worksheet]
    assert labels[:5] == ["Base rate", "Age", "Age counts in hundredths", "Type of policy", "Coverage amount"]
    assert quote.created_by_id == agent.id
    entry = db.session.query(AuditEntry).filter_by(action="quote").one()
    assert (entry.label, entry.actor_id) == (quote.number, agent.id)


def test_the_age_that_counts_is_that_of_the_first_day_of_cover(agent) -> None:
    customer = factories.customer(agent=agent, birth_on=date(1986, 6, 2))
    assert factories.quote(customer=customer, start_on=TODAY).premium == usd("2340.00")
    assert factories.quote(customer=customer, start_on=TODAY + DAY).premium == usd("2400.00")


def test_a_customer_without_a_birth_date_gets_no_quote_but_words(agent) -> None:
    with pytest.raises(RuleBroken, match="enter the date of birth first") as refusal:
        factories.quote(customer=factories.customer(agent=agent, birth_on=None), actor=agent)
    assert refusal.value.status == 422
    assert db.session.query(Policy).count() == 0


def test_without_a_last_day_cover_runs_for_twelve_months(agent, customer) -> None:
    assert factories.quote(customer=customer).end_on == date(2027, 6, 1)
    assert factories.quote(customer=customer, start_on=date(2028, 2, 29)).end_on == date(2029, 2, 28)
    assert factories.quote(customer=customer, last_day_on=TODAY).end_on == TODAY + DAY


def test_the_last_day_cannot_lie_before_the_first(agent, customer) -> None:
    with pytest.raises(RuleBroken, match="can't lie before the first"):
        factories.quote(customer=customer, last_day_on=TODAY - DAY, actor=agent)
    assert db.session.query(Policy).count() == 0


def test_coverage_is_quoted_in_the_currency_of_the_product(agent, customer) -> None:
    with pytest.raises(RuleBroken, match="sold in USD") as refusal:
        services.quote(
            customer_id=customer.id,
            policy_type="basic",
            coverage=Money.parse("100.00", "EUR"),
            start_on=TODAY,
            actor=agent,
        )
    assert refusal.value.field == "coverage_amount"


def test_nobody_quotes_for_a_customer_out_of_their_sight(customer) -> None:
    with pytest.raises(NotFound):
        factories.quote(customer=customer, actor=factories.user(Role.AGENT))
    assert factories.quote(customer=customer, actor=factories.user(Role.AGENT, wide_sight=True)).customer_id


def test_customers_quote_for_themselves_and_bind_and_do_nothing_else_to_their_policy(agent) -> None:
    person = factories.user(Role.CUSTOMER)
    own = factories.customer(agent=agent, user=person)
    quote = factories.quote(customer=own)
    assert queries.get_policy(quote.id, person).id == quote.id
    for act in (
        lambda: services.withdraw(policy_id=quote.id, actor=person),
        lambda: services.delete(policy_id=quote.id, actor=person),
        lambda: services.note(policy_id=quote.id, version=1, text="Mine", actor=person),
        lambda: changed(quote, actor=person),
    ):
        with pytest.raises(NotAllowed):
            act()
    with pytest.raises(NotFound):
        factories.quote(customer=factories.customer(agent=agent), actor=person)
    made = factories.quote(customer=own, actor=person)
    assert services.bind(policy_id=made.id, actor=person).status is PolicyStatus.ACTIVE


def test_the_same_key_is_one_quote_and_with_other_content_is_refused(agent, customer) -> None:
    facts = {"customer_id": customer.id, "policy_type": "basic", "start_on": TODAY, "key": "k1", "actor": agent}
    first = services.quote(coverage=usd("100.00"), **facts)
    assert services.quote(coverage=usd("100.00"), **facts).id == first.id
    with pytest.raises(RuleBroken, match="already sent with other values"):
        services.quote(coverage=usd("200.00"), **facts)
    assert db.session.query(Policy).count() == 1


def test_numbers_run_by_year_and_without_gaps(agent, customer) -> None:
    assert factories.quote(customer=customer).number == "POL-2026-000001"
    with pytest.raises(RuleBroken):
        factories.quote(customer=customer, last_day_on=TODAY - DAY)
    assert factories.quote(customer=customer).number == "POL-2026-000002"
    with clock.at(date(2027, 1, 1)):
        policy = factories.bound_policy(customer=customer)
        assert policy.number == "POL-2027-000001"
        assert re.fullmatch(r"INV-2027-[0-9]{6}", factories.first_invoice(policy).number)


# Changing a quote


def test_a_changed_quote_is_priced_anew(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    with clock.at(TODAY + 5 * DAY):
        edited = changed(
            quote, coverage=usd("50000.00"), policy_type="basic", last_day_on=date(2026, 12, 31), actor=agent
        )
    assert (edited.premium, edited.coverage, edited.end_on) == (usd("1000.00"), usd("50000.00"), date(2027, 1, 1))
    assert edited.answers["coverage_amount"] == "50000.00"
    assert edited.quote_valid_until == TODAY + 35 * DAY
    assert (edited.number, edited.version) == (quote.number, 2)
    entry = db.session.query(AuditEntry).filter_by(action="edit").one()
    assert (entry.before["premium"], entry.after["premium"]) == ("2400.00", "1000.00")


def test_an_expired_quote_that_is_priced_anew_can_be_bound_again(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    later = TODAY + 40 * DAY
    with clock.at(later):
        assert quote.status_on(later) is PolicyStatus.QUOTE_EXPIRED
        changed(quote, start_on=later, actor=agent)
        assert services.bind(policy_id=quote.id, actor=agent).status is PolicyStatus.ACTIVE


def test_what_is_bound_or_withdrawn_is_not_changed_like_a_quote(agent, customer) -> None:
    policy = factories.bound_policy(customer=customer)
    with pytest.raises(Conflict, match="Only a quote"):
        changed(policy, coverage=usd("1.00"), actor=agent)
    withdrawn = services.withdraw(policy_id=factories.quote(customer=customer).id, actor=agent)
    with pytest.raises(Conflict, match="Only a quote"):
        changed(withdrawn, actor=agent)
    assert queries.get_policy(policy.id, agent).premium == usd("2400.00")


def test_a_change_of_what_somebody_changed_meanwhile_is_refused(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    seen = quote.version
    changed(quote, coverage=usd("50000.00"), actor=agent)
    with pytest.raises(Stale):
        changed(quote, version=seen, coverage=usd("60000.00"), actor=agent)
    assert queries.get_policy(quote.id, agent).coverage == usd("50000.00")


# Binding


@pytest.mark.parametrize(("starts_in", "status"), [(1, "pending"), (0, "active"), (-30, "active"), (-400, "expired")])
def test_a_bound_policy_is_what_the_calendar_says(agent, customer, starts_in: int, status: str) -> None:
    policy = factories.bound_policy(customer=customer, start_on=TODAY + starts_in * DAY, actor=agent)
    assert (policy.status, policy.status_on(TODAY)) == (status, status)
    check_books()


@pytest.mark.parametrize(("plan", "parts"), [("annual", 1), ("two_pay", 2), ("quarterly", 4), ("monthly", 12)])
def test_the_instalments_of_every_plan_add_up_to_the_premium(agent, customer, plan: str, parts: int) -> None:
    policy = factories.bound_policy(customer=customer, coverage="99999.99", plan=PaymentPlan(plan), actor=agent)
    items = billing.items_of(policy.account_id)
    assert len(items) == parts
    assert sum((item.amount for item in items), usd("0.00")) == policy.premium
    assert (items[0].period_start, items[-1].period_end) == (policy.start_on, policy.end_on)
    check_books()


def test_binding_makes_a_transaction_an_account_an_invoice_a_document_and_a_mail(agent, customer) -> None:
    policy = factories.bound_policy(customer=customer, plan=PaymentPlan.MONTHLY, actor=agent)
    [transaction] = queries.transactions(policy.id)
    assert (transaction.kind, transaction.number, transaction.premium) == (
        TransactionKind.NEW_BUSINESS,
        1,
        usd("2400.00"),
    )
    assert (transaction.term_start, transaction.term_end, transaction.recorded_by_id) == (
        TODAY,
        date(2027, 6, 1),
        agent.id,
    )
    account = billing.get_account(policy.account_id, agent)
    assert (account.policy_number, account.plan, account.customer_id) == (policy.number, "monthly", customer.id)
    invoice = factories.first_invoice(policy)
    assert (invoice.total, invoice.instalment, invoice.instalments) == (usd("200.00"), 1, 12)
    document = db.session.get_one(Document, invoice.document_id)
    assert documents.pdf(document).startswith(b"%PDF")
    mail = db.session.scalars(select(Mail)).one()
    assert (mail.template, mail.recipient, mail.document_id) == ("invoice_issued", customer.email, document.id)
    entry = db.session.query(AuditEntry).filter_by(action="bind").one()
    assert (entry.label, entry.after) == (policy.number, {"plan": "monthly", "premium": "2400.00"})
    check_books()


def test_what_is_not_an_open_quote_is_not_bound(agent, customer) -> None:
    withdrawn = services.withdraw(policy_id=factories.quote(customer=customer).id, actor=agent)
    bound = factories.bound_policy(customer=customer)
    for policy, words in (
        (withdrawn, "A withdrawn quote can't be bound."),
        (bound, "An active policy can't be bound."),
    ):
        with pytest.raises(IllegalTransition) as refusal:
            services.bind(policy_id=policy.id, actor=agent)
        assert (refusal.value.message, refusal.value.status) == (words, 409)
    assert db.session.query(PolicyTransaction).count() == 1


def test_a_quote_is_bound_through_the_last_day_of_its_validity(agent, customer) -> None:
    valid = products.version_on("standard", TODAY).definition["quote_valid_days"]
    quote, late = factories.quote(customer=customer), factories.quote(customer=customer)
    assert quote.quote_valid_until == TODAY + valid * DAY
    with clock.at(TODAY + (valid + 1) * DAY), pytest.raises(IllegalTransition, match="An expired quote can't be bound"):
        services.bind(policy_id=late.id, actor=agent)
    with clock.at(TODAY + valid * DAY):
        assert services.bind(policy_id=quote.id, actor=agent).status is PolicyStatus.ACTIVE


def test_bound_by_several_at_once_a_quote_has_one_transaction_one_account_and_one_invoice(app, agent, customer) -> None:
    quote_id = factories.quote(customer=customer).id
    outcomes = together(app, [lambda: services.bind(policy_id=quote_id, actor=agent)] * 4)
    assert sum(isinstance(outcome, Policy) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IllegalTransition) for outcome in outcomes) == 3
    for model in (PolicyTransaction, BillingAccount, Invoice, Mail):
        assert db.session.query(model).count() == 1
    check_books()


def test_bound_and_withdrawn_at_once_only_one_of_the_two_happens(app, agent, customer) -> None:
    quote_id = factories.quote(customer=customer).id
    together(
        app,
        [
            lambda: services.bind(policy_id=quote_id, actor=agent),
            lambda: services.withdraw(policy_id=quote_id, actor=agent),
        ],
    )
    bound = queries.get_policy(quote_id, agent).status is PolicyStatus.ACTIVE
    assert db.session.query(PolicyTransaction).count() == db.session.query(Invoice).count() == int(bound)
    check_books()


def test_a_quote_that_was_changed_meanwhile_is_not_bound(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    seen = quote.version
    changed(quote, coverage=usd("50000.00"), actor=agent)
    with pytest.raises(Stale):
        services.bind(policy_id=quote.id, version=seen, actor=agent)
    assert queries.get_policy(quote.id, agent).status is PolicyStatus.QUOTED


# Withdrawing and notes


def test_a_quote_is_withdrawn_once_and_a_policy_never(agent, customer) -> None:
    quote, policy = factories.quote(customer=customer), factories.bound_policy(customer=customer)
    assert services.withdraw(policy_id=quote.id, actor=agent).status is PolicyStatus.WITHDRAWN
    for refused in (quote, policy):
        with pytest.raises(IllegalTransition, match="can't be withdrawn"):
            services.withdraw(policy_id=refused.id, actor=agent)


def test_a_note_is_changed_by_whoever_has_read_the_last_one(agent, customer) -> None:
    policy = factories.bound_policy(customer=customer)
    seen = policy.version
    services.note(policy_id=policy.id, version=seen, text="Call before noon.", actor=agent)
    with pytest.raises(Stale):
        services.note(policy_id=policy.id, version=seen, text="Never call.", actor=agent)
    assert queries.get_policy(policy.id, agent).note == "Call before noon."


# Sight


def test_a_policy_out_of_sight_does_not_exist(agent, customer) -> None:
    quote = factories.quote(customer=customer)
    for stranger in (factories.user(Role.AGENT), factories.user(Role.CUSTOMER)):
        with pytest.raises(NotFound):
            queries.get_policy(quote.id, stranger)
        assert queries.find_some(quote.number, stranger, TODAY) == []
        assert queries.cards(stranger, TODAY, limit=5) == []
    other = factories.user(Role.AGENT)
    for act in (
        lambda: services.bind(policy_id=quote.id, actor=other),
        lambda: services.withdraw(policy_id=quote.id, actor=other),
        lambda: services.note(policy_id=quote.id, version=1, text="!", actor=other),
        lambda: changed(quote, actor=other),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_search_finds_by_number_and_by_customer(agent) -> None:
    quote = factories.quote(customer=factories.customer(agent=agent, name="Zoë Łuk", email="zl@example.com"))
    for q in (quote.number, quote.number.lower(), "zoe", "zl@"):
        assert [row.id for row in queries.find_some(q, agent, TODAY)] == [quote.id]
    assert queries.find_some("POL-2026", agent, TODAY) == []


def test_customers_do_not_cover_themselves_for_what_may_have_happened_already(app) -> None:
    person = factories.user(Role.CUSTOMER)
    customer = factories.customer(user=person)
    with pytest.raises(RuleBroken, match="today at the earliest"):
        factories.quote(customer=customer, start_on=TODAY - timedelta(days=1), actor=person)
    quote = factories.quote(customer=customer, actor=person)
    with clock.at(TODAY + timedelta(days=1)), pytest.raises(RuleBroken, match="today at the earliest"):
        services.bind(policy_id=quote.id, actor=person)
    assert services.bind(policy_id=quote.id, actor=person).bound_at

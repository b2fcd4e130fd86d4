"""Quotes, and what binds them."""

from datetime import date, timedelta
from typing import Any

from ...billing.domain import Instalment, PaymentPlan, PlanTerms, schedule
from ...billing.services import invoices as billing
from ...core import audit, clock, numbering
from ...core.dates import add_months, day_after
from ...core.db import add, check_version, db, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...customers import queries as customers
from ...customers.models import Customer
from ...products import queries as products
from ...products.domain import Rating, add_age, rate
from ...products.models import Product, ProductVersion
from .. import queries
from ..domain import PolicyStatus, TransactionKind, calendar_status, check_term
from ..models import Policy
from .record import add_transaction, move


def price(
    *,
    customer: Customer,
    version: ProductVersion,
    policy_type: str,
    coverage: Money,
    start_on: date,
    answers: dict[str, Any],
) -> tuple[dict[str, Any], Rating]:
    """What a product costs a customer: the answers it was worked out from, and the rating."""
    if coverage.currency != version.definition["currency"]:
        raise RuleBroken(f"This product is sold in {version.definition['currency']}.", "coverage_amount")
    given = {**answers, "policy_type": policy_type, "coverage_amount": str(coverage)}
    given = add_age(version.definition, given, customer.birth_on, start_on)
    return given, rate(version.definition, given, start_on)


@transactional
@once(Policy)
def quote(
    *,
    customer_id: int,
    product: str = "standard",
    policy_type: str,
    coverage: Money,
    start_on: date,
    last_day_on: date | None = None,
    answers: dict[str, Any] | None = None,
    actor: Actor,
) -> Policy:
    """Make a quote; the premium and its worksheet are kept with it. `last_day_on` is the last day of cover."""
    check_may(actor, "policy:quote" if actor.is_staff else "policy:quote_own")
    _check_start(start_on, actor)
    customer = _active_customer(customer_id, actor)
    policy = Policy(customer_id=customer.id, created_at=clock.now(), created_by_id=actor.id)
    version = products.version_on(product, start_on)
    _rate(policy, customer, version, policy_type, coverage, start_on, last_day_on, answers or {})
    policy.number = numbering.take("POL")
    add(policy)
    audit.record("quote", policy, label=policy.number, actor=actor, premium=policy.premium, start_on=start_on)
    return policy


def _check_start(start_on: date, actor: Actor) -> None:
    """Refuse customers who cover themselves for what may have happened already; staff answer for what they enter."""
    if not actor.is_staff and start_on < clock.today():
        raise RuleBroken("Cover can start today at the earliest. Call us if it has to be earlier.", "start_date")


def _active_customer(customer_id: int, actor: Actor) -> Customer:
    customer = customers.get_customer(customer_id, actor)
    if not customer.active:
        raise RuleBroken("This customer is deactivated. Activate the customer first.")
    return customer


@transactional
def edit(
    *,
    policy_id: int,
    version: int,
    policy_type: str,
    coverage: Money,
    start_on: date,
    last_day_on: date | None = None,
    answers: dict[str, Any] | None = None,
    actor: Actor,
) -> Policy:
    """Change a quote; it is priced anew. What is bound changes only by transactions."""
    check_may(actor, "policy:edit")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    check_version(policy, version)
    if policy.status_on(clock.today()) not in (PolicyStatus.QUOTED, PolicyStatus.QUOTE_EXPIRED):
        raise Conflict("Only a quote can be changed like this.")
    before = {"premium": policy.premium, "coverage": policy.coverage, "start_on": policy.start_on}
    product = db.session.get_one(Product, products.get_version(policy.product_version_id).product_id)
    customer = customers.get_customer(policy.customer_id, actor)
    newest = products.version_on(product.code, start_on)
    given = policy.answers if answers is None else answers
    _rate(policy, customer, newest, policy_type, coverage, start_on, last_day_on, given)
    policy.status = PolicyStatus.QUOTED
    policy.version += 1
    audit.record(
        "edit", policy, label=policy.number, actor=actor, before=before,
        premium=policy.premium, coverage=policy.coverage, start_on=start_on,
    )  # fmt: skip
    return policy


def _rate(
    policy: Policy,
    customer: Customer,
    version: ProductVersion,
    policy_type: str,
    coverage: Money,
    start_on: date,
    last_day_on: date | None,
    answers: dict[str, Any],
) -> None:
    definition = version.definition
    end_on = day_after(last_day_on) if last_day_on else add_months(start_on, definition["term_months"])
    check_term(start_on, end_on)
    given, rating = price(
        customer=customer,
        version=version,
        policy_type=policy_type,
        coverage=coverage,
        start_on=start_on,
        answers=answers,
    )
    policy.product_version_id = version.id
    policy.policy_type = policy_type
    policy.coverage_minor, policy.currency = coverage.minor, coverage.currency
    policy.premium_minor, policy.tax_minor, policy.fee_minor = rating.premium.minor, rating.tax.minor, rating.fee.minor
    policy.start_on, policy.end_on = start_on, end_on
    policy.answers, policy.worksheet = given, rating.worksheet_dicts()
    policy.quote_valid_until = clock.today() + timedelta(days=definition["quote_valid_days"])


@transactional
def bind(*, policy_id: int, plan: PaymentPlan = PaymentPlan.ANNUAL, version: int | None = None, actor: Actor) -> Policy:
    """Turn a quote into cover: the first transaction, the billing account, the instalments and the first invoice."""
    check_may(actor, "policy:bind" if actor.is_staff else "policy:bind_own")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    check_version(policy, version)
    _check_start(policy.start_on, actor)
    today = clock.today()
    product_version = products.get_version(policy.product_version_id)
    if plan not in product_version.definition["payment_plans"]:
        raise RuleBroken("This product is not sold with this payment plan.", "payment_plan")
    customer = _active_customer(policy.customer_id, actor)
    move(policy, "bind", to=calendar_status(PolicyStatus.ACTIVE, policy.start_on, policy.end_on, today))
    policy.plan, policy.bound_at = plan, clock.now()
    parts = instalments(policy, product_version, plan, today)
    _add_instalment_fees(policy, sum((part.fee for part in parts), Money.zero(policy.currency)), len(parts))
    add_transaction(
        policy,
        TransactionKind.NEW_BUSINESS,
        effective_on=policy.start_on,
        premium=policy.premium,
        tax=policy.tax,
        fee=policy.fee,
        worksheet=policy.worksheet,
        reason="New business",
        actor=actor,
    )
    product = db.session.get_one(Product, product_version.product_id)
    account = billing.open_account(
        policy_number=policy.number,
        product_code=product.code,
        product_name=product.name,
        customer=customer,
        currency=policy.currency,
        plan=plan,
    )
    policy.account_id = account.id
    billing.charge(account, parts, on=today)
    billing.issue_due(account, on=today, actor=actor)
    audit.record("bind", policy, label=policy.number, actor=actor, plan=plan, premium=policy.premium)
    return policy


def _add_instalment_fees(policy: Policy, fees: Money, parts: int) -> None:
    """Let policy and worksheet say what paying in parts costs, if it costs anything."""
    extra = fees - policy.fee
    if extra:
        policy.fee_minor = fees.minor
        line = {
            "label": "Fees for instalments",
            "operation": "fee",
            "operand": str(extra),
            "source": f"{parts} of them",
        }
        policy.worksheet = [*policy.worksheet, line | {"amount": str(policy.total)}]


def instalments(policy: Policy, version: ProductVersion, plan: PaymentPlan, on: date) -> tuple[Instalment, ...]:
    """How a quote would be paid with a plan if it were bound on a day."""
    terms = PlanTerms.of(version.definition, plan)
    return schedule(plan, policy.premium, policy.tax, policy.fee, policy.start_on, policy.end_on, on, terms)


@transactional
def withdraw(*, policy_id: int, actor: Actor) -> Policy:
    """Take a quote back."""
    check_may(actor, "policy:withdraw")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    move(policy, "withdraw")
    audit.record("withdraw", policy, label=policy.number, actor=actor)
    return policy


@transactional
def delete(*, policy_id: int, actor: Actor) -> None:
    """Delete what was never bound; the audit trail keeps its number."""
    check_may(actor, "policy:delete")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    if policy.bound_at:
        raise Conflict("This policy has been bound, and what it covered must be kept. Cancel it instead.")
    audit.record("delete", policy, label=policy.number, actor=actor, before={"premium": policy.premium})
    db.session.delete(policy)

"""Quoting, binding and the other acts on policies, each as one transaction."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import update

from ..billing import services as billing
from ..billing.domain import PaymentPlan, schedule
from ..core import audit, clock, numbering
from ..core.dates import add_months, day_after
from ..core.db import add, check_version, db, lock, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.idempotency import once
from ..core.money import Money
from ..core.permissions import Actor, check_may
from ..customers import queries as customers
from ..customers.models import Customer
from ..products import queries as products
from ..products.domain import Rating, add_age, coverages, rate
from ..products.models import Product, ProductVersion
from . import queries
from .domain import POLICY_LIFECYCLE, PolicyStatus, TransactionKind, calendar_status, check_term
from .models import Policy, PolicyTransaction, overtaken, status_on


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
    customer = _active_customer(customer_id, actor)
    policy = Policy(customer_id=customer.id, created_at=clock.now(), created_by_id=actor.id)
    version = products.version_on(product, start_on)
    _rate(policy, customer, version, policy_type, coverage, start_on, last_day_on, answers or {})
    policy.number = numbering.take("POL")
    add(policy)
    audit.record("quote", policy, label=policy.number, actor=actor, premium=policy.premium, start_on=start_on)
    return policy


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
    today = clock.today()
    product_version = products.get_version(policy.product_version_id)
    if plan not in product_version.definition["payment_plans"]:
        raise RuleBroken("This product is not sold with this payment plan.", "payment_plan")
    customer = _active_customer(policy.customer_id, actor)
    _move(policy, "bind", to=calendar_status(PolicyStatus.ACTIVE, policy.start_on, policy.end_on, today))
    policy.plan, policy.bound_at = plan, clock.now()
    _record_transaction(policy, TransactionKind.NEW_BUSINESS, product_version, actor=actor, reason="New business")
    product = db.session.get_one(Product, product_version.product_id)
    account = billing.open_account(
        policy_number=policy.number, product_name=product.name, customer=customer, currency=policy.currency, plan=plan
    )
    policy.account_id = account.id
    instalments = schedule(plan, policy.premium, policy.tax, policy.fee, policy.start_on, policy.end_on, today)
    billing.charge(account, instalments, on=today)
    billing.issue_due(account, on=today, actor=actor)
    audit.record("bind", policy, label=policy.number, actor=actor, plan=plan, premium=policy.premium)
    return policy


def _record_transaction(
    policy: Policy, kind: TransactionKind, version: ProductVersion, *, actor: Actor, reason: str
) -> None:
    add(
        PolicyTransaction(
            policy_id=policy.id,
            number=len(queries.transactions(policy.id)) + 1,
            kind=kind,
            effective_on=policy.start_on,
            term_start=policy.start_on,
            term_end=policy.end_on,
            recorded_at=clock.now(),
            recorded_by_id=actor.id,
            reason=reason,
            product_version_id=version.id,
            answers=policy.answers,
            coverages=[
                {
                    "code": coverage.code,
                    "name": coverage.name,
                    "limit_minor": coverage.limit.minor,
                    "deductible_minor": coverage.deductible.minor,
                }
                for coverage in coverages(version.definition, policy.answers)
            ],
            worksheet=policy.worksheet,
            premium_minor=policy.premium_minor,
            tax_minor=policy.tax_minor,
            fee_minor=policy.fee_minor,
            currency=policy.currency,
        )
    )


@transactional
def withdraw(*, policy_id: int, actor: Actor) -> Policy:
    """Take a quote back."""
    check_may(actor, "policy:withdraw")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    _move(policy, "withdraw")
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


@transactional
def note(*, policy_id: int, version: int, text: str, actor: Actor) -> Policy:
    """Change the note that staff keep with a policy."""
    check_may(actor, "policy:note")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    check_version(policy, version)
    before, policy.note = {"note": policy.note}, text
    policy.version += 1
    audit.record("note", policy, label=policy.number, actor=actor, before=before, note=text)
    return policy


def _move(policy: Policy, action: str, to: PolicyStatus | None = None) -> None:
    """The one place that moves a status, from what the calendar has made of it by now."""
    status = policy.status_on(clock.today())
    if action == "bind" and to is PolicyStatus.EXPIRED:
        # Entered when its term is over: bound all the same, and expired at once.
        policy.status = POLICY_LIFECYCLE.next(POLICY_LIFECYCLE.next(status, "bind", PolicyStatus.ACTIVE), "expire")
    else:
        policy.status = POLICY_LIFECYCLE.next(status, action, to)
    policy.version += 1


@transactional
def follow_calendar(*, on: date) -> int:
    """Store what the calendar has made of every policy by a day; how many changed. Twice, nothing changes.

    Only what is due to change is looked at, by the indexes on status and date.
    """
    changed = db.session.execute(
        update(Policy)
        .where(overtaken(on))
        .values(status=status_on(on), version=Policy.version + 1)
        .execution_options(synchronize_session=False)
    )
    return changed.rowcount  # type: ignore[attr-defined]

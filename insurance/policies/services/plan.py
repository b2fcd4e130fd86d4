"""Another payment plan for a policy in force."""

from dataclasses import replace

from ...billing import queries as billing
from ...billing.domain import Instalment, PaymentPlan, PlanTerms
from ...billing.models import BillingAccount
from ...billing.services import invoices
from ...billing.services import plan as billing_plan
from ...core import audit, clock
from ...core.db import check_version, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.permissions import Actor, check_may
from ...products import queries as products
from .. import queries
from ..domain import PolicyStatus
from ..models import Policy


def preview_plan(
    *, policy_id: int, plan: PaymentPlan, due_day: int | None = None, actor: Actor
) -> tuple[Instalment, ...]:
    """What would be billed from now on with another plan; nothing is changed."""
    policy = queries.get_policy(policy_id, actor)
    terms = _terms(policy, plan, due_day)
    account = billing.get_account(policy.account_id or 0, actor)
    return billing_plan.replanned(account, plan=plan, terms=terms, end=policy.end_on, on=clock.today())


@transactional
def change_plan(*, policy_id: int, version: int, plan: PaymentPlan, due_day: int | None = None, actor: Actor) -> Policy:
    """Share out anew what is not billed yet; what has fallen due with that is billed at once."""
    check_may(actor, "policy:change_plan")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    check_version(policy, version)
    terms = _terms(policy, plan, due_day)
    account = lock(BillingAccount, policy.account_id)
    before = {"plan": policy.plan, "due_day": account.due_day}
    if (plan, terms.due_day) == (policy.plan, account.due_day):
        raise RuleBroken("The policy is paid like this already.", "payment_plan")
    today = clock.today()
    billing_plan.replan(account, plan=plan, terms=terms, end=policy.end_on, on=today)
    invoices.issue_due(account, on=today, actor=actor)
    policy.plan = plan
    policy.version += 1
    audit.record(
        "change_plan", policy, label=policy.number, actor=actor, before=before, plan=plan, due_day=terms.due_day
    )
    return policy


def _terms(policy: Policy, plan: PaymentPlan, due_day: int | None) -> PlanTerms:
    """The product's terms of a plan with the day that the customer chose; refuses plans and policies that cannot."""
    if policy.status_on(clock.today()) not in (PolicyStatus.PENDING, PolicyStatus.ACTIVE):
        raise Conflict("Only a policy that is in force, or will be, can be paid in another way.")
    definition = products.get_version(policy.product_version_id).definition
    if plan not in definition["payment_plans"]:
        raise RuleBroken("This product is not sold with this payment plan.", "payment_plan")
    terms = PlanTerms.of(definition, plan)
    return replace(terms, due_day=due_day) if due_day else terms

"""What every act on a policy leaves behind: its status and its transactions; and the staff's note."""

from datetime import date
from typing import Any

from ...core import audit, clock
from ...core.db import add, check_version, lock, transactional
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...products import queries as products
from ...products.domain import coverages
from .. import queries
from ..domain import POLICY_LIFECYCLE, PolicyStatus, TransactionKind
from ..models import Policy, PolicyTransaction


def move(policy: Policy, action: str, to: PolicyStatus | None = None) -> None:
    """The one place that moves a status, from what the calendar has made of it by now."""
    status = policy.status_on(clock.today())
    if action == "bind" and to is PolicyStatus.EXPIRED:
        # Entered when its term is over: bound all the same, and expired at once.
        policy.status = POLICY_LIFECYCLE.next(POLICY_LIFECYCLE.next(status, "bind", PolicyStatus.ACTIVE), "expire")
    else:
        policy.status = POLICY_LIFECYCLE.next(status, action, to)
    policy.version += 1


def add_transaction(
    policy: Policy,
    kind: TransactionKind,
    *,
    effective_on: date,
    premium: Money,
    tax: Money,
    fee: Money,
    worksheet: list[dict[str, Any]],
    reason: str,
    actor: Actor,
) -> PolicyTransaction:
    """Write down what an act changes the premium, tax and fees by, and what is insured from then on."""
    version = products.get_version(policy.product_version_id)
    return add(
        PolicyTransaction(
            policy_id=policy.id,
            number=len(queries.transactions(policy.id)) + 1,
            kind=kind,
            effective_on=effective_on,
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
            worksheet=worksheet,
            premium_minor=premium.minor,
            tax_minor=tax.minor,
            fee_minor=fee.minor,
            currency=policy.currency,
        )
    )


@transactional
def note(*, policy_id: int, version: int, text: str, actor: Actor) -> Policy:
    """Change the note that staff keep with a policy."""
    check_may(actor, "policy:note")
    policy = lock(Policy, queries.get_policy(policy_id, actor).id)
    check_version(policy, version)
    before, policy.note = {"note": policy.note}, text
    policy.version += 1
    audit.record("note", policy, label=policy.number, actor=actor, person=policy.customer_id, before=before, note=text)
    return policy

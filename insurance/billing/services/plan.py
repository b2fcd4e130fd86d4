"""Another plan in mid-term: what is not billed yet is shared out anew."""

from dataclasses import replace
from datetime import date

from ...core.errors import RuleBroken
from ...core.money import Money
from .. import queries
from ..domain import Instalment, ItemKind, PaymentPlan, PlanTerms, schedule
from ..models import BillingAccount
from .credit import take_away
from .invoices import write_items


def replanned(
    account: BillingAccount, *, plan: PaymentPlan, terms: PlanTerms, end: date, on: date
) -> tuple[Instalment, ...]:
    """The instalments that a plan makes of what is not billed yet, for cover up to `end`; nothing is changed.

    Fees that were agreed are not charged twice: they come with the first of the new instalments.
    """
    unbilled = queries.unbilled_items(account.id)
    if not unbilled:
        raise RuleBroken("Everything of this term is billed already. Another plan can begin with the next term.")
    of = {kind: Money.zero(account.currency) for kind in ItemKind}
    for item in unbilled:
        of[item.kind] += item.amount
    parts = schedule(
        plan,
        of[ItemKind.CHARGE],
        of[ItemKind.TAX],
        of[ItemKind.FEE],
        min(item.period_start for item in unbilled),
        end,
        on,
        replace(terms, instalment_fee=None, down_payment_rate=0),
        at_once=False,
    )
    before = min(item.instalment for item in unbilled) - 1
    agreed = "agreed before the plan changed, and not charged yet"
    return tuple(
        replace(part, number=part.number + before, fee_basis=f"{part.fee.in_words} {agreed}" if part.fee else "")
        for part in parts
    )


def replan(
    account: BillingAccount, *, plan: PaymentPlan, terms: PlanTerms, end: date, on: date
) -> tuple[Instalment, ...]:
    """Share out anew what is not billed yet, as part of the act that changes the plan."""
    parts = replanned(account, plan=plan, terms=terms, end=end, on=on)
    take_away(queries.unbilled_items(account.id))
    write_items(account, parts, of=parts[-1].number)
    account.plan, account.due_day = plan, terms.due_day
    account.version += 1
    return parts

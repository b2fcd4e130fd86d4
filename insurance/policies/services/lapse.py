"""Ending cover for debt: the insurer's cancellation pro rata, once the notice of it has run."""

from collections.abc import Collection, Sequence
from datetime import date

from flask import current_app

from ...billing import queries as billing
from ...billing.models import BillingAccount
from ...billing.services import credit, dunning
from ...core import audit, outbox
from ...core.dates import days_between, in_words, last_day
from ...core.db import db, lock, transactional
from ...core.money import Money
from ...core.permissions import SYSTEM
from ...core.worksheet import Worksheet, step
from ...customers.models import Customer
from ...ledger.domain import Event
from .. import queries
from ..domain import POLICY_LIFECYCLE, PolicyStatus, TransactionKind, prorate
from ..models import Policy
from .record import add_transaction


def lapse_unpaid(*, on: date, spared: Collection[int] = (), among: Sequence[int] | None = None) -> int:
    """End the cover of every policy that a notice of cancellation has run out for, or among some; how many.

    `spared` are accounts that wait, because a payment is on its way. Broken off, it goes on where it was.
    """
    account_ids = billing.accounts_to_lapse(on) if among is None else among
    return sum(_lapse(account_id, on) for account_id in account_ids if account_id not in spared)


@transactional
def _lapse(account_id: int, on: date) -> bool:
    policy = lock(Policy, queries.id_of_account(account_id))
    account = lock(BillingAccount, account_id)
    if policy.status_on(on) is not PolicyStatus.ACTIVE:
        return False
    notice_days = queries.notice_days([account_id], on)[account_id]
    unpaid = dunning.lapse_due(account, on=on, notice_days=notice_days)
    if unpaid is None:
        return False
    premium, tax, worksheet = _given_back(policy, on)
    reason = f"Invoice {unpaid.number} was not paid"
    add_transaction(
        policy,
        TransactionKind.LAPSE,
        effective_on=on,
        premium=-premium,
        tax=-tax,
        fee=Money.zero(policy.currency),
        worksheet=worksheet,
        reason=reason,
        actor=SYSTEM,
    )
    policy.premium_minor -= premium.minor
    policy.tax_minor -= tax.minor
    policy.cancelled_on = on
    policy.status = POLICY_LIFECYCLE.next(PolicyStatus.ACTIVE, "lapse")
    policy.version += 1
    credit.give_back(
        account, premium=premium, tax=tax, event=Event.LAPSE, reason=reason, worksheet=worksheet, on=on, actor=SYSTEM
    )
    audit.record("lapse", policy, label=policy.number, actor=SYSTEM, effective_on=on, premium=-premium, reason=reason)
    _mail(policy, account, on)
    return True


def _given_back(policy: Policy, on: date) -> tuple[Money, Money, Worksheet]:
    """The unearned part of premium and tax, transaction by transaction; fees stay."""
    premium = tax = Money.zero(policy.currency)
    lines = []
    for transaction in queries.transactions(policy.id):
        start, end = transaction.effective_on, transaction.term_end
        if not start <= on < end:
            continue
        part = prorate(transaction.premium, start, end, on, end)
        premium += part
        tax += prorate(Money(transaction.tax_minor, policy.currency), start, end, on, end)
        text = f"{days_between(on, end)} of {days_between(start, end)} days are left of {transaction.premium.in_words}"
        lines.append(step("Premium given back", text, part))
    if tax:
        lines.append(step("Tax given back", "in the same proportion", tax))
    return premium, tax, lines


def _mail(policy: Policy, account: BillingAccount, on: date) -> None:
    customer = db.session.get_one(Customer, policy.customer_id)
    if customer.email:
        still = sum((invoice.open for invoice in billing.open_invoices(account.id)), Money.zero(account.currency))
        outbox.enqueue(
            "policy_lapsed",
            to=customer.email,
            name=customer.name,
            policy_number=policy.number,
            last_day=in_words(last_day(on)),
            still_due=still.in_words,
            site=current_app.config["PUBLIC_URL"],
        )

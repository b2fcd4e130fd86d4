"""Money on its way to the bank: cheques that were cleared, cash that agents remitted, what the gateway settled."""

from collections.abc import Collection

from sqlalchemy import update

from ...core import audit, clock
from ...core.db import add, db, transactional
from ...core.errors import RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...ledger import queries as books
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import queries
from ..domain import PaymentMethod
from ..models import Clearing, Payment
from .intake import DEBITED

SOURCES = (PaymentMethod.CHEQUE, PaymentMethod.CASH, PaymentMethod.CARD)
"""The ways of payment whose money does not lie in the bank at once."""


def taken_back(method: PaymentMethod, currency: str) -> Money:
    """What the gateway took of money that it had settled before, for charge-backs and refunds: the next pays less.

    Negative where it gave back more than it took, because a dispute was won.
    """
    lying = sum(row.amount_minor for row in queries.lying_in(method) if row.currency == currency)
    return Money(lying, currency) - books.balance(DEBITED[method], currency=currency)


@transactional
@once(Clearing)
def clear(
    *, method: PaymentMethod, payment_ids: Collection[int], charge: Money, reference: str, actor: Actor
) -> Clearing:
    """Note that the money of some payments of a method is in the bank, less what the gateway kept of it.

    Cash is remitted by whoever took it: what one agent brings is recorded by itself.
    """
    check_may(actor, "payment:clear")
    rows = [row for row in queries.lying_in(method) if row.id in payment_ids and row.currency == charge.currency]
    if not rows or len(rows) < len(set(payment_ids)):
        raise RuleBroken("Choose payments of this list. Somebody else may have cleared them already.", "payment_ids")
    holder, *others = {row.cash_holder_id for row in rows}
    if others:
        raise RuleBroken("Record what each agent remits by itself.", "payment_ids")
    total = Money(sum(row.amount_minor for row in rows), charge.currency)
    arrived = total - charge - taken_back(method, charge.currency)
    if arrived.minor <= 0:
        raise RuleBroken("Nothing would be left to arrive at the bank. Choose more payments.", "charge")
    source = DEBITED[method]
    clearing = add(
        Clearing(
            source=source,
            amount_minor=arrived.minor,
            charge_minor=charge.minor,
            currency=charge.currency,
            reference=reference,
            cleared_on=clock.today(),
            cleared_by_id=actor.id,
        )
    )
    # One of several that clear the same payments at once finds fewer rows than it asks for.
    claimed = update(Payment).where(Payment.id.in_([row.id for row in rows]), Payment.clearing_id.is_(None))
    if db.session.execute(claimed.values(clearing_id=clearing.id)).rowcount != len(rows):  # type: ignore[attr-defined]
        raise RuleBroken("Somebody else has just cleared some of these.", "payment_ids")
    for event, debited, amount in (
        (Event.CLEARED, Account.BANK, arrived),
        (Event.GATEWAY_CHARGE, Account.GATEWAY_CHARGES, charge),
    ):
        ledger.post(
            event,
            clearing.id,
            debit=(debited, COMPANY),
            credit=(source, holder or COMPANY),
            amount=amount,
            on=clock.today(),
        )
    audit.record(
        "clear", clearing, label=reference, actor=actor,
        amount=arrived, charge=charge, payments=len(rows), **({"agent_id": holder} if holder else {}),
    )  # fmt: skip
    return clearing

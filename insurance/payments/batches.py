"""Files for the bank: approved disbursements go out together, each in one batch."""

import hashlib
from datetime import date

from ..billing import queries as billing
from ..core import audit, clock, numbering, settings
from ..core.db import add, lock, transactional
from ..core.errors import RuleBroken
from ..core.money import Money
from ..core.permissions import Actor, check_may
from . import money_out
from .bank import queries
from .bank.domain import BATCH_LIFECYCLE
from .bank.models import BankBatch
from .bank.orders import Order, Party, payout_file


@transactional
def make(*, currency: str, actor: Actor) -> BankBatch:
    """Put all approved orders in a currency that have an account into one file."""
    check_may(actor, "bank:make_batch")
    company = settings.get("bank")
    if not company:
        raise RuleBroken("Enter the company's own bank account in the settings first.")
    orders = billing.orders_for_batch(currency)
    if not orders:
        raise RuleBroken(f"No approved disbursement in {currency} waits for a file.")
    total = sum((order.amount for order in orders), Money.zero(currency))
    number = numbering.take("BAT")
    content = payout_file(
        number,
        Party(**company),
        [
            Order(
                id=queries.end_to_end_id(order.id),
                party=Party(order.payee_name, order.account_number, order.bic),
                amount=order.amount,
                reference=order.reason,
            )
            for order in orders
        ],
        at=clock.now(),
        on=clock.today(),
    )
    for order in orders:
        order.batch_number = number
    batch = add(
        BankBatch(
            number=number,
            count=len(orders),
            total_minor=total.minor,
            currency=currency,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=clock.now(),
            created_by_id=actor.id,
        )
    )
    audit.record("make", batch, label=number, actor=actor, total=total, count=len(orders), sha256=batch.sha256)
    return batch


@transactional
def send(*, batch_id: int, on: date, actor: Actor) -> BankBatch:
    """Record that the bank has the file: every order in it is on its way."""
    check_may(actor, "bank:send_batch")
    batch = lock(BankBatch, batch_id)
    batch.status = BATCH_LIFECYCLE.next(batch.status, "send")
    batch.sent_on = on
    for order in billing.orders_in_batch(batch.number):
        reference = queries.end_to_end_id(order.id)
        money_out.send(id=order.id, reference=reference, on=on, batch_number=batch.number, actor=actor)
    audit.record("send", batch, label=batch.number, actor=actor, sent_on=on)
    return batch


@transactional
def discard(*, batch_id: int, reason: str, actor: Actor) -> BankBatch:
    """Give a batch up that the bank never got: its orders wait for another one."""
    check_may(actor, "bank:make_batch")
    batch = lock(BankBatch, batch_id)
    batch.status = BATCH_LIFECYCLE.next(batch.status, "discard")
    for order in billing.orders_in_batch(batch.number):
        order.batch_number = ""
    audit.record("discard", batch, label=batch.number, actor=actor, reason=reason)
    return batch

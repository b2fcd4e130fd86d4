"""Files for the bank: approved disbursements go out together, direct debits of a day come in, each in one batch."""

import hashlib
from datetime import date

from ..billing import queries as billing
from ..core import audit, clock, numbering, settings
from ..core.dates import add_working_days
from ..core.db import add, lock, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.money import Money
from ..core.permissions import Actor, check_may
from ..core.person_keys import ERASED
from . import money_out
from .bank import queries
from .bank.domain import BATCH_LIFECYCLE, BatchStatus
from .bank.matching import debit_id
from .bank.models import BankBatch
from .bank.orders import Order, Party, collection_file, payout_file
from .services import direct_debit


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
                party=_party(order.payee_name, order.account_number, order.bic),
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
    return _made(number, total, len(orders), content, None, actor)


@transactional
def collect(*, on: date, actor: Actor) -> BankBatch | None:
    """Put all direct debits of a day that are in no file yet into one; none, if nothing of them is left to collect.

    Where that day is too near by now, the bank is asked for the next working day.
    """
    check_may(actor, "bank:make_batch")
    creditor = billing.creditor()
    if creditor is None:
        raise RuleBroken("Enter the company's account and creditor identifier in the settings first.")
    total = direct_debit.make_ready(on)
    rows = queries.waiting_on(on)
    if not rows:
        return None
    collect_on = max(on, add_working_days(clock.today(), 1))
    number = numbering.take("BAT")
    content = collection_file(
        number,
        Party(**creditor),
        [
            Order(
                id=debit_id(row.Payment.id),
                party=_party(row.Mandate.holder_name, row.Mandate.account_number, row.Mandate.bic),
                amount=row.Payment.amount,
                reference=f"Invoice {row.Invoice.number}",
                mandate=row.Mandate.number,
                signed_on=row.Mandate.signed_on,
            )
            for row in rows
        ],
        at=clock.now(),
        on=collect_on,
    )
    for row in rows:
        row.Collection.batch_number = number
    return _made(number, total, len(rows), content, collect_on, actor)


def _party(name: str, account_number: str, bic: str) -> Party:
    if account_number == ERASED:
        raise Conflict(f"The data of {name} were erased, and the account with them. Cancel what is to be paid there.")
    return Party(name, account_number, bic)


def _made(number: str, total: Money, count: int, content: bytes, collect_on: date | None, actor: Actor) -> BankBatch:
    batch = add(
        BankBatch(
            number=number,
            count=count,
            total_minor=total.minor,
            currency=total.currency,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=clock.now(),
            created_by_id=actor.id,
            collect_on=collect_on,
        )
    )
    audit.record("make", batch, label=number, actor=actor, total=total, count=count, sha256=batch.sha256)
    return batch


@transactional
def send(*, batch_id: int, on: date, actor: Actor) -> BankBatch:
    """Record that the bank has the file: every order in it is on its way. Direct debits are pending as before."""
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
    """Give a batch up that the bank never got: its orders and direct debits wait for another one."""
    check_may(actor, "bank:make_batch")
    batch = lock(BankBatch, batch_id)
    batch.status = BATCH_LIFECYCLE.next(batch.status, "discard")
    for order in billing.orders_in_batch(batch.number):
        order.batch_number = ""
    for row in queries.collections_in(batch.number):
        row.Collection.batch_number = ""
    audit.record("discard", batch, label=batch.number, actor=actor, reason=reason)
    return batch


@transactional
def settle(*, batch_id: int, on: date, actor: Actor) -> BankBatch:
    """Record that the bank has credited a file: what of it is still pending is paid. What came back before stays so."""
    check_may(actor, "bank:confirm")
    batch = lock(BankBatch, batch_id)
    if not batch.collects or batch.status is not BatchStatus.SENT:
        raise Conflict("Only a file of direct debits that the bank was given can be credited.")
    if on > clock.today():
        raise RuleBroken("The day must be today or in the past.", "on")
    rows = queries.collections_in(batch.number)
    billing.lock_accounts([row.BillingAccount.id for row in rows])  # all before any number is taken
    for row in rows:
        direct_debit.settle(payment_id=row.Payment.id, on=on, actor=actor)
    audit.record("settle", batch, label=batch.number, actor=actor, on=on)
    return batch

"""Money in the bank that nobody knows the owner of: it waits for a person, who finds one or sends it back."""

from datetime import date

from ...billing.models import BillingAccount
from ...core import audit, clock
from ...core.db import add, lock, transactional
from ...core.errors import RuleBroken
from ...core.idempotency import once
from ...core.money import Money
from ...core.permissions import Actor, check_may
from ...ledger import services as ledger
from ...ledger.domain import COMPANY, Account, Event
from .. import queries
from ..domain import SUSPENSE_LIFECYCLE, PaymentMethod
from ..models import Payment, SuspenseItem
from . import intake


@transactional
@once(SuspenseItem)
def record(*, amount: Money, received_on: date, reference: str, payer: str, actor: Actor) -> SuspenseItem:
    """Record money that came to the bank and matches nothing; `payer` is what the statement says of who sent it."""
    check_may(actor, "suspense:record")
    if received_on > clock.today():
        raise RuleBroken("The day on which it came must be today or in the past.", "received_on")
    item = add(
        SuspenseItem(
            amount_minor=amount.minor,
            currency=amount.currency,
            received_on=received_on,
            reference=reference,
            payer=payer,
            status=SUSPENSE_LIFECYCLE.initial,
            recorded_by_id=actor.id,
            created_at=clock.now(),
        )
    )
    _post(Event.SUSPENSE, item, debit=Account.BANK, credit=Account.SUSPENSE)
    audit.record("record", item, label=_label(item), actor=actor, amount=amount, payer=payer, reference=reference)
    return item


@transactional
def match(*, suspense_id: int, number: str, actor: Actor) -> Payment:
    """Find whose money it is, by an invoice or a policy: it becomes a payment with its receipt."""
    check_may(actor, "suspense:match")
    named = queries.named_in(number, actor)
    if named is None:
        raise RuleBroken("No invoice and no policy has this number.", "number")
    account, invoice = named
    account = lock(BillingAccount, account.id)
    item = lock(SuspenseItem, suspense_id)
    item.status = SUSPENSE_LIFECYCLE.next(item.status, "match")
    payment = intake.create(
        account, invoice.id if invoice else None, item.amount, PaymentMethod.BANK_TRANSFER, item.received_on, actor
    )
    payment.reference = item.reference
    intake.process(account, payment, actor, event=Event.SUSPENSE_MATCHED, comes_from=Account.SUSPENSE)
    item.payment_id = payment.id
    audit.record("match", item, label=_label(item), actor=actor, number=number, payment_id=payment.id)
    return payment


@transactional
def return_(*, suspense_id: int, reason: str, actor: Actor) -> SuspenseItem:
    """Note that the bank has sent the money back to whoever it came from."""
    check_may(actor, "suspense:return")
    item = lock(SuspenseItem, suspense_id)
    item.status = SUSPENSE_LIFECYCLE.next(item.status, "return")
    item.reason = reason
    _post(Event.SUSPENSE, item, debit=Account.SUSPENSE, credit=Account.BANK)
    audit.record("return", item, label=_label(item), actor=actor, amount=item.amount, reason=reason)
    return item


def _post(event: Event, item: SuspenseItem, *, debit: Account, credit: Account) -> None:
    ledger.post(event, item.id, debit=(debit, COMPANY), credit=(credit, COMPANY), amount=item.amount, on=clock.today())


def _label(item: SuspenseItem) -> str:
    return item.payer or item.reference

"""Direct debit: a payer's mandate, and the invoices that are collected under it, each once.

A payment is begun with its announcement some working days before; it goes to the bank in a file (batches), and is
settled, or comes back, when the bank says so. Until then it is pending, and nobody is asked to pay or warned meanwhile.
"""

from datetime import date

from flask import current_app

from ...billing import queries as billing
from ...billing.domain import check_debtor_account, masked
from ...billing.models import OPEN, BillingAccount, Invoice, Mandate
from ...billing.services.announcement import announcement
from ...core import audit, clock, numbering, person_keys
from ...core.dates import in_words
from ...core.db import add, db, lock, transactional
from ...core.errors import Conflict, RuleBroken
from ...core.money import Money
from ...core.permissions import SYSTEM, Actor, check_may
from ...customers.models import Customer
from .. import queries
from ..bank import queries as bank
from ..bank.domain import BatchStatus
from ..domain import PaymentMethod, PaymentStatus
from ..models import Collection, Payment
from . import autopay, intake

CURRENCY = "EUR"
"""The only currency in which SEPA collects."""


# Mandates


@transactional
def give(
    *,
    account_id: int,
    holder_name: str,
    account_number: str,
    bic: str = "",
    signed_on: date | None = None,
    actor: Actor,
) -> Mandate:
    """Let an account's invoices be collected from now on; what was signed on paper is entered with its day."""
    check_may(actor, "mandate:give")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    creditor = billing.creditor()
    if not is_offered(account) or creditor is None:
        raise RuleBroken("Direct debit is for policies in euro, once the company has a creditor identifier.")
    if not db.session.get_one(Customer, account.customer_id).email:
        raise RuleBroken("Each debit is announced by e-mail. Enter an e-mail address of this customer first.")
    if billing.find_mandate(account.id):
        raise Conflict("This policy has a mandate already. Revoke it first.")
    if signed_on and signed_on > clock.today():
        raise RuleBroken("The day of the signature must be today or in the past.", "signed_on")
    account_number, bic = check_debtor_account(account_number, bic)
    standing = queries.find_autopay(account.id)
    if standing and standing.active:
        autopay.end(standing, account, "Invoices are collected by direct debit", actor)
    mandate = add(
        Mandate(
            number=numbering.take("MND"),
            account_id=account.id,
            holder_name=holder_name,
            sealed_account=person_keys.seal(account.customer_id, account_number, Mandate.PLACE),
            bic=bic,
            signed_on=signed_on or clock.today(),
            given_by_id=actor.id,
            created_at=clock.now(),
        )
    )
    autopay.tell(
        "mandate_given",
        account,
        **_named(mandate),
        holder=mandate.holder_name,
        signed_on=in_words(mandate.signed_on),
        creditor=creditor["name"],
        creditor_id=creditor["creditor_id"],
    )
    audit.record("give", mandate, label=mandate.number, actor=actor, signed_on=mandate.signed_on)
    return mandate


def is_offered(account: BillingAccount) -> bool:
    """Whether invoices of an account can be collected at all."""
    return account.currency == CURRENCY and billing.creditor() is not None


@transactional
def revoke(*, account_id: int, reason: str, actor: Actor) -> Mandate:
    """Collect nothing more under an account's mandate, but for what is in a file for the bank already."""
    check_may(actor, "mandate:revoke")
    account = lock(BillingAccount, billing.get_account(account_id, actor).id)
    mandate = billing.find_mandate(account.id)
    if mandate is None:
        raise Conflict("There is no mandate to revoke any more.")
    _end(mandate, account, reason, actor)
    gone = [
        f"{payment.amount.in_words} on {in_words(collection.collect_on)}"
        for collection, payment in bank.pending_under(mandate.id)
    ]
    still = f"Only this is with the bank already: {', '.join(gone)}." if gone else "Nothing more is collected."
    autopay.tell("mandate_revoked", account, **_named(mandate), still=still)
    return mandate


def _end(mandate: Mandate, account: BillingAccount, reason: str, actor: Actor) -> None:
    mandate.revoked_on, mandate.end_reason = clock.today(), reason
    for collection, payment in bank.pending_under(mandate.id):
        if not collection.batch_number:
            drop(payment, account, actor)
    audit.record("revoke", mandate, label=mandate.number, actor=actor, reason=reason)


def drop(payment: Payment, account: BillingAccount, actor: Actor) -> None:
    """Give a direct debit up that no bank was asked for, as part of the act that makes it needless."""
    intake.move(payment, "fail")
    audit.record("drop", payment, label=account.policy_number, actor=actor, amount=payment.amount)


def _named(mandate: Mandate) -> dict[str, str]:
    return {"mandate": mandate.number, "account": masked(mandate.account_number)}


# Collecting


def collect_due(*, on: date) -> int:
    """Begin to collect every invoice with a mandate that falls due within the lead; how many. Repeated, none twice."""
    plan = billing.collection_plan()
    by = plan.due_by(on)
    return sum(_begin(invoice_id, on) for invoice_id in bank.due_for_collection(by)) if billing.creditor() else 0


@transactional
def _begin(invoice_id: int, on: date) -> bool:
    """Begin to collect an invoice and tell its payer, unless it is no longer called for."""
    account = lock(BillingAccount, db.session.get_one(Invoice, invoice_id).account_id)
    invoice = lock(Invoice, invoice_id)
    mandate = billing.find_mandate(account.id)
    if mandate is None or invoice.status not in OPEN or not is_offered(account):
        return False
    if queries.on_its_way(invoice.id) or bank.was_collected(invoice.id, mandate.id):
        return False
    day = billing.collection_plan().collect_on(invoice.due_on, on)
    payment = intake.create(account, invoice.id, invoice.open, PaymentMethod.DIRECT_DEBIT, on, SYSTEM)
    payment.reference = mandate.number
    intake.move(payment, "submit")
    add(Collection(payment_id=payment.id, invoice_id=invoice.id, mandate_id=mandate.id, collect_on=day))
    told = announcement(mandate, payment.amount, day) or {}
    if not bank.was_announced(invoice.document_id, told):
        autopay.tell("collection_announced", account, number=invoice.number, **told)
    audit.record(
        "begin", payment, label=invoice.number, actor=SYSTEM, amount=payment.amount, mandate=mandate.number, on=day
    )
    return True


@transactional
def settle(*, payment_id: int, on: date, actor: Actor) -> Payment:
    """The bank has collected: the money is here since a day. What came back meanwhile, or is settled, stays so."""
    check_may(actor, "bank:confirm")
    account = lock(BillingAccount, db.session.get_one(Payment, payment_id).account_id)
    payment = lock(Payment, payment_id)
    if payment.status is PaymentStatus.PENDING:
        payment.paid_on = on
        intake.process(account, payment, actor)
        payment.version += 1
    return payment


def check_is_with_bank(payment: Payment) -> None:
    """Refuse to settle or return what no bank was asked for yet."""
    batch = bank.batch_of(payment.id)
    if batch is None or batch.status is not BatchStatus.SENT:
        raise Conflict("The bank has not been given the file with this direct debit yet.")


def came_back(payment: Payment, account: BillingAccount, actor: Actor) -> bool:
    """Note that the bank sent a direct debit back, and tell its payer; whether this payment was one under a mandate.

    Part of the act that takes the payment back. After some returns nothing is collected under the mandate any more.
    """
    collection = db.session.get(Collection, payment.id)
    if collection is None:
        return False
    collection.returned_on = clock.today()
    mandate = db.session.get_one(Mandate, collection.mandate_id)
    invoice = db.session.get_one(Invoice, collection.invoice_id)
    said = {
        **_named(mandate),
        "number": invoice.number,
        "amount": payment.amount.in_words,
        "pay_url": f"{current_app.config['PUBLIC_URL']}/portal/pay/{invoice.id}",
    }
    over = bank.returns_under(mandate.id) >= billing.collection_plan().most_returns
    if over and mandate.revoked_on is None:
        _end(mandate, account, "Direct debits came back", actor)
        autopay.tell("mandate_stopped", account, **said)
    else:
        autopay.tell("collection_returned", account, **said)
    return True


def make_ready(on: date) -> Money:
    """Look again at what is to be collected on a day, with its accounts locked; what it comes to now.

    What was paid another way meanwhile, or has lost its mandate, is given up; of what was paid in part, the rest stays.
    """
    accounts = billing.lock_accounts(bank.accounts_waiting(on))
    total = Money.zero(CURRENCY)
    for row in bank.waiting_on(on):
        account = accounts[row.BillingAccount.id][0]
        if row.Mandate.revoked_on or not row.Invoice.open:
            drop(row.Payment, account, SYSTEM)
            continue
        row.Payment.amount_minor = min(row.Payment.amount_minor, row.Invoice.open_minor)
        total += row.Payment.amount
    return total

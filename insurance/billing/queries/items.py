"""What accounts are to pay, billed or not yet."""

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import Row, Select, func, select

from ...core.db import db
from ...core.money import Money
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import ItemKind
from ..models import BillingAccount, BillingItem, InvoiceLine

CHUNK = 500


def items_of(account_id: int) -> list[BillingItem]:
    """Everything that an account has to pay, in order."""
    return list(
        db.session.scalars(
            select(BillingItem)
            .where(BillingItem.account_id == account_id)
            .order_by(BillingItem.instalment, BillingItem.id)
        )
    )


def unbilled_items(account_id: int) -> list[BillingItem]:
    """What an account will have to pay but has no invoice for yet, in order."""
    statement = _not_billed(date.max).where(BillingItem.account_id == account_id)
    return list(db.session.scalars(statement.order_by(BillingItem.instalment, BillingItem.id)))


def _not_billed(on: date) -> Select:
    return (
        select(BillingItem)
        .outerjoin(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
        .where(BillingItem.bills_on <= on, InvoiceLine.item_id.is_(None))
    )


def items_to_bill(account_ids: Sequence[int], on: date) -> list[BillingItem]:
    """The items of some accounts that bill by a day and stand on no invoice yet, by account and instalment."""
    statement = _not_billed(on).where(BillingItem.account_id.in_(account_ids))
    return list(db.session.scalars(statement.order_by(BillingItem.account_id, BillingItem.instalment, BillingItem.id)))


def accounts_to_bill(on: date) -> Iterator[Sequence[int]]:
    """The accounts with something to bill by a day, chunk by chunk."""
    last = 0
    while True:
        chunk = db.session.scalars(
            _not_billed(on)
            .with_only_columns(BillingItem.account_id)
            .where(BillingItem.account_id > last)
            .distinct()
            .order_by(BillingItem.account_id)
            .limit(CHUNK)
        ).all()
        if chunk:
            yield chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]


def lock_accounts(ids: Sequence[int]) -> dict[int, tuple[BillingAccount, Customer]]:
    """Some accounts, kept from others until the transaction ends, with their customers."""
    locked = select(BillingAccount).where(BillingAccount.id.in_(ids)).order_by(BillingAccount.id).with_for_update()
    accounts = db.session.scalars(locked.execution_options(populate_existing=True)).all()
    of = {account.customer_id for account in accounts}
    people = {customer.id: customer for customer in db.session.scalars(select(Customer).where(Customer.id.in_(of)))}
    return {account.id: (account, people[account.customer_id]) for account in accounts}


Shares = dict[tuple[int, ItemKind], tuple[Money, int]]
"""What each account pays of each kind in all, and in how many items."""


def shares(account_ids: Sequence[int]) -> Shares:
    """What the items of some accounts come to."""
    rows = db.session.execute(
        select(
            BillingItem.account_id,
            BillingItem.kind,
            BillingItem.currency,
            func.sum(BillingItem.amount_minor),
            func.count(),
        )
        .where(BillingItem.account_id.in_(account_ids))
        .group_by(BillingItem.account_id, BillingItem.kind, BillingItem.currency)
    )
    return {(account, kind): (Money(int(minor), currency), parts) for account, kind, currency, minor, parts in rows}


def items_on(invoice_id: int) -> list[BillingItem]:
    """What an invoice demands."""
    return list(
        db.session.scalars(
            select(BillingItem)
            .join(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
            .where(InvoiceLine.invoice_id == invoice_id)
            .order_by(BillingItem.id)
        )
    )


def coming(actor: Actor) -> list[Row]:
    """The instalments in sight that will be invoiced later, the next first."""
    return list(
        db.session.execute(
            select(
                BillingAccount.policy_number,
                BillingItem.instalment,
                BillingItem.instalments,
                BillingItem.due_on,
                func.sum(BillingItem.amount_minor).label("amount_minor"),
                BillingItem.currency,
            )
            .join(BillingAccount, BillingAccount.id == BillingItem.account_id)
            .join(Customer, Customer.id == BillingAccount.customer_id)
            .outerjoin(InvoiceLine, InvoiceLine.item_id == BillingItem.id)
            .where(customers.sight(actor), InvoiceLine.item_id.is_(None))
            .group_by(
                BillingAccount.policy_number,
                BillingItem.instalment,
                BillingItem.instalments,
                BillingItem.due_on,
                BillingItem.currency,
            )
            .order_by(BillingItem.due_on, BillingAccount.policy_number)
            .limit(24)
        )
    )

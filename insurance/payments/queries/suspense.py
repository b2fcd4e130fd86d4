"""Money whose owner nobody knows yet."""

from sqlalchemy import Select, false, select

from ...billing.models import BillingAccount, Invoice
from ...core.db import db
from ...core.errors import NotFound
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import SuspenseStatus
from ..models import SuspenseItem


def suspense_rows(*, status: str = "") -> Select:
    """Suspense items for the list."""
    statement = select(
        SuspenseItem.id,
        SuspenseItem.received_on,
        SuspenseItem.payer,
        SuspenseItem.reference,
        SuspenseItem.amount_minor,
        SuspenseItem.currency,
        SuspenseItem.status,
    )
    return statement.where(SuspenseItem.status == SuspenseStatus(status)) if status else statement


def get_suspense(id: int) -> SuspenseItem:
    """One suspense item."""
    item = db.session.get(SuspenseItem, id)
    if item is None:
        raise NotFound("We cannot find that money.")
    return item


def named_in(reference: str, actor: Actor) -> tuple[BillingAccount, Invoice | None] | None:
    """The account in sight that the number of an invoice or of a policy names, and the invoice if it names one."""
    statement = (
        select(BillingAccount, Invoice)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(customers.sight(actor))
    )
    for found in (
        statement.join(Invoice, Invoice.account_id == BillingAccount.id).where(Invoice.number == reference),
        statement.outerjoin(Invoice, false()).where(BillingAccount.policy_number == reference),
    ):
        if row := db.session.execute(found).first():
            return row[0], row[1]
    return None

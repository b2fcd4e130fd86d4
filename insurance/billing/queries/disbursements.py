"""Money out."""

from collections.abc import Sequence

from sqlalchemy import Row, Select, func, select

from ...accounts.models import User
from ...core.db import db
from ...core.errors import NotFound
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import DisbursementKind, DisbursementStatus
from ..models import BillingAccount, Disbursement
from .items import CHUNK


def disbursement_rows(*, q: str = "", status: str = "", kind: str = "") -> Select:
    """Orders to pay money out, for the list of those who send it."""
    statement = (
        select(
            Disbursement.id,
            Disbursement.kind,
            Disbursement.reason,
            Disbursement.payee_name,
            Disbursement.account_number,
            Disbursement.by_gateway,
            Disbursement.customer_id,
            Disbursement.amount_minor,
            Disbursement.currency,
            Disbursement.status,
            Disbursement.requested_at,
            Customer.name.label("customer_name"),
            User.name.label("maker_name"),
        )
        .join(Customer, Customer.id == Disbursement.customer_id)
        .join(User, User.id == Disbursement.maker_id)
    )
    if q:
        statement = statement.where(
            customers.matches(
                q,
                Disbursement.id,
                (_refunds_of(), BillingAccount.policy_number),
                (select(Disbursement.id).join(Customer, Customer.id == Disbursement.customer_id), Customer.number),
            )
        )
    if status:
        statement = statement.where(Disbursement.status == DisbursementStatus(status))
    if kind:
        statement = statement.where(Disbursement.kind == DisbursementKind(kind))
    return statement


def _refunds_of() -> Select:
    return select(Disbursement.id).join(BillingAccount, BillingAccount.id == Disbursement.account_id)


def get_disbursement(id: int) -> Disbursement:
    """One order to pay money out."""
    order = db.session.get(Disbursement, id)
    if order is None:
        raise NotFound("We cannot find that disbursement.")
    return order


def get_own_disbursement(id: int, actor: Actor) -> Disbursement:
    """One order to pay money out to a customer in sight."""
    order = db.session.scalar(
        select(Disbursement)
        .join(Customer, Customer.id == Disbursement.customer_id)
        .where(Disbursement.id == id, customers.sight(actor))
    )
    if order is None:
        raise NotFound("We cannot find that payment.")
    return order


def own_disbursements(actor: Actor) -> Sequence[Disbursement]:
    """The latest orders to pay money out in the actor's sight: for a customer, to them."""
    return db.session.scalars(
        select(Disbursement)
        .join(Customer, Customer.id == Disbursement.customer_id)
        .where(customers.sight(actor), Disbursement.status != DisbursementStatus.CANCELLED)
        .order_by(Disbursement.id.desc())
        .limit(50)
    ).all()


def orders_for_batch(currency: str) -> Sequence[Disbursement]:
    """The approved orders with an account, in one currency and in no batch yet, kept from others."""
    return db.session.scalars(
        select(Disbursement)
        .where(
            Disbursement.status == DisbursementStatus.APPROVED,
            Disbursement.currency == currency,
            Disbursement.sealed_account != "",
            Disbursement.batch_number == "",
        )
        .order_by(Disbursement.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def waiting_for_batch() -> list[Row]:
    """How many orders wait for a file, and how much they come to, by currency."""
    return list(
        db.session.execute(
            select(Disbursement.currency, func.count(), func.sum(Disbursement.amount_minor))
            .where(
                Disbursement.status == DisbursementStatus.APPROVED,
                Disbursement.sealed_account != "",
                Disbursement.batch_number == "",
            )
            .group_by(Disbursement.currency)
            .order_by(Disbursement.currency)
        )
    )


def orders_in_batch(number: str) -> Sequence[Disbursement]:
    """The orders of a batch."""
    return db.session.scalars(
        select(Disbursement).where(Disbursement.batch_number == number).order_by(Disbursement.id)
    ).all()


def orders_on_their_way(amounts: Sequence[int]) -> Sequence[Disbursement]:
    """The orders that were sent by the bank and have one of some amounts in minor units."""
    return db.session.scalars(
        select(Disbursement)
        .where(Disbursement.status == DisbursementStatus.SENT, Disbursement.amount_minor.in_(amounts))
        .where(~Disbursement.by_gateway)
        .order_by(Disbursement.id)
        .limit(CHUNK)
    ).all()


def find_replacement(id: int) -> Disbursement | None:
    """The order that replaces another one."""
    return db.session.scalar(select(Disbursement).where(Disbursement.replaces_id == id))


def refunds_of(account_id: int) -> Sequence[Disbursement]:
    """The refunds of an account that is in sight already, the newest first."""
    return db.session.scalars(
        select(Disbursement).where(Disbursement.account_id == account_id).order_by(Disbursement.id.desc())
    ).all()


def refunded_to(account_id: int) -> Disbursement | None:
    """The last refund of an account that went, or is to go, to a bank account that did not send it back."""
    return db.session.scalar(
        select(Disbursement)
        .where(Disbursement.account_id == account_id, Disbursement.sealed_account != "")
        .where(Disbursement.status.not_in((DisbursementStatus.CANCELLED, DisbursementStatus.RETURNED)))
        .order_by(Disbursement.id.desc())
        .limit(1)
    )

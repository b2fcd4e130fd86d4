"""What follows when nothing is paid."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, or_, select

from ...core import clock, settings
from ...core.db import db
from ...core.errors import NotFound
from ...core.outbox import Mail, MailStatus
from ...core.permissions import Actor
from ...customers import queries as customers
from ...customers.models import Customer
from ..domain import Ladder, Step
from ..models import OPEN, BillingAccount, DunningNotice, Invoice
from .items import CHUNK


def ladder(product_code: str = "") -> Ladder:
    """The steps as admins have set them for a product; for most products and without one, the standard."""
    return Ladder(**(settings.get(f"dunning {product_code}") or settings.get("dunning")))


def ladders() -> list[tuple[Ladder, ColumnElement[bool]]]:
    """Each ladder, with the condition on the accounts that it is for."""
    own = settings.get_all("dunning ")
    code = BillingAccount.product_code
    return [(ladder(), code.not_in(own)), *((ladder(product), code == product) for product in own)]


def accounts_to_dun(
    on: date, ladder: Ladder, of: ColumnElement[bool], among: Sequence[int] | None = None
) -> Iterator[Sequence[int]]:
    """The accounts that may call for a notice on a day, or those among some, chunk by chunk.

    Each step goes by its own days.
    """

    def sent(step: Step) -> ColumnElement[bool]:
        return (
            select(DunningNotice.id).where(DunningNotice.invoice_id == Invoice.id, DunningNotice.step == step).exists()
        )

    def late_by(step: Step) -> ColumnElement[bool]:
        return Invoice.due_on <= on - timedelta(days=ladder.days(step))

    soon = (Invoice.due_on > on) & (Invoice.due_on <= on - timedelta(days=ladder.reminder)) & ~sent(Step.REMINDER)
    late = (
        late_by(Step.OVERDUE) & ~sent(Step.OVERDUE),
        late_by(Step.SECOND) & sent(Step.OVERDUE) & ~sent(Step.SECOND),
        late_by(Step.CANCELLATION) & sent(Step.SECOND) & ~sent(Step.CANCELLATION),
    )
    wanted = (
        select(Invoice.account_id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(Invoice.status.in_(OPEN), or_(soon, *late), not_held(on), of)
        .distinct()
        .order_by(Invoice.account_id)
        .limit(CHUNK)
    )
    if among is not None:
        wanted = wanted.where(Invoice.account_id.in_(among))
    last = 0
    while chunk := db.session.scalars(wanted.where(Invoice.account_id > last)).all():
        yield chunk
        last = chunk[-1]


def not_held(on: date) -> ColumnElement[bool]:
    """Whether nobody has asked an account's notices to wait."""
    return BillingAccount.hold_until.is_(None) | (BillingAccount.hold_until < on)


def notices_taken(account_ids: Sequence[int]) -> dict[int, dict[Step, date | None]]:
    """The notices about the open invoices of some accounts, and the day on which each was handed over, if it was."""
    rows = db.session.execute(
        select(DunningNotice, Mail)
        .join(Invoice, Invoice.id == DunningNotice.invoice_id)
        .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
        .where(Invoice.account_id.in_(account_ids), Invoice.status.in_(OPEN))
    )
    taken: dict[int, dict[Step, date | None]] = {}
    for notice, mail in rows:
        taken.setdefault(notice.invoice_id, {})[notice.step] = _handed_over(notice, mail)
    return taken


def _handed_over(notice: DunningNotice, mail: Mail | None) -> date | None:
    if notice.posted_on:
        return notice.posted_on
    if mail and mail.status is MailStatus.SENT and mail.sent_at:
        return mail.sent_at.astimezone(clock.zone()).date()
    if mail and mail.status is MailStatus.KEPT:  # where there is no mail server, a mail goes no further than this
        return notice.decided_on
    return None


def printed_lapse(invoice_id: int) -> date | None:
    """The day that the notice of cancellation about an invoice names as the first without cover."""
    return db.session.scalar(
        select(DunningNotice.lapse_on).where(
            DunningNotice.invoice_id == invoice_id, DunningNotice.step == Step.CANCELLATION
        )
    )


def accounts_to_lapse(on: date) -> Sequence[int]:
    """The accounts of which a notice of cancellation has run out by a day, with something open still."""
    return db.session.scalars(
        select(Invoice.account_id)
        .join(DunningNotice, DunningNotice.invoice_id == Invoice.id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(DunningNotice.lapse_on <= on, Invoice.status.in_(OPEN), not_held(on))
        .distinct()
        .order_by(Invoice.account_id)
    ).all()


def _notices(actor: Actor, *columns: Any) -> Select:
    return (
        select(*columns)
        .select_from(DunningNotice)
        .join(Invoice, Invoice.id == DunningNotice.invoice_id)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .join(Customer, Customer.id == BillingAccount.customer_id)
        .where(customers.sight(actor))
    )


def get_notice(id: int, actor: Actor) -> DunningNotice:
    """One notice in sight."""
    notice = db.session.scalar(_notices(actor, DunningNotice).where(DunningNotice.id == id))
    if notice is None:
        raise NotFound("We cannot find that notice.")
    return notice


def notices_about(invoice_id: int) -> list[Row]:
    """The notices about an invoice that is in sight already, with the mail that brought each."""
    return list(
        db.session.execute(
            select(DunningNotice, Mail)
            .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
            .where(DunningNotice.invoice_id == invoice_id)
            .order_by(DunningNotice.id)
        )
    )


def letters_to_post(actor: Actor) -> list[Row]:
    """The notices in sight that no mail can bring: there is no address, or the mail server refused it for good."""
    statement = (
        _notices(
            actor,
            DunningNotice.id,
            DunningNotice.number,
            DunningNotice.step,
            DunningNotice.decided_on,
            DunningNotice.document_id,
            Invoice.number.label("invoice_number"),
            Invoice.id.label("invoice_id"),
            Customer.id.label("customer_id"),
            Customer.name.label("customer_name"),
            Customer.address,
        )
        .outerjoin(Mail, Mail.document_id == DunningNotice.document_id)
        .where(DunningNotice.posted_on.is_(None), or_(Mail.id.is_(None), Mail.status == MailStatus.DEAD))
        .where(Invoice.status.in_(OPEN))
        .order_by(DunningNotice.id)
        .limit(CHUNK)
    )
    return list(db.session.execute(statement))

"""Documents, as far as the actor may see their customer."""

from collections.abc import Sequence

from sqlalchemy import Row, Select, func, select

from ..core.db import db
from ..core.errors import NotFound
from ..core.permissions import Actor
from ..customers import queries as customers
from ..customers.models import Customer
from .models import DeletedFile, Document, StoredFile

MOST = 200
LOOK_BACK = 1000


def get_document(id: int, actor: Actor) -> Document:
    """One document in sight."""
    document = db.session.scalar(
        select(Document)
        .join(Customer, Customer.id == Document.customer_id)
        .where(Document.id == id, customers.sight(actor))
    )
    if document is None:
        raise NotFound("We cannot find that document.")
    return document


def own(actor: Actor) -> Sequence[Row]:
    """The newest documents in the actor's sight: for a customer, their own."""
    return db.session.execute(_newest(actor)).all()


def of_policy(number: str, actor: Actor) -> Sequence[Row]:
    """The newest documents of a policy."""
    return db.session.execute(_newest(actor).where(Document.policy_number == number)).all()


def document_rows(actor: Actor) -> Select:
    """Documents for lists."""
    return (
        select(
            Document.id,
            Document.kind,
            Document.number,
            Document.customer_id,
            Document.policy_number,
            Document.issued_on,
        )
        .join(Customer, Customer.id == Document.customer_id)
        .where(customers.sight(actor))
    )


def _newest(actor: Actor) -> Select:
    return document_rows(actor).order_by(Document.id.desc()).limit(MOST)


def find_file(document_id: int) -> StoredFile | None:
    """A document's archived PDF, if there is one yet."""
    return db.session.scalar(select(StoredFile).where(StoredFile.document_id == document_id))


def to_remove() -> Sequence[Row]:
    """The deleted files whose bytes are still there: id and path."""
    there = select(StoredFile.id, StoredFile.path).join(DeletedFile, DeletedFile.file_id == StoredFile.id)
    return db.session.execute(there.where(DeletedFile.gone_at.is_(None))).all()


def find_newest() -> Document | None:
    """The document that was issued last."""
    return db.session.scalar(select(Document).order_by(Document.id.desc()).limit(1))


def to_archive(limit: int) -> Sequence[int]:
    """The oldest documents without an archived PDF.

    They are archived in order, so only those near the newest archived one are looked at, however many there are.
    """
    newest = select(func.coalesce(func.max(StoredFile.document_id), 0)).scalar_subquery()
    archived = select(StoredFile.id).where(StoredFile.document_id == Document.id).exists()
    statement = select(Document.id).where(Document.id > newest - LOOK_BACK, ~archived)
    return db.session.scalars(statement.order_by(Document.id).limit(limit)).all()

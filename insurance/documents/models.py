"""Issued documents, as data that prints the same bytes again, and the files that are kept."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, append_only, identity, words


class DocumentKind(StrEnum):
    """What a document is; each kind has a PDF template of the same name."""

    INVOICE = "invoice"
    RECEIPT = "receipt"
    CREDIT_NOTE = "credit_note"
    NOTICE = "notice"


@append_only
class Document(Base):
    """A document as it was issued: its kind and the data it was made of, written once."""

    __tablename__ = "documents"
    __table_args__ = (Index(None, "customer_id", "id"),)

    id: Mapped[int] = identity()
    kind: Mapped[DocumentKind] = mapped_column(words(DocumentKind))
    number: Mapped[str] = mapped_column(String(20), index=True)
    customer_id: Mapped[int] = mapped_column(BigId, ForeignKey("customers.id"))
    policy_number: Mapped[str] = mapped_column(String(20))
    issued_on: Mapped[date]
    issued_at: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


@append_only
class StoredFile(Base):
    """A file under DATA_DIR/files with a random name: an archived document or an upload."""

    __tablename__ = "stored_files"

    id: Mapped[int] = identity()
    path: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    content_type: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigId)
    sha256: Mapped[str] = mapped_column(String(64))
    document_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("documents.id"), unique=True)
    uploaded_by_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("size > 0", name="size_positive"),)


class DeletedFile(Base):
    """A file whose time is over: its row stays, for rows are written once; its bytes are gone once `gone_at` is set."""

    __tablename__ = "deleted_files"

    file_id: Mapped[int] = mapped_column(BigId, ForeignKey("stored_files.id"), primary_key=True, autoincrement=False)
    deleted_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]

"""Issuing documents, archiving their PDFs, and keeping files."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from flask import current_app

from ..core import clock, settings
from ..core.dates import in_words
from ..core.db import INSERT, add, db, lock, transaction, transactional
from ..core.errors import NotFound
from ..core.permissions import Actor
from ..customers.models import Customer
from . import pdf as pdfs
from . import queries
from .models import DeletedFile, Document, DocumentKind, StoredFile


class DamagedFileError(Exception):
    """A stored file is no longer what was stored."""


class File(Protocol):
    """A file that is safe to keep, such as an upload that was checked."""

    @property
    def name(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def sha256(self) -> str: ...


def issue(*, kind: DocumentKind, number: str, customer: Customer, policy_number: str, data: dict[str, Any]) -> Document:
    """Issue a document within the caller's transaction."""
    return add(written(kind=kind, number=number, customer=customer, policy_number=policy_number, data=data))


def written(
    *, kind: DocumentKind, number: str, customer: Customer, policy_number: str, data: dict[str, Any]
) -> Document:
    """A document that is issued as soon as it is inserted.

    `data` has what its kind asks for (see pdf.render); company, customer, numbers and the day are added here.
    """
    today = clock.today()
    return Document(
        kind=kind,
        number=number,
        customer_id=customer.id,
        policy_number=policy_number,
        issued_on=today,
        issued_at=clock.now(),
        data=letterhead(number=number, customer=customer, policy_number=policy_number) | data,
    )


def letterhead(*, number: str, customer: Customer, policy_number: str) -> dict[str, Any]:
    """What every document says, of whatever kind: from whom, to whom, about which policy, when."""
    return {
        "company": settings.company(),
        "customer": {"name": customer.name, "address": customer.address, "number": customer.number},
        "policy_number": policy_number,
        "number": number,
        "issued_on": in_words(clock.today()),
    }


def pdf(document: Document) -> bytes:
    """A document's PDF: as archived, or made now where the worker has not come to it yet."""
    stored = queries.find_file(document.id)
    return read(stored) if stored else pdfs.render(document.kind, document.data, issued_on=document.issued_on)


def archive_due(limit: int = 20) -> int:
    """Archive the PDFs of documents that have none yet; how many. One that cannot be made does not stop the others."""
    archived = 0
    for document_id in queries.to_archive(limit):
        try:
            _archive(db.session.get_one(Document, document_id))
            archived += 1
        except Exception:
            current_app.logger.exception("document %s could not be archived", document_id)
    return archived


def archive_newest() -> None:
    """Archive the newest document alone: those long before it are then made whenever somebody asks for them."""
    newest = queries.find_newest()
    if newest:
        _archive(newest)


def _archive(document: Document) -> None:
    document_id, name = document.id, file_name(document)
    data = pdfs.render(document.kind, document.data, issued_on=document.issued_on)
    with transaction():
        lock(Document, document_id)
        if queries.find_file(document_id):  # another worker was faster
            return
        add(
            StoredFile(
                path=_write(data, f"document-{document_id}.pdf"),
                name=name,
                content_type="application/pdf",
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                document_id=document_id,
                created_at=clock.now(),
            )
        )


def file_name(document: Document) -> str:
    """What a document's file is called: Invoice INV-2026-000001.pdf."""
    return f"{document.kind.replace('_', ' ').capitalize()} {document.number}.pdf"


@transactional
def store(clean: File, *, actor: Actor) -> StoredFile:
    """Keep an upload that was checked."""
    return add(
        StoredFile(
            path=_write(clean.data, secrets.token_hex(16) + Path(clean.name).suffix.lower()),
            name=clean.name,
            content_type=clean.content_type,
            size=len(clean.data),
            sha256=clean.sha256,
            uploaded_by_id=actor.id,
            created_at=clock.now(),
        )
    )


def read(stored: StoredFile) -> bytes:
    """A stored file's bytes, if they are still those that were stored."""
    if db.session.get(DeletedFile, stored.id):
        raise NotFound("This file was deleted when its time was over.")
    data = _place(stored.path).read_bytes()
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        raise DamagedFileError(f"{stored.path} has changed since it was stored")
    return data


@transactional
def delete_files(file_ids: Iterable[int]) -> None:
    """Let nobody have these files any more; their bytes go with the next `remove_deleted`, after the commit."""
    rows = [{"file_id": file_id, "deleted_at": clock.now()} for file_id in file_ids]
    if rows:
        new: Any = INSERT[db.engine.dialect.name](DeletedFile).values(rows)
        db.session.execute(new.on_conflict_do_nothing())


def remove_deleted() -> None:
    """Remove the bytes of deleted files. Broken off, it is simply done again."""
    for file_id, path in queries.to_remove():
        _place(path).unlink(missing_ok=True)
        with transaction():
            lock(DeletedFile, file_id).gone_at = clock.now()


def _write(data: bytes, path: str) -> str:
    """Write a file, safe on disk before a row speaks of it; in the place of one that no row came to speak of."""
    place = _place(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with place.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk keeps no half of it
        place.unlink(missing_ok=True)
        raise
    return path


def folder() -> Path:
    """Where files lie."""
    return current_app.config["DATA_DIR"] / "files"


def _place(path: str) -> Path:
    return folder() / path

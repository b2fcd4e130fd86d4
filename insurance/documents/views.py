"""The one page of documents, the PDF itself, and how kept files are sent."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..web.guard import requires
from . import queries, services
from .models import StoredFile

bp = Blueprint("documents", __name__)


@bp.get("/documents/<int:document_id>.pdf")
@requires("document:read")
def pdf(document_id: int) -> ResponseReturnValue:
    """A document, to read in the browser or to save."""
    document = queries.get_document(document_id, current_user)
    response = Response(services.pdf(document), mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=services.file_name(document))
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def download(stored: StoredFile) -> Response:
    """A kept file, as a download that no browser runs."""
    response = Response(services.read(stored), mimetype=stored.content_type)
    response.headers.set("Content-Disposition", "attachment", filename=stored.name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response

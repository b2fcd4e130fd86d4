"""The one page of documents: the PDF itself."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..web.guard import requires
from . import queries, services

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

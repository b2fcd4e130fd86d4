"""The document of the API, its page, a collection to download, and addresses without a version."""

from typing import Any

from flask import Response, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from pydantic_core import to_json

from ..web.guard import public
from . import api
from .document import ERRORS, document
from .operations import VERSION
from .postman import collection

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _document() -> dict[str, Any]:
    """The document; the code that it is made of does not change while the process runs."""
    kept = current_app.extensions.get("openapi")
    if kept is None:
        kept = current_app.extensions["openapi"] = document(api.operations, current_app.config["PUBLIC_URL"])
    return kept


@api.get(f"{VERSION}/openapi.json", strict_slashes=False)
@public
def openapi() -> Response:
    return Response(to_json(_document()), mimetype="application/json")


@api.get(f"{VERSION}/docs", strict_slashes=False)
@public
def docs() -> str:
    """Every operation with its fields, an example and a command to try it."""
    return render_template("api/docs.html", document=_document(), refusals=list(ERRORS.items()))


@api.get(f"{VERSION}/postman.json", strict_slashes=False)
@public
def postman() -> Response:
    """All operations as a Postman collection, which Bruno and Insomnia read as well."""
    headers = {"Content-Disposition": 'attachment; filename="insurance-api.postman_collection.json"'}
    return Response(to_json(collection(_document())), headers=headers, mimetype="application/json")


@public
def unversioned(**_parts: str) -> ResponseReturnValue:
    """Lead to the present version, whatever the method."""
    path = request.path.removeprefix(str(api.url_prefix)).rstrip("/")
    query = request.query_string.decode("ascii", "replace")
    return redirect(f"{api.url_prefix}{VERSION}{path}" + (f"?{query}" if query else ""), 308)


for name in ("openapi.json", "docs", *sorted({operation.tag for operation in api.operations})):
    for rule in (f"/{name}", f"/{name}/<path:rest>"):
        api.add_url_rule(rule, view_func=unversioned, methods=METHODS, strict_slashes=False)

"""The document of the API, its page, and addresses without a version."""

from flask import redirect, request
from flask.typing import ResponseReturnValue

from ..web.guard import public
from . import api
from .operations import VERSION


@public
def unversioned(**_parts: str) -> ResponseReturnValue:
    """Lead to the present version, whatever the method."""
    path = request.path.removeprefix(str(api.url_prefix)).rstrip("/")
    query = request.query_string.decode("ascii", "replace")
    return redirect(f"{api.url_prefix}{VERSION}{path}" + (f"?{query}" if query else ""), 308)


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
for name in sorted({operation.tag for operation in api.operations}):
    for rule in (f"/{name}", f"/{name}/<path:rest>"):
        api.add_url_rule(rule, view_func=unversioned, methods=METHODS, strict_slashes=False)

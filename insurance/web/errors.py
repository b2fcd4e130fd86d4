"""What people see when something is refused or goes wrong."""

from flask import Flask, Response, current_app, g, render_template, request
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from ..api import problems
from ..core.db import db
from ..core.errors import Refusal
from . import guard

HEADINGS = {
    400: "We could not read that",
    401: "Sign in first",
    403: "You may not do this",
    404: "We cannot find that page",
    405: "This page is not used like that",
    409: "This has changed in the meantime",
    413: "That is too large",
    422: "That cannot be done",
    429: "Too many tries",
    500: "Something went wrong on our side",
}
MESSAGES = {
    400: "Go back, check what you entered and send it again.",
    404: "Check the address, or go to your home page. Perhaps the record is not yours to see.",
    405: "Go back and use the buttons on the page.",
    413: "Each file may have 10 MB. Send fewer or smaller files at once.",
    500: "Nothing was changed. Try again; if it happens again, call us.",
}
PROBLEMS = {
    400: "The request is not readable.",
    404: "There is no such address.",
    405: "The address does not take this method.",
    413: "The body may have 1 MB.",
}
"""What programs are told where an operation has not said it better."""
SAID_BY_OPERATIONS = {400, 415}
TOLD = {401, 403, 429}
"""Refusals that may be an attack: whoever watches the log reads of them."""


def register(app: Flask) -> None:
    """Give refusals, HTTP errors and faults their page."""
    app.register_error_handler(Refusal, _refusal)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)


def _refusal(error: Refusal) -> ResponseReturnValue:
    if error.status in TOLD:
        fields = {"status": error.status, "user": g.get("user_id"), "address": request.remote_addr}
        current_app.logger.warning("refused", extra={"fields": fields})
    if guard.is_for_programs():
        return problems.respond(error.status, error.message, problems.errors_of(error))
    return _page(error.status, error.message)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    if guard.is_for_programs():
        said = error.description if error.code in SAID_BY_OPERATIONS else None
        kept = {name: value for name, value in error.get_headers() if name == "Allow"}
        return problems.respond(error.code, said or PROBLEMS.get(error.code, PROBLEMS[400]), headers=kept)
    message = (error.description if isinstance(error, CSRFError) else None) or MESSAGES.get(error.code, MESSAGES[400])
    return _page(error.code, message)


def _fault(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("fault", exc_info=error)
    db.session.rollback()  # a connection that was cut leaves a transaction in which nothing can be asked
    if guard.is_for_programs():
        return problems.respond(500, MESSAGES[500])
    try:
        return _page(500, MESSAGES[500], plain=True)
    except DBAPIError:  # even the frame of a page asks the database who is there
        return Response(f"{HEADINGS[500]}. {MESSAGES[500]}", 500, mimetype="text/plain")


def _page(code: int, message: str, plain: bool = False) -> ResponseReturnValue:
    heading = HEADINGS.get(code, HEADINGS[400])
    if request_ctx.url_adapter is None:  # the request is for a host that is not ours, or for none: no page has a link
        return Response(f"{heading}. {message}", code, mimetype="text/plain")
    # An unknown address may be hit by programs: the page asks the database for no more than it must.
    plain = plain or not request.endpoint or not current_user.is_authenticated
    return (
        render_template(
            "errors/error.html",
            code=code,
            heading=heading,
            message=message,
            reference=g.get("request_id", "") if code >= 500 else "",
            **({"shell": "public"} if plain else {}),
        ),
        code,
    )

"""Pages for everybody: the front, help, accessibility, privacy."""

from flask import Blueprint, render_template

from .guard import public

bp = Blueprint("public", __name__)


@bp.get("/")
@public
def front() -> str:
    return render_template("public/front.html")


@bp.get("/help")
@public
def get_help() -> str:
    return render_template("public/help.html")


@bp.get("/accessibility")
@public
def accessibility() -> str:
    return render_template("public/accessibility.html")


@bp.get("/privacy")
@public
def privacy() -> str:
    return render_template("public/privacy.html")

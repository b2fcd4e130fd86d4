"""The admins' overview and records that only they see: pages made of other features."""

from flask import Blueprint

bp = Blueprint("admin", __name__, url_prefix="/admin")

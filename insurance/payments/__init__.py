"""Money that moved: receipts and their allocation, refunds, disbursements carried out."""

from flask import Blueprint

bp = Blueprint("payments", __name__)

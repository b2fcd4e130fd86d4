"""The admins' pages, one module a topic."""

from . import disbursements, ledger, outbox, overview, records, settings, users

__all__ = ["disbursements", "ledger", "outbox", "overview", "records", "settings", "users"]

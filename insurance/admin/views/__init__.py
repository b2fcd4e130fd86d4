"""The admins' pages, one module a topic."""

from . import ledger, outbox, overview, records, settings, users

__all__ = ["ledger", "outbox", "overview", "records", "settings", "users"]

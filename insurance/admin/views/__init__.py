"""The admins' pages, one module a topic."""

from . import disbursements, outbox, overview, records, settings, users

__all__ = ["disbursements", "outbox", "overview", "records", "settings", "users"]

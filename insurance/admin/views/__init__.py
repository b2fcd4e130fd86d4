"""The admins' pages, one module a topic."""

from . import outbox, overview, records, settings, users

__all__ = ["outbox", "overview", "records", "settings", "users"]

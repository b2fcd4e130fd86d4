"""The portal's pages, one module a topic."""

from . import claims, home, payments

__all__ = ["claims", "home", "payments"]

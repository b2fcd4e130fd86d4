"""The pages of payments, one module a topic."""

from . import bank, clearing, gateway, mandates, payments, payouts, suspense

__all__ = ["bank", "clearing", "gateway", "mandates", "payments", "payouts", "suspense"]

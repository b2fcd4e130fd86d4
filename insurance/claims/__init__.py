"""Losses: notice, cover check, decision, payout."""

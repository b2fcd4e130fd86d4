"""Quotes, policies and their history: one record with a stack of transactions."""

"""Worksheets: why an amount is what it is, step by step in words and figures, by the code that works it out."""

from .money import Money

Worksheet = list[dict[str, str]]
"""Steps with label, text and amount, as documents and records keep them."""


def step(label: str, text: str, amount: Money) -> dict[str, str]:
    """One step; the amount is what it adds or takes off, or what it leads to, as the words say."""
    return {"label": label, "text": text, "amount": amount.in_words}

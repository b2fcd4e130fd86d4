"""What a line of a statement may be: proposals with a reason in words and a score, the best first."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ...core.money import Money
from .statements import Line

NUMBER = re.compile(r"[A-Z]{3}-?[0-9]{4}-?[0-9]{6,}")
DEBIT = re.compile(r"\bIN-([0-9]{8,18})\b")


@dataclass(frozen=True)
class OpenInvoice:
    """An invoice that money may be for."""

    id: int
    account_id: int
    number: str
    policy_number: str
    holder_name: str
    open: Money
    due_on: date


@dataclass(frozen=True)
class OpenOrder:
    """A disbursement on its way: it may arrive, or come back."""

    id: int
    end_to_end_id: str
    reason: str
    payee_name: str
    amount: Money


@dataclass(frozen=True)
class OpenDebit:
    """A direct debit that the bank was asked for: it may be collected, or come back even after that."""

    payment_id: int
    end_to_end_id: str
    about: str
    amount: Money
    is_pending: bool


@dataclass(frozen=True)
class OpenBatch:
    """A file of direct debits, which the bank may credit in one sum."""

    id: int
    number: str
    total: Money


@dataclass(frozen=True)
class Proposal:
    """What a line is taken for.

    `act` is pay (an invoice), settle or return (a disbursement), collect or fail (a direct debit), or collect_all (a
    file of them).
    """

    act: str
    target_id: int
    account_id: int
    label: str
    reason: str
    score: int


def propose(
    line: Line,
    invoices: Iterable[OpenInvoice],
    orders: Iterable[OpenOrder],
    debits: Iterable[OpenDebit] = (),
    batches: Iterable[OpenBatch] = (),
    most: int = 3,
) -> list[Proposal]:
    """The best proposals for a line. Nothing is proposed by the amount or the name alone.

    What is a direct debit of ours is nothing else: the invoice that its reference names would be paid twice.
    """
    collected = [_debit(line, debit) for debit in debits] + [_batch(line, batch) for batch in batches]
    if ours := [proposal for proposal in collected if proposal]:
        return ours[:most]
    found = [_pay(line, invoice) for invoice in invoices] if line.amount.minor > 0 else []
    found += [_order(line, order) for order in orders]
    good = [proposal for proposal in found if proposal and proposal.score >= 50]
    return sorted(good, key=lambda proposal: (-proposal.score, proposal.label))[:most]


def numbers_in(text: str) -> set[str]:
    """The numbers of records in a reference, whether written with hyphens or without."""
    return {re.sub(r"([A-Z]{3})-?([0-9]{4})-?", r"\1-\2-", number) for number in NUMBER.findall(text.upper())}


def _pay(line: Line, invoice: OpenInvoice) -> Proposal | None:
    if line.amount.currency != invoice.open.currency:
        return None
    named = numbers_in(line.reference)
    reasons, score = [], 0
    if invoice.number in named:
        reasons, score = [f"The reference names invoice {invoice.number}"], 60
    elif invoice.policy_number in named:
        reasons, score = [f"The reference names policy {invoice.policy_number}"], 45
    if line.amount == invoice.open:
        reasons.append("the amount is just what is open")
        score += 30
    if _same_name(line.party, invoice.holder_name):
        reasons.append("the payer has the policyholder's name")
        score += 25
    label = f"Invoice {invoice.number} of {invoice.holder_name}"
    return Proposal("pay", invoice.id, invoice.account_id, label, _sentence(reasons), min(score, 100))


def _order(line: Line, order: OpenOrder) -> Proposal | None:
    """Money that went may have settled an order; the same amount coming in may be its return."""
    if Money(abs(line.amount.minor), line.amount.currency) != order.amount:
        return None
    reasons, score = [], 0
    if order.end_to_end_id and order.end_to_end_id in line.reference.upper():
        reasons, score = [f"The reference is that of our order {order.end_to_end_id}"], 70
    elif numbers_in(order.reason) & numbers_in(line.reference):
        reasons, score = [f"The reference names {order.reason}"], 50
    reasons.append("the amount is the order's")
    score += 20
    if _same_name(line.party, order.payee_name):
        reasons.append("the payee has the same name")
        score += 30
    act = "settle" if line.amount.minor < 0 else "return"
    if act == "return" and not reasons[0].startswith("The reference"):
        return None
    return Proposal(act, order.id, 0, f"{order.reason} to {order.payee_name}", _sentence(reasons), min(score, 100))


def debit_id(payment_id: int) -> str:
    """How a direct debit is called in the file for the bank, and on the statement that answers it."""
    return f"IN-{payment_id:08d}"


def debits_in(text: str) -> set[int]:
    """The payments whose direct debits a reference names."""
    return {int(number) for number in DEBIT.findall(text.upper())}


def _debit(line: Line, debit: OpenDebit) -> Proposal | None:
    came = line.amount.minor > 0
    if debit.payment_id not in debits_in(line.reference) or (came and not debit.is_pending):
        return None
    if Money(abs(line.amount.minor), line.amount.currency) != debit.amount:
        return None
    act = "collect" if came else "fail"
    reason = f"The reference is that of our direct debit {debit.end_to_end_id}, and the amount is the same."
    return Proposal(act, debit.payment_id, 0, debit.about, reason, 100)


def _batch(line: Line, batch: OpenBatch) -> Proposal | None:
    if batch.number not in numbers_in(line.reference) or line.amount != batch.total:
        return None
    reason = f"The reference names our file {batch.number}, and the amount is all of it."
    return Proposal("collect_all", batch.id, 0, f"file {batch.number}", reason, 100)


def _sentence(reasons: list[str]) -> str:
    said = ", and ".join(reasons)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _same_name(one: str, other: str) -> bool:
    """The same words in any order, without titles and commas: banks write surnames first."""
    words, others = (set(re.findall(r"\w{2,}", name.casefold())) for name in (one, other))
    return bool(words) and (words <= others or others <= words)

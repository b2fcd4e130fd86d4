"""What the bank says: statements are imported whole, and each line is confirmed as what it is."""

import hashlib
from dataclasses import asdict
from typing import Any

from flask import current_app

from ..core import audit, clock, settings
from ..core.db import INSERT, add, db, lock, transactional
from ..core.errors import Conflict, RuleBroken
from ..core.permissions import Actor, check_may
from . import batches, money_out, services
from .bank import queries
from .bank.domain import LINE_LIFECYCLE, LineStatus
from .bank.models import BankLine, BankStatement
from .bank.statements import Mapping, Reading, csv_rows, is_xml, read_camt, read_csv
from .domain import PaymentMethod
from .models import SuspenseItem
from .services import direct_debit, suspense


@transactional
def upload(*, name: str, content: bytes, actor: Actor) -> BankStatement:
    """Keep a statement's file until it is imported; the same file again is the same statement."""
    check_may(actor, "bank:import")
    sha256 = hashlib.sha256(content).hexdigest()
    known = queries.find_statement(sha256)
    if known:
        return known
    read_camt(content) if is_xml(content) else csv_rows(content)  # refuse at once what is no statement
    statement = add(
        BankStatement(
            name=name, content=content, sha256=sha256, uploaded_at=clock.now(), uploaded_by_id=actor.id, mapping={}
        )
    )
    audit.record("upload", statement, label=name, actor=actor, sha256=sha256)
    return statement


def read(statement: BankStatement, mapping: Mapping | None) -> Reading:
    """The lines of a statement and its rows that cannot be read; CSV needs a mapping."""
    if is_xml(statement.content):
        return read_camt(statement.content)
    if mapping is None:
        raise RuleBroken("Say which column is which.")
    own = settings.get("bank").get("account_number", "")
    currency = current_app.config["CURRENCY"]
    return read_csv(csv_rows(statement.content), mapping, account_number=own, currency=currency)


@transactional
def import_(*, statement_id: int, mapping: Mapping | None, only_good: bool, actor: Actor) -> int:
    """Keep the lines of a statement; how many are new. Rows that cannot be read stop it, unless `only_good`."""
    check_may(actor, "bank:import")
    statement = lock(BankStatement, statement_id)
    reading = read(statement, mapping)
    if reading.errors and not only_good:
        raise RuleBroken("Nothing was imported: some rows cannot be read. Keep the good ones, or mend the file.")
    insert: Any = INSERT[db.engine.dialect.name](BankLine)
    new = 0
    for line in reading.lines:
        facts = {
            "statement_id": statement.id,
            "account_number": line.account_number,
            "key": line.key,
            "booked_on": line.booked_on,
            "amount_minor": line.amount.minor,
            "currency": line.amount.currency,
            "reference": line.reference,
            "party": line.party,
            "status": LineStatus.OPEN,
        }
        added = insert.values(**facts).on_conflict_do_nothing(index_elements=["account_number", "key"])
        new += db.session.scalar(added.returning(BankLine.id)) is not None
    statement.imported_at = clock.now()
    statement.mapping = asdict(mapping) if mapping else {}
    audit.record(
        "import", statement, label=statement.name, actor=actor, lines=len(reading.lines), new=new,
        left_out=len(reading.errors),
    )  # fmt: skip
    return new


@transactional
def confirm(*, line_id: int, act: str, target_id: int, actor: Actor) -> BankLine:
    """Do what a proposal says: what it is about was paid, has arrived, or came back. Once, for good."""
    check_may(actor, "bank:confirm")
    line = lock(BankLine, line_id)
    confirmed = LINE_LIFECYCLE.next(line.status, "confirm")
    found = [
        proposal
        for proposal in queries.proposals([line])[line.id]
        if (proposal.act, proposal.target_id) == (act, target_id)
    ]
    if not found:
        raise Conflict("This is proposed no more: something was paid or sent in between. Look at the line again.")
    if act == "pay":
        line.payment_id = services.record(
            account_id=found[0].account_id,
            invoice_id=target_id,
            amount=line.amount,
            method=PaymentMethod.BANK_TRANSFER,
            paid_on=line.booked_on,
            reference=line.reference[:100],
            actor=actor,
        ).id
    elif act == "settle":
        line.disbursement_id = money_out.settle(id=target_id, reference="", on=line.booked_on, actor=actor).id
    elif act == "collect":
        line.payment_id = direct_debit.settle(payment_id=target_id, on=line.booked_on, actor=actor).id
    elif act == "collect_all":
        line.batch_id = batches.settle(batch_id=target_id, on=line.booked_on, actor=actor).id
    elif act == "fail":
        facts: dict[str, Any] = {"version": None, "reason": _sent_back(line), "actor": actor}
        line.payment_id = services.return_(payment_id=target_id, **facts).id
    else:
        line.disbursement_id = money_out.return_(id=target_id, reason=_sent_back(line), actor=actor).id
    line.status = confirmed
    _decided(line, "confirm", actor, act=act, target_id=target_id)
    return line


def _sent_back(line: BankLine) -> str:
    return f"Sent back by the bank: {line.reference}"[:200]


@transactional
def suspend(*, line_id: int, actor: Actor) -> SuspenseItem:
    """Let money wait in suspense until somebody finds its owner; however often one asks, it waits there once."""
    check_may(actor, "bank:confirm")
    line = lock(BankLine, line_id)
    if line.suspense_id:
        return db.session.get_one(SuspenseItem, line.suspense_id)
    confirmed = LINE_LIFECYCLE.next(line.status, "confirm")
    if line.amount_minor < 0:
        raise RuleBroken("Money that went waits for no owner. Set the line aside, or record what it was for.")
    item = suspense.record(
        amount=line.amount, received_on=line.booked_on, reference=line.reference[:100], payer=line.party, actor=actor
    )
    line.suspense_id, line.status = item.id, confirmed
    _decided(line, "suspend", actor, suspense_id=item.id)
    return item


@transactional
def ignore(*, line_id: int, actor: Actor) -> BankLine:
    """Set a line aside that is none of our business, such as the bank's own fees."""
    return _set_aside(line_id, "ignore", actor)


@transactional
def reopen(*, line_id: int, actor: Actor) -> BankLine:
    """Take up again what was set aside."""
    return _set_aside(line_id, "reopen", actor)


def _set_aside(line_id: int, action: str, actor: Actor) -> BankLine:
    check_may(actor, "bank:confirm")
    line = lock(BankLine, line_id)
    line.status = LINE_LIFECYCLE.next(line.status, action)
    _decided(line, action, actor)
    return line


def _decided(line: BankLine, action: str, actor: Actor, **facts: Any) -> None:
    line.decided_by_id, line.decided_at = actor.id, clock.now()
    audit.record(action, line, label=line.reference or line.party, actor=actor, amount=line.amount, **facts)

"""The demo at size: what the services made of some hundreds of policies, copied by set-based SQL.

Every copy is a business of its own: other people, other numbers, other records, the same money and the same days. What
hangs together in the original hangs together in the copy, so that `verify` finds nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

from rich.progress import track
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    Text,
    case,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    true,
    type_coerce,
    update,
)

from ..billing.models import (
    BillingAccount,
    BillingItem,
    CreditNote,
    CreditNotePart,
    Disbursement,
    DunningNotice,
    Invoice,
    InvoiceLine,
)
from ..claims.models import Claim, ClaimCoverage, ClaimEvent, Payout, ReserveChange
from ..core.db import db
from ..core.numbering import Number
from ..core.outbox import Mail
from ..customers.domain import search_form, words
from ..customers.models import Customer, CustomerWord
from ..documents.models import Document
from ..ledger.domain import COMPANY, OF_CLAIMS, Event
from ..ledger.models import Transfer
from ..payments.models import Allocation, Payment, Receipt
from ..policies.models import Policy, PolicyTransaction

MODELS: Sequence[type[Any]] = (
    Customer, BillingAccount, Policy, PolicyTransaction, BillingItem, Document, Invoice, InvoiceLine, CreditNote,
    CreditNotePart, DunningNotice, Payment, Allocation, Receipt, Claim, ClaimCoverage, ClaimEvent, ReserveChange,
    Disbursement, Payout, Transfer, Mail,
)  # fmt: skip
"""What is copied, each table after those that it points to. Audit entries are not: nobody did what the copies say."""
NUMBERED = (Policy, Invoice, CreditNote, DunningNotice, Receipt)
"""Numbered records that differ in the copy by their number alone."""
SERIES: dict[str, type[Any]] = {
    "CUS": Customer,
    "POL": Policy,
    "INV": Invoice,
    "CRN": CreditNote,
    "NOT": DunningNotice,
    "RCT": Receipt,
    "CLM": Claim,
}
NUMBER = re.compile(r"[A-Z]{3}-[0-9]{4}-[0-9]{6,}")
LINK = re.compile(r"/portal/(pay|claims)/([0-9]+)")
EVENTS = {
    Event.BIND: BillingAccount,
    Event.LAPSE: BillingAccount,
    Event.CREDIT_NOTE: CreditNote,
    Event.INVOICE_ISSUED: Invoice,
    Event.PAYMENT: Payment,
    Event.ALLOCATION: Allocation,
    Event.RESERVE: Claim,
    Event.CLAIM_APPROVED: Claim,
    Event.CLAIM_PAID: Claim,
}
CUSTOMERS_PER_AGENT = 1000
COPIES_AT_ONCE = 25
NUMBERS_IN_A_TEXT = 4

WORK = MetaData()
COPIES = Table("demo_copies", WORK, Column("copy", BigInteger, primary_key=True), prefixes=["TEMPORARY"])
NUMBERS = Table(
    "demo_numbers",
    WORK,
    Column("old", String, primary_key=True),
    Column("head", String),
    Column("place", BigInteger),
    Column("step", BigInteger),
    prefixes=["TEMPORARY"],
)
"""The originals' numbers: in copy n it is `head` and `place + n * step`."""
PEOPLE = Table(
    "demo_people",
    WORK,
    Column("place", BigInteger, primary_key=True),
    Column("name", String),
    Column("search_name", String),
    Column("as_json", String),
    prefixes=["TEMPORARY"],
)
PEOPLE_WORDS = Table(
    "demo_people_words",
    WORK,
    Column("place", BigInteger, primary_key=True),
    Column("word", String, primary_key=True),
    prefixes=["TEMPORARY"],
)
TEXTS = Table(
    "demo_texts",
    WORK,
    Column("table", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    *[Column(f"number{place}", String) for place in range(NUMBERS_IN_A_TEXT)],
    Column("name", String),
    Column("customer_id", BigInteger),
    Column("link", String),
    Column("link_head", String),
    Column("link_id", BigInteger),
    Column("link_step", BigInteger),
    prefixes=["TEMPORARY"],
)
"""What the data of an original document or mail names that is another in its copies; "" is replaced nowhere."""
AGENTS = Table(
    "demo_agents", WORK, Column("place", BigInteger, primary_key=True), Column("id", BigInteger), prefixes=["TEMPORARY"]
)


def mark() -> dict[str, int]:
    """The largest id of each table now: what is made from here on can be multiplied."""
    return {model.__tablename__: db.session.scalar(select(func.max(_key(model)))) or 0 for model in MODELS}


def multiply(since: dict[str, int], copies: int, agent_ids: Sequence[int], names: Sequence[str]) -> None:
    """Copy so many times what was made since the mark; the copies' customers go to the agents' books in turn."""
    sizes = {table: last - since[table] for table, last in mark().items()}
    db.session.remove()
    engine = db.engine.execution_options(writes=True)
    with engine.connect() as connection:
        _hurry(connection)
        with connection.begin(), _without_indexes(connection):
            WORK.create_all(connection)
            _Copier(connection, since, sizes, len(agent_ids), len(names)).run(copies, agent_ids, names)
        connection.rollback()
        with connection.begin():
            connection.execute(text("ANALYZE"))
    db.engine.dispose()  # the settings of this connection end with it


def _hurry(connection: Connection) -> None:
    """Foreign keys are right by construction; what is lost in a power cut is loaded again."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.dbapi_connection
        raw.executescript("PRAGMA foreign_keys=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-400000")


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """On PostgreSQL, build indexes and check foreign keys once in the end instead of with each row; all in one piece.

    Primary keys stay: the originals are found by them.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    execute = connection.exec_driver_sql
    # To compile these statements takes longer than to run them.
    execute("SET LOCAL jit = off; SET LOCAL work_mem = '128MB'; SET LOCAL maintenance_work_mem = '256MB'")
    copied: list[type[Any]] = [*MODELS, CustomerWord]
    tables = [f"'{model.__tablename__}'::regclass" for model in copied]
    of_ours = f"ANY(ARRAY[{', '.join(tables)}]::oid[])"
    constraints = execute(
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "  # noqa: S608
        f"WHERE conrelid = {of_ours} AND contype IN ('f', 'u') ORDER BY contype, conname"
    ).all()
    for table, name, _ in constraints:
        execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = execute(
        "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index "  # noqa: S608
        f"WHERE indrelid = {of_ours} AND NOT indisprimary"
    ).all()
    for name, _ in indexes:
        execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        execute(definition)
    for table, name, definition in reversed(constraints):
        execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


class _Copier:
    """One multiplication. `since` and `sizes` say by table which ids are originals, and how far apart copies lie."""

    def __init__(
        self, connection: Connection, since: dict[str, int], sizes: dict[str, int], agents: int, people: int
    ) -> None:
        self.connection, self.since, self.sizes = connection, since, sizes
        self.agents, self.people = agents, people
        self.copy = COPIES.c.copy

    def run(self, copies: int, agent_ids: Sequence[int], names: Sequence[str]) -> None:
        """Copy table after table, some copies at once."""
        execute = self.connection.execute
        execute(insert(COPIES), [{"copy": number} for number in range(1, copies + 1)])
        execute(insert(AGENTS), [{"place": place, "id": id_} for place, id_ in enumerate(agent_ids)])
        execute(
            insert(PEOPLE),
            [
                {"place": place, "name": name, "search_name": search_form(name), "as_json": json.dumps(name)[1:-1]}
                for place, name in enumerate(names)
            ],
        )
        execute(
            insert(PEOPLE_WORDS),
            [{"place": place, "word": word} for place, name in enumerate(names) for word in words(name, "")],
        )
        self._note_numbers(copies)
        self._note_texts(Document, "customer_id")
        self._note_texts(Mail, "recipient")
        for table in WORK.sorted_tables:
            execute(text(f"ANALYZE {table.name}"))
        starts = range(1, copies + 1, COPIES_AT_ONCE)
        for start, model in track(list(product(starts, MODELS)), "Multiplying the demo"):
            self._copy(model, start, min(start + COPIES_AT_ONCE, copies + 1))
        self._index_customers()
        if self.connection.dialect.name == "postgresql":
            for model in MODELS:
                if model is not InvoiceLine:
                    self._continue_ids(model.__tablename__)

    def _index_customers(self) -> None:
        """Let the copies' customers be found by the words of their names and by their addresses."""
        copied = Customer.id > self.since["customers"] + self.sizes["customers"]
        by_name = select(PEOPLE_WORDS.c.word, Customer.id).join(PEOPLE, PEOPLE.c.place == PEOPLE_WORDS.c.place)
        of_name = by_name.join(Customer, Customer.search_name == PEOPLE.c.search_name).where(copied)
        for found_by in (of_name, select(Customer.email, Customer.id).where(copied)):
            self.connection.execute(insert(CustomerWord).from_select(["word", "customer_id"], found_by))

    def _note_numbers(self, copies: int) -> None:
        """Which numbers the originals have; those of the copies follow on the last that was given out in their year."""
        for series, model in SERIES.items():
            originals = self._originals(model).with_only_columns(model.number).where(model.number.is_not(None))
            old = sorted(self.connection.scalars(originals.order_by(_key(model))))
            step = Counter(number[:9] for number in old)
            lasts = {
                f"{series}-{year}-": last
                for year, last in self.connection.execute(
                    select(Number.year, Number.last).where(Number.series == series)
                )
            }
            seen: Counter[str] = Counter()
            rows = []
            for number in old:
                head = number[:9]
                seen[head] += 1
                place = lasts[head] - step[head] + seen[head]
                rows.append({"old": number, "head": head, "place": place, "step": step[head]})
            if rows:
                self.connection.execute(insert(NUMBERS), rows)
            for head, many in step.items():
                self.connection.execute(
                    update(Number)
                    .where(Number.series == series, Number.year == int(head[4:8]))
                    .values(last=Number.last + copies * many)
                )

    def _note_texts(self, model: type[Any], person: str) -> None:
        """What the data of the originals names."""
        people = {
            key: (customer_id, name)
            for customer_id, email, name in self.connection.execute(select(Customer.id, Customer.email, Customer.name))
            for key in (customer_id, email)
        }
        rows = []
        for row_id, data, who in self.connection.execute(
            self._originals(model).with_only_columns(model.id, model.data, getattr(model, person))
        ):
            written = json.dumps(data)
            numbers = list(dict.fromkeys(NUMBER.findall(written)))
            assert len(numbers) <= NUMBERS_IN_A_TEXT, written
            customer_id, name = people[who]
            link = LINK.search(written)
            of = {"pay": Invoice, "claims": Claim}[link[1]] if link else None
            rows.append(
                {
                    "table": model.__tablename__,
                    "id": row_id,
                    **{f"number{place}": dict(enumerate(numbers)).get(place, "") for place in range(NUMBERS_IN_A_TEXT)},
                    "name": f'"name": "{json.dumps(name)[1:-1]}"',
                    "customer_id": customer_id,
                    "link": f'{link[0]}"' if link else "",
                    "link_head": f"/portal/{link[1]}/" if link else "",
                    "link_id": int(link[2]) if link else 0,
                    "link_step": self.sizes[of.__tablename__] if of else 0,
                }
            )
        if rows:
            self.connection.execute(insert(TEXTS), rows)

    def _originals(self, model: type[Any]) -> Any:
        last = self.since[model.__tablename__] + self.sizes[model.__tablename__]
        return select(model).where(_key(model) > self.since[model.__tablename__], _key(model) <= last)

    def _copy(self, model: type[Any], first: int, end: int) -> None:
        """Insert some copies of a table's originals."""
        table = model.__table__
        changed = self._changed(model)
        values = [changed.get(column.name, self._moved(column)) for column in table.columns]
        source = COPIES.join(table, true())
        if model in (Document, Mail):
            source = source.join(TEXTS, (TEXTS.c.table == table.name) & (TEXTS.c.id == table.c.id))
        originals = (
            self._originals(model)
            .with_only_columns(*values)
            .select_from(source)
            .where(self.copy >= first, self.copy < end)
            .order_by(self.copy, _key(model))
        )
        self.connection.execute(insert(table).from_select([column.name for column in table.columns], originals))

    def _moved(self, column: Any) -> ColumnElement[Any]:
        """A column as the copy has it: what points to an original points to its copy."""
        table = column.table.name if column.primary_key and not column.foreign_keys else ""
        for key in column.foreign_keys:
            table = key.column.table.name
        if table not in self.sizes:
            return column
        return case((column > self.since[table], column + self.copy * self.sizes[table]), else_=column)

    def _changed(self, model: type[Any]) -> dict[str, ColumnElement[Any]]:
        """The columns of a table that differ in the copy beyond what they point to."""
        if model is Customer:
            id_ = self._moved(Customer.__table__.c.id)
            return {
                "number": self._number(Customer.number),
                "name": self._person(PEOPLE.c.name, Customer.id),
                "search_name": self._person(PEOPLE.c.search_name, Customer.id),
                "email": literal("demo") + cast(id_, String) + literal("@example.com"),
                "agent_id": select(AGENTS.c.id).where(AGENTS.c.place == self.copy % self.agents).scalar_subquery(),
            }
        if model in NUMBERED:
            return {"number": self._number(model.number)}
        if model is BillingAccount:
            return {
                "policy_number": self._number(BillingAccount.policy_number),
                "holder_name": self._person(PEOPLE.c.name, BillingAccount.customer_id),
            }
        if model is Claim:
            payee = self._person(PEOPLE.c.name, Claim.customer_id)
            return {"number": self._number(Claim.number), "payee_name": payee}
        if model is Disbursement:
            number = func.substr(Disbursement.reason, len("Claim ") + 1)
            return {
                "reason": literal("Claim ") + self._number(number),
                "payee_name": self._person(PEOPLE.c.name, Disbursement.customer_id),
                "account_number": literal(""),  # the original's is sealed with a key that the copy's customer has not
            }
        if model is Document:
            return {
                "number": self._number(Document.number),
                "policy_number": self._number(Document.policy_number),
                "data": self._text(Document.data),
            }
        if model is Mail:
            customer = TEXTS.c.customer_id + self.copy * self.sizes["customers"]
            return {
                "data": self._text(Mail.data),
                "recipient": literal("demo") + cast(customer, String) + literal("@example.com"),
                "message_id": literal("<demo.")
                + cast(self._moved(Mail.__table__.c.id), String)
                + literal("@example.com>"),
            }
        if model is Transfer:
            return {
                "debit_subject": self._subject(Transfer.debit_account, Transfer.debit_subject),
                "credit_subject": self._subject(Transfer.credit_account, Transfer.credit_subject),
                "event_id": case(
                    *(
                        (Transfer.event == event, Transfer.event_id + self.copy * self.sizes[of.__tablename__])
                        for event, of in EVENTS.items()
                    )
                ),
            }
        return {}

    def _subject(self, account: Any, subject: Any) -> ColumnElement[int]:
        """Whose a ledger account is; the company's own stays its own."""
        return case(
            (subject == COMPANY, subject),
            (account.in_(OF_CLAIMS), subject + self.copy * self.sizes["claims"]),
            else_=subject + self.copy * self.sizes["billing_accounts"],
        )

    def _number(self, old: Any) -> ColumnElement[str]:
        """The copy's number for an original's."""
        number = NUMBERS.c.place + self.copy * NUMBERS.c.step
        digits = case(
            (number < 10**6, func.substr(cast(number + 10**6, String), 2)),
            else_=cast(number, String),
        )
        return select(NUMBERS.c.head + digits).where(NUMBERS.c.old == old).scalar_subquery()

    def _person(self, column: Any, customer_id: Any) -> ColumnElement[str]:
        """The copy's person for an original's."""
        place = (customer_id + self.copy * 7919) % self.people
        return select(column).where(PEOPLE.c.place == place).scalar_subquery()

    def _text(self, data: Any) -> ColumnElement[Any]:
        """A document's or mail's data with the copy's numbers, person and link."""
        written: ColumnElement[Any] = cast(type_coerce(data, Text), Text)
        for place in range(NUMBERS_IN_A_TEXT):
            old = TEXTS.c[f"number{place}"]
            written = func.replace(written, old, func.coalesce(self._number(old), ""))
        person = self._person(PEOPLE.c.as_json, TEXTS.c.customer_id)
        written = func.replace(written, TEXTS.c.name, literal('"name": "') + person + literal('"'))
        link = TEXTS.c.link_head + cast(TEXTS.c.link_id + self.copy * TEXTS.c.link_step, String) + literal('"')
        written = func.replace(written, TEXTS.c.link, link)
        return cast(written, JSON) if self.connection.dialect.name == "postgresql" else type_coerce(written, Text)

    def _continue_ids(self, table: str) -> None:
        """Let new rows get ids after those of the copies."""
        self.connection.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")  # noqa: S608
        )


def _key(model: type[Any]) -> Any:
    return model.item_id if model is InvoiceLine else model.id

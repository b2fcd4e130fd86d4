"""A world of two of everything, what all its tables hold, and the forms on its pages."""

import hashlib
import re
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import current_app
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import MetaData, Table, select, text

from insurance.accounts import queries, tokens
from insurance.accounts import services as accounts
from insurance.accounts.models import ApiKey, Link, LinkPurpose, SignInSession, User
from insurance.admin import services as settings
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import BillingAccount, DunningNotice, Invoice
from insurance.billing.services import dunning
from insurance.claims import queries as claim_queries
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import Base, add, db, transaction
from insurance.core.encryption import Sealed
from insurance.core.money import Money
from insurance.core.outbox import Mail, MailStatus
from insurance.core.permissions import Actor, Role
from insurance.documents.models import Document
from insurance.feedback import services as feedback
from insurance.feedback.domain import FeedbackKind
from insurance.payments import batches, money_out, statements
from insurance.payments import services as payments
from insurance.payments.bank.models import BankLine
from insurance.payments.bank.statements import Mapping
from insurance.payments.domain import PaymentMethod
from insurance.payments.models import Receipt
from insurance.payments.services import autopay, clearing, suspense
from insurance.policies import services as policies
from insurance.privacy.services import erasure
from insurance.products.models import ProductVersion
from insurance.web.uploads import check_upload
from tests import factories, postgres, soft_key
from tests.conftest import TODAY

START = TODAY - timedelta(days=100)
NOTE = "For staff alone: he haggles."


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def photo(name: str = "bumper.png") -> Any:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return check_upload(data.getvalue(), name)


@dataclass
class Book:
    """A customer with everything that one can have, and their agent. `claims` has one claim in each state."""

    person: Actor
    agent: Actor
    customer_id: int = 0
    policy_id: int = 0
    other_policy_id: int = 0
    quote_id: int = 0
    account_id: int = 0
    invoice_id: int = 0
    paid_invoice_id: int = 0
    payment_id: int = 0
    notice_id: int = 0
    document_id: int = 0
    file_id: int = 0
    session_id: int = 0
    key_id: int = 0
    passkey_id: int = 0
    receipt_id: int = 0
    draft_file_id: int = 0
    gateway_token: str = ""
    claims: dict[str, int] = field(default_factory=dict)


@dataclass
class World:
    """Customer A in agent A's book, customer B in agent B's, and an admin."""

    a: Book
    b: Book
    admin: Actor
    mail_id: int
    entry_id: int
    version_id: int
    feedback_id: int
    suspense_id: int
    disbursement_id: int
    clearing_id: int
    batch_id: int
    statement_id: int
    line_id: int
    erasure_id: int
    tokens: dict[str, str]

    @property
    def actors(self) -> dict[str, Actor]:
        return {
            "customer A": self.a.person,
            "customer B": self.b.person,
            "agent A": self.a.agent,
            "agent B": self.b.agent,
            "admin": self.admin,
        }


_standing: dict[str, tuple[World, "Snapshot", Path]] = {}
"""By dialect: the world as it was made first, what its tables held, and its files."""


def put_up() -> World:
    """The world in the empty database of this test: made once for a kind of database, put back from then on."""
    files = current_app.config["DATA_DIR"] / "files"
    kind = db.engine.dialect.name
    if kind not in _standing:
        kept = files.with_name("files of the world")
        _standing[kind] = _build(), take(), kept
        shutil.copytree(files, kept)
    else:
        _, tables, kept = _standing[kind]
        tables.put_back()
        shutil.copytree(kept, files, dirs_exist_ok=True)
    return _standing[kind][0]


def _build() -> World:
    """Make the world by the services."""
    admin = factories.user(Role.ADMIN, authority_minor=1_000_000_00)
    books = [_book(admin), _book(admin)]
    dunning.send_notices(on=TODAY + timedelta(days=1), notice_days=lambda _ids: {}, actor=admin)
    for book in books:
        book.notice_id = _letter(book.invoice_id)
    entry = db.session.scalars(select(AuditEntry.id).order_by(AuditEntry.id)).first()
    mail = db.session.scalars(select(Mail.id).order_by(Mail.id)).first()
    version = db.session.scalars(select(ProductVersion.id)).first()
    assert entry
    assert mail
    assert version
    said = feedback.send(
        kind=FeedbackKind.IDEA, text="Dark pages, please.", screenshot=photo(), actor=books[0].person, key="f"
    )
    waiting = suspense.record(amount=usd("75.00"), received_on=TODAY, reference="?", payer="M LOPEZ", actor=admin)
    ordered = autopay.order(account_id=books[0].account_id, actor=books[0].person)
    tokens = {**_tokens(), "test_gateway_save": ordered.token}
    order_id = claim_queries.payouts(books[0].claims["approved"])[0].id
    facts = {"charge": usd("0"), "reference": "Deposit 17", "actor": admin}
    moved = clearing.clear(method=PaymentMethod.CASH, payment_ids=[books[1].payment_id], **facts)
    bank = _bank(books[1], admin)
    return World(
        *books, admin, mail, entry, version, said.id, waiting.id, order_id, moved.id, *bank, _erasure(), tokens
    )


def _erasure() -> int:
    """The request of somebody else, whom nothing keeps from being erased."""
    person = factories.user(Role.CUSTOMER)
    return erasure.request(customer_id=factories.customer(user=person).id, actor=person).id


def _bank(book: Book, admin: Actor) -> tuple[int, int, int]:
    """A batch with a payout of the book's, and a statement with a line that is open."""
    settings.change_bank(version=0, name="Harbor Mutual", account_number="12345678", bic="", actor=admin)
    order = claim_queries.payouts(book.claims["approved"])[0]
    money_out.cancel(id=order.id, reason="Wrong account", actor=admin)
    money_out.replace(id=order.id, payee_name="Maria Lopez", account_number="87654321", actor=admin)
    batch = batches.make(currency="USD", actor=admin)
    content = b"Day,Sum,Text\n2026-05-01,1.00,Thanks\n"
    statement = statements.upload(name="may.csv", content=content, actor=admin)
    mapping = Mapping("Day", "Sum", "Text")
    statements.import_(statement_id=statement.id, mapping=mapping, only_good=False, actor=admin)
    line_id = db.session.scalars(select(BankLine.id)).one()
    return batch.id, statement.id, line_id


def _book(admin: Actor) -> Book:
    book = Book(factories.user(Role.CUSTOMER), factories.user(Role.AGENT, authority_minor=1_000_000_00))
    customer = factories.customer(agent=book.agent, user=book.person)
    book.customer_id = customer.id
    facts = {"customer": customer, "start_on": START, "actor": book.agent}
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, **facts)
    book.policy_id, book.account_id = policy.id, policy.account_id or 0
    book.other_policy_id = factories.bound_policy(**facts).id
    book.quote_id = factories.quote(customer=customer, actor=book.agent).id
    policies.note(policy_id=policy.id, version=policy.version, text=NOTE, actor=book.agent)
    invoices = db.session.scalars(
        select(Invoice)
        .join(BillingAccount, BillingAccount.id == Invoice.account_id)
        .where(BillingAccount.customer_id == customer.id)
        .order_by(Invoice.id)
    ).all()
    paid, unpaid = invoices[0], invoices[-1]
    book.paid_invoice_id, book.invoice_id = paid.id, unpaid.id
    account_id = paid.account_id
    book.payment_id = payments.record(
        account_id=account_id,
        invoice_id=paid.id,
        amount=paid.open,
        method=PaymentMethod.CASH,
        actor=book.agent,
    ).id
    started = payments.start_card(invoice_id=book.invoice_id, key=f"card-{customer.id}", actor=book.person)
    book.gateway_token = started.token or ""
    document = db.session.scalars(select(Document.id).where(Document.customer_id == customer.id)).first()
    book.document_id = document or 0
    _claims(book, admin)
    factories.browser(book.person)
    session = db.session.scalars(select(SignInSession.id).where(SignInSession.user_id == book.person.id)).first()
    book.session_id = session or 0
    tokens.create_key(name="Ledger", scopes=["claims:read"], expires_on=TODAY + timedelta(days=9), actor=book.person)
    book.key_id = db.session.scalars(select(ApiKey.id).where(ApiKey.user_id == book.person.id)).one()
    soft_key.registered(book.person)
    book.passkey_id = queries.second_steps_of(book.person.id or 0)[1][0].id
    book.receipt_id = db.session.scalars(select(Receipt.id).where(Receipt.payment_id == book.payment_id)).one()
    return book


def _letter(invoice_id: int) -> int:
    """The notice about an invoice, which no mail could bring."""
    with transaction():
        notice = db.session.scalars(select(DunningNotice).where(DunningNotice.invoice_id == invoice_id)).one()
        mail = db.session.scalars(select(Mail).where(Mail.document_id == notice.document_id)).one()
        mail.status = MailStatus.DEAD
        return notice.id


def _claims(book: Book, admin: Actor) -> None:
    for state in ("pending", "reviewed", "waiting", "approved", "large", "rejected", "paid"):
        claim = claims.file(
            policy_id=book.policy_id,
            loss_on=TODAY - timedelta(days=3),
            cause="collision",
            description="Rear-ended at the lights.",
            claimed=usd("11000.00" if state == "large" else "1000.00"),
            payee_name="Maria Lopez",
            files=[photo()],
            actor=book.person,
        )
        book.claims[state] = claim.id
        if state in ("reviewed", "waiting"):
            claims.review(claim_id=claim.id, actor=book.agent)
        if state == "waiting":
            claims.ask(claim_id=claim.id, question="Who drove?", actor=book.agent)
        if state in ("approved", "paid", "large"):
            claims.approve(
                claim_id=claim.id,
                amount=usd("10500.00" if state == "large" else "500.00"),
                notes="Covered.",
                actor=book.agent,
            )
        if state == "paid":
            claims.settle(claim_id=claim.id, reference="R", on=TODAY, actor=admin)
        if state == "rejected":
            claims.reject(claim_id=claim.id, notes="Not covered.", actor=book.agent)
    draft = claims.start(policy_id=book.policy_id, actor=book.person)
    claims.attach(claim_id=draft.id, files=[photo()], actor=book.person)
    book.claims["draft"] = draft.id
    book.draft_file_id = claim_queries.attachments(draft.id)[0].id
    book.file_id = claim_queries.attachments(book.claims["pending"])[0].id


def _tokens() -> dict[str, str]:
    """A link of each purpose, for somebody whom it is good for."""
    tokens = {}
    for purpose in LinkPurpose:
        confirmed = purpose is LinkPurpose.RESET
        with transaction():
            user = add(
                User(
                    role=Role.CUSTOMER,
                    email=f"{purpose}@example.com",
                    name="Linked",
                    confirmed_at=clock.now() if confirmed else None,
                    created_at=clock.now(),
                )
            )
            link: Link = accounts.make_link(user, purpose)
        tokens[purpose.value] = accounts.link_url(link.id).rpartition("/")[2]
    return tokens


def fingerprint() -> dict[str, str]:
    """What each table holds, as one hash; when a session was last used is no part of it."""
    hashes = {}
    with db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [f'"{column.name}"' for column in table.columns if column.name != "seen_at"]
            rows = connection.exec_driver_sql(f'SELECT {", ".join(columns)} FROM "{table.name}"').all()
            held = "\n".join(sorted(map(repr, rows)))
            hashes[table.name] = f"{len(rows)} rows, {hashlib.sha256(held.encode()).hexdigest()}"
    return hashes


class Snapshot(ABC):
    """What all tables held, to ask what has changed since, and to go back: far faster than making the world again."""

    def __init__(self) -> None:
        db.session.remove()
        self.before = fingerprint()
        self.mark = self._mark()

    def changed(self) -> list[str]:
        """The tables that hold something else now."""
        db.session.rollback()
        mark = self._mark()
        if mark == self.mark:
            return []
        now = fingerprint()
        found = [name for name, rows in self.before.items() if rows != now[name]]
        self.mark = self.mark if found else mark
        return found

    def restore(self) -> None:
        """Let everything be as it was."""
        db.session.remove()
        if self._mark() != self.mark:
            self.put_back()

    def put_back(self) -> None:
        """Let everything be as it was, whatever has been done meanwhile."""
        db.session.remove()
        self._restore()
        self.mark = self._mark()

    @abstractmethod
    def _mark(self) -> Any:
        """Something that no commit leaves as it was, and that is looked up at once."""

    @abstractmethod
    def _restore(self) -> None:
        """Put all rows back."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held."""


class SqliteSnapshot(Snapshot):
    """A copy of the file in memory."""

    def __init__(self) -> None:
        self.path = db.engine.url.database or ""
        self.saved = sqlite3.connect(":memory:")
        self.watch = sqlite3.connect(self.path, isolation_level=None)
        super().__init__()
        with sqlite3.connect(self.path) as used:
            used.backup(self.saved)
        used.close()

    def _mark(self) -> Any:
        return self.watch.execute("PRAGMA data_version").fetchone()

    def _restore(self) -> None:
        with sqlite3.connect(self.path) as used:
            self.saved.backup(used)
        used.close()

    def close(self) -> None:
        self.watch.close()
        self.saved.close()


def _as_stored() -> dict[str, Table]:
    """The tables, in order, with what is sealed read as it lies there: sealed once more it would be another text."""
    metadata = MetaData()
    tables = {table.name: table.to_metadata(metadata) for table in Base.metadata.sorted_tables}
    for table in tables.values():
        for column in table.columns:
            if isinstance(column.type, Sealed):
                column.type = column.type.impl_instance
    return tables


class PostgresSnapshot(Snapshot):
    """All rows, put back with triggers and foreign keys asleep."""

    def __init__(self) -> None:
        db.session.remove()
        self.tables = _as_stored()
        with db.engine.connect() as connection:
            self.rows = {
                name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for name, table in self.tables.items()
            }
        super().__init__()

    def _mark(self) -> Any:
        with db.engine.connect() as connection:
            return connection.scalar(text("SELECT txid_snapshot_xmax(txid_current_snapshot())"))

    def _restore(self) -> None:
        with db.engine.execution_options(writes=True).begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for name in self.changed():
                table = self.tables[name]
                connection.execute(table.delete())
                if self.rows[name]:
                    connection.execute(table.insert(), self.rows[name])
                    postgres.continue_after(connection, table, self.rows[name])

    def close(self) -> None:
        self.rows.clear()


def take() -> Snapshot:
    """The tables as they are now, whatever the database."""
    return SqliteSnapshot() if db.engine.dialect.name == "sqlite" else PostgresSnapshot()


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """The tables as they are now, until the end of the block."""
    taken = take()
    try:
        yield taken
    finally:
        taken.close()


def browsers(world: World) -> dict[str, FlaskClient]:
    """A browser for each actor, and one that nobody is signed in with."""
    signed_in = {name: factories.browser(actor) for name, actor in world.actors.items()}
    return {"anonymous": current_app.test_client(), **signed_in}


# Pages


@dataclass
class FormField:
    """An input as the page has it; `offered` are the values that can be chosen."""

    name: str
    kind: str
    value: str = ""
    inputmode: str = ""
    offered: list[str] = field(default_factory=list)


@dataclass
class PageForm:
    """A form that posts, with its fields as filled in."""

    page: str
    action: str
    multipart: bool
    fields: dict[str, FormField] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, str]:
        """What a browser would send, but for files."""
        return {
            name: entry.value
            for name, entry in self.fields.items()
            if entry.kind not in ("file", "submit") and (entry.value or entry.kind not in ("checkbox", "radio"))
        }


class Page(HTMLParser):
    """The links, the forms that post, the error summary and the text of a page."""

    def __init__(self, address: str, html: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.forms: list[PageForm] = []
        self.summary = ""
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._form: PageForm | None = None
        self._area: FormField | None = None
        self._select: FormField | None = None
        self._depth = 0
        self.feed(html)
        self.close()
        for form in self.forms:
            for entry in form.fields.values():
                if entry.kind == "textarea":
                    entry.value = entry.value.removeprefix("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        self.elements.append((tag, facts))
        if tag == "a" and "href" in facts:
            self.links.append(facts["href"])
        if "data-error-summary" in facts:
            self._depth = 1
        elif self._depth and tag == "div":
            self._depth += 1
        if tag == "form":
            self._form = None
            if facts.get("method", "").lower() == "post":
                multipart = facts.get("enctype") == "multipart/form-data"
                self._form = PageForm(self.address, facts.get("action") or self.address, multipart)
                self.forms.append(self._form)
        elif self._form is not None:
            self._add(tag, facts)

    def _add(self, tag: str, facts: dict[str, str]) -> None:
        assert self._form is not None
        fields, name = self._form.fields, facts.get("name", "")
        if tag == "option" and self._select is not None:
            self._select.offered.append(facts.get("value", ""))
            if "selected" in facts or len(self._select.offered) == 1:
                self._select.value = facts.get("value", "")
        elif not name:
            return
        elif tag == "textarea":
            self._area = fields[name] = FormField(name, "textarea")
        elif tag == "select":
            self._select = fields[name] = FormField(name, "select")
        elif tag == "button":
            fields.setdefault(name, FormField(name, "submit", facts.get("value", "")))
        elif tag == "input":
            kind, value = facts.get("type", "text"), facts.get("value", "")
            entry = fields.setdefault(name, FormField(name, kind, inputmode=facts.get("inputmode", "")))
            if kind in ("radio", "checkbox"):
                entry.offered.append(value)
                entry.value = value if "checked" in facts else entry.value
            else:
                entry.value = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "div" and self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value += data
        if self._depth:
            self.summary += data


GOOD = {
    "email": "somebody@example.com",
    "recipient": "somebody@example.com",
    "password": "correct horse battery staple",
    "phone": "+1 800 555 0142",
    "policy_type": "comprehensive",
    "start_date": "2026-06-01",
    "end_date": "2027-05-31",
}
"""What somebody would answer to a question of this name."""
BOX = re.compile("(.+)-(day|month|year)$")


def fill(form: PageForm) -> dict[str, str]:
    """What a browser sends when somebody has filled in what the page left empty."""
    data = dict(form.data)
    for name, entry in form.fields.items():
        if entry.kind in ("file", "submit", "checkbox", "hidden") or data.get(name):
            continue
        box = BOX.match(name)
        if box and box[1] in GOOD:
            year, month, day = GOOD[box[1]].split("-")
            data[name] = {"year": year, "month": month, "day": day}[box[2]]
        elif box:
            data[name] = {"year": "2026", "month": "5", "day": "30"}[box[2]]
        elif entry.offered:
            data[name] = next(filter(None, entry.offered), "")
        elif name in GOOD or entry.kind in GOOD:
            data[name] = GOOD.get(name) or GOOD[entry.kind]
        elif entry.inputmode:
            data[name] = "100"
        else:
            data[name] = "Some words"
    return data


def address_kind(address: str) -> str:
    """An address without the ids in it."""
    path, _, query = address.partition("#")[0].partition("?")
    asked = sorted(part.partition("=")[0] for part in query.split("&"))
    return re.sub("[0-9]+", "N", path) + "?" + "&".join(asked)


def crawl(browser: FlaskClient, begin: list[str]) -> Iterator[Page]:
    """Every page that links lead to from these, once for each kind of address."""
    waiting, seen = list(begin), set()
    while waiting:
        address = waiting.pop(0)
        kind = address_kind(address)
        known = (address if address in begin else kind) in seen
        if known or not address.startswith("/") or address.startswith("/static"):
            continue
        seen |= {address, kind}
        answer = browser.get(address, buffered=True)
        if answer.status_code in (302, 303):
            waiting.append(answer.location)
        if answer.status_code != 200 or answer.mimetype != "text/html":
            continue
        page = Page(address.partition("#")[0], answer.text)
        yield page
        waiting += page.links


def starts(world: World) -> dict[str, list[str]]:
    """Where each role begins, and the record pages that it may open."""
    a = world.a
    staff = [
        f"/customers/{a.customer_id}",
        f"/policies/{a.policy_id}",
        f"/policies/{a.quote_id}",
        f"/invoices/{a.invoice_id}",
        f"/payments/{a.payment_id}",
        f"/payments/new?invoice={a.invoice_id}",
        f"/payments/new?account={a.account_id}",
        f"/policies/new/cover?customer={a.customer_id}",
        f"/claims/new?policy={a.policy_id}",
        *(f"/claims/{claim_id}" for state, claim_id in a.claims.items() if state != "draft"),
    ]
    portal = [
        f"/portal/policies/{a.policy_id}",
        f"/portal/pay/{a.invoice_id}",
        f"/portal/payouts/{world.disbursement_id}",
        *(f"/portal/claims/{claim_id}" for claim_id in a.claims.values()),
    ]
    office = [
        f"/admin/users/{a.person.id}",
        f"/admin/outbox/{world.mail_id}",
        f"/admin/audit/{world.entry_id}",
        f"/admin/products/{world.version_id}",
        f"/admin/feedback/{world.feedback_id}",
        f"/admin/privacy/erasures/{world.erasure_id}",
        f"/payments/suspense/{world.suspense_id}",
        "/payments/clearing/cash",
        f"/payments/clearing/cash?agent={a.agent.id}",
        f"/payments/clearings/{world.clearing_id}",
    ]
    public = ["/", "/login", "/register", "/forgot"]
    return {
        "anonymous": [*public, *(f"/{purpose}/{token}" for purpose, token in world.tokens.items())],
        "customer A": ["/portal", "/account", *portal],
        "agent A": ["/agent", "/account", *staff],
        "admin": ["/admin", "/account", *office, *staff],
    }

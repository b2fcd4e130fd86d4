"""Mails: what they say, and that each arrives, is tried again, or says why it did not."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from flask import Flask

from insurance.accounts import services as accounts
from insurance.billing.domain import Step
from insurance.core import clock, outbox
from insurance.core.audit import AuditEntry, opened
from insurance.core.db import add, db, transaction
from insurance.core.errors import Conflict, NotAllowed, RuleBroken
from insurance.core.outbox import Mail, MailStatus
from insurance.core.permissions import Role
from insurance.documents import services as documents
from insurance.documents.models import DocumentKind
from insurance.messages import queries, rendering, services
from insurance.messages.domain import SAMPLES
from tests import factories
from tests.conftest import TODAY
from tests.documents.test_documents import INVOICE

ROOT = Path(__file__).parents[2]
DATA = {
    "name": "Zoë",
    "url": "http://127.0.0.1:8000/portal/claims/1",
    "invited_by": "Ann Agent",
    "number": "CLM-2026-000001",
    "policy_number": "POL-2026-000001",
    "amount": "1,204.00 USD",
    "due_on": "15 Jun 2026",
    "paid_on": "3 Jun 2026",
    "pay_url": "http://127.0.0.1:8000/portal/pay/1",
    "method": "Card",
    "question": "Where <b>did</b> it happen?",
    "answer": "Look <b>there</b>.",
    "notes": "",
    "invoice": "INV-2026-000001",
    "last_day": "30 Jun 2026",
    "still_due": "16.77 USD",
    "payee": "Zoë",
    "account": "account •••• 3000",
    "reason": "Refund POL-2026-000001",
}


class Server:
    """A mail server that answers as told and remembers what it took."""

    def __init__(self) -> None:
        self.answer = {"rcpt": "250 OK", "data": "250 OK"}
        self.taken: list[EmailMessage] = []

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if self.answer["rcpt"].startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer["rcpt"]

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        if self.answer["data"].startswith("250"):
            self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return self.answer["data"]


@pytest.fixture
def server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    handler = Server()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setitem(app.config, "MAIL_SERVER", "127.0.0.1")
    monkeypatch.setitem(app.config, "MAIL_PORT", port)
    yield handler
    controller.stop()


def order(template: str = "claim_rejected", *, to: str = "zoe@example.com", **facts) -> int:
    with transaction():
        return add(outbox.enqueue(template, to=to, **(facts or DATA))).id


def later(mail_id: int) -> None:
    """Let a mail be due, and free, now."""
    with transaction():
        mail = db.session.get_one(Mail, mail_id)
        mail.due_at, mail.leased_until = clock.now(), None


@pytest.mark.parametrize("template", list(queries.TITLES))
@pytest.mark.parametrize("notes", ["", "Wear & tear is not covered."])
def test_every_mail_can_be_written(app, template: str, notes: str) -> None:
    mail = Mail(template=template, data=SAMPLES[template] | DATA | {"notes": notes}, recipient="zoe@example.com")
    said = services.preview(mail)
    assert said.subject
    assert "\n" not in said.subject
    assert said.text.startswith("Hello Zoë,\n\n")
    assert not re.search(r"\n{3}|None|{", said.text)
    assert said.text.rstrip().endswith("Harbor Mutual\n1-800-555-0142\n1 Harbor Square, Example City")
    assert "<b>" not in said.html


def test_templates_titles_and_orders_agree() -> None:
    files = {path.stem for path in (ROOT / "templates" / "email").glob("*.txt")} - {"_layout"}
    assert files == set(queries.TITLES)
    sources = [path for path in (ROOT / "insurance").rglob("*.py") if path.parent.name != "messages"]
    source = "".join(path.read_text() for path in sources)
    assert set(re.findall(r'(?:enqueue|mail)\(\s*(?:claim, )?"(\w+)"', source)) <= files
    notices = {f"notice_{step}" for step in Step}
    assert {name for name in files if f'"{name}"' in source} == files - notices


def test_link_is_in_the_mail_and_not_in_the_preview(app) -> None:
    accounts.register(name="Zoë", email="zoe@example.com", password="a long enough one 42", browser="b")
    mail = db.session.query(Mail).one()
    url = accounts.link_url(mail.data["link_id"])
    assert url in rendering.render(mail).text
    assert f'<a href="{url}"' in rendering.render(mail).html
    assert url not in services.preview(mail).text


def test_sent_with_its_document(app, server) -> None:
    with transaction():
        document = documents.issue(
            kind=DocumentKind.INVOICE, number="INV-1", customer=factories.customer(), policy_number="P", data=INVOICE
        )
        mail_id = add(outbox.enqueue("invoice_issued", to="zoe@example.com", document_id=document.id, **DATA)).id
    assert services.deliver_due() == 1
    assert services.deliver_due() == 0
    mail = queries.get_mail(mail_id)
    assert (mail.status, mail.attempts, mail.last_error, mail.leased_until) == (MailStatus.SENT, 1, "", None)
    (arrived,) = server.taken
    assert arrived["Message-ID"] == mail.message_id
    assert arrived["To"] == "zoe@example.com"
    assert arrived["Subject"] == "Invoice CLM-2026-000001: pay 1,204.00 USD by 15 Jun 2026"
    (attached,) = arrived.iter_attachments()
    assert attached.get_filename() == "Invoice INV-1.pdf"
    assert attached.get_content() == documents.pdf(document)
    assert arrived.get_body(("plain",)).get_content().startswith("Hello Zoë,")


def test_nothing_due_writes_nothing(app, monkeypatch) -> None:
    monkeypatch.setattr(services, "_lease", None)
    assert services.deliver_due() == 0


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_refused_for_now_is_tried_again_later_and_at_last_given_up(app, server, stage: str) -> None:
    server.answer[stage] = "451 try later"
    mail_id = order()
    for wait in services.RETRY_AFTER:
        before = clock.now()
        assert services.deliver_due() == 1
        mail = queries.get_mail(mail_id)
        assert mail.status is MailStatus.DUE
        assert mail.last_error == "451 try later"
        assert wait <= mail.due_at - before < wait + timedelta(seconds=30)
        assert services.deliver_due() == 0
        later(mail_id)
    services.deliver_due()
    assert queries.get_mail(mail_id).status is MailStatus.DEAD
    assert queries.counts(99)[MailStatus.DEAD] == 1


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_refused_for_good(app, server, stage: str) -> None:
    server.answer[stage] = "550 nobody here"
    mail_id = order()
    services.deliver_due()
    mail = queries.get_mail(mail_id)
    assert (mail.status, mail.last_error) == (MailStatus.DEAD, "550 nobody here")


def test_server_down(app, server, monkeypatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setitem(app.config, "MAIL_PORT", unused.getsockname()[1])
        ids = [order(), order()]
        assert services.deliver_due() == 2
    for mail_id in ids:
        mail = queries.get_mail(mail_id)
        assert mail.status is MailStatus.DUE
        assert "refused" in mail.last_error


def test_killed_between_sending_and_noting_it(app, server, monkeypatch) -> None:
    mail_id = order()
    with monkeypatch.context() as patch:
        patch.setattr(services, "_record", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            services.deliver_due()
    assert services.deliver_due() == 0  # still leased to the dead one
    with clock.at(TODAY + timedelta(days=1)):
        assert services.deliver_due() == 1
    first, second = server.taken
    assert first["Message-ID"] == second["Message-ID"]
    assert queries.get_mail(mail_id).status is MailStatus.SENT


def test_one_that_cannot_be_written_does_not_stop_the_others(app, server) -> None:
    wrong = [
        order(name="Zoë"),  # what the template needs is missing
        order(to="a@example.com\nBcc: b@example.com"),
        order(to="a@example.com, b@example.com"),
        order("confirm", name="Zoë", link_id=999),
    ]
    right = order()
    assert services.deliver_due() == 5
    for mail_id in wrong:
        mail = queries.get_mail(mail_id)
        assert mail.status is MailStatus.DEAD
        assert mail.last_error.startswith("could not be written: ")
    assert queries.get_mail(right).status is MailStatus.SENT
    assert len(server.taken) == 1


def test_without_a_server_mails_are_files(app) -> None:
    mail_id = order()
    services.deliver_due()
    mail = queries.get_mail(mail_id)
    assert (mail.status, mail.last_error) == (MailStatus.KEPT, "not sent: no mail server")
    (file,) = (app.config["DATA_DIR"] / "mail").glob(f"*-{mail_id}.eml")
    assert message_from_bytes(file.read_bytes(), policy=policy.default)["Message-ID"] == mail.message_id
    file.unlink()


def test_resend(app, server) -> None:
    admin = factories.user(Role.ADMIN)
    server.answer["rcpt"] = "550 nobody here"
    mail_id = order(to="zoo@example.com")
    services.deliver_due()
    with pytest.raises(NotAllowed):
        services.resend(mail_id=mail_id, recipient="zoe@example.com", actor=factories.user(Role.AGENT))
    services.resend(mail_id=mail_id, recipient="zoe@example.com", actor=admin)
    entry = db.session.query(AuditEntry).filter_by(action="resend").one()
    assert opened(entry)[0]["recipient"] == "zoo@example.com"
    server.answer["rcpt"] = "250 OK"
    services.deliver_due()
    assert [arrived["To"] for arrived in server.taken] == ["zoe@example.com"]
    with pytest.raises(RuleBroken):
        services.resend(mail_id=mail_id, recipient="other@example.com", actor=admin)
    services.resend(mail_id=mail_id, recipient="zoe@example.com", actor=admin)
    services._lease(1)
    with pytest.raises(Conflict):
        services.resend(mail_id=mail_id, recipient="zoe@example.com", actor=admin)


def test_list(app) -> None:
    order(to="Zoe@example.com")
    order(to="z_e@example.com")
    found = db.session.execute(queries.mail_rows(q="ZOE", status="due")).all()
    assert [row.recipient for row in found] == ["Zoe@example.com"]
    assert not db.session.execute(queries.mail_rows(status="dead")).all()
    assert [row.recipient for row in db.session.execute(queries.mail_rows(q="z_"))] == ["z_e@example.com"]


def test_a_mail_whose_pdf_cannot_be_read_just_now_is_tried_again(app, server) -> None:
    with transaction():
        document = documents.issue(
            kind=DocumentKind.INVOICE, number="INV-1", customer=factories.customer(), policy_number="P", data=INVOICE
        )
        mail_id = add(outbox.enqueue("invoice_issued", to="zoe@example.com", document_id=document.id, **DATA)).id
    documents.archive_due()
    stored = documents.folder() / documents.queries.find_file(document.id).path
    away = stored.rename(stored.with_suffix(".away"))
    services.deliver_due()
    assert queries.get_mail(mail_id).status is MailStatus.DUE
    away.rename(stored)
    later(mail_id)
    services.deliver_due()
    assert queries.get_mail(mail_id).status is MailStatus.SENT

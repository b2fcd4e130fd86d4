"""Documents: the same bytes every time, archived once, seen by those who may."""

import hashlib
import json
import subprocess
import sys
from datetime import date

import pytest

from insurance.core.db import db, transaction
from insurance.core.errors import NotFound
from insurance.core.permissions import Role
from insurance.documents import pdf, queries, services
from insurance.documents.models import Document, DocumentKind, StoredFile
from insurance.web.uploads import CleanFile
from tests import factories
from tests.races import together

DAY = date(2026, 6, 1)
COMMON = {
    "company": {"name": "Harbor Mutual", "phone": "1-800-555-0142", "address": "1 Harbor Square"},
    "customer": {"name": "Zoë Łukasiewicz-O’Brien", "address": "12 Rue de l’Église\n75001 Paris", "number": "CUS-1"},
    "policy_number": "POL-2026-000042",
    "product": "Standard cover",
    "number": "INV-2026-000001",
    "issued_on": "1 Jun 2026",
    "worksheet": [{"label": "Premium", "text": "Instalment 1 of 12", "amount": "200.00 USD"}],
}
INVOICE = COMMON | {
    "due_on": "15 Jun 2026",
    "instalment": "Instalment 1 of 12",
    "items": [{"text": "Premium", "period": "1 Jun 2026 – 30 Jun 2026", "amount": "200.00 USD"}],
    "total": "200.00 USD",
    "pay_url": "https://insurance.example/portal/payments",
}
RECEIPT = COMMON | {
    "amount": "250.00 USD",
    "method": "Bank transfer",
    "paid_on": "3 Jun 2026",
    "reference": "",
    "allocations": [{"invoice": "INV-2026-000001", "amount": "200.00 USD"}],
    "credit": "50.00 USD",
}
CREDIT_NOTE = COMMON | {
    "reason": "Invoice INV-2026-000001 was not paid",
    "total": "202.74 USD",
    "parts": [
        {"text": "Invoice INV-2026-000002", "amount": "200.00 USD"},
        {"text": "Credit on your account", "amount": "2.74 USD"},
    ],
}
NOTICE = COMMON | {
    "title": "Notice of cancellation",
    "step": "cancellation",
    "invoice": "INV-2026-000001",
    "due_on": "15 Jun 2026",
    "amount": "200.00 USD",
    "last_day": "14 Jul 2026",
    "ends_on": "15 Jul 2026",
    "pay_url": "https://insurance.example/portal/pay/1",
}
PAYOUT = COMMON | {
    "kind": "Refund",
    "reason": "Refund POL-2026-000042",
    "amount": "80.00 USD",
    "payee": "Zoë Łukasiewicz-O’Brien",
    "account": "•••• 3000",
    "reference": "",
    "status": "On its way to you",
    "sent_on": "",
}
DATA = {"invoice": INVOICE, "receipt": RECEIPT, "credit_note": CREDIT_NOTE, "notice": NOTICE, "payout": PAYOUT}
KINDS = [*DocumentKind, "payout"]


def printed() -> dict[str, str]:
    """What each kind of document is as bytes, by its hash."""
    return {str(kind): hashlib.sha256(pdf.render(kind, DATA[kind], issued_on=DAY)).hexdigest() for kind in KINDS}


def test_same_bytes_in_this_process_and_in_another() -> None:
    mine = printed()
    assert mine == printed()
    script = "import json; from tests.documents.test_documents import printed; print(json.dumps(printed()))"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == mine


@pytest.mark.parametrize("kind", KINDS)
def test_accessible(kind: str) -> None:
    assert b"pdfuaid" in pdf.render(kind, DATA[kind], issued_on=DAY)


@pytest.mark.parametrize("name", ["王小明", "山田 花子", "김민수", "สมชาย ใจดี", "محمد علي", "अनिता शर्मा"])
def test_names_in_other_writing_are_printed_on_every_machine(name: str) -> None:
    """PDF/A refuses a character that no font has, so the promise says that each was drawn."""
    data = INVOICE | {"customer": {"name": name, "address": name, "number": ""}}
    assert b"pdfuaid" in pdf.render("invoice", data, issued_on=DAY)


def test_the_fonts_for_other_writing_change_nothing_in_ours() -> None:
    """What was issued before they came prints the same bytes."""
    printed = hashlib.sha256(pdf.render("receipt", RECEIPT, issued_on=DAY)).hexdigest()
    assert printed == "a638f80f552fc936712d7842ddda4db11c143c0b9eee35eff26e715b4b9a9202"


@pytest.mark.parametrize("name", ["王小明", "ไทย 😀", '#panic("x") $x$ *a* \\ // /* <a> @b', "", "\u202eevil"])
def test_no_name_is_refused(name: str) -> None:
    data = INVOICE | {"customer": {"name": name, "address": "", "number": ""}}
    assert pdf.render("invoice", data, issued_on=DAY).startswith(b"%PDF")


def test_empty_lists_and_many_pages() -> None:
    assert pdf.render("receipt", RECEIPT | {"allocations": [], "worksheet": [], "credit": ""}, issued_on=DAY)
    assert pdf.render("invoice", INVOICE | {"items": INVOICE["items"] * 200}, issued_on=DAY)


def issue(customer, number: str = "INV-2026-000001") -> Document:
    with transaction():
        return services.issue(
            kind=DocumentKind.INVOICE,
            number=number,
            customer=customer,
            policy_number="POL-2026-000042",
            data={key: INVOICE[key] for key in INVOICE if key not in ("company", "customer", "number", "issued_on")},
        )


def test_archive_keeps_the_bytes_that_were_shown_before(app) -> None:
    document = issue(factories.customer())
    shown = services.pdf(document)
    assert services.archive_due() == 1
    assert services.archive_due() == 0
    stored = queries.find_file(document.id)
    assert stored.name == "Invoice INV-2026-000001.pdf"
    assert services.read(stored) == services.pdf(document) == shown


def test_another_worker_was_faster(app, monkeypatch) -> None:
    document = issue(factories.customer())
    services.archive_due()
    files = set((app.config["DATA_DIR"] / "files").iterdir())
    monkeypatch.setattr(queries, "to_archive", lambda limit: [document.id])
    services.archive_due()
    assert set((app.config["DATA_DIR"] / "files").iterdir()) == files
    assert db.session.query(StoredFile).count() == 1


def test_what_a_worker_left_that_died_before_its_row_was_there_is_written_over(app, monkeypatch) -> None:
    document = issue(factories.customer())
    shown = services.pdf(document)
    with monkeypatch.context() as dying:
        dying.setattr(services, "add", lambda _row: 1 // 0)
        assert services.archive_due() == 0
    [left] = (app.config["DATA_DIR"] / "files").iterdir()
    left.write_bytes(left.read_bytes()[:100])
    assert services.archive_due() == 1
    assert list((app.config["DATA_DIR"] / "files").iterdir()) == [left]
    assert services.read(queries.find_file(document.id)) == shown


def test_workers_that_archive_at_once_leave_one_file(app) -> None:
    document = issue(factories.customer())
    together(app, [services.archive_due] * 4)
    assert len(list((app.config["DATA_DIR"] / "files").iterdir())) == db.session.query(StoredFile).count() == 1
    assert services.read(queries.find_file(document.id))


def test_one_that_cannot_be_made_does_not_stop_the_others(app) -> None:
    customer = factories.customer()
    with transaction():
        services.issue(kind=DocumentKind.RECEIPT, number="R", customer=customer, policy_number="P", data={})
    issue(customer)
    assert services.archive_due() == 1


def test_a_changed_file_is_noticed(app) -> None:
    actor = factories.user()
    data = b"\x89PNG"
    stored = services.store(CleanFile("photo.png", "image/png", data, hashlib.sha256(data).hexdigest()), actor=actor)
    assert services.read(stored) == data
    (app.config["DATA_DIR"] / "files" / stored.path).write_bytes(b"other")
    with pytest.raises(services.DamagedFileError):
        services.read(stored)


def test_sight(app) -> None:
    agent, other = factories.user(), factories.user()
    person, stranger = factories.user(Role.CUSTOMER), factories.user(Role.CUSTOMER)
    document = issue(factories.customer(agent=agent, user=person))
    for actor in (agent, person, factories.user(Role.ADMIN, wide_sight=True)):
        assert queries.get_document(document.id, actor).id == document.id
        assert [row.id for row in queries.own(actor)] == [document.id]
        assert [row.number for row in queries.of_policy("POL-2026-000042", actor)] == ["INV-2026-000001"]
    for actor in (other, stranger):
        assert not queries.own(actor)
        assert not queries.of_policy("POL-2026-000042", actor)
        with pytest.raises(NotFound):
            queries.get_document(document.id, actor)


def test_page(app) -> None:
    person = factories.user(Role.CUSTOMER)
    document = issue(factories.customer(user=person))
    response = factories.browser(person).get(f"/documents/{document.id}.pdf")
    assert response.data == services.pdf(document)
    assert response.content_type == "application/pdf"
    assert response.headers["Content-Disposition"] == 'inline; filename="Invoice INV-2026-000001.pdf"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    with app.app_context():  # who is signed in is kept in the context
        assert factories.browser(factories.user(Role.CUSTOMER)).get(f"/documents/{document.id}.pdf").status_code == 404
    with app.app_context():
        assert app.test_client().get(f"/documents/{document.id}.pdf").status_code == 303

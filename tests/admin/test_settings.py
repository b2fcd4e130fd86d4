"""What admins set by forms: the company, the words of mails, and the letters of numbers."""

import re
from datetime import date, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from insurance.accounts import services as accounts
from insurance.admin import services
from insurance.billing import queries as billing
from insurance.billing.domain import CollectionPlan, Ladder
from insurance.billing.services import dunning
from insurance.core import clock, numbering, outbox, settings
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import NotAllowed, RuleBroken, Stale
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.core.settings import Setting
from insurance.customers import queries as customers
from insurance.documents import pdf
from insurance.documents.models import Document
from insurance.messages import domain, queries, rendering
from insurance.operations import verify
from insurance.products import queries as products
from tests import factories
from tests.agents.test_pages import statements
from tests.conftest import TODAY
from tests.races import together

pytestmark = pytest.mark.sqlite_only

COMPANY = {"name": "Quay <Insurance>", "phone": "+44 20 7946 0958", "address": "2 Quay Street\nPorttown"}


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN, wide_sight=True, name="Ada Admin")


@pytest.fixture
def pages(admin: Actor) -> FlaskClient:
    return factories.browser(admin)


def version_in(page) -> str:
    return re.search(r'name="version"[^>]*value="([0-9]+)"', page.text)[1]


def send(pages: FlaskClient, address: str, /, **answers: str):
    """Fill in a setting's form as opened now."""
    return pages.post(address, data={"version": version_in(pages.get(address)), **answers})


def entry() -> AuditEntry:
    return db.session.query(AuditEntry).filter_by(subject="settings").order_by(AuditEntry.id.desc()).first()


def rendered(template: str, **facts: str) -> rendering.Rendered:
    with transaction():
        mail = outbox.enqueue(template, to="zoe@example.com", **facts)
    return rendering.render(mail)


# Who, and what all settings have in common


PATHS = ["", "/company", "/numbering", "/mails", "/mails/receipt", "/dunning", "/dunning/standard", "/collection"]


@pytest.mark.parametrize("path", PATHS)
def test_only_admins_have_settings(pages, path: str) -> None:
    assert pages.get(f"/admin/settings{path}").status_code == 200
    for role in (Role.AGENT, Role.CUSTOMER):
        assert factories.browser(factories.user(role)).get(f"/admin/settings{path}").status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        lambda actor: services.change_company(version=0, **COMPANY, actor=actor),
        lambda actor: services.change_mail(template="receipt", version=0, subject="S", body="B", actor=actor),
        lambda actor: services.use_standard_mail(template="receipt", actor=actor),
        lambda actor: services.change_numbering(version=0, letters={"POL": "ABC"}, actor=actor),
    ],
)
def test_nobody_else_changes_them_by_another_way(app, change) -> None:
    with pytest.raises(NotAllowed):
        change(factories.user(Role.AGENT))
    assert db.session.query(Setting).count() == 0


def test_the_menu_leads_to_all_settings(pages) -> None:
    assert 'href="/admin/settings"' in pages.get("/admin").text
    page = pages.get("/admin/settings").text
    for path in PATHS[1:4]:
        assert f'href="/admin/settings{path}"' in page
    assert "Harbor Mutual" in page
    assert "RCT-2026-000042" in page
    assert "all with their standard text" in page


def test_of_two_admins_at_the_same_time_one_is_told(app, admin) -> None:
    other = factories.user(Role.ADMIN)
    for version in (0, 1):  # first of all, and later
        outcomes = together(
            app,
            [
                lambda actor=actor, version=version: services.change_company(
                    version=version, name=actor.name, phone="1", address="", actor=actor
                )
                for actor in (admin, other)
            ],
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Stale"]
        assert db.session.get_one(Setting, "company", populate_existing=True).version == version + 1
    assert db.session.query(AuditEntry).filter_by(subject="settings").count() == 2


def test_a_page_that_was_open_too_long_shows_what_holds_now(pages, admin) -> None:
    old = version_in(pages.get("/admin/settings/company"))
    services.change_company(version=0, **COMPANY, actor=admin)
    stale = pages.post("/admin/settings/company", data={**COMPANY, "name": "Mine", "version": old})
    assert stale.status_code == 409
    assert "<strong>Now:</strong> Quay &lt;Insurance&gt;" in stale.text
    assert 'value="Mine"' in stale.text
    again = pages.post("/admin/settings/company", data={**COMPANY, "name": "Mine", "version": version_in(stale)})
    assert again.status_code == 303
    assert settings.company()["name"] == "Mine"


@pytest.mark.sqlite_only
def test_settings_are_read_once_in_a_while_and_at_once_where_they_were_changed(
    app: Flask, admin, pages, monkeypatch
) -> None:
    settings.forget()
    with statements() as asked:
        for _ in range(3):
            assert settings.company()["name"] == "Harbor Mutual"
            assert numbering.letters()["POL"] == "POL"
    assert len(asked) == 1
    services.change_company(version=0, **COMPANY, actor=admin)
    assert settings.company()["name"] == COMPANY["name"]
    with transaction():  # as another process does
        db.session.get_one(Setting, "company").value = {**COMPANY, "name": "Other"}
    assert settings.company()["name"] == COMPANY["name"]
    assert "Other" in pages.get("/admin/settings/company").text  # the form never shows what is kept
    monkeypatch.setattr(settings, "SECONDS", -1)
    assert settings.company()["name"] == "Other"


def test_without_its_table_a_page_still_names_the_company(app, monkeypatch) -> None:
    monkeypatch.setattr(Setting.__table__, "name", "no_such_table")
    settings.forget()
    assert settings.company()["name"] == "Harbor Mutual"
    db.session.rollback()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("path", PATHS)
def test_settings_pages_ask_the_database_little(pages, admin, path: str) -> None:
    services.change_company(version=0, **COMPANY, actor=admin)
    settings.company()
    with statements() as asked:
        pages.get(f"/admin/settings{path}")
    assert len(asked) <= 8


# Company


def test_the_company_is_named_anew_everywhere_but_on_what_is_issued(pages) -> None:
    before = factories.bound_policy(customer=factories.customer())
    saved = send(pages, "/admin/settings/company", **COMPANY)
    assert saved.location == "/admin/settings"
    factories.bound_policy(customer=factories.customer())
    front = pages.get("/").text
    assert "Quay &lt;Insurance&gt;" in front
    assert 'href="tel:+442079460958"' in front
    assert "Harbor Mutual" not in front
    old, new = db.session.query(Document).order_by(Document.id)
    assert old.policy_number == before.number
    assert old.data["company"]["name"] == "Harbor Mutual"
    assert new.data["company"] == COMPANY
    assert pdf.render(new.kind, new.data, issued_on=new.issued_on).startswith(b"%PDF")
    mail = rendering.render(db.session.query(Mail).first())
    assert mail.text.rstrip().endswith("Quay <Insurance>\n+44 20 7946 0958\n2 Quay Street\nPorttown")
    assert "Quay &lt;Insurance&gt;" in mail.html


def test_a_changed_company_is_in_the_audit_trail_with_before_and_after(pages) -> None:
    send(pages, "/admin/settings/company", **COMPANY)
    noted = entry()
    assert (noted.action, noted.label, noted.actor_name) == ("change", "Company", "Ada Admin")
    assert (noted.before["name"], noted.after["name"]) == ("Harbor Mutual", "Quay <Insurance>")
    assert "Setting: change, Company" in pages.get(f"/admin/audit/{noted.id}").text
    assert "Company" in pages.get("/admin/audit?subject=settings").text


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"name": ""}, "Enter the name of the company"),
        ({"name": "x" * 101}, "must be 100 characters or fewer"),
        ({"phone": "call us"}, "must be a phone number like"),
        ({"address": ""}, "Enter the address"),
        ({"version": "x"}, "open too long"),
    ],
)
def test_a_company_that_cannot_be_is_refused_at_its_field(pages, answers: dict, said: str) -> None:
    refused = send(pages, "/admin/settings/company", **{**COMPANY, **answers})
    assert refused.status_code == 422
    assert said in refused.text
    assert db.session.query(Setting).count() == 0


# Mail texts


def test_every_mail_is_listed_and_offers_what_it_is_sent_with(pages) -> None:
    assert set(domain.SAMPLES) == set(queries.TITLES)
    listed = pages.get("/admin/settings/mails").text
    for template, title in queries.TITLES.items():
        assert f'href="/admin/settings/mails/{template}">{title}</a>' in listed
        page = pages.get(f"/admin/settings/mails/{template}")
        assert page.status_code == 200, template
        for name in domain.SAMPLES[template]:
            assert f">{{{name}}}</code>" in page.text, (template, name)
    assert pages.get("/admin/settings/mails/_layout").status_code == 404
    assert pages.post("/admin/settings/mails/_layout/standard").status_code == 404


@pytest.mark.parametrize("template", list(domain.SAMPLES))
def test_the_standard_text_saved_as_ones_own_says_the_same(app, admin, template: str) -> None:
    standard = rendering.standard(template)
    facts = {
        name: value
        for name, value in domain.SAMPLES[template].items()
        if name not in ("company", "company_phone", "site")
    }
    before = rendered(template, **facts)
    domain.check_text(template, **standard)
    services.change_mail(template=template, version=0, **standard, actor=admin)
    assert rendered(template, **facts) == before


def test_a_mail_says_what_an_admin_wrote_until_the_standard_is_used_again(pages) -> None:
    address = "/admin/settings/mails/claim_received"
    words = {"subject": "{number} is here", "body": "Dear {name},\n\n{company} has it: {url}\n\n{{ name }}"}
    facts = {"name": "Zoë {number} {{ 7 * 7 }}", "number": "CLM-1", "url": "http://127.0.0.1:8000/portal/claims/1"}
    standard = rendered("claim_received", **facts)
    refused = send(pages, address, **words)
    assert refused.status_code == 422  # {{ name }} is no placeholder: " name " is not offered
    assert "{ name } cannot stand here" in refused.text
    words["body"] = words["body"].removesuffix("\n\n{{ name }}")
    assert send(pages, address, **words).location == "/admin/settings/mails"
    mail = rendered("claim_received", **facts)
    assert mail.subject == "CLM-1 is here"
    assert mail.text.startswith(
        "Dear Zoë {number} {{ 7 * 7 }},\n\nHarbor Mutual has it: http://127.0.0.1:8000/portal/claims/1\n"
    )
    assert "Your own" in pages.get("/admin/settings/mails").text
    assert "1 with words of your own" in pages.get("/admin/settings").text
    noted = entry()
    assert (noted.label, noted.after) == ("Mail: Claim received", words)
    assert noted.before["subject"] == "We have your claim {number}"
    assert "Use the standard text again" in pages.get(address).text
    assert pages.post(f"{address}/standard").location == address
    assert rendered("claim_received", **facts) == standard
    assert "Use the standard text again" not in pages.get(address).text
    assert (entry().before, entry().after["subject"]) == (words, "We have your claim {number}")
    assert version_in(pages.get(address)) == "2"  # a form opened before is stale all the same


def test_a_preview_shows_sample_data_and_saves_nothing(pages) -> None:
    address = "/admin/settings/mails/receipt"
    assert "Thank you for your payment for policy POL-2026-000042" in pages.get(address).text
    page = send(pages, address, subject="We have {amount}", body="Hi {name}, <b>{method}</b>.", go="preview")
    assert page.status_code == 200
    assert "<strong>We have $204.00</strong>" in page.text
    assert "Hi Maria Lopez, &lt;b&gt;Bank transfer&lt;/b&gt;." in page.text
    assert "Hi {name}, &lt;b&gt;{method}&lt;/b&gt;." in page.text  # what was typed stands in its box
    assert db.session.query(Setting).count() == 0
    refused = send(pages, address, subject="S", body="{nonsense}", go="preview")
    assert refused.status_code == 422
    assert "{nonsense} cannot stand here" in refused.text


@pytest.mark.parametrize(
    ("template", "subject", "body", "field"),
    [
        ("receipt", "{url}", "B", "subject"),
        ("receipt", "S", "{url}", "body"),  # a receipt has no link of its own
        ("receipt", "{}", "B", "subject"),
        ("receipt", "S", "{name.__class__}", "body"),
        ("receipt", "S", "{0}", "body"),
        ("reset", "{url}", "{url}", "subject"),
        ("confirm", "S", "no link", "body"),
        ("reset", "S", "no link", "body"),
        ("invitation", "S", "no link", "body"),
        ("claim_question", "{question}", "B", "subject"),
    ],
)
def test_words_that_could_not_be_filled_in_or_lack_their_link_are_refused_at_their_field(
    app, admin, template: str, subject: str, body: str, field: str
) -> None:
    with pytest.raises(RuleBroken) as refusal:
        services.change_mail(template=template, version=0, subject=subject, body=body, actor=admin)
    assert refusal.value.field == field
    assert db.session.query(Setting).count() == 0


@pytest.mark.parametrize("text", ["{", "}", "a { b", "{{name}}", "{\nname}", "100 % {name} \\1 %s"])
def test_braces_that_are_no_placeholder_stand_as_they_are(app, admin, text: str) -> None:
    services.change_mail(template="receipt", version=0, subject="S", body=text, actor=admin)
    said = rendered("receipt", **domain.SAMPLES["receipt"] | {"name": "Zoë \\g<0>"}).text
    assert said.startswith(text.replace("{name}", "Zoë \\g<0>"))


def test_a_link_in_ones_own_words_is_a_link_and_hidden_in_the_outbox(app, admin) -> None:
    services.change_mail(template="reset", version=0, subject="S", body="Here:\n\n{url}", actor=admin)
    person = factories.user(Role.CUSTOMER)
    accounts.ask_for_reset(email=person.email)
    mail = db.session.query(Mail).one()
    url = accounts.link_url(mail.data["link_id"])
    assert f'<a href="{url}"' in rendering.render(mail).html
    assert url not in rendering.render(mail, url="hidden").text


# Numbering


LETTERS = {
    "POL": "HMP",
    "INV": "HMI",
    "RCT": "HMR",
    "CRN": "HMN",
    "NOT": "HMD",
    "BAT": "HMB",
    "MND": "HMM",
    "CLM": "HMC",
    "CUS": "HMK",
}


def test_numbers_given_out_from_now_on_have_the_new_letters_and_are_counted_on(pages) -> None:
    old = factories.bound_policy(customer=factories.customer())
    answers = {**LETTERS, "POL": " hmp "}
    assert send(pages, "/admin/settings/numbering", **answers).location == "/admin/settings"
    new = factories.bound_policy(customer=factories.customer())
    assert (old.number, new.number) == ("POL-2026-000001", "HMP-2026-000002")
    invoices = [factories.first_invoice(policy).number for policy in (old, new)]
    assert invoices == ["INV-2026-000001", "HMI-2026-000002"]
    [found] = customers.find_some("hmk-2026-000002", SYSTEM)
    assert found.id == new.customer_id
    for number, path in ((new.number.lower(), f"/policies/{new.id}"), (old.number, f"/policies/{old.id}")):
        assert pages.get(f"/agent/search?q={number}").location == path
    assert "HMP-2026-000042" in pages.get("/admin/settings").text
    noted = entry()
    assert (noted.label, noted.before["POL"], noted.after["POL"]) == ("Numbering", "POL", "HMP")
    assert [violation for result in verify.run() for violation in result.violations] == []


def test_no_number_repeats_when_letters_come_back_or_go_round(app, admin) -> None:
    given = []
    swapped = {**LETTERS, "POL": "INV", "INV": "POL"}
    for version, letters in enumerate((LETTERS, swapped, {series: series for series in LETTERS}, LETTERS)):
        services.change_numbering(version=version, letters=letters, actor=admin)
        given.append(factories.bound_policy().number)
    with clock.at(date(2027, 1, 2)):
        given.append(factories.bound_policy().number)
    assert given == [
        "HMP-2026-000001",
        "INV-2026-000002",
        "POL-2026-000003",
        "HMP-2026-000004",
        "HMP-2027-000001",
    ]
    assert [violation for result in verify.run() for violation in result.violations] == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"POL": "INV", "INV": "INV"}, "INV stands twice"),
        ({"POL": "HMI"}, "HMI stands twice"),
        ({"POL": "AB"}, "three capital letters"),
        ({"POL": "A1B"}, "three capital letters"),
        ({"POL": "ÄBC"}, "three capital letters"),
        ({"POL": "ABCD"}, "3 characters or fewer"),
        ({"CUS": ""}, "Enter the customers"),
    ],
)
def test_letters_that_cannot_be_are_refused_at_their_field(pages, answers: dict, said: str) -> None:
    refused = send(pages, "/admin/settings/numbering", **{**LETTERS, **answers})
    assert refused.status_code == 422
    assert said in refused.text
    assert db.session.query(Setting).count() == 0


def test_two_admins_who_change_numbering_do_not_end_with_the_same_letters(app, admin) -> None:
    one, two = {**LETTERS, "POL": "AAA"}, {**LETTERS, "INV": "AAA"}
    outcomes = together(
        app,
        [
            lambda letters=letters: services.change_numbering(version=0, letters=letters, actor=admin)
            for letters in (one, two)
        ],
    )
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 1
    assert len(set(numbering.letters().values())) == len(LETTERS)


# Notices and collection


def test_a_product_has_a_ladder_of_its_own_until_it_goes_by_the_standard_again(pages) -> None:
    own = {"reminder": "5", "overdue": "2", "second": "4", "cancellation": "6", "grace": "9"}
    here = "/admin/settings/dunning/standard"
    assert send(pages, here, **own).location == "/admin/settings/dunning"
    assert billing.ladder("standard") == Ladder(-5, 2, 4, 6, 9)
    assert billing.ladder() == billing.ladder("other") == Ladder()
    assert "Days of its own" in pages.get("/admin/settings/dunning").text
    assert send(pages, here, **own | {"grace": "6"}).status_code == 422
    assert pages.post(f"{here}/standard").status_code == 303
    assert billing.ladder("standard") == Ladder()
    assert pages.get("/admin/settings/dunning/unknown").status_code == 404


def test_notices_go_by_the_ladder_of_their_product(app, admin) -> None:
    factories.bound_policy()
    on = TODAY + timedelta(days=3)
    assert dunning.send_notices(on=on - timedelta(days=2), notice_days=lambda _ids: {}, actor=admin) == 1
    product = products.catalogue()[0]
    with transaction() as session:
        session.query(Mail).update({"status": outbox.MailStatus.KEPT})
    steps = {"reminder": -5, "overdue": 1, "second": 3, "cancellation": 6, "grace": 9}
    assert dunning.send_notices(on=on, notice_days=lambda _ids: {}, actor=admin) == 0
    services.change_product_dunning(product=product, version=0, steps=steps, actor=admin)
    assert dunning.send_notices(on=on, notice_days=lambda _ids: {}, actor=admin) == 1


def test_admins_say_when_cards_are_charged_and_debits_begun(pages) -> None:
    answers = {"autopay_days": "1, 5,9", "lead_days": "3", "most_returns": "1"}
    assert send(pages, "/admin/settings/collection", **answers).location == "/admin/settings"
    assert billing.collection_plan() == CollectionPlan((1, 5, 9), 3, 1)
    assert "1, 5, 9 days after the due day" in pages.get("/admin/settings").text
    for wrong in ("", "x", "5, 1", "0, 99", "1,,2", "-1"):
        refused = send(pages, "/admin/settings/collection", **answers | {"autopay_days": wrong})
        assert refused.status_code == 422, wrong
        assert wrong in refused.text

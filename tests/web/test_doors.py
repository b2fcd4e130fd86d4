"""Who gets in where: every endpoint, every method, everybody; and that whoever is kept out changes nothing.

The endpoints come from the application itself. A new one is covered at once, or asks for a line in the tables below.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import DateTime, select
from werkzeug.routing import Rule

from insurance.accounts import services as accounts
from insurance.accounts import tokens
from insurance.billing.domain import PaymentPlan
from insurance.billing.models import Disbursement, Mandate
from insurance.claims import queries as claim_queries
from insurance.claims import services as claims
from insurance.core import audit, person_keys
from insurance.core.audit import AuditEntry
from insurance.core.db import Base, Instant, db
from insurance.core.errors import NotAllowed, NotFound
from insurance.core.permissions import Actor, Role
from insurance.customers import services as customers
from insurance.messages import services as messages
from insurance.payments import services as payments
from insurance.payments.domain import PaymentMethod
from insurance.policies import services as policies
from insurance.portal.views.claims import STEPS
from insurance.web.guard import API, PUBLIC, permissions_of
from tests import factories
from tests import world as worlds
from tests.conftest import TODAY
from tests.world import World, photo, usd

EVERYBODY = ["anonymous", "customer A", "customer B", "agent A", "agent B", "admin"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

CLAIMS = {
    "claims.answer": "waiting",
    "claims.ask": "reviewed",
    "claims.settle": "approved",
    "claims.approve_payout": "large",
    "claims.appeal": "rejected",
    "claims.close": "paid",
    "claims.reopen": "paid",
    "api.edit_claim": "draft",
    "api.submit_claim": "draft",
}
"""The claim whose state an act asks for; any other page gets the pending one."""
QUOTES = {
    "policies.edit",
    "policies.bind",
    "policies.withdraw",
    "api.bind_policy",
    "api.withdraw_policy",
    "api.edit_policy",
}
"""What is about a quote."""
ASKED = {
    "policies.new_cover": "customer",
    "claims.new": "policy",
    "payments.new": "invoice",
    "portal.claim_step": "claim",
    "payments.request_refund": "account",
}
"""What a page needs after the question mark."""
UNSIGNED = {"payments.stripe"}
"""Doors that open to no browser, whoever sits at it: what comes there is signed."""
OWNED = {
    "customer_id",
    "policy_id",
    "claim_id",
    "invoice_id",
    "payment_id",
    "document_id",
    "file_id",
    "notice_id",
    "receipt_id",
    "account_id",
    "payout_id",
}
"""Ids of records that lie in somebody's sight, or not."""
OWN = {"accounts.end_session", "accounts.revoke_key", "accounts.remove_passkey"}
"""Pages about what is a user's alone."""
SEES = {"customer A", "agent A", "admin"}
"""In whose sight A's records are."""


def values_of(argument: str, endpoint: str, world: World) -> list[Any]:
    """A's records to put into an address."""
    a = world.a
    known = {
        "customer_id": [a.customer_id],
        "policy_id": [a.quote_id if endpoint in QUOTES else a.policy_id],
        "claim_id": [a.claims[CLAIMS.get(endpoint, "pending")]],
        "invoice_id": [a.invoice_id],
        "payment_id": [a.payment_id],
        "notice_id": [a.notice_id],
        "account_id": [a.account_id],
        "suspense_id": [world.suspense_id],
        "method": ["cash"],
        "document_id": [a.document_id],
        "file_id": [a.file_id],
        "session_id": [a.session_id],
        "key_id": [a.key_id],
        "passkey_id": [a.passkey_id],
        "receipt_id": [a.receipt_id],
        "code": ["standard"],
        "rest": ["1"],
        "user_id": [a.person.id],
        "mail_id": [world.mail_id],
        "entry_id": [world.entry_id],
        "version_id": [world.version_id],
        "feedback_id": [world.feedback_id],
        "erasure_id": [world.erasure_id],
        "disbursement_id": [world.disbursement_id],
        "payout_id": [world.disbursement_id],
        "clearing_id": [world.clearing_id],
        "batch_id": [world.batch_id],
        "statement_id": [world.statement_id],
        "line_id": [world.line_id],
        "template": ["receipt"],
        "account": ["bank"],
        "step": STEPS,
        "filename": ["css/bootstrap.min.css" if endpoint.startswith("bootstrap") else "css/site.css"],
        "token": [world.tokens.get(endpoint.rpartition(".")[2], a.gateway_token)],
    }
    if argument not in known:
        pytest.fail(f"{endpoint} has “{argument}” in its address: say in values_of() which record of A's that is")
    return known[argument]


def addresses(rule: Rule, world: World) -> list[str]:
    """A rule's addresses, with A's records in them."""
    filled: list[dict[str, Any]] = [{}]
    for argument in sorted(rule.arguments):
        filled = [{**one, argument: value} for one in filled for value in values_of(argument, rule.endpoint, world)]
    asked = {
        "customer": world.a.customer_id,
        "policy": world.a.policy_id,
        "invoice": world.a.invoice_id,
        "account": world.a.account_id,
        "claim": world.a.claims["draft"],
    }
    query = f"?{ASKED[rule.endpoint]}={asked[ASKED[rule.endpoint]]}" if rule.endpoint in ASKED else ""
    found = []
    for one in filled:
        built = rule.build(one)
        assert built, f"{rule} can't be built of {one}"
        found.append(built[1] + query)
    return found


def expected(app: Flask, rule: Rule, who: str, world: World) -> int:
    """The status that keeps somebody out; 0 if they get in."""
    permissions = permissions_of(app, rule.endpoint)
    if PUBLIC in permissions:
        return 400 if rule.endpoint in UNSIGNED else 0
    if who == "anonymous":
        return 401 if rule.rule.startswith(API) else 303
    if not any(map(world.actors[who].may, permissions)):
        return 403
    if rule.endpoint in OWN:
        return 0 if who == "customer A" else 404
    owned = OWNED & rule.arguments or rule.endpoint in ASKED
    return 404 if owned and who not in SEES else 0


def cells(app: Flask, who: str, world: World, *, api: bool = False) -> Iterator[tuple[str, str, str, int]]:
    """Method, address, endpoint and the status that keeps somebody out, 0 for none; of the pages, or of the API."""
    rules = [rule for rule in app.url_map.iter_rules() if not rule.build_only and rule.rule.startswith(API) == api]
    offered: dict[str, set[str]] = {}
    for rule in rules:
        offered.setdefault(rule.rule, set()).update(rule.methods or ())
    once = {}
    for rule in rules:
        for address in addresses(rule, world):
            for method in METHODS:
                if method in (rule.methods or ()):
                    once[method, address] = (rule.endpoint, expected(app, rule, who, world))
                elif method not in offered[rule.rule]:
                    once[method, address] = (rule.endpoint, 405)
    for (method, address), (endpoint, status) in once.items():
        yield method, address, endpoint, status


def test_the_tables_of_this_test_name_endpoints_that_exist(app) -> None:
    assert {*CLAIMS, *QUOTES, *ASKED, *UNSIGNED} <= set(app.view_functions)


@pytest.mark.sqlite_only
@pytest.mark.parametrize("who", EVERYBODY)
def test_each_door_opens_to_whom_it_should_and_whoever_is_kept_out_changes_nothing(app, world, who) -> None:
    browser = worlds.browsers(world)[who]
    cookie = browser.get_cookie("session")
    every = list(cells(app, who, world))
    wrong = []
    with worlds.snapshot() as before:
        for method, address, endpoint, status in every:
            if not status:
                continue
            answer = browser.open(address, method=method, buffered=True)
            kept_out = answer.status_code == status and (status != 303 or answer.location.partition("?")[0] == "/login")
            if not kept_out:
                wrong.append(f"{method} {address} ({endpoint}): {answer.status_code}, not {status}")
        assert before.changed() == []
        for method, address, endpoint, status in every:
            if status:
                continue
            answer = browser.open(address, method=method, buffered=True)
            refusals = (409, 422) if method == "POST" else ()
            if not (answer.status_code < 400 or answer.status_code in refusals) or (
                who != "anonymous" and (answer.location or "").startswith("/login?")
            ):
                wrong.append(f"{method} {address} ({endpoint}): {answer.status_code}, but {who} may")
            if method != "POST":
                assert before.changed() == [], f"{method} {address}"
            elif answer.status_code >= 400:
                assert before.changed() in ([], ["sign_in_tries"]), f"{method} {address} ({answer.status_code})"
            before.restore()
            if cookie:
                browser.set_cookie("session", cookie.value)  # logging out takes it
    assert not wrong, "\n".join(wrong)


def test_no_get_of_anybody_writes(app, world) -> None:
    everybody = worlds.browsers(world)
    with worlds.snapshot() as before:
        for who, browser in everybody.items():
            for method, address, *_ in cells(app, who, world):
                if method == "GET":
                    browser.get(address, buffered=True)
            assert before.changed() == [], who


@pytest.mark.sqlite_only
def test_nothing_is_done_without_the_request_token(app, world) -> None:
    everybody = worlds.browsers(world)
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        with worlds.snapshot() as before:
            for who, browser in everybody.items():
                for method, address, endpoint, status in cells(app, who, world):
                    if method == "POST" and status != 405:
                        assert browser.post(address).status_code == 400, f"{who}: {address} ({endpoint})"
                assert before.changed() == [], who
    finally:
        app.config["WTF_CSRF_ENABLED"] = False


@pytest.mark.sqlite_only
def test_what_staff_note_about_a_policy_is_on_no_page_of_a_customer(app, world) -> None:
    everybody = worlds.browsers(world)
    for address in [address for method, address, *_ in cells(app, "customer A", world) if method == "GET"]:
        assert worlds.NOTE.encode() not in everybody["customer A"].get(address, buffered=True).data, address
    assert worlds.NOTE in everybody["agent A"].get(f"/policies/{world.a.policy_id}").text


# The API


def program(app: Flask, actor: Actor | None) -> FlaskClient:
    """A program that has signed in, or has not; it carries a browser's cookie too, which must count for nothing."""
    client = app.test_client()
    if actor:
        assert actor.id
        factories.signed_in(client, actor)
        access = tokens.open_session(actor.id, address="127.0.0.1", program="test").access
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {access}"
    return client


@pytest.mark.sqlite_only
@pytest.mark.parametrize("who", EVERYBODY)
def test_each_operation_is_for_whom_it_should_be_and_whoever_is_kept_out_changes_nothing(app, world, who) -> None:
    client = program(app, world.actors.get(who))
    every = list(cells(app, who, world, api=True))
    wrong = []
    with worlds.snapshot() as before:
        for method, address, endpoint, status in every:
            if not status:
                continue
            answer = client.open(address, method=method)
            said = answer.mimetype == "application/problem+json" or method == "HEAD"
            if answer.status_code != status or not said:
                wrong.append(f"{method} {address} ({endpoint}): {answer.status_code}, not {status}")
        assert before.changed() == []
        for method, address, endpoint, status in every:
            if status:
                continue
            answer = client.open(address, method=method)
            if answer.status_code >= 400 and answer.status_code not in (409, 422):
                wrong.append(f"{method} {address} ({endpoint}): {answer.status_code}, but {who} may")
            if method in ("GET", "HEAD") or answer.status_code >= 400:
                assert before.changed() == [], f"{method} {address} ({answer.status_code})"
            before.restore()
    assert not wrong, "\n".join(wrong)


@pytest.mark.sqlite_only
def test_no_cookie_opens_the_api(app, world) -> None:
    browser = worlds.browsers(world)["admin"]
    for method, address, endpoint, status in cells(app, "anonymous", world, api=True):
        if status == 401:
            assert browser.open(address, method=method).status_code == 401, endpoint


# Ids that are not in the path


def queries(world: World) -> dict[str, list[str]]:
    """Addresses that name a record of A's after the question mark, by who is to be refused."""
    a, b = world.a, world.b
    return {
        "agent B": [
            f"/policies/new/cover?customer={a.customer_id}",
            f"/claims/new?policy={a.policy_id}",
            f"/payments/new?invoice={a.invoice_id}",
            f"/payments/new?account={a.account_id}",
            f"/payments/new?account={a.account_id}&invoice={b.invoice_id}",
        ],
        "customer B": [f"/portal/claims/new/{step}?claim={a.claims['draft']}" for step in STEPS],
    }


@pytest.mark.sqlite_only
def test_a_record_out_of_sight_does_not_exist_after_the_question_mark_either(world) -> None:
    everybody = worlds.browsers(world)
    with worlds.snapshot() as before:
        for who, refused in queries(world).items():
            for address in refused:
                assert everybody[who].get(address).status_code == 404, address
                assert everybody[who].post(address).status_code == 404, address
        assert before.changed() == []
    a = world.a
    assert f'value="{a.policy_id}"' not in everybody["customer B"].get(
        f"/portal/claims/new/policy?policy={a.policy_id}"
    ).text.replace('name="key"', "")


@pytest.mark.sqlite_only
def test_an_id_in_a_form_that_was_not_offered_is_refused_and_nothing_changes(world) -> None:
    a, b = world.a, world.b
    everybody = worlds.browsers(world)
    own, draft = everybody["customer A"], f"claim={a.claims['draft']}"
    sent: list[tuple[FlaskClient, str, dict[str, Any], int]] = [
        (own, "/portal/claims/new/policy", {"policy_id": b.policy_id, "key": "k1"}, 422),
        (own, "/portal/claims/new/policy", {"policy_id": a.quote_id, "key": "k2"}, 422),
        (own, f"/portal/claims/new/policy?{draft}", {"policy_id": b.policy_id, "key": "k3"}, 422),
        (own, f"/portal/claims/new/photos?{draft}", {"remove": a.file_id}, 404),
        (own, f"/portal/claims/new/photos?{draft}", {"remove": b.draft_file_id}, 404),
        *(
            (everybody["admin"], f"/customers/{a.customer_id}/transfer", {"agent_id": somebody}, 422)
            for somebody in (a.person.id, world.admin.id, 2**63 - 1, 10**30, -1)
        ),
    ]
    with worlds.snapshot() as before:
        for browser, address, data, status in sent:
            assert browser.post(address, data=data).status_code == status, (address, data)
            assert before.changed() == [], (address, data)


@pytest.mark.sqlite_only
def test_a_file_is_found_by_its_own_claim_alone(world) -> None:
    a, b = world.a, world.b
    everybody = worlds.browsers(world)
    for claim_id, file_id in [
        (a.claims["pending"], b.file_id),
        (a.claims["pending"], a.draft_file_id),
        (a.claims["draft"], a.file_id),
        (b.claims["pending"], a.file_id),
    ]:
        for who in ("customer A", "agent A", "admin"):
            assert everybody[who].get(f"/claims/{claim_id}/files/{file_id}").status_code == 404
    assert everybody["customer A"].get(f"/claims/{a.claims['pending']}/files/{a.file_id}").status_code == 200


# Fields that were not asked


def opened() -> list[tuple]:
    """What is sealed, each time with another nonce, as it is read."""
    keys = person_keys.load(list(db.session.scalars(select(person_keys.PersonKey.customer_id))))
    rows = [tuple(row) for model in (Disbursement, Mandate) for row in db.session.execute(select(model.account_number))]
    for entry in db.session.execute(select(AuditEntry.before, AuditEntry.after).order_by(AuditEntry.id)):
        rows += [(name, audit.read(value, keys)) for said in entry for name, value in said.items()]
    db.session.rollback()
    return rows


def facts() -> dict[str, list[tuple]]:
    """All rows, but for instants and what is drawn by chance."""
    chance = {
        "token",
        "token_hash",
        "key",
        "key_hash",
        "fingerprint",
        "beginning",
        "path",
        "sha256",
        "size",
        "password_hash",
        "request_id",
        "message_id",
        "hash",
        "previous_hash",
        "sealed",
        "account_number",
        "before",
        "after",
    }
    held: dict[str, list[tuple]] = {"sealed": opened()}
    with db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [
                column
                for column in table.columns
                if column.name not in chance and not isinstance(column.type, DateTime | Instant)
            ]
            held[table.name] = sorted(map(tuple, connection.execute(select(*columns)).all()), key=repr)
    return held


@pytest.mark.sqlite_only
@pytest.mark.parametrize("who", ["anonymous", "customer A", "agent A", "admin"])
def test_a_form_changes_what_it_asks_and_no_other_column_whatever_else_is_sent(world, who) -> None:
    browser = worlds.browsers(world)[who]
    columns = {column.name for table in Base.metadata.sorted_tables for column in table.columns}
    greedy = {"role": "admin", "status": "approved", "active": "1", "wide_sight": "1", "currency": "EUR"}
    accepted, seen = 0, set()
    with worlds.snapshot() as before:
        for page in worlds.crawl(browser, worlds.starts(world)[who]):
            for form in page.forms:
                kind = worlds.address_kind(form.action), tuple(form.fields)
                if kind in seen or form.action == "/logout":
                    continue
                seen.add(kind)
                data = worlds.fill(form)
                plain = browser.post(form.action, data=data)
                asked = facts()
                before.restore()
                boxes = {name.rpartition("-")[0] for name in form.fields}
                extra = {name: greedy.get(name, "1") for name in columns - {*form.fields, *boxes}}
                more = browser.post(form.action, data={**extra, **data})
                got = facts()
                before.restore()
                assert more.status_code == plain.status_code, form.action
                assert [name for name in asked if asked[name] != got[name]] == [], form.action
                accepted += plain.status_code == 303
    assert accepted >= (1 if who == "anonymous" else 5), "most forms are accepted as filled in"


# The services, which know no pages


def refusals(world: World) -> dict[str, list[Any]]:
    """Acts on A's records, by who is to be refused with NotFound or NotAllowed."""
    a, claim = world.a, world.a.claims
    facts: dict[str, Any] = {"policy_type": "comprehensive", "coverage": usd("1.00"), "start_on": TODAY}
    reads: list[Any] = [
        lambda actor: customers.edit(customer_id=a.customer_id, phone="1", actor=actor),
        lambda actor: claims.start(policy_id=a.policy_id, actor=actor),
        lambda actor: claims.save(claim_id=claim["draft"], description="!", actor=actor),
        lambda actor: claims.choose_policy(claim_id=claim["draft"], policy_id=a.policy_id, actor=actor),
        lambda actor: claims.attach(claim_id=claim["pending"], files=[photo()], actor=actor),
        lambda actor: claims.detach(claim_id=claim["draft"], file_id=a.draft_file_id, actor=actor),
        lambda actor: policies.quote(customer_id=a.customer_id, actor=actor, **facts),
        lambda actor: policies.bind(policy_id=a.quote_id, plan=PaymentPlan.ANNUAL, actor=actor),
        lambda actor: claims.submit(claim_id=claim["draft"], actor=actor),
        lambda actor: claims.answer(claim_id=claim["waiting"], text="!", actor=actor),
        lambda actor: claims.withdraw(claim_id=claim["pending"], actor=actor),
        lambda actor: accounts.end_session(session_id=a.session_id, actor=actor),
        lambda actor: claim_queries.get_claim(claim["pending"], actor),
    ]
    staff: list[Any] = [
        lambda actor: customers.set_active(customer_id=a.customer_id, active=False, actor=actor),
        lambda actor: customers.delete(customer_id=a.customer_id, actor=actor),
        lambda actor: customers.invite(customer_id=a.customer_id, actor=actor),
        lambda actor: policies.edit(policy_id=a.quote_id, version=1, last_day_on=None, actor=actor, **facts),
        lambda actor: policies.withdraw(policy_id=a.quote_id, actor=actor),
        lambda actor: policies.delete(policy_id=a.quote_id, actor=actor),
        lambda actor: claims.delete(claim_id=claim["draft"], actor=actor),
        lambda actor: payments.delete(payment_id=a.payment_id, actor=actor),
        lambda actor: policies.note(policy_id=a.policy_id, version=1, text="!", actor=actor),
        lambda actor: payments.record(
            account_id=a.account_id, amount=usd("1.00"), method=PaymentMethod.CASH, actor=actor
        ),
        lambda actor: claims.review(claim_id=claim["pending"], actor=actor),
        lambda actor: claims.edit(claim_id=claim["pending"], claimed=usd("2.00"), actor=actor),
        lambda actor: claims.ask(claim_id=claim["reviewed"], question="?", actor=actor),
        lambda actor: claims.approve(claim_id=claim["pending"], amount=usd("1.00"), notes="!", actor=actor),
        lambda actor: claims.reject(claim_id=claim["pending"], notes="!", actor=actor),
        lambda actor: claims.appeal(claim_id=claim["rejected"], actor=actor),
        lambda actor: claims.close(claim_id=claim["paid"], actor=actor),
        lambda actor: claims.reopen(claim_id=claim["paid"], actor=actor),
        lambda actor: claims.note(claim_id=claim["pending"], text="!", actor=actor),
    ]
    office: list[Any] = [
        lambda actor: customers.transfer(customer_id=a.customer_id, agent_id=world.b.agent.id, actor=actor),
        lambda actor: claims.approve_payout(claim_id=claim["large"], actor=actor),
        lambda actor: claims.settle(claim_id=claim["approved"], reference="", on=TODAY, actor=actor),
        lambda actor: messages.resend(mail_id=world.mail_id, recipient="x@example.com", actor=actor),
        lambda actor: accounts.invite(email="x@example.com", name="X", role=Role.ADMIN, actor=actor),
        lambda actor: accounts.send_reset(user_id=a.person.id, actor=actor),
        lambda actor: accounts.edit_user(
            user_id=a.person.id, version=1, name="X", role=Role.ADMIN, active=True, wide_sight=True,
            authority_minor=1, actor=actor,
        ),
    ]  # fmt: skip
    return {
        "customer B": [
            *reads,
            *staff,
            *office,
            lambda actor: payments.start_card(invoice_id=a.invoice_id, key="k", actor=actor),
            lambda actor: customers.edit(customer_id=world.b.customer_id, name="Other", actor=actor),
            lambda actor: customers.create(name="New", birth_on=date(2000, 1, 1), actor=actor),
        ],
        "customer A": [
            *staff,
            *office,
            lambda actor: customers.edit(customer_id=a.customer_id, birth_on=date(2000, 1, 1), actor=actor),
        ],
        "agent B": [*reads, *staff, *office],
        "agent A": [
            *office,
            lambda actor: payments.start_card(invoice_id=a.invoice_id, key="k", actor=actor),
            lambda actor: claims.review(claim_id=world.b.claims["pending"], actor=actor),
            lambda actor: policies.withdraw(policy_id=world.b.quote_id, actor=actor),
        ],
    }


def test_services_refuse_whom_the_pages_refuse(world) -> None:
    with worlds.snapshot() as before:
        for who, acts in refusals(world).items():
            for number, act in enumerate(acts):
                with pytest.raises((NotAllowed, NotFound)):
                    act(world.actors[who])
                assert before.changed() == [], f"{who}, act {number}"

"""What lists and records of the API hold, for whom, in which order, and how they are written."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event, select

from insurance.billing.domain import PaymentPlan
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.permissions import Actor, Role
from insurance.operations import verify
from insurance.payments import services as payments
from insurance.payments.services import refunds
from insurance.policies import services as policies
from tests import factories
from tests import world as worlds
from tests.conftest import TODAY
from tests.programs import Program, problem
from tests.races import together

FIELDS = {
    "policies": "id policy_number customer_id product policy_type coverage_amount start_date end_date cancelled_on "
    "premium currency status terms",
    "claims": "id policy_id claim_number claim_date loss_date claim_amount description status notes",
    "payments": "id policy_id invoice_id payment_date amount currency payment_method status receipt_number "
    "checkout_url",
    "invoices": "id invoice_number policy_id issue_date due_date total open currency status overdue",
    "customers": "id user_id name email phone_number address birth_date",
    "documents": "id",
    "receipts": "id",
    "users": "id",
    "products": "id",
    "events": "id",
}
"""What the outside counts on."""


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT)


@pytest.fixture
def program(agent) -> Program:
    return Program(agent)


def items(program: Program, path: str) -> list[dict[str, Any]]:
    answer = program.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json
    return answer.json["items"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_collection_has_the_fields_that_the_outside_counts_on_and_takes_at_most_five_statements(world, name) -> None:
    office = Program(world.admin)
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN", "SET ")):
            seen.append(statement)

    office.get(f"/{name}")
    event.listen(db.engine, "before_cursor_execute", note)
    found = items(office, f"/{name}")
    event.remove(db.engine, "before_cursor_execute", note)
    assert len(seen) <= 5, seen
    assert found
    for record in found:
        assert set(FIELDS[name].split()) <= set(record)
        where = record["code"] if name == "products" else record["id"]
        if name != "events":
            assert office.get(f"/{name}/{where}").json == record


def test_everybody_sees_their_own_records_and_no_others(world) -> None:
    everybody = {who: Program(actor) for who, actor in world.actors.items()}
    for name in ("customers", "policies", "invoices", "payments", "receipts", "claims", "documents", "events"):
        seen = {
            who: {record["id"] for record in items(program, f"/{name}?limit=100")} for who, program in everybody.items()
        }
        assert seen["customer A"], name
        assert seen["customer A"] == seen["agent A"]
        assert seen["customer B"] == seen["agent B"]
        assert not seen["customer A"] & seen["customer B"]
        if name != "events":
            of_nobody = seen["admin"] - seen["customer A"] - seen["customer B"]
            assert len(of_nobody) == (name == "customers")  # who asks to be erased has no agent, and nothing else
            assert seen["customer A"] | seen["customer B"] <= seen["admin"]


def test_a_record_out_of_sight_is_not_there_in_a_body_either(world) -> None:
    a, strangers = world.a, [Program(world.b.agent), Program(world.b.person)]
    claim = {"loss_date": "2026-05-30", "claim_amount": "10.00", "description": "Dented."}
    policy = {"policy_type": "basic", "coverage_amount": "1000.00", "start_date": "2026-06-01"}
    payment = {"amount": "1.00", "payment_method": "cash"}
    with worlds.snapshot() as before:
        for path, body in (
            ("/policies", {**policy, "customer_id": a.customer_id}),
            ("/claims", {**claim, "policy_id": a.policy_id}),
            ("/payments", {**payment, "policy_id": a.policy_id}),
            ("/payments", {**payment, "invoice_id": a.invoice_id}),
            ("/payments", {**payment, "policy_id": world.b.policy_id, "invoice_id": a.invoice_id}),
        ):
            for stranger in strangers:
                problem(stranger.post(path, body), 404)
        assert before.changed() == []


def test_lists_are_newest_first_and_every_record_comes_once_page_by_page(program, agent) -> None:
    customer = factories.customer(agent=agent)
    made = [factories.quote(customer=customer, actor=agent).id for _ in range(7)]
    for sort, expected in (("", made[::-1]), ("&sort=id", made), ("&sort=-start_date", made[::-1])):
        assert list(pages(program, f"/policies?limit=3{sort}")) == expected
    assert len(items(program, "/policies")) == 7


def pages(program: Program, path: str) -> Iterator[int]:
    after = ""
    while True:
        answer = program.get(path + after).json
        assert answer
        yield from (record["id"] for record in answer["items"])
        if answer["next"] is None:
            return
        after = f"&after={answer['next']}"


def test_policies_are_filtered_by_field_and_status_as_the_calendar_has_it(program, agent) -> None:
    customer = factories.customer(agent=agent)
    facts = {"customer": customer, "actor": agent}
    quote = factories.quote(**facts, policy_type="basic", coverage="5000.00")
    pending = factories.bound_policy(**facts, start_on=TODAY + timedelta(days=10))
    active = factories.bound_policy(**facts, last_day_on=TODAY + timedelta(days=5))
    every = {quote.id, pending.id, active.id}

    def found(query: str) -> set[int]:
        return {record["id"] for record in items(program, f"/policies?{query}")}

    assert found(f"id={quote.id}") == {quote.id}
    assert found("status=quoted") == {quote.id}
    assert found("status=pending") == {pending.id}
    assert found("status=active") == {active.id}
    assert found("policy_type=basic&coverage_amount=5000.00") == {quote.id}
    assert found(f"policy_number={active.number}") == {active.id}
    assert found(f"customer_id={customer.id}&product=standard&currency=USD") == every
    assert found("start_date=2026-06-11") == {pending.id}
    assert found("start_date_from=2026-06-02") == {pending.id}
    assert found("start_date_to=2026-06-01") == {quote.id, active.id}
    assert found("end_date=2026-06-06") == {active.id}
    assert found("end_date_to=2026-06-06") == {active.id}
    assert found("status=active&policy_type=basic") == set()
    with clock.at(TODAY + timedelta(days=6)):
        late = Program(agent)
        assert {record["id"] for record in items(late, "/policies?status=expired")} == {active.id}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=101", "limit"), ("limit=0", "limit"), ("limit=x", "limit"), ("colour=red", "colour"),
        ("status=great", "status"), ("start_date=1.6.2026", "start_date"), ("customer_id=x", "customer_id"),
        ("coverage_amount=1e3", "coverage_amount"), ("after=x", "after"), ("sort=colour", "sort"),
        ("fields=id,colour", "fields"), ("limit=1&limit=2", "limit"), ("start_date_from=9999-99-99", "start_date_from"),
        ("end_date=9999-12-31", "end_date"), ("policy_number=" + "x" * 21, "policy_number"),
        ("after=x~5&sort=start_date", "after"), ("customer_id=" + "9" * 20, "customer_id"),
    ],
)  # fmt: skip
def test_what_a_list_does_not_know_is_refused_by_name(program, query, field) -> None:
    problem(program.get(f"/policies?{query}"), 422, field)


def test_only_the_members_that_are_asked_for_come_with_the_id(program, agent) -> None:
    policy = factories.quote(customer=factories.customer(agent=agent), actor=agent)
    assert items(program, "/policies?fields=status,premium") == [
        {"id": policy.id, "status": "quoted", "premium": "2400.00"}
    ]
    assert program.get(f"/policies/{policy.id}?fields=status").json == {"id": policy.id, "status": "quoted"}


def test_paths_without_version_or_with_a_slash_lead_to_the_same_place(program) -> None:
    led = program.client.get("/api/policies?limit=5")
    assert (led.status_code, led.location) == (308, "/api/v1/policies?limit=5")
    led = program.client.post("/api/policies/7/bind/")
    assert (led.status_code, led.location) == (308, "/api/v1/policies/7/bind")
    assert program.get("/policies/").status_code == 200
    for path in ("/api/v1/nothing", "/api/nothing", "/api/", "/api/v1"):
        answer = program.client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json"), path
    wrong = program.send("PUT", "/policies", {})
    problem(wrong, 405)
    assert "POST" in wrong.headers["Allow"]


# Writing


def test_a_customer_is_entered_changed_and_deleted(program, agent) -> None:
    made = program.post(
        "/customers", {"name": " Maria  Lopez", "email": "Maria@Example.com", "birth_date": "1986-11-23"}
    )
    assert made.status_code == 201
    record = made.json
    assert record
    assert made.location == f"/api/v1/customers/{record['id']}"
    assert made.headers["ETag"] == '"1"'
    assert (record["email"], record["birth_date"], record["agent_id"]) == ("maria@example.com", "1986-11-23", agent.id)
    where = f"/customers/{record['id']}"
    changed = program.patch(where, {"phone_number": "+1 800 555 0142", "email": None}).json
    assert changed
    assert (changed["phone_number"], changed["email"], changed["name"]) == ("+1 800 555 0142", None, record["name"])
    assert program.delete(where).status_code == 204
    problem(program.get(where), 404)
    kept = factories.quote(customer=factories.customer(agent=agent), actor=agent).customer_id
    assert "Deactivate" in problem(program.delete(f"/customers/{kept}"), 409)["detail"]


def test_customers_change_how_they_are_reached_and_nothing_else(world) -> None:
    own = Program(world.a.person)
    where = f"/customers/{world.a.customer_id}"
    assert own.patch(where, {"phone_number": "+1 800 555 0199"}).status_code == 200
    problem(own.patch(where, {"name": "Somebody Else"}), 403)
    problem(own.patch(f"/customers/{world.b.customer_id}", {"phone_number": "+1 800 555 0199"}), 404)


def test_a_quote_is_made_changed_bound_and_kept_or_withdrawn_and_deleted(program, agent) -> None:
    customer = factories.customer(agent=agent)
    body = {
        "customer_id": customer.id, "policy_type": "comprehensive", "coverage_amount": 100000.5,
        "start_date": "2026-06-01", "end_date": "2026-11-30",
    }  # fmt: skip
    made = program.post("/policies", body).json
    assert made
    assert (made["coverage_amount"], made["end_date"], made["status"]) == ("100000.50", "2026-11-30", "quoted")
    assert made["terms"] == []
    where = f"/policies/{made['id']}"
    changed = program.patch(where, {**made, "coverage_amount": "50000"} | {"terms": []}).json
    assert changed
    assert (changed["premium"], changed["end_date"]) == ("1200.00", "2026-11-30")
    bound = program.post(f"{where}/bind", {"payment_plan": "quarterly"}).json
    assert bound
    assert bound["status"] == "active"
    assert bound["terms"] == [{"start_date": "2026-06-01", "end_date": "2026-11-30", "premium": "1200.00"}]
    assert "Cancel it" in problem(program.delete(where), 409)["detail"]
    problem(program.patch(where, {"coverage_amount": "1.00"}), 409)
    problem(program.post(f"{where}/bind"), 409)
    other = factories.quote(customer=customer, actor=agent)
    assert program.post(f"/policies/{other.id}/withdraw").json["status"] == "withdrawn"  # type: ignore[index]
    assert program.delete(f"/policies/{other.id}").status_code == 204
    problem(program.get(f"/policies/{other.id}"), 404)
    assert [result for result in verify.run() if result.violations] == []


def test_customers_make_and_bind_their_own_quotes(world) -> None:
    own = Program(world.a.person)
    body = {"policy_type": "basic", "coverage_amount": "1000.00", "start_date": "2026-06-01"}
    made = own.post("/policies", {**body, "customer_id": world.a.customer_id})
    assert made.status_code == 201
    where = f"/policies/{made.json['id']}"  # type: ignore[index]
    problem(own.patch(where, {"coverage_amount": "1.00"}), 403)
    problem(own.delete(where), 403)
    problem(own.post(f"{where}/withdraw"), 403)
    assert own.post(f"{where}/bind").json["status"] == "active"  # type: ignore[index]


def test_a_draft_of_a_claim_is_kept_changed_submitted_or_deleted(world) -> None:
    own, staff = Program(world.a.person), Program(world.a.agent)
    body = {
        "policy_id": world.a.policy_id, "loss_date": "2026-05-20", "claim_amount": 250, "description": "Broken glass.",
        "draft": True,
    }  # fmt: skip
    draft = own.post("/claims", body).json
    assert draft
    assert (draft["status"], draft["claim_number"], draft["claim_date"]) == ("draft", None, None)
    where = f"/claims/{draft['id']}"
    assert own.patch(where, {"cause": "glass"}).json["cause"] == "glass"  # type: ignore[index]
    filed = own.post(f"{where}/submit").json
    assert filed
    assert (filed["status"], filed["claim_date"]) == ("pending", "2026-06-01")
    problem(own.patch(where, {"cause": "theft"}), 403)
    assert staff.patch(where, {"claim_amount": "300.00"}).json["claim_amount"] == "300.00"  # type: ignore[index]
    assert "Withdraw" in problem(staff.delete(where), 409)["detail"]
    other = own.post("/claims", body).json
    assert other
    problem(own.delete(f"/claims/{other['id']}"), 403)
    assert staff.delete(f"/claims/{other['id']}").status_code == 204
    problem(own.get(f"/claims/{other['id']}"), 404)


def test_claims_go_their_way_by_acts(world) -> None:
    staff, own, office = Program(world.a.agent), Program(world.a.person), Program(world.admin)
    where = f"/claims/{world.a.claims['pending']}"

    def act(who: Program, name: str, body: Any = None) -> str:
        answer = who.post(f"{where}/{name}", body)
        assert answer.status_code == 200, answer.text
        return answer.json["status"]  # type: ignore[index]

    assert act(staff, "review") == "under_review"
    assert act(staff, "ask", {"question": "Who drove?"}) == "waiting_customer"
    assert act(own, "answer", {"text": "I did."}) == "under_review"
    assert act(staff, "reject", {"notes": "Not covered."}) == "rejected"
    assert act(staff, "appeal") == "under_review"
    shown = staff.post(f"{where}/approve?dry_run=true", {"notes": "Covered."}).json
    assert shown
    assert (shown["status"], shown["approved_amount"]) == ("approved", "1000.00")
    assert {movement["event"] for movement in shown["effect"]} == {"claim_approved"}
    assert staff.get(where).json["status"] == "under_review"  # type: ignore[index]
    problem(staff.post(f"{where}/approve", {"amount": "1000.01", "notes": "Too much."}), 422, "amount")
    problem(staff.post(f"{where}/approve", {"notes": " "}), 422, "notes")
    assert act(staff, "approve", {"amount": "400.00", "notes": "Half of it."}) == "approved"
    problem(staff.post(f"{where}/settle", {"on": "2026-06-01"}), 403)
    assert act(office, "settle", {"on": "2026-06-01", "reference": "R1"}) == "paid"
    assert act(staff, "reopen") == "under_review"
    assert act(staff, "close") == "closed"
    problem(own.post(f"{where}/withdraw"), 409)
    assert office.post(f"/claims/{world.a.claims['large']}/approve-payout").status_code == 200


def test_payments_are_recorded_for_an_invoice_or_a_policy_and_paid_by_card(program, agent) -> None:
    person = factories.user(Role.CUSTOMER)
    customer = factories.customer(agent=agent, user=person)
    policy = factories.bound_policy(customer=customer, actor=agent, plan=PaymentPlan.QUARTERLY)
    invoice = factories.first_invoice(policy)
    body = {"amount": "100.00", "payment_method": "bank_transfer"}
    shown = program.post("/payments?dry_run=true", {**body, "policy_id": policy.id})
    assert shown.status_code == 200
    assert [movement["event"] for movement in shown.json["effect"]] == ["payment", "allocation"]  # type: ignore[index]
    assert items(program, "/payments") == []
    paid = program.post("/payments", {**body, "policy_id": policy.id, "payment_date": "2026-05-30"}).json
    assert paid
    assert (paid["status"], paid["payment_date"], paid["checkout_url"]) == ("processed", "2026-05-30", None)
    assert paid["receipt_number"]
    receipt = items(program, f"/receipts?payment_id={paid['id']}")[0]
    assert receipt["receipt_number"] == paid["receipt_number"]
    pdf = program.get(f"/documents/{receipt['document_id']}/pdf")
    assert (pdf.mimetype, pdf.data[:5]) == ("application/pdf", b"%PDF-")
    own = Program(person)
    by_card = {"amount": "500.00", "payment_method": "card", "invoice_id": invoice.id}
    begun = own.post("/payments", by_card).json
    assert begun
    assert begun["status"] == "created"
    assert begun["checkout_url"].startswith("http://127.0.0.1:8000/payments/test-gateway/")
    problem(own.post("/payments", {**by_card, "amount": "1.00"}), 422, "amount")
    problem(own.post("/payments", {**by_card, "payment_method": "cash"}), 403)
    problem(program.post("/payments", by_card), 403)
    problem(program.post("/payments", body), 422, "policy_id")
    problem(
        program.post("/payments", {**body, "policy_id": policy.id, "payment_date": "2026-06-02"}), 422, "payment_date"
    )
    assert program.delete(f"/payments/{begun['id']}").status_code == 204
    assert "refund" in problem(program.delete(f"/payments/{paid['id']}"), 409)["detail"]
    noted = program.patch(f"/payments/{paid['id']}", {"reference": "ACME 7"}).json
    assert noted
    assert noted["reference"] == "ACME 7"
    problem(program.patch(f"/payments/{paid['id']}", {"amount": "1.00"}), 422, "amount")
    assert [result for result in verify.run() if result.violations] == []


def test_a_payment_is_paid_back_by_the_way_it_came(app, program, agent, monkeypatch) -> None:
    person = factories.user(Role.CUSTOMER)
    customer = factories.customer(agent=agent, user=person)
    policy = factories.bound_policy(customer=customer, actor=agent, plan=PaymentPlan.QUARTERLY)
    invoice_id, own = factories.first_invoice(policy).id, Program(person)
    cash = program.post("/payments", {"amount": "400.00", "payment_method": "cash", "invoice_id": invoice_id}).json
    card = own.post("/payments", {"amount": "200.00", "payment_method": "card", "invoice_id": invoice_id}).json
    assert cash
    assert card
    payments.finish_card(token=card["checkout_url"].rpartition("/")[2], accepted=True)
    body = {"amount": "150.00", "reason": "Paid twice."}
    where, account = f"/payments/{cash['id']}/refund", {"account_number": "DE89370400440532013000"}
    problem(own.post(where, body | account), 403)
    problem(Program(factories.user(Role.AGENT)).post(where, body | account), 404)
    problem(program.post(where, body), 422, "account_number")
    problem(program.post(where, body | {"account_number": "DE00370400440532013000"}), 422, "account_number")
    problem(program.post(where, body | account | {"amount": "400.01"}), 422, "amount")
    with worlds.snapshot() as before:
        shown = program.post(f"{where}?dry_run=true", body | account).json
        assert shown
        assert [movement["event"] for movement in shown["effect"]] == ["deallocation", "refund_ordered"]
        assert before.changed() == []
    monkeypatch.setitem(app.config, "PAYOUT_LIMIT_MINOR", 100_00)
    waits = program.post(where, body | account, Idempotency_Key="1").json
    assert waits
    assert (waits["refunded_amount"], waits["refunds"][0]["status"]) == ("150.00", "requested")
    assert program.post(where, body | account, Idempotency_Key="1").json == waits
    goes = program.post(where, {"amount": "50.00", "reason": "Moved away."}).json
    assert goes
    assert [(order["amount"], order["status"]) for order in goes["refunds"]] == [
        ("150.00", "requested"), ("50.00", "approved"),
    ]  # fmt: skip
    where = f"/payments/{card['id']}/refund"
    problem(program.post(where, body | account), 422, "account_number")
    goes = program.post(where, {"amount": "20.00", "reason": "Moved away."}).json
    assert goes
    assert (goes["status"], goes["refunds"][0]["by_gateway"]) == ("processed", True)
    assert refunds.pay_cards_back() == 1
    gone = program.get(f"/payments/{card['id']}").json
    assert gone
    assert (gone["status"], gone["refunds"][0]["status"]) == ("partly_refunded", "sent")
    assert items(program, f"/invoices?id={invoice_id}")[0]["open"] == "220.00"
    assert [result for result in verify.run() if result.violations] == []


def test_overdue_invoices_are_found_by_the_day(program, agent) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent), actor=agent)
    assert items(program, "/invoices?overdue=true") == []
    with clock.at(TODAY + timedelta(days=60)):
        late = items(Program(agent), f"/invoices?overdue=true&policy_id={policy.id}&status=issued")
    assert [(invoice["open"], invoice["overdue"]) for invoice in late] == [("2400.00", True)]
    assert items(program, "/invoices?open=2400.00") != []
    assert items(program, "/invoices?open=0.00") == []


def test_administrators_invite_and_change_users(world) -> None:
    office = Program(world.admin)
    made = office.post(
        "/users", {"email": "new@example.com", "name": "New Agent", "role": "agent", "authority": "5000"}
    )
    assert made.status_code == 201
    record = made.json
    assert record
    assert (record["authority"], record["confirmed"]) == ("5000.00", False)
    where = f"/users/{record['id']}"
    assert office.patch(where, {"active": False}).json["active"] is False  # type: ignore[index]
    for body, field in (({"role": "system"}, "role"), ({"email": "x@example.com"}, "email"), ({"name": None}, "name")):
        problem(office.patch(where, body), 422, field)
    problem(office.post("/users", {"email": "new@example.com", "name": "Twin", "role": "agent"}), 422, "email")
    problem(Program(world.a.agent).get("/users"), 403)


def test_the_feed_tells_what_happened_in_order_and_goes_on_where_one_stopped(program, agent) -> None:
    policy = factories.bound_policy(customer=factories.customer(agent=agent), actor=agent)
    factories.bound_policy()
    told = items(program, "/events")
    assert [(one["action"], one["subject"]) for one in told] == [
        ("quote", "policies"), ("issue", "invoices"), ("bind", "policies"),
    ]  # fmt: skip
    assert {one["subject_id"] for one in told if one["subject"] == "policies"} == {policy.id}
    assert [one["id"] for one in items(program, f"/events?after={told[0]['id']}")] == [one["id"] for one in told[1:]]
    assert items(program, f"/events?after={told[-1]['id']}") == []
    assert list(pages(program, "/events?limit=1")) == [one["id"] for one in told]


def test_a_poller_misses_nothing_that_many_write_at_once(app, agent) -> None:
    """Ids are given in the order of commits: whoever has seen one has seen all before it."""
    customer = factories.customer(agent=agent)
    quotes = [factories.quote(customer=customer, actor=agent).id for _ in range(12)]
    poller, written = Program(agent), Event()
    seen: list[int] = []
    db.session.remove()

    def poll() -> None:
        while True:
            last = written.is_set()
            db.session.remove()  # each request begins to read anew
            new = items(poller, f"/events?limit=100&after={seen[-1] if seen else 0}")
            seen.extend(one["id"] for one in new)
            if last and not new:
                return

    def write(ids: list[int]) -> None:
        for policy_id in ids:
            policies.withdraw(policy_id=policy_id, actor=agent)

    def write_all() -> None:
        try:
            together(app, [partial(write, quotes[each::4]) for each in range(4)])
        finally:
            written.set()

    together(app, [poll, write_all])
    told = select(AuditEntry.id).where(AuditEntry.subject == "policies").order_by(AuditEntry.id)
    assert seen == list(db.session.scalars(told))
    assert len(seen) == 24


@pytest.mark.postgresql_only  # on SQLite one writes at a time
def test_who_commits_later_is_later_in_the_feed(app, agent) -> None:
    slow, quick = [factories.quote(customer=factories.customer(agent=agent), actor=agent).id for _ in range(2)]
    program = Program(agent)
    db.session.remove()
    begun, seen = Event(), Event()

    def withdraw_slowly() -> None:
        with transaction():
            policies.withdraw(policy_id=slow, actor=agent)
            begun.set()
            assert seen.wait(10)

    def withdraw() -> int:
        assert begun.wait(10)
        try:
            policies.withdraw(policy_id=quick, actor=agent)
            return items(program, "/events")[-1]["id"]
        finally:
            seen.set()

    _, last = together(app, [withdraw_slowly, withdraw])
    assert [one["subject_id"] for one in items(program, f"/events?after={last}")] == [slow]


def test_a_premium_is_worked_out_with_its_worksheet(program) -> None:
    answers = {"age": 40, "policy_type": "comprehensive", "coverage_amount": "100000.00"}
    rated = program.post("/products/standard/rate", {"answers": answers, "on": "2026-06-01"}).json
    assert rated
    assert (rated["premium"], rated["total"]) == ("2400.00", "2400.00")
    assert rated["worksheet"]
    problem(program.post("/products/standard/rate", {"answers": {**answers, "age": "old"}}), 422, "age")
    problem(program.post("/products/nothing/rate", {"answers": answers}), 404)

"""The pages of claims: the customer's notice step by step and tracker, and what staff decide with."""

import re
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from insurance.claims import queries, services
from insurance.claims.domain import ClaimStatus
from insurance.core.money import Money
from insurance.core.permissions import Role
from insurance.web.uploads import check_upload
from tests import factories
from tests.conftest import TODAY

pytestmark = pytest.mark.sqlite_only

START = TODAY - timedelta(days=100)
LOSS = TODAY - timedelta(days=2)
DATE = {"loss_on-day": LOSS.day, "loss_on-month": LOSS.month, "loss_on-year": LOSS.year}
REFUSED = 422


def png() -> bytes:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def agent(app):
    return factories.user(Role.AGENT)


@pytest.fixture
def person(app):
    return factories.user(Role.CUSTOMER)


@pytest.fixture
def policy(agent, person):
    return factories.bound_policy(customer=factories.customer(agent=agent, user=person), start_on=START)


@pytest.fixture
def customer_pages(person):
    return factories.browser(person)


@pytest.fixture
def staff_pages(agent):
    return factories.browser(agent)


@pytest.fixture
def claim(policy, person):
    return services.file(
        policy_id=policy.id,
        loss_on=LOSS,
        cause="collision",
        description="Rear-ended.",
        claimed=Money.parse("1200.00", "USD"),
        payee_name="Maria Lopez",
        actor=person,
    )


def key_of(page) -> str:
    return re.search(r'name="key" value="([^"]+)"', page.text)[1]


def version_of(page) -> str:
    return re.search(r'name="version" value="([^"]+)"', page.text)[1]


def draft(policy, pages) -> str:
    """Begin a claim on a policy; the id of the draft."""
    key = key_of(pages.get("/portal/claims/new/policy"))
    answer = pages.post("/portal/claims/new/policy", data={"policy_id": policy.id, "key": key})
    assert answer.status_code == 303
    return re.search(r"claim=([0-9]+)", answer.location)[1]


# The customer


def test_a_customer_reports_a_claim_step_by_step(policy, person, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    for step, answers, following in (
        ("when", {**DATE, "cause": "collision"}, "what"),
        ("what", {"description": "Rear-ended."}, "amount"),
        ("amount", {"claimed": "1,200.00", "payee_name": "Maria Lopez"}, "photos"),
        ("photos", {"files": (BytesIO(png()), "bumper.png")}, "check"),
    ):
        assert customer_pages.get(f"/portal/claims/new/{step}?claim={draft_id}").status_code == 200
        answer = customer_pages.post(f"/portal/claims/new/{step}?claim={draft_id}", data=answers)
        assert answer.location == f"/portal/claims/new/{following}?claim={draft_id}"
    check = customer_pages.get(f"/portal/claims/new/check?claim={draft_id}").text
    for told in ("30 May 2026", "Collision", "Rear-ended.", "$1,200.00", "Maria Lopez", "1 file"):
        assert told in check
    sent = customer_pages.post(f"/portal/claims/new/check?claim={draft_id}", follow_redirects=True)
    assert "<title>Claim CLM-2026-000001 received" in sent.text
    assert queries.get_claim(int(draft_id), person).status is ClaimStatus.PENDING


def test_sending_the_check_page_twice_leads_to_the_one_claim(claim, customer_pages) -> None:
    again = customer_pages.post(f"/portal/claims/new/check?claim={claim.id}")
    assert (again.status_code, again.location) == (303, f"/portal/claims/{claim.id}")


def test_a_claim_is_kept_and_finished_later(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    later = customer_pages.post(
        f"/portal/claims/new/when?claim={draft_id}", data={**DATE, "cause": "theft", "later": "1"}
    )
    assert later.location == "/portal/claims"
    assert "Not sent yet" in customer_pages.get("/portal/claims").text
    assert "Finish your claim" in customer_pages.get("/portal").text
    page = customer_pages.get(f"/portal/claims/{draft_id}", follow_redirects=True).text
    assert "Check your answers" in page
    assert "Tell us what happened." in page  # what is still missing, with the way to it
    assert f"/portal/claims/new/what?claim={draft_id}&amp;change=1" in page


def test_a_changed_answer_leads_back_to_the_answers(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    changed = customer_pages.post(f"/portal/claims/new/what?claim={draft_id}&change=1", data={"description": "Hail."})
    assert changed.location == f"/portal/claims/new/check?claim={draft_id}"
    to_policy = customer_pages.post(
        f"/portal/claims/new/policy?claim={draft_id}&change=1", data={"policy_id": policy.id, "key": "k"}
    )
    assert to_policy.location == f"/portal/claims/new/check?claim={draft_id}"


def test_a_date_in_the_future_is_refused_at_its_field(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    tomorrow = TODAY + timedelta(days=1)
    answers = {"loss_on": tomorrow.isoformat(), "cause": "theft"}
    page = customer_pages.post(f"/portal/claims/new/when?claim={draft_id}", data=answers)
    assert page.status_code == REFUSED
    assert "The date it happened must be today or in the past" in page.text


def test_a_loss_without_cover_is_said_before_the_claim_is_sent(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    before = (START - timedelta(days=1)).isoformat()
    customer_pages.post(f"/portal/claims/new/when?claim={draft_id}", data={"loss_on": before, "cause": "theft"})
    customer_pages.post(f"/portal/claims/new/what?claim={draft_id}", data={"description": "Gone."})
    customer_pages.post(f"/portal/claims/new/amount?claim={draft_id}", data={"claimed": "10", "payee_name": "Maria"})
    assert "Cover began on" in customer_pages.get(f"/portal/claims/new/check?claim={draft_id}").text
    assert customer_pages.post(f"/portal/claims/new/check?claim={draft_id}").status_code == REFUSED


def test_the_same_loss_again_is_pointed_out(claim, policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    customer_pages.post(f"/portal/claims/new/when?claim={draft_id}", data={**DATE, "cause": "collision"})
    page = customer_pages.get(f"/portal/claims/new/check?claim={draft_id}").text
    assert "reported a loss of the same day and kind already" in page
    assert claim.number in page


def test_photos_are_added_removed_and_refused_by_name(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    address = f"/portal/claims/new/photos?claim={draft_id}"
    customer_pages.post(address, data={"files": (BytesIO(png()), "bumper.png"), "more": "1"})
    page = customer_pages.get(address).text
    assert "bumper.png" in page
    remove = re.search(r'name="remove" value="([0-9]+)"', page)[1]
    customer_pages.post(address, data={"remove": remove})
    assert "bumper.png" not in customer_pages.get(address).text
    refused = customer_pages.post(address, data={"files": (BytesIO(b"...."), "film.mov")})
    assert refused.status_code == REFUSED
    assert "film.mov must be a PDF, JPG or PNG" in refused.text


def test_the_tracker_says_who_has_the_claim_and_takes_the_answer(claim, agent, person, customer_pages) -> None:
    services.review(claim_id=claim.id, actor=agent)
    services.ask(claim_id=claim.id, question="Who drove the car?", actor=agent)
    page = customer_pages.get(f"/portal/claims/{claim.id}").text
    assert "Who drove the car?" in page
    assert agent.name in page
    empty = customer_pages.post(f"/claims/{claim.id}/answer", data={"text": ""})
    assert empty.status_code == REFUSED
    sent = customer_pages.post(
        f"/claims/{claim.id}/answer", data={"text": "I did.", "files": (BytesIO(png()), "licence.png")}
    )
    assert sent.location == f"/portal/claims/{claim.id}"
    page = customer_pages.get(sent.location).text
    assert "I did." in page
    assert "licence.png" in page


def test_what_staff_note_is_not_for_the_customer(claim, agent, customer_pages) -> None:
    services.note(claim_id=claim.id, text="Looks odd, look twice.", actor=agent)
    assert "look twice" not in customer_pages.get(f"/portal/claims/{claim.id}").text


def test_a_customer_adds_files_and_withdraws_after_a_question(claim, person, customer_pages) -> None:
    added = customer_pages.post(f"/claims/{claim.id}/attach", data={"files": (BytesIO(png()), "invoice.png")})
    assert added.location == f"/portal/claims/{claim.id}"
    assert f"Withdraw claim {claim.number}?" in customer_pages.get(f"/claims/{claim.id}/withdraw").text
    assert customer_pages.post(f"/claims/{claim.id}/withdraw").location == f"/portal/claims/{claim.id}"
    assert queries.get_claim(claim.id, person).status is ClaimStatus.WITHDRAWN
    assert "You withdrew it" in customer_pages.get(f"/portal/claims/{claim.id}").text


def test_a_discarded_draft_has_a_page_without_a_number(policy, customer_pages) -> None:
    draft_id = draft(policy, customer_pages)
    customer_pages.post(f"/claims/{draft_id}/withdraw")
    page = customer_pages.get(f"/portal/claims/{draft_id}").text
    assert "Claim None" not in page
    assert "You withdrew it" in page


# Staff


def test_staff_file_for_a_customer_on_one_page(policy, agent, staff_pages) -> None:
    address = f"/claims/new?policy={policy.id}"
    notice = {
        **DATE,
        "cause": "theft",
        "claimed": "300",
        "payee_name": "Maria",
        "description": "Gone.",
        "key": key_of(staff_pages.get(address)),
    }
    first, again = (staff_pages.post(address, data={**notice, "files": (BytesIO(png()), "list.png")}) for _ in range(2))
    assert first.status_code == again.status_code == 303
    assert first.location == again.location
    page = staff_pages.get(first.location).text
    assert "CLM-2026-000001" in page
    assert page.count("list.png") == 1
    too_much = staff_pages.post(address, data={**notice, "claimed": "100000.01", "key": "k2"})
    assert too_much.status_code == REFUSED
    assert "$100,000.00 of the cover is left" in too_much.text


def test_the_record_shows_what_a_decision_rests_on(claim, agent, staff_pages) -> None:
    page = staff_pages.get(f"/claims/{claim.id}").text
    for shown in (
        "The policy gave cover on 30 May 2026",
        "$100,000.00",
        "You can approve up to",
        "$10,000.00",
        "Initial reserve",
        "Most that is payable now",
        "Take it",
    ):
        assert shown in page
    assert "Record the payout" not in page


def test_staff_take_ask_answer_and_approve_by_the_pages(claim, agent, staff_pages) -> None:
    home = f"/claims/{claim.id}"
    assert staff_pages.post(f"{home}/review").location == home
    assert staff_pages.post(f"{home}/ask", data={"question": "Who drove?"}).location == home
    assert "Who drove?" in staff_pages.get(f"{home}/answer").text
    assert staff_pages.post(f"{home}/answer", data={"text": "The owner, by phone."}).location == home
    page = staff_pages.get(f"{home}/approve")
    assert 'value="1,200.00"' in page.text
    version = version_of(page)
    refused = staff_pages.post(f"{home}/approve", data={"amount": "1200.01", "notes": "Covered.", "version": version})
    assert refused.status_code == REFUSED
    assert "The customer claims $1,200.00" in refused.text
    assert "Covered." in refused.text
    done = staff_pages.post(f"{home}/approve", data={"amount": "1000", "notes": "Wear.", "version": version})
    assert done.location == home
    record = staff_pages.get(home).text
    assert "payout is ordered" in record
    assert "Wear." in record


def test_the_second_person_approves_and_records_the_payout_by_the_pages(policy, person, claim) -> None:
    maker, checker = (factories.user(Role.ADMIN, authority_minor=1_000_000_00) for _ in range(2))
    services.edit(claim_id=claim.id, claimed=Money.parse("20000.00", "USD"), actor=maker)
    services.approve(claim_id=claim.id, amount=Money.parse("20000.00", "USD"), notes="Total loss.", actor=maker)
    home = f"/claims/{claim.id}"
    makers, checkers = factories.browser(maker), factories.browser(checker)
    assert "Approve payout" not in makers.get(home).text
    assert makers.post(f"{home}/approve-payout").status_code == 403
    assert "Approve payout" in checkers.get(home).text
    assert checkers.post(f"{home}/approve-payout").status_code == 303
    assert "$20,000.00 to Maria Lopez" in checkers.get(f"{home}/settle").text
    assert checkers.post(f"{home}/settle", data={"on": TODAY.isoformat(), "reference": "R7"}).status_code == 303
    assert queries.get_claim(claim.id, person).status is ClaimStatus.PAID


def test_an_act_that_the_status_does_not_allow_has_no_page_and_no_button(claim, agent, staff_pages) -> None:
    services.reject(claim_id=claim.id, notes="Older damage.", actor=agent)
    for act in ("approve", "reject", "ask", "answer", "withdraw"):
        assert staff_pages.get(f"/claims/{claim.id}/{act}").status_code == 409
        assert f'/claims/{claim.id}/{act}"' not in staff_pages.get(f"/claims/{claim.id}").text
    assert staff_pages.post(f"/claims/{claim.id}/review").status_code == 409
    assert staff_pages.post(f"/claims/{claim.id}/appeal").status_code == 303


def test_the_page_of_facts_refuses_a_stale_change(claim, agent, staff_pages) -> None:
    address = f"/claims/{claim.id}/edit"
    facts = {**DATE, "cause": "collision", "payee_name": "Maria", "description": "Rear-ended.", "claimed": "900"}
    version = version_of(staff_pages.get(address))
    assert staff_pages.post(address, data={**facts, "version": version}).status_code == 303
    assert staff_pages.post(address, data={**facts, "claimed": "800", "version": version}).status_code == 409
    assert queries.get_claim(claim.id, agent).claimed == Money.parse("900.00", "USD")


def test_the_list_finds_filters_sorts_and_downloads(claim, agent, staff_pages) -> None:
    draft_id = services.start(policy_id=claim.policy_id, actor=agent).id
    services.withdraw(claim_id=draft_id, actor=agent)
    for query in ("", f"?q={claim.number}", "?status=pending", "?sort=claimed", "?sort=customer"):
        page = staff_pages.get(f"/claims{query}")
        assert claim.number in page.text
        assert f'href="/claims/{draft_id}"' not in page.text
    assert claim.number not in staff_pages.get("/claims?status=paid").text
    assert claim.number in staff_pages.get("/claims.csv").text
    assert staff_pages.get("/claims?status=withdrawn").status_code == 200


def test_an_attachment_is_a_download_for_those_who_see_the_claim(claim, person, agent, customer_pages) -> None:
    services.attach(claim_id=claim.id, files=[check_upload(png(), "bumper.png")], actor=person)
    [stored] = queries.attachments(claim.id)
    address = f"/claims/{claim.id}/files/{stored.id}"
    for pages in (customer_pages, factories.browser(agent)):
        answer = pages.get(address)
        assert answer.data == check_upload(png(), "bumper.png").data
        assert answer.headers["Content-Disposition"] == "attachment; filename=bumper.png"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    for stranger in (factories.user(Role.CUSTOMER), factories.user(Role.AGENT)):
        assert factories.browser(stranger).get(address).status_code == 404
    assert customer_pages.get(f"/claims/{claim.id + 1}/files/{stored.id}").status_code == 404


def test_strangers_find_no_claim_on_any_page(claim, agent) -> None:
    for pages, paths in (
        (
            factories.browser(factories.user(Role.AGENT)),
            ["", "/approve", "/reject", "/ask", "/edit", "/note", "/attach"],
        ),
        (factories.browser(factories.user(Role.CUSTOMER)), ["/attach", "/withdraw", "/answer"]),
    ):
        for path in paths:
            assert pages.get(f"/claims/{claim.id}{path}").status_code == 404
    customer = factories.browser(factories.user(Role.CUSTOMER))
    assert customer.get(f"/portal/claims/{claim.id}").status_code == 404
    assert customer.get(f"/portal/claims/new/check?claim={claim.id}").status_code == 404
    assert customer.get(f"/claims/{claim.id}").status_code == 403
    assert customer.post(f"/claims/{claim.id}/review").status_code == 403


def test_addresses_that_name_nothing_are_refused_in_words(policy, customer_pages, staff_pages) -> None:
    for pages, address, status in (
        (customer_pages, "/portal/claims/new/when", 400),
        (customer_pages, "/portal/claims/new/when?claim=x", 400),
        (customer_pages, "/portal/claims/new/when?claim=99999999999999999999", 400),
        (customer_pages, "/portal/claims/new/nowhere", 404),
        (staff_pages, "/claims/new", 400),
        (staff_pages, "/claims/new?policy=%C2%B2", 400),
        (staff_pages, "/claims/999", 404),
    ):
        assert pages.get(address).status_code == status

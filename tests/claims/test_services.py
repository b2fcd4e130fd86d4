"""From notice to payout: every act, what it refuses, and that the books follow it."""

from datetime import date, timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import select

from insurance.billing.domain import DisbursementStatus
from insurance.claims import queries, services
from insurance.claims.domain import ClaimStatus
from insurance.claims.models import Attachment, Claim
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, lock, transaction
from insurance.core.errors import Conflict, IllegalTransition, NotAllowed, NotFound, RuleBroken
from insurance.core.money import Money
from insurance.core.outbox import Mail
from insurance.core.permissions import Role
from insurance.documents import services as documents
from insurance.ledger import queries as ledger
from insurance.ledger.domain import Account
from insurance.operations import verify
from insurance.policies.domain import PolicyStatus
from insurance.policies.models import Policy
from insurance.web.uploads import CleanFile, check_upload
from tests import factories
from tests.conftest import TODAY
from tests.races import together

START = TODAY - timedelta(days=100)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def photo(name: str = "bumper.png") -> CleanFile:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return check_upload(data.getvalue(), name)


def check_books() -> None:
    assert [violation for result in verify.run() for violation in result.violations] == []


def filed(policy: Policy | None = None, *, claimed: str = "1000.00", actor=factories.SYSTEM_ACTOR, **facts) -> Claim:
    policy = policy or factories.bound_policy(start_on=START)
    given = {
        "loss_on": TODAY - timedelta(days=3),
        "cause": "collision",
        "description": "Rear-ended at the lights.",
        "payee_name": "Maria Lopez",
        **facts,
    }
    return services.file(policy_id=policy.id, claimed=usd(claimed), actor=actor, **given)


@pytest.fixture
def agent(app):
    return factories.user(Role.AGENT)


@pytest.fixture
def admin(app):
    return factories.user(Role.ADMIN, authority_minor=1_000_000_00)


def book(agent, **facts) -> Policy:
    """A policy in the agent's book."""
    return factories.bound_policy(customer=factories.customer(agent=agent), start_on=START, actor=agent, **facts)


def mails(claim: Claim) -> list[str]:
    return [
        mail.template
        for mail in db.session.scalars(select(Mail).order_by(Mail.id))
        if claim.number == mail.data.get("number")
    ]


def reserve(claim: Claim) -> Money:
    return Money(queries.outstanding(claim.id), "USD")


# Notice


def test_a_filed_claim_has_a_number_a_reserve_and_a_mail(agent) -> None:
    claim = filed(book(agent), actor=agent)
    assert claim.status is ClaimStatus.PENDING
    assert claim.number == "CLM-2026-000001"
    assert claim.notified_on == TODAY
    assert reserve(claim) == usd("1000.00")
    assert ledger.balance(Account.CASE_RESERVES, claim.id) == usd("-1000.00")
    assert ledger.balance(Account.CLAIMS_INCURRED, claim.id) == usd("1000.00")
    assert mails(claim) == ["claim_received"]
    assert [event.action for event in queries.history(claim.id)] == ["submit"]
    check_books()


def test_a_draft_keeps_each_answer_and_has_no_number_until_it_is_sent(agent) -> None:
    policy = book(agent)
    claim = services.start(policy_id=policy.id, actor=agent)
    assert claim.payee_name == db.session.get_one(factories.Customer, policy.customer_id).name
    services.save(claim_id=claim.id, loss_on=TODAY, cause="glass", actor=agent)
    services.save(claim_id=claim.id, description="A stone.", actor=agent)
    with pytest.raises(RuleBroken) as refusal:
        services.submit(claim_id=claim.id, actor=agent)
    assert refusal.value.field == "claimed"
    services.save(claim_id=claim.id, claimed=usd("250.00"), actor=agent)
    kept = queries.get_claim(claim.id, agent)
    assert (kept.status, kept.number, kept.cause, kept.claimed) == (ClaimStatus.DRAFT, None, "glass", usd("250.00"))
    assert services.submit(claim_id=claim.id, actor=agent).number
    with pytest.raises(Conflict, match="sent already"):
        services.save(claim_id=claim.id, description="Another stone.", actor=agent)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"description": ""}, "description"),
        ({"cause": ""}, "cause"),
        ({"cause": "meteor"}, "cause"),
        ({"payee_name": ""}, "payee_name"),
        ({"claimed": "0.00"}, "claimed"),
        ({"loss_on": None}, "loss_on"),
        ({"loss_on": TODAY + timedelta(days=1)}, "loss_on"),
    ],
)
def test_a_notice_that_is_not_complete_is_refused_at_its_field_and_nothing_is_kept(app, facts, field) -> None:
    with pytest.raises(RuleBroken) as refusal:
        filed(**facts)
    assert refusal.value.field == field
    assert db.session.scalars(select(Claim)).all() == []


def test_only_facts_of_a_notice_can_be_saved(app) -> None:
    claim = services.start(policy_id=factories.bound_policy().id, actor=factories.SYSTEM_ACTOR)
    with pytest.raises(TypeError):
        services.save(claim_id=claim.id, approved_minor=1, actor=factories.SYSTEM_ACTOR)


def test_a_quote_gives_no_cover_to_claim_on(app) -> None:
    with pytest.raises(RuleBroken, match="quote"):
        services.start(policy_id=factories.quote().id, actor=factories.SYSTEM_ACTOR)


def test_the_same_key_files_one_claim(agent) -> None:
    policy = book(agent)
    first = filed(policy, files=[photo()], key="k1", actor=agent)
    again = filed(policy, files=[photo()], key="k1", actor=agent)
    assert again.id == first.id
    assert len(queries.attachments(first.id)) == 1
    with pytest.raises(RuleBroken, match="other values"):
        filed(policy, claimed="2.00", files=[photo()], key="k1", actor=agent)


def test_a_draft_sent_twice_at_once_is_filed_once(app, agent) -> None:
    policy = book(agent)
    claim = services.start(policy_id=policy.id, actor=agent)
    services.save(
        claim_id=claim.id, loss_on=TODAY, cause="glass", description="A stone.", claimed=usd("9.00"), actor=agent
    )
    claim_id = claim.id
    outcomes = together(app, [lambda: services.submit(claim_id=claim_id, actor=agent).number] * 6)
    assert [type(outcome) for outcome in outcomes].count(str) == 1
    assert [type(outcome) for outcome in outcomes].count(IllegalTransition) == 5
    check_books()


def test_a_draft_moves_to_another_policy_of_the_same_customer_only(agent) -> None:
    customer = factories.customer(agent=agent)
    one, two = (factories.bound_policy(customer=customer, actor=agent) for _ in range(2))
    claim = services.start(policy_id=one.id, actor=agent)
    assert services.choose_policy(claim_id=claim.id, policy_id=two.id, actor=agent).policy_id == two.id
    with pytest.raises(RuleBroken, match="another customer"):
        services.choose_policy(claim_id=claim.id, policy_id=book(agent).id, actor=agent)


# Cover


def test_a_loss_before_or_after_cover_is_refused_with_the_reason(app) -> None:
    policy = factories.bound_policy(start_on=date(2025, 3, 1), last_day_on=date(2026, 2, 28))
    for loss_on, reason in (
        (date(2025, 2, 28), "Cover began on 1 Mar 2025"),
        (date(2026, 3, 1), "its last day was 28 Feb 2026"),
    ):
        with pytest.raises(RuleBroken, match=reason) as refusal:
            filed(policy, loss_on=loss_on)
        assert refusal.value.field == "loss_on"


def test_a_policy_that_has_ended_still_answers_for_what_happened_before(app) -> None:
    policy = factories.bound_policy(start_on=date(2025, 3, 1), last_day_on=date(2026, 2, 28))
    assert filed(policy, loss_on=date(2026, 2, 28)).status is ClaimStatus.PENDING


def test_nothing_is_covered_from_the_day_of_cancellation_on(app) -> None:
    policy = factories.bound_policy(start_on=START)
    with transaction():
        row = lock(Policy, policy.id)
        row.status, row.cancelled_on = PolicyStatus.CANCELLED, TODAY - timedelta(days=10)
    assert filed(policy, loss_on=TODAY - timedelta(days=11)).number
    with pytest.raises(RuleBroken, match="Cover was cancelled"):
        filed(policy, loss_on=TODAY - timedelta(days=10))


def test_no_more_is_claimed_than_the_coverage_has_left_and_open_claims_take_nothing(agent) -> None:
    policy = book(agent, coverage="1500.00")
    with pytest.raises(RuleBroken, match=r"\$1,500\.00 of the cover is left") as refusal:
        filed(policy, claimed="1500.01", actor=agent)
    assert refusal.value.field == "claimed"
    first = filed(policy, claimed="1000.00", actor=agent)
    second = filed(policy, claimed="1500.00", cause="theft", actor=agent)
    services.approve(claim_id=first.id, amount=usd("1000.00"), notes="Covered.", actor=agent)
    assert queries.standing(policy, TODAY).left == usd("500.00")
    with pytest.raises(RuleBroken, match=r"\$500\.00 of the cover"):
        filed(policy, claimed="500.01", actor=agent)
    with pytest.raises(RuleBroken, match=r"\$500\.00 of the cover") as refusal:
        services.approve(claim_id=second.id, amount=usd("500.01"), notes="Covered.", actor=agent)
    assert refusal.value.field == "amount"
    services.approve(claim_id=second.id, amount=usd("500.00"), notes="What is left.", actor=agent)
    with pytest.raises(RuleBroken, match="Nothing of the cover is left"):
        filed(policy, claimed="0.01", actor=agent)
    check_books()


@pytest.mark.fault
def test_twenty_approvals_at_once_never_exceed_what_the_term_covers(app, agent) -> None:
    policy = book(agent, coverage="1000.00")
    ids = [filed(policy, claimed="150.00", description=f"Loss {n}.", actor=agent).id for n in range(20)]

    def approve(claim_id: int):
        return lambda: services.approve(claim_id=claim_id, amount=usd("150.00"), notes="Covered.", actor=agent).id

    outcomes = together(app, [approve(claim_id) for claim_id in ids])
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 6
    assert all(isinstance(outcome, (int, RuleBroken)) for outcome in outcomes)
    assert queries.standing(db.session.get_one(Policy, policy.id), TODAY).left == usd("100.00")
    check_books()


def test_a_possible_duplicate_is_found_and_not_refused(agent) -> None:
    policy = book(agent)
    first, second = filed(policy, actor=agent), filed(policy, actor=agent)
    other = filed(policy, cause="theft", actor=agent)
    assert [row.id for row in queries.possible_duplicates(second)] == [first.id]
    assert queries.possible_duplicates(other) == []


# Review


def test_a_claim_is_taken_asked_about_answered_and_decided(agent) -> None:
    person = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(customer=factories.customer(agent=agent, user=person), start_on=START)
    claim = filed(policy, actor=person)
    assert services.review(claim_id=claim.id, actor=agent).handler_id == agent.id
    services.ask(claim_id=claim.id, question="Who drove?", actor=agent)
    assert queries.question(claim.id) == "Who drove?"
    answered = services.answer(claim_id=claim.id, text="I did.", files=[photo()], actor=person)
    assert answered.status is ClaimStatus.UNDER_REVIEW
    services.approve(claim_id=claim.id, amount=usd("800.00"), notes="Wear was deducted.", actor=agent)
    assert [event.action for event in queries.history(claim.id)] == [
        "approve", "attach", "answer", "ask", "review", "submit",
    ]  # fmt: skip
    assert mails(claim) == ["claim_received", "claim_question", "claim_approved"]
    check_books()


def test_approval_orders_the_payout_and_moves_the_reserve_to_what_is_payable(agent) -> None:
    claim = filed(book(agent), actor=agent)
    claim = services.approve(claim_id=claim.id, amount=usd("700.00"), notes="Assessed lower.", actor=agent)
    [order] = queries.payouts(claim.id)
    assert (order.amount, order.status, order.payee_name) == (usd("700.00"), DisbursementStatus.APPROVED, "Maria Lopez")
    assert reserve(claim) == usd("0.00")
    assert [change.change for change in queries.reserve_changes(claim.id)] == [
        usd("1000.00"), usd("-300.00"), usd("-700.00"),
    ]  # fmt: skip
    assert ledger.balance(Account.CASE_RESERVES, claim.id) == usd("0.00")
    assert ledger.balance(Account.CLAIMS_PAYABLE, claim.id) == usd("-700.00")
    assert ledger.balance(Account.CLAIMS_INCURRED, claim.id) == usd("700.00")
    check_books()


@pytest.mark.parametrize(
    ("amount", "notes", "field"),
    [("0.00", "Why", "amount"), ("-1.00", "Why", "amount"), ("1000.01", "Why", "amount"), ("10.00", "", "notes")],
)
def test_an_approval_needs_an_amount_within_the_claim_and_a_reason(agent, amount, notes, field) -> None:
    claim = filed(book(agent), actor=agent)
    with pytest.raises(RuleBroken) as refusal:
        services.approve(claim_id=claim.id, amount=usd(amount), notes=notes, actor=agent)
    assert refusal.value.field == field
    assert queries.get_claim(claim.id, agent).status is ClaimStatus.PENDING


def test_nobody_approves_above_their_authority(agent, admin) -> None:
    claim = filed(book(agent), claimed="10000.01", actor=agent)
    with pytest.raises(NotAllowed, match=r"up to \$10,000\.00"):
        services.approve(claim_id=claim.id, amount=usd("10000.01"), notes="Covered.", actor=agent)
    assert services.approve(claim_id=claim.id, amount=usd("10000.01"), notes="Covered.", actor=admin).approved


def test_nobody_decides_a_claim_they_are_party_to(app, admin) -> None:
    policy = factories.bound_policy(customer=factories.customer(user=admin), start_on=START)
    claim = filed(policy)
    for act in (
        lambda: services.review(claim_id=claim.id, actor=admin),
        lambda: services.approve(claim_id=claim.id, amount=usd("1.00"), notes="Mine.", actor=admin),
        lambda: services.reject(claim_id=claim.id, notes="Mine.", actor=admin),
    ):
        with pytest.raises(NotAllowed, match="your own claim"):
            act()


def test_a_decision_on_what_somebody_changed_meanwhile_is_refused(agent) -> None:
    claim = filed(book(agent), actor=agent)
    seen = claim.version
    services.edit(claim_id=claim.id, claimed=usd("900.00"), actor=agent)
    with pytest.raises(Conflict, match="Somebody else"):
        services.approve(claim_id=claim.id, amount=usd("900.00"), notes="Covered.", version=seen, actor=agent)


def test_facts_are_corrected_until_the_decision_and_the_reserve_follows(agent) -> None:
    claim = filed(book(agent), actor=agent)
    services.edit(claim_id=claim.id, claimed=usd("1200.00"), loss_on=TODAY - timedelta(days=5), actor=agent)
    claim = queries.get_claim(claim.id, agent)
    assert reserve(claim) == usd("1200.00")
    with pytest.raises(RuleBroken, match="Cover began"):
        services.edit(claim_id=claim.id, loss_on=START - timedelta(days=1), actor=agent)
    services.reject(claim_id=claim.id, notes="Not covered.", actor=agent)
    with pytest.raises(Conflict, match="until it is decided"):
        services.edit(claim_id=claim.id, claimed=usd("1.00"), actor=agent)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "edit")).one()
    assert (entry.before["claimed"], entry.after["claimed"]) == ("1000.00", "1200.00")
    check_books()


def test_a_rejection_says_why_and_releases_the_reserve(agent) -> None:
    claim = filed(book(agent), actor=agent)
    with pytest.raises(RuleBroken):
        services.reject(claim_id=claim.id, notes="", actor=agent)
    claim = services.reject(claim_id=claim.id, notes="The damage is older.", actor=agent)
    assert claim.status is ClaimStatus.REJECTED
    assert reserve(claim) == usd("0.00")
    [mail] = [row for row in db.session.scalars(select(Mail)) if row.template == "claim_rejected"]
    assert mail.data["notes"] == "The damage is older."
    check_books()


def test_a_rejected_claim_is_taken_up_again_with_its_reserve(agent, admin) -> None:
    claim = filed(book(agent), actor=agent)
    services.reject(claim_id=claim.id, notes="The damage is older.", actor=agent)
    claim = services.appeal(claim_id=claim.id, actor=admin)
    assert (claim.status, claim.handler_id, reserve(claim)) == (ClaimStatus.UNDER_REVIEW, admin.id, usd("1000.00"))
    check_books()


def test_a_paid_claim_that_is_reopened_gets_no_more_than_was_claimed(agent, admin) -> None:
    claim = filed(book(agent), actor=agent)
    services.approve(claim_id=claim.id, amount=usd("600.00"), notes="First part.", actor=agent)
    services.settle(claim_id=claim.id, reference="R1", on=TODAY, actor=admin)
    claim = services.reopen(claim_id=claim.id, actor=agent)
    assert reserve(claim) == usd("400.00")
    with pytest.raises(RuleBroken, match=r"\$600\.00 was approved before"):
        services.approve(claim_id=claim.id, amount=usd("400.01"), notes="More.", actor=agent)
    with pytest.raises(Conflict, match="Close it instead"):
        services.withdraw(claim_id=claim.id, actor=agent)
    claim = services.approve(claim_id=claim.id, amount=usd("400.00"), notes="The rest.", actor=agent)
    assert claim.approved == usd("1000.00")
    services.settle(claim_id=claim.id, reference="R2", on=TODAY, actor=admin)
    assert [order.amount for order in queries.payouts(claim.id)] == [usd("400.00"), usd("600.00")]
    check_books()


def test_a_claim_under_review_can_be_withdrawn_or_closed_and_nothing_stays_in_reserve(agent) -> None:
    policy = book(agent)
    withdrawn, closed = filed(policy, actor=agent), filed(policy, actor=agent)
    assert services.withdraw(claim_id=withdrawn.id, actor=agent).status is ClaimStatus.WITHDRAWN
    services.review(claim_id=closed.id, actor=agent)
    assert services.close(claim_id=closed.id, actor=agent).status is ClaimStatus.CLOSED
    assert reserve(withdrawn) == reserve(closed) == usd("0.00")
    check_books()


def test_what_the_status_does_not_allow_is_refused_and_changes_nothing(agent, admin) -> None:
    claim = filed(book(agent), actor=agent)
    services.reject(claim_id=claim.id, notes="No.", actor=agent)
    for act in (
        lambda: services.review(claim_id=claim.id, actor=agent),
        lambda: services.ask(claim_id=claim.id, question="?", actor=agent),
        lambda: services.answer(claim_id=claim.id, text="!", actor=agent),
        lambda: services.approve(claim_id=claim.id, amount=usd("1.00"), notes="Yes.", actor=agent),
        lambda: services.settle(claim_id=claim.id, reference="", on=TODAY, actor=admin),
        lambda: services.withdraw(claim_id=claim.id, actor=agent),
        lambda: services.submit(claim_id=claim.id, actor=agent),
    ):
        with pytest.raises(IllegalTransition):
            act()
    assert [event.action for event in queries.history(claim.id)] == ["reject", "submit"]
    check_books()


# Payout


def test_a_payout_above_the_limit_needs_a_second_person(app, admin) -> None:
    claim = filed(claimed="20000.00")
    services.approve(claim_id=claim.id, amount=usd("20000.00"), notes="Covered.", actor=admin)
    assert queries.payouts(claim.id)[0].status is DisbursementStatus.REQUESTED
    with pytest.raises(Conflict, match="second person"):
        services.settle(claim_id=claim.id, reference="R", on=TODAY, actor=admin)
    with pytest.raises(NotAllowed, match="yourself"):
        services.approve_payout(claim_id=claim.id, actor=admin)
    [waiting] = queries.payouts_to_approve(limit=10)
    assert (waiting.claim_id, waiting.maker_name) == (claim.id, admin.name)
    services.approve_payout(claim_id=claim.id, actor=factories.user(Role.ADMIN))
    assert services.settle(claim_id=claim.id, reference="R", on=TODAY, actor=admin).status is ClaimStatus.PAID
    check_books()


def test_a_settled_claim_is_paid_once_in_the_books_and_the_customer_is_told(agent, admin) -> None:
    claim = filed(book(agent), actor=agent)
    services.approve(claim_id=claim.id, amount=usd("1000.00"), notes="Covered.", actor=agent)
    with pytest.raises(RuleBroken, match="today or in the past"):
        services.settle(claim_id=claim.id, reference="R", on=TODAY + timedelta(days=1), actor=admin)
    with pytest.raises(NotAllowed):
        services.settle(claim_id=claim.id, reference="R", on=TODAY, actor=agent)
    claim = services.settle(claim_id=claim.id, reference="R", on=TODAY, actor=admin)
    assert (claim.status, queries.payouts(claim.id)[0].status) == (ClaimStatus.PAID, DisbursementStatus.SETTLED)
    assert ledger.balance(Account.CLAIMS_PAYABLE, claim.id) == usd("0.00")
    assert mails(claim) == ["claim_received", "claim_approved", "claim_paid"]
    assert services.close(claim_id=claim.id, actor=agent).status is ClaimStatus.CLOSED
    check_books()


# Files and sight


def test_files_are_kept_with_the_claim_until_it_is_decided(agent) -> None:
    claim = filed(book(agent), actor=agent)
    services.attach(claim_id=claim.id, files=[photo("a.png"), photo("b.png")], actor=agent)
    [first, second] = queries.attachments(claim.id)
    assert (first.name, second.name) == ("a.png", "b.png")
    assert documents.read(first) == photo().data
    with pytest.raises(Conflict):
        services.detach(claim_id=claim.id, file_id=first.id, actor=agent)
    with pytest.raises(RuleBroken, match="20 files"):
        services.attach(claim_id=claim.id, files=[photo()] * 19, actor=agent)
    services.reject(claim_id=claim.id, notes="No.", actor=agent)
    with pytest.raises(Conflict, match="decided"):
        services.attach(claim_id=claim.id, files=[photo()], actor=agent)
    check_books()


def test_a_file_is_taken_off_a_draft_again(agent) -> None:
    claim = services.start(policy_id=book(agent).id, actor=agent)
    services.attach(claim_id=claim.id, files=[photo()], actor=agent)
    [stored] = queries.attachments(claim.id)
    services.detach(claim_id=claim.id, file_id=stored.id, actor=agent)
    assert db.session.scalars(select(Attachment)).all() == []
    with pytest.raises(NotFound):
        queries.get_attachment(claim.id, stored.id)
    check_books()


def test_a_claim_outside_the_actors_sight_does_not_exist_for_them(agent) -> None:
    claim = filed(book(agent), actor=agent)
    for stranger in (factories.user(Role.AGENT), factories.user(Role.CUSTOMER)):
        with pytest.raises(NotFound):
            queries.get_claim(claim.id, stranger)
        with pytest.raises(NotFound):
            services.withdraw(claim_id=claim.id, actor=stranger)
        with pytest.raises(NotFound):
            services.start(policy_id=claim.policy_id, actor=stranger)
        assert queries.to_decide(stranger, limit=5) == []
        assert queries.find_some(claim.number, stranger) == []
    assert [row.id for row in queries.to_decide(agent, limit=5)] == [claim.id]


def test_a_customer_files_and_withdraws_but_does_not_decide(agent) -> None:
    person = factories.user(Role.CUSTOMER)
    policy = factories.bound_policy(customer=factories.customer(agent=agent, user=person), start_on=START)
    claim = filed(policy, actor=person)
    for act in (
        lambda: services.review(claim_id=claim.id, actor=person),
        lambda: services.approve(claim_id=claim.id, amount=usd("1.00"), notes="Yes.", actor=person),
        lambda: services.edit(claim_id=claim.id, claimed=usd("2.00"), actor=person),
        lambda: services.reopen(claim_id=claim.id, actor=person),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert services.withdraw(claim_id=claim.id, actor=person).status is ClaimStatus.WITHDRAWN


def test_the_customer_reads_what_comes_next_and_by_when(agent) -> None:
    claim = filed(book(agent), actor=agent)
    assert queries.progress(claim).next_words == "We look at your claim by 2 Jun 2026."
    claim = services.review(claim_id=claim.id, actor=agent)
    progress = queries.progress(claim)
    assert progress.handler == agent.name
    assert progress.next_words == "We decide, or ask you if something is missing, by 15 Jun 2026."
    assert progress.stages[0].detail.startswith("1 Jun 2026, ")
    assert progress.stages[1].detail == f"{agent.name} has your claim"
    with clock.at(date(2026, 7, 1)):
        assert "are late" in queries.progress(claim).next_words

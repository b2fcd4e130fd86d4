"""Feedback from sending to its end: what is kept, what is refused, and who may do what with it."""

from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy.exc import IntegrityError

from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import IllegalTransition, NotAllowed, NotFound, RuleBroken, Stale, TooMany
from insurance.core.outbox import Mail
from insurance.core.permissions import Actor, Role
from insurance.documents import services as documents
from insurance.documents.models import StoredFile
from insurance.feedback import queries, services
from insurance.feedback.domain import FEEDBACK_LIFECYCLE, FeedbackKind, FeedbackStatus
from insurance.feedback.models import Feedback
from insurance.operations import verify
from insurance.web.uploads import CleanFile, check_upload
from tests import factories
from tests.races import together

ACTS = ("read", "answer", "close", "reopen")
HOME = "198.51.100.7"


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN)


def sent(text: str = "Bigger figures, please.", **facts) -> Feedback:
    facts = {"kind": FeedbackKind.IDEA, "address": HOME, "actor": services.VISITOR, **facts}
    return services.send(text=text, **facts)


def act(feedback_id: int, action: str, actor: Actor) -> Feedback:
    facts = {"answer": "We made them bigger."} if action == "answer" else {}
    return getattr(services, action)(feedback_id=feedback_id, actor=actor, **facts)


def brought_to(status: FeedbackStatus, admin: Actor) -> Feedback:
    feedback = sent()
    for action in {"open": ["read"], "answered": ["answer"], "closed": ["close"]}.get(status, []):
        act(feedback.id, action, admin)
    return feedback


def screenshot() -> CleanFile:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return check_upload(data.getvalue(), "screen.png")


# Sending


def test_what_a_user_says_is_kept_with_the_user_as_they_were(app) -> None:
    person = factories.user(Role.CUSTOMER)
    feedback = sent(page="/portal", name=person.name, email=person.email, screenshot=screenshot(), actor=person)
    assert (feedback.user_id, feedback.name, feedback.email) == (person.id, person.name, person.email)
    assert (feedback.page, feedback.status, feedback.address) == ("/portal", FeedbackStatus.NEW, "")
    stored = db.session.get_one(StoredFile, feedback.file_id)
    assert (stored.name, stored.uploaded_by_id) == ("screen.png", person.id)
    assert documents.read(stored) == screenshot().data
    entry = db.session.query(AuditEntry).filter_by(subject="feedback").one()
    assert (entry.action, entry.actor_id, entry.label) == ("send", person.id, f"Feedback {feedback.id}")


def test_a_visitor_may_say_who_they_are_or_not(app) -> None:
    unknown, known = sent(), sent(name="Zoë", email="zoe@example.com")
    assert (unknown.user_id, unknown.name, unknown.email, unknown.address) == (None, "", "", HOME)
    assert (known.user_id, known.name, known.email) == (None, "Zoë", "zoe@example.com")
    assert {entry.actor_name for entry in db.session.query(AuditEntry).filter_by(subject="feedback")} == {"Visitor"}


def test_sent_twice_with_one_key_it_is_kept_once(app) -> None:
    first = sent(key="k1", screenshot=screenshot())
    assert sent(key="k1", screenshot=screenshot()).id == first.id
    assert db.session.query(Feedback).count() == 1
    assert db.session.query(StoredFile).count() == 1
    with pytest.raises(RuleBroken, match="already sent with other values"):
        sent("Something else.", key="k1", screenshot=screenshot())


def test_sent_at_once_with_one_key_it_is_kept_once(app) -> None:
    together(app, [lambda: sent(key="k1")] * 4)
    assert db.session.query(Feedback).count() == 1


def test_visitors_of_one_address_may_send_ten_times_in_an_hour(app) -> None:
    for number in range(10):
        sent(str(number))
    with pytest.raises(TooMany, match="Send yours later"):
        sent("11", screenshot=screenshot())
    assert [result.violations for result in verify.run() if result.violations] == []  # no file is left behind
    sent("elsewhere", address="198.51.100.8")
    sent("signed in", actor=factories.user(Role.CUSTOMER))
    with transaction():
        oldest = db.session.query(Feedback).filter_by(text="0").one()
        oldest.created_at -= timedelta(hours=1)
    sent("12")
    with pytest.raises(TooMany):
        sent("13")


def test_what_users_send_does_not_count_against_visitors(app) -> None:
    person = factories.user(Role.CUSTOMER)
    for number in range(12):
        sent(str(number), actor=person)
    assert sent().id


# The lifecycle


@pytest.mark.parametrize("status", FeedbackStatus)
@pytest.mark.parametrize("action", ACTS)
def test_each_act_is_possible_where_the_table_says_so_and_noted(admin, status, action) -> None:
    feedback = brought_to(status, admin)
    entries = db.session.query(AuditEntry).filter_by(subject="feedback").count()
    if not FEEDBACK_LIFECYCLE.allows(status, action):
        with pytest.raises(IllegalTransition, match=f"^{status.capitalize()} feedback can't be "):
            act(feedback.id, action, admin)
        assert queries.get_feedback(feedback.id).status is status
        assert db.session.query(AuditEntry).filter_by(subject="feedback").count() == entries
        return
    moved = act(feedback.id, action, admin)
    assert moved.status is FEEDBACK_LIFECYCLE.next(status, action)
    assert moved.handled_by_id == admin.id
    entry = db.session.query(AuditEntry).filter_by(subject="feedback").order_by(AuditEntry.id.desc()).first()
    assert (entry.action, entry.actor_id) == (action, admin.id)
    assert (entry.before["status"], entry.after["status"]) == (status, moved.status)


@pytest.mark.parametrize("role", [Role.AGENT, Role.CUSTOMER])
@pytest.mark.parametrize("action", ACTS)
def test_only_admins_handle_feedback(admin, role, action) -> None:
    feedback = brought_to(FeedbackStatus.CLOSED if action == "reopen" else FeedbackStatus.NEW, admin)
    before = feedback.status
    with pytest.raises(NotAllowed):
        act(feedback.id, action, factories.user(role))
    with pytest.raises(NotAllowed):
        act(feedback.id, action, services.VISITOR)
    assert queries.get_feedback(feedback.id).status is before


@pytest.mark.parametrize("action", ACTS)
def test_what_does_not_exist_cannot_be_handled(admin, action) -> None:
    with pytest.raises(NotFound):
        act(99, action, admin)


# The answer


def test_an_answer_is_kept_and_mailed_with_what_was_asked(admin) -> None:
    feedback = sent("Can I pay by card?", name="Zoë", email="zoe@example.com")
    answered = services.answer(feedback_id=feedback.id, answer="Yes.", version=1, actor=admin)
    assert (answered.status, answered.answer) == (FeedbackStatus.ANSWERED, "Yes.")
    assert abs(answered.answered_at - clock.now()) < timedelta(minutes=1)
    mail = db.session.query(Mail).one()
    assert (mail.template, mail.recipient) == ("feedback_answer", "zoe@example.com")
    data = {"name": "Zoë", "number": feedback.id, "question": "Can I pay by card?", "answer": "Yes."}
    assert mail.data == data


def test_an_answer_without_an_address_is_kept_and_not_mailed(admin) -> None:
    answered = act(sent().id, "answer", admin)
    assert answered.answer == "We made them bigger."
    assert db.session.query(Mail).count() == 0


def test_an_answer_after_the_first_one_is_mailed_too_and_both_are_noted(admin) -> None:
    feedback = sent(email="zoe@example.com")
    services.answer(feedback_id=feedback.id, answer="No.", actor=admin)
    services.reopen(feedback_id=feedback.id, actor=admin)
    services.answer(feedback_id=feedback.id, answer="Yes.", actor=admin)
    assert [mail.data["answer"] for mail in db.session.query(Mail).order_by(Mail.id)] == ["No.", "Yes."]
    entries = db.session.query(AuditEntry).filter_by(subject="feedback", action="answer").order_by(AuditEntry.id)
    assert [entry.after["answer"] for entry in entries] == ["No.", "Yes."]


def test_an_answer_to_what_somebody_else_changed_is_refused(admin) -> None:
    feedback = sent(email="zoe@example.com")
    services.read(feedback_id=feedback.id, actor=admin)
    with pytest.raises(Stale):
        services.answer(feedback_id=feedback.id, answer="Yes.", version=1, actor=admin)
    assert db.session.query(Mail).count() == 0


def test_two_who_answer_at_once_send_one_mail(app, admin) -> None:
    feedback_id = sent(email="zoe@example.com").id
    together(app, [lambda: services.answer(feedback_id=feedback_id, answer="Yes.", version=1, actor=admin)] * 4)
    assert db.session.query(Mail).count() == 1


def test_the_moment_of_an_answer_is_asked_by_the_database_too(admin) -> None:
    feedback_id = sent().id
    with pytest.raises(IntegrityError, match="answer_dated"), transaction():
        db.session.get_one(Feedback, feedback_id).status = FeedbackStatus.ANSWERED

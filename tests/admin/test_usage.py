"""The usage figures, counted by hand across the edge of a week, in the time zone of the business."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from insurance.accounts.models import SignInSession
from insurance.admin import queries
from insurance.admin.queries import Week
from insurance.claims import services as claims
from insurance.core import clock
from insurance.core.db import add, db, transaction
from insurance.core.permissions import Role
from insurance.feedback import services as feedback
from insurance.feedback.domain import FeedbackKind
from insurance.feedback.models import Feedback
from insurance.policies.models import Policy
from tests import factories
from tests.agents.test_pages import DAY, filed, statements
from tests.conftest import TODAY

MONDAY = date(2026, 5, 25)
"""The one before TODAY, which is a Monday too."""
SUNDAY_EVENING = datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
MONDAY_MORNING = datetime(2026, 6, 1, 0, 30, tzinfo=UTC)


def figures(name: str, weeks: list[Week] | None = None) -> tuple[int | None, int | None]:
    """One figure of the last two weeks."""
    last, this = (weeks or queries.usage(TODAY))[-2:]
    assert (last.monday, this.monday) == (MONDAY, TODAY)
    return getattr(last, name), getattr(this, name)


def session(user_id: int | None, began: datetime, seen: datetime | None = None) -> None:
    seen = seen or began
    with transaction():
        number = db.session.query(SignInSession).count()
        add(
            SignInSession(
                token_hash=str(number),
                user_id=user_id,
                created_at=began,
                seen_at=seen,
                ends_at=seen,
                address="",
                browser="",
            )
        )


def set_times(row: Policy | Feedback, **times: datetime) -> None:
    with transaction():
        kept = db.session.get_one(type(row), row.id)
        for name, at in times.items():
            setattr(kept, name, at)


def test_the_weeks_are_the_last_twelve_from_monday_to_sunday(app) -> None:
    for today in (TODAY, date(2026, 6, 7)):
        weeks = queries.usage(today)
        assert [week.monday for week in weeks] == [TODAY - timedelta(days=7 * back) for back in range(11, -1, -1)]
        assert weeks[-1].sunday == date(2026, 6, 7)
    assert queries.usage(date(2026, 6, 8))[-1].monday == date(2026, 6, 8)
    assert {week.conversion for week in weeks} == {None}


def test_a_user_is_active_once_in_each_week_in_which_a_session_was_in_use(app) -> None:
    ann, ben, cleo = (factories.user(Role.AGENT).id for _ in range(3))
    session(ann, SUNDAY_EVENING)
    session(ann, SUNDAY_EVENING - 3 * DAY)
    session(ben, SUNDAY_EVENING, MONDAY_MORNING)
    session(cleo, MONDAY_MORNING)
    assert figures("active_users") == (2, 2)
    session(cleo, SUNDAY_EVENING - 12 * 7 * DAY)
    session(cleo, MONDAY_MORNING + 7 * DAY)
    assert sum(week.active_users for week in queries.usage(TODAY)) == 4


def test_quotes_count_where_they_were_made_and_where_they_were_bound(app) -> None:
    early, late, open_ = factories.bound_policy(), factories.bound_policy(), factories.quote()
    set_times(early, created_at=SUNDAY_EVENING, bound_at=MONDAY_MORNING)
    set_times(late, created_at=MONDAY_MORNING, bound_at=MONDAY_MORNING)
    set_times(open_, created_at=SUNDAY_EVENING)
    assert figures("quotes") == (2, 1)
    assert figures("bound") == (0, 2)
    assert figures("converted") == (1, 1)
    assert figures("conversion") == (50, 100)


def test_claims_count_on_the_day_they_were_filed_and_drafts_do_not(app) -> None:
    policy = factories.bound_policy(start_on=TODAY - 60 * DAY)
    with clock.at(TODAY - DAY):
        on_sunday = filed(policy)
        claims.start(policy_id=policy.id, actor=factories.SYSTEM_ACTOR)
    assert on_sunday.notified_on == TODAY - DAY
    filed(policy)
    filed(policy)
    assert figures("claims") == (1, 2)


def test_feedback_counts_when_it_came(app) -> None:
    for at in (SUNDAY_EVENING, MONDAY_MORNING, MONDAY_MORNING):
        sent = feedback.send(kind=FeedbackKind.IDEA, text="x", actor=feedback.VISITOR)
        set_times(sent, created_at=at)
    assert figures("feedback") == (1, 2)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", (1, 1)), ("Asia/Kolkata", (0, 2)), ("America/New_York", (2, 0))],
)
def test_a_week_begins_at_midnight_where_the_business_is(app, monkeypatch, zone, expected) -> None:
    monkeypatch.setitem(app.config, "BUSINESS_TIMEZONE", ZoneInfo(zone))
    user = factories.user(Role.AGENT)
    for at in (SUNDAY_EVENING, MONDAY_MORNING):
        set_times(factories.bound_policy(), created_at=at, bound_at=at)
        set_times(feedback.send(kind=FeedbackKind.IDEA, text="x", actor=user), created_at=at)
        session(factories.user(Role.AGENT).id, at)
    for name in ("quotes", "bound", "feedback", "active_users"):
        assert figures(name) == expected, name


def test_a_week_in_which_the_clocks_change_has_its_own_midnights(app, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "BUSINESS_TIMEZONE", ZoneInfo("Europe/Berlin"))
    before, after = datetime(2026, 3, 29, 21, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    for at in (before, after, after):
        set_times(factories.quote(), created_at=at)
    quotes = {week.monday: week.quotes for week in queries.usage(TODAY)}
    assert (quotes[date(2026, 3, 23)], quotes[date(2026, 3, 30)]) == (1, 2)


@pytest.fixture
def pages(app):
    return factories.browser(factories.user(Role.ADMIN))


def test_the_page_shows_the_weeks_and_what_the_figures_count(pages) -> None:
    factories.quote()
    factories.bound_policy()
    page = pages.get("/admin/usage").text
    assert "1 Jun 2026 – 7 Jun 2026" in page
    row = re.search(r"1 Jun 2026 – 7 Jun 2026.*?</tr>", page, re.DOTALL)[0]
    cells = dict(re.findall(r'data-label="([^"]+)">([^<]*)<', row))
    assert cells == {
        "Active users": "1", "Quotes": "2", "Bound": "1", "Converted, %": "50", "Claims": "0", "Feedback": "0",
    }  # fmt: skip
    assert "whenever they were made" in page
    assert 'class="chart"' in page


def test_the_file_has_the_same_figures(pages) -> None:
    factories.bound_policy()
    answer = pages.get("/admin/usage.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-2026-06-01.csv"'
    heading, *rows = csv.reader(StringIO(answer.data.decode("utf-8-sig")))
    assert heading == [
        "Monday", "Sunday", "Active users", "Quotes", "Bound", "Converted, %", "Claims", "Feedback",
    ]  # fmt: skip
    assert len(rows) == 12
    assert rows[-1] == ["2026-06-01", "2026-06-07", "1", "1", "1", "100", "0", "0"]
    assert rows[0] == ["2026-03-16", "2026-03-22", "0", "0", "0", "", "0", "0"]


@pytest.mark.parametrize("role", [Role.AGENT, Role.CUSTOMER])
def test_usage_is_for_admins(app, role) -> None:
    browser = factories.browser(factories.user(role))
    for path in ("/admin/usage", "/admin/usage.csv"):
        assert browser.get(path).status_code == 403


@pytest.mark.sqlite_only
def test_the_figures_cost_the_same_however_much_there_is(app: Flask, pages) -> None:
    counted = []
    for more in (1, 8):
        for _ in range(more):
            factories.bound_policy()
            feedback.send(kind=FeedbackKind.IDEA, text="x", actor=factories.user(Role.AGENT))
        for path in ("/admin/usage", "/admin/usage.csv"):
            with statements() as asked:
                assert pages.get(path).status_code == 200
            counted.append(len(asked))
    assert set(counted) == {7}, counted


@pytest.mark.sqlite_only
def test_the_figures_are_looked_up_by_their_indexes(app: Flask) -> None:
    with statements() as asked:
        queries.usage(TODAY)
    for statement in asked:
        bare = statement.replace("?", "'2026-06-01'")
        plan = " ".join(row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {bare}"))
        assert "INDEX ix_" in plan, plan

"""Accounts: registering, mailed links, passwords, signing in, sessions, and what an admin does to users."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from insurance.accounts import passwords, queries, services
from insurance.accounts.models import Link, LinkPurpose, SignInSession, SignInTry, Theme, User, actor_of
from insurance.core import clock
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken, Stale, TooMany
from insurance.core.outbox import Mail
from insurance.core.permissions import Role
from insurance.customers import services as customers
from insurance.customers.models import Customer
from tests import factories
from tests.conftest import TODAY
from tests.races import together

PASSWORD = "four quiet green boats"
OTHER = "seven loud red trains"
HASH = passwords.hash_password(PASSWORD)
EMAIL = "maria@example.com"


def mails() -> list[Mail]:
    return list(db.session.scalars(select(Mail).order_by(Mail.id)))


def last_link() -> int:
    """The link that was mailed last."""
    return mails()[-1].data["link_id"]


def user_row(email: str = EMAIL) -> User:
    user = queries.find_user(email)
    assert user
    return user


def register(
    email: str = EMAIL, *, name: str = "Maria Lopez", password: str = PASSWORD, browser: str = "her browser"
) -> int:
    """Register an address; gives back the link."""
    services.register(name=name, email=email, password=password, browser=browser)
    return last_link()


def link_of(actor, purpose: LinkPurpose) -> int:
    with transaction():
        return services.make_link(db.session.get_one(User, actor.id), purpose).id


def sign_in(email: str = EMAIL, password: str = PASSWORD, address: str = "192.0.2.1") -> str:
    user = services.authenticate(email=email, password=password, address=address)
    return services.open_session(user_id=user.id, address=address, browser="test")


def session_of(actor) -> str:
    return services.open_session(user_id=actor.id, address="192.0.2.1", browser="test")


def set_back(column, by: timedelta) -> None:
    """Let what a column says be so much longer ago, in every row."""
    with transaction():
        for row in db.session.scalars(select(column.class_)):
            setattr(row, column.key, getattr(row, column.key) - by)


def actions(subject_id: int | None) -> list[str]:
    return list(
        db.session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.subject == "users", AuditEntry.subject_id == subject_id)
            .order_by(AuditEntry.id)
        )
    )


@pytest.fixture
def person(app):
    """A customer who can sign in with the password."""
    return factories.user(Role.CUSTOMER, email=EMAIL, name="Maria Lopez", password_hash=HASH)


@pytest.fixture
def agent(app):
    return factories.user(Role.AGENT)


@pytest.fixture
def admin(app):
    return factories.user(Role.ADMIN)


# Registering


def test_a_registration_makes_a_user_without_a_password_and_mails_one_link(app) -> None:
    link_id = register()
    user = user_row()
    assert (user.name, user.role, user.active) == ("Maria Lopez", Role.CUSTOMER, True)
    assert (user.password_hash, user.confirmed_at) == (None, None)
    assert [(mail.template, mail.recipient) for mail in mails()] == [("confirm", EMAIL)]
    assert db.session.get_one(Link, link_id).user_id == user.id
    assert actions(user.id) == ["register"]


def test_nobody_signs_in_before_the_address_is_confirmed(app) -> None:
    register()
    with pytest.raises(RuleBroken, match="not right"):
        sign_in()


def test_a_confirmed_address_gets_a_mail_that_says_so_and_nothing_changes(person) -> None:
    services.register(name="Somebody Else", email=EMAIL, password=OTHER, browser="another browser")
    user = user_row()
    assert (user.name, user.password_hash) == ("Maria Lopez", HASH)
    assert [(mail.template, mail.recipient) for mail in mails()] == [("already_registered", EMAIL)]
    assert mails()[0].data == {"name": "Maria Lopez"}
    assert db.session.scalars(select(Link)).all() == []


def test_registering_again_before_confirming_adds_a_link_and_no_user(app) -> None:
    assert register() != register(password=OTHER)
    assert db.session.query(User).count() == 1
    assert [mail.template for mail in mails()] == ["confirm", "confirm"]


def test_a_password_that_is_refused_registers_nobody_and_mails_nothing(app) -> None:
    with pytest.raises(RuleBroken):
        services.register(name="Maria Lopez", email=EMAIL, password="short", browser="her browser")
    assert (db.session.query(User).count(), mails()) == (0, [])


def test_the_browser_that_registered_confirms_without_the_password(app) -> None:
    customers.confirm(link_id=register(), browser="her browser")
    assert user_row().confirmed_at
    assert sign_in()
    assert actions(user_row().id) == ["register", "confirm", "sign_in"]


@pytest.mark.parametrize("browser", ["", "another browser"])
def test_another_browser_confirms_only_with_the_password_chosen_then(app, browser: str) -> None:
    link_id = register()
    for wrong in ("", OTHER, PASSWORD.upper()):
        with pytest.raises(RuleBroken) as refusal:
            customers.confirm(link_id=link_id, browser=browser, password=wrong)
        assert refusal.value.field == "password"
    assert (user_row().confirmed_at, db.session.query(Customer).count()) == (None, 0)
    customers.confirm(link_id=link_id, browser=browser, password=PASSWORD)
    assert sign_in()


def test_of_two_who_registered_an_address_the_one_whose_link_is_followed_has_it(app) -> None:
    hers = register()
    attackers = register(password=OTHER, browser="the attacker's browser")
    with pytest.raises(RuleBroken):
        customers.confirm(link_id=attackers, browser="her browser")
    customers.confirm(link_id=hers, browser="her browser")
    assert sign_in()
    with pytest.raises(RuleBroken):
        sign_in(password=OTHER)
    with pytest.raises(NotFound):
        customers.confirm(link_id=attackers, browser="the attacker's browser", password=OTHER)
    assert sign_in()


@pytest.mark.parametrize(
    ("entered", "linked"),
    [
        ([], False),
        ([{}], True),
        ([{"email": "Maria@Example.COM"}], True),
        ([{"email": "other@example.com"}], False),
        ([{}, {}], False),
        ([{"user": True}], False),
        ([{"user": True}, {}], True),
    ],
    ids=["none", "one", "one in capitals", "another address", "two", "one with a user", "one with a user and one"],
)
def test_a_confirmed_user_is_the_one_customer_entered_with_that_address_or_a_new_one(app, entered, linked) -> None:
    made = []
    for facts in entered:
        has_user = facts.get("user")
        customer = factories.customer(
            email=facts.get("email", EMAIL), user=factories.user(Role.CUSTOMER) if has_user else None
        )
        made.append((customer.id, has_user))
    user = customers.confirm(link_id=register(), browser="her browser")
    customer = db.session.query(Customer).filter_by(user_id=user.id).one()
    free = [number for number, has_user in made if not has_user]
    assert (customer.id in free) is linked
    assert db.session.query(Customer).count() == len(entered) + (not linked)
    if not linked:
        assert (customer.name, customer.email, customer.agent_id) == ("Maria Lopez", EMAIL, None)


def test_a_link_followed_twice_at_the_same_time_works_once(app) -> None:
    link_id = register()
    outcomes = together(app, [lambda: customers.confirm(link_id=link_id, browser="her browser").id] * 2)
    db.session.remove()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NotFound", "int"]
    assert db.session.query(Customer).count() == 1


def test_of_two_links_followed_at_the_same_time_one_works_and_its_password_holds(app) -> None:
    tries = [(register(), PASSWORD), (register(password=OTHER), OTHER)]
    outcomes = together(
        app,
        [lambda link=link, word=word: customers.confirm(link_id=link, password=word) and word for link, word in tries],
    )
    db.session.remove()
    (kept,) = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert [type(outcome) for outcome in outcomes if outcome != kept] == [NotFound]
    assert sign_in(password=kept)


# Links


@pytest.mark.parametrize(
    ("purpose", "days", "good"),
    [
        (LinkPurpose.CONFIRM, 1, True),
        (LinkPurpose.CONFIRM, 3, False),
        (LinkPurpose.RESET, 0, True),
        (LinkPurpose.RESET, 1, False),
        (LinkPurpose.INVITATION, 13, True),
        (LinkPurpose.INVITATION, 15, False),
    ],
)
def test_a_link_is_good_for_its_time(person, purpose, days, good) -> None:
    link_id = link_of(person, purpose)
    with clock.at(TODAY + timedelta(days=days)):
        if good:
            assert queries.get_link(link_id, purpose)[1].id == person.id
        else:
            with pytest.raises(NotFound, match="too old"):
                queries.get_link(link_id, purpose)


@pytest.mark.parametrize(
    ("purpose", "life"),
    [
        (LinkPurpose.CONFIRM, timedelta(days=2)),
        (LinkPurpose.RESET, timedelta(hours=1)),
        (LinkPurpose.INVITATION, timedelta(days=14)),
    ],
)
def test_a_link_ends_to_the_minute(person, purpose, life) -> None:
    link_id = link_of(person, purpose)
    set_back(Link.expires_at, life - timedelta(minutes=1))
    queries.get_link(link_id, purpose)
    set_back(Link.expires_at, timedelta(minutes=1))
    with pytest.raises(NotFound):
        queries.get_link(link_id, purpose)


@pytest.mark.parametrize("purpose", LinkPurpose)
def test_the_address_of_a_link_is_under_the_public_url_and_good_for_its_purpose_alone(app, person, purpose) -> None:
    link_id = link_of(person, purpose)
    url = services.link_url(link_id)
    assert url.startswith(f"{app.config['PUBLIC_URL']}/{purpose}/")
    token = url.rpartition("/")[2]
    for other in LinkPurpose:
        if other is purpose:
            assert services.read_token(token, other) == link_id
            continue
        with pytest.raises(NotFound):
            services.read_token(token, other)
        with pytest.raises(NotFound):
            queries.get_link(link_id, other)
    for tampered in ("", "x", token[:-1], token[1:], token + "x", token.partition(".")[0], f"{link_id}", "é" + token):
        with pytest.raises(NotFound, match="not complete"):
            services.read_token(tampered, purpose)


def test_links_of_whoever_was_deactivated_are_dead(person) -> None:
    link_id = link_of(person, LinkPurpose.RESET)
    with transaction():
        db.session.get_one(User, person.id).active = False
    with pytest.raises(NotFound):
        services.reset_password(link_id=link_id, password=OTHER)


# Passwords


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "Password1234",
        "pass word 1234",
        "correct horse battery staple",
        "maria@example.com",
        "MARIA@example.com",
        "maria elena lopez",
        "MariaElenaLopez",
        "abcabcabcabcabc",
        "a b c a b c a b c a b c",
        "            ",
        "x" * 1025,
        "Insurance-Policy-2026",
        "harbor.MUTUAL.1234",
    ],
)
def test_a_password_that_is_short_long_or_easy_to_guess_is_refused_at_its_field(app, password: str) -> None:
    with pytest.raises(RuleBroken) as refusal:
        passwords.check_password(password, email=EMAIL, name="Maria Elena Lopez")
    assert refusal.value.field == "password"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "password",
    [
        "twelve chars",
        "abcdefghijkm",
        "  spaces at both ends  ",
        "приветмирдвадцать",
        "正しい馬の電池と四つの緑の舟",
        "🌊🚢⛵🛥️🐟🐠🦀🐙🐚🪸🐳🦈",
    ],
)
def test_twelve_characters_of_any_script_make_a_password_and_only_they_match(app, password: str) -> None:
    passwords.check_password(password, email=EMAIL, name="Maria Elena Lopez")
    stored = passwords.hash_password(password)
    assert password not in stored
    assert passwords.matches(stored, password)
    assert not passwords.matches(stored, password + " ")


@pytest.mark.sqlite_only
def test_a_password_of_1024_characters_is_fine_and_its_last_one_counts(app) -> None:
    long = "four quiet green boats ".ljust(1024, "x")
    passwords.check_password(long, email=EMAIL, name="Maria")
    stored = passwords.hash_password(long)
    assert passwords.matches(stored, long)
    assert not passwords.matches(stored, long[:-1])


def test_no_password_matches_where_there_is_none() -> None:
    for stored in (None, "not a hash"):
        for password in ("", "no account has this password", PASSWORD):
            assert not passwords.matches(stored, password)


# Invitations


def test_an_invitation_makes_a_user_whose_first_password_confirms_the_address(admin) -> None:
    invited = services.invite(
        email="Sam@Example.com", name="Sam Reed", role=Role.AGENT, authority_minor=5_00, actor=admin
    )
    assert (invited.email, invited.role, invited.authority_minor) == ("sam@example.com", Role.AGENT, 5_00)
    assert (invited.password_hash, invited.confirmed_at) == (None, None)
    (mail,) = mails()
    assert (mail.template, mail.recipient.lower(), mail.data["invited_by"]) == (
        "invitation", "sam@example.com", admin.name,
    )  # fmt: skip
    link_id = last_link()
    with pytest.raises(RuleBroken) as refusal:
        customers.accept_invitation(link_id=link_id, password="sam reed")
    assert refusal.value.field == "password"
    customers.accept_invitation(link_id=link_id, password=PASSWORD)
    assert user_row("sam@example.com").confirmed_at
    assert sign_in("sam@example.com")
    with pytest.raises(NotFound):
        customers.accept_invitation(link_id=link_id, password=OTHER)
    assert actions(user_row("sam@example.com").id) == ["invite", "invitation_password", "sign_in"]


def test_an_invitation_followed_twice_at_the_same_time_sets_one_password(app, admin) -> None:
    services.invite(email="sam@example.com", name="Sam Reed", role=Role.AGENT, actor=admin)
    link_id = last_link()
    words = (PASSWORD, OTHER)
    outcomes = together(
        app,
        [lambda word=word: customers.accept_invitation(link_id=link_id, password=word) and word for word in words],
    )
    db.session.remove()
    (kept,) = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert sign_in("sam@example.com", kept)


@pytest.mark.parametrize("email", [EMAIL, "Maria@Example.Com"])
def test_a_known_address_is_not_invited(person, admin, email) -> None:
    with pytest.raises(RuleBroken) as refusal:
        services.invite(email=email, name="Maria", role=Role.AGENT, actor=admin)
    assert refusal.value.field == "email"
    assert mails() == []
    assert user_row().role is Role.CUSTOMER


@pytest.mark.parametrize(
    ("who", "whom", "may"),
    [
        (Role.ADMIN, Role.ADMIN, True),
        (Role.ADMIN, Role.AGENT, True),
        (Role.ADMIN, Role.CUSTOMER, True),
        (Role.AGENT, Role.ADMIN, False),
        (Role.AGENT, Role.AGENT, False),
        (Role.AGENT, Role.CUSTOMER, True),
        (Role.CUSTOMER, Role.ADMIN, False),
        (Role.CUSTOMER, Role.AGENT, False),
        (Role.CUSTOMER, Role.CUSTOMER, False),
    ],
)
def test_who_may_invite_whom(app, who, whom, may) -> None:
    actor = factories.user(who)
    if may:
        assert services.invite(email="sam@example.com", name="Sam", role=whom, actor=actor).role is whom
    else:
        with pytest.raises(NotAllowed):
            services.invite(email="sam@example.com", name="Sam", role=whom, actor=actor)
        assert queries.find_user("sam@example.com") is None
    assert len(mails()) == may


def test_a_command_makes_a_user_and_gives_the_address_where_the_password_is_set(app) -> None:
    url = services.create_user(email="Root@Example.com", name="Root", role=Role.ADMIN, authority_minor=0)
    token = url.removeprefix(f"{app.config['PUBLIC_URL']}/invitation/")
    assert mails() == []
    customers.accept_invitation(link_id=services.read_token(token, LinkPurpose.INVITATION), password=PASSWORD)
    assert sign_in("root@example.com")
    with pytest.raises(RuleBroken) as refusal:
        services.create_user(email="ROOT@example.com", name="Root", role=Role.ADMIN, authority_minor=0)
    assert refusal.value.field == "email"


# A new password


@pytest.mark.parametrize(
    "facts",
    [None, {"confirmed_at": None}, {"active": False}],
    ids=["unknown", "not confirmed", "deactivated"],
)
def test_no_link_is_mailed_to_an_address_that_cannot_sign_in(app, facts) -> None:
    if facts is not None:
        person = factories.user(Role.CUSTOMER, email=EMAIL, password_hash=HASH)
        with transaction():
            db.session.execute(update(User).where(User.id == person.id).values(**facts))
    services.ask_for_reset(email=EMAIL)
    assert (mails(), db.session.query(Link).count()) == ([], 0)


def test_a_new_password_ends_every_session_every_other_link_and_the_old_password(person, agent) -> None:
    tokens = [sign_in() for _ in range(2)]
    others = session_of(agent)
    services.ask_for_reset(email=EMAIL)
    unused = last_link()
    services.ask_for_reset(email="Maria@Example.com")
    link_id = last_link()
    assert [(mail.template, mail.recipient) for mail in mails()] == [("reset", EMAIL)] * 2
    services.reset_password(link_id=link_id, password=OTHER)
    assert [queries.find_session(token) for token in tokens] == [None, None]
    assert queries.find_session(others)
    for dead in (link_id, unused):
        with pytest.raises(NotFound):
            services.reset_password(link_id=dead, password=PASSWORD)
    with pytest.raises(RuleBroken):
        sign_in()
    assert sign_in(password=OTHER)


def test_a_new_password_that_is_refused_leaves_the_link_and_the_sessions(person) -> None:
    token = sign_in()
    services.ask_for_reset(email=EMAIL)
    with pytest.raises(RuleBroken) as refusal:
        services.reset_password(link_id=last_link(), password="Maria Lopez")
    assert refusal.value.field == "password"
    assert queries.find_session(token)
    services.reset_password(link_id=last_link(), password=OTHER)


# Signing in


@pytest.mark.parametrize(
    ("facts", "password"),
    [
        (None, PASSWORD),
        ({}, OTHER),
        ({}, ""),
        ({"confirmed_at": None}, PASSWORD),
        ({"active": False}, PASSWORD),
        ({"password_hash": None}, ""),
    ],
    ids=["unknown", "wrong", "none", "not confirmed", "deactivated", "no password yet"],
)
def test_whoever_cannot_sign_in_is_told_the_same_and_counted(app, facts, password) -> None:
    if facts is not None:
        person = factories.user(Role.CUSTOMER, email=EMAIL, password_hash=HASH)
        with transaction():
            db.session.execute(update(User).where(User.id == person.id).values({"theme": Theme.AUTO, **facts}))
    with pytest.raises(RuleBroken) as refusal:
        sign_in(password=password)
    assert (refusal.value.field, refusal.value.message) == ("password", services.WRONG)
    assert db.session.query(SignInTry).one().email == EMAIL
    assert db.session.query(SignInSession).count() == 0


def test_the_case_of_the_address_does_not_matter_and_that_of_the_password_does(person) -> None:
    assert sign_in("MARIA@example.COM")
    with pytest.raises(RuleBroken):
        sign_in(password=PASSWORD.title())


def test_every_sign_in_has_a_token_of_its_own_of_which_only_the_hash_is_stored(person) -> None:
    first, second = sign_in(), sign_in()
    assert first != second
    assert min(len(first), len(second)) >= 43
    stored = db.session.scalars(select(SignInSession).order_by(SignInSession.id)).all()
    assert [row.token_hash for row in stored] == [queries.hash_token(first), queries.hash_token(second)]
    assert not {first, second} & {str(value) for row in stored for value in vars(row).values()}
    assert queries.find_session(stored[0].token_hash) is None
    assert actions(person.id) == ["sign_in", "sign_in"]


# The throttle


def tried(times: int, *, email: str = EMAIL, address: str = "192.0.2.1") -> None:
    """So many wrong tries just now."""
    with transaction():
        db.session.add_all(SignInTry(email=email, address=address, at=clock.now()) for _ in range(times))


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_eleventh_try_is_too_many_whether_the_account_exists_or_not(app, known: bool) -> None:
    if known:
        factories.user(Role.CUSTOMER, email=EMAIL, password_hash=HASH)
    for _ in range(10):
        with pytest.raises(RuleBroken, match="not right"):
            sign_in(password=OTHER)
    for email in (EMAIL, EMAIL.upper()):
        for password in (OTHER, PASSWORD):
            with pytest.raises(TooMany):
                sign_in(email, password)
    assert db.session.query(SignInTry).count() == 10


def test_from_another_address_only_the_right_password_gets_in(person) -> None:
    tried(10)
    assert sign_in(address="198.51.100.7")
    with pytest.raises(TooMany):
        sign_in(password=OTHER, address="198.51.100.7")
    with pytest.raises(TooMany):
        sign_in(address="192.0.2.1")


def test_wrong_tries_from_many_addresses_are_counted_together_and_lock_nobody_out(person) -> None:
    for number in range(10):
        tried(1, address=f"203.0.113.{number}")
    with pytest.raises(TooMany):
        sign_in(password=OTHER)
    assert sign_in()


def test_an_address_that_tries_fifty_times_is_refused_for_every_account(person) -> None:
    for number in range(10):
        tried(5 if number else 4, email=f"somebody{number}@example.com")
    sign_in()
    tried(1, email="one.more@example.com")
    with pytest.raises(TooMany):
        sign_in()
    with pytest.raises(TooMany):
        sign_in("nobody@example.com")
    assert sign_in(address="198.51.100.7")


def test_wrong_tries_are_forgotten_after_five_minutes(person) -> None:
    tried(50)
    set_back(SignInTry.at, timedelta(minutes=4))
    with pytest.raises(TooMany):
        sign_in()
    set_back(SignInTry.at, timedelta(minutes=2))
    with pytest.raises(RuleBroken, match="not right"):
        sign_in(password=OTHER)
    assert sign_in()


# Sessions


@pytest.mark.parametrize(
    ("role", "minutes", "alive"),
    [
        (Role.CUSTOMER, 29, True),
        (Role.CUSTOMER, 31, False),
        (Role.AGENT, 29, True),
        (Role.AGENT, 31, False),
        (Role.ADMIN, 14, True),
        (Role.ADMIN, 16, False),
    ],
)
def test_a_session_that_is_not_used_ends(app, role, minutes, alive) -> None:
    token = session_of(factories.user(role))
    set_back(SignInSession.seen_at, timedelta(minutes=minutes))
    assert bool(queries.find_session(token)) is alive


def test_a_session_ends_after_twelve_hours_however_much_it_is_used(person) -> None:
    token = session_of(person)
    set_back(SignInSession.ends_at, timedelta(hours=11, minutes=59))
    assert queries.find_session(token)
    set_back(SignInSession.ends_at, timedelta(minutes=1))
    assert queries.find_session(token) is None
    assert queries.sessions_of(person) == []


def test_signing_out_ends_that_session_alone(person) -> None:
    here, there = session_of(person), session_of(person)
    services.sign_out(token=here)
    assert queries.find_session(here) is None
    assert queries.find_session(there)
    services.sign_out(token="")
    assert queries.find_session(there)


def test_a_user_ends_their_own_sessions_and_nobody_elses(person, agent, admin) -> None:
    token = session_of(person)
    (session,) = queries.sessions_of(person)
    for other in (agent, admin):
        with pytest.raises(NotFound):
            services.end_session(session_id=session.id, actor=other)
    assert queries.find_session(token)
    services.end_session(session_id=session.id, actor=person)
    assert queries.find_session(token) is None
    services.end_session(session_id=session.id, actor=person)
    with pytest.raises(NotFound):
        services.end_session(session_id=10**6, actor=person)


def test_changing_the_password_needs_the_present_one_and_ends_the_other_sessions(person) -> None:
    here, there = session_of(person), session_of(person)
    for old, new, field in ((OTHER, OTHER, "old_password"), ("", OTHER, "old_password"), (PASSWORD, "x", "password")):
        with pytest.raises(RuleBroken) as refusal:
            services.change_password(old=old, new=new, token=here, actor=person)
        assert refusal.value.field == field
    assert user_row().password_hash == HASH
    assert queries.find_session(there)
    services.change_password(old=PASSWORD, new=OTHER, token=here, actor=person)
    assert queries.find_session(here)
    assert queries.find_session(there) is None
    assert sign_in(password=OTHER)
    assert "change_password" in actions(person.id)


def test_a_theme_is_kept(person) -> None:
    services.set_theme(theme=Theme.DARK, actor=person)
    assert user_row().theme is Theme.DARK


# What an admin does


def edit(user, actor, **facts):
    row = db.session.get_one(User, user.id, populate_existing=True)
    kept = {key: getattr(row, key) for key in ("version", "name", "role", "active", "wide_sight", "authority_minor")}
    return services.edit_user(user_id=user.id, actor=actor, **{**kept, **facts})


@pytest.mark.parametrize(
    ("facts", "ends"),
    [
        ({"active": False}, True),
        ({"role": Role.ADMIN}, True),
        ({"role": Role.CUSTOMER}, True),
        ({"name": "New Name"}, False),
        ({"wide_sight": True}, False),
        ({"authority_minor": 7_00}, False),
    ],
)
def test_what_an_admin_changes_holds_at_once_and_loss_of_role_or_access_ends_the_sessions(
    agent, admin, facts, ends
) -> None:
    token = session_of(agent)
    edit(agent, admin, **facts)
    found = queries.find_session(token)
    assert (found is None) is ends
    if found:
        for key, value in facts.items():
            assert getattr(actor_of(found), key) == value
    edit(agent, admin, active=True, role=Role.AGENT)
    assert (queries.find_session(token) is None) is ends


@pytest.mark.parametrize("facts", [{"role": Role.AGENT}, {"active": False}, {"role": Role.CUSTOMER, "active": False}])
def test_no_admin_takes_their_own_role_or_access_away(admin, facts) -> None:
    token = session_of(admin)
    with pytest.raises(NotAllowed, match="your own"):
        edit(admin, admin, **facts)
    found = queries.find_session(token)
    assert found
    assert found.role is Role.ADMIN
    assert edit(admin, admin, name="New Name", wide_sight=True, authority_minor=1_00).name == "New Name"


def test_a_change_is_noted_with_before_and_after(agent, admin) -> None:
    edit(agent, admin, name="New Name", role=Role.ADMIN, authority_minor=7_00)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "edit")).one()
    assert (entry.actor_id, entry.subject, entry.subject_id) == (admin.id, "users", agent.id)
    unchanged = {"active": True, "wide_sight": False}
    assert entry.before == {"name": agent.name, "role": "agent", "authority_minor": 10_000_00, **unchanged}
    assert entry.after == {"name": "New Name", "role": "admin", "authority_minor": 7_00, **unchanged}


def test_nobody_overwrites_what_another_admin_has_changed(agent, admin) -> None:
    edit(agent, admin, name="New Name")
    with pytest.raises(Stale):
        edit(agent, admin, name="Newer Name", version=1)
    assert queries.get_user(agent.id).name == "New Name"


def test_of_two_admins_who_change_a_user_at_the_same_time_one_is_told(app, agent) -> None:
    admins = [factories.user(Role.ADMIN) for _ in range(2)]
    outcomes = together(
        app, [lambda actor=actor: edit(agent, actor, name=actor.name, version=1).id for actor in admins]
    )
    db.session.remove()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Stale", "int"]


def test_an_admin_sends_the_link_that_fits_and_sets_no_password(person, admin) -> None:
    services.send_reset(user_id=person.id, actor=admin)
    services.reset_password(link_id=last_link(), password=OTHER)
    invited = services.invite(email="sam@example.com", name="Sam Reed", role=Role.AGENT, actor=admin)
    services.send_reset(user_id=invited.id, actor=admin)
    customers.accept_invitation(link_id=last_link(), password=PASSWORD)
    assert [(mail.template, mail.recipient) for mail in mails()] == [
        ("reset", EMAIL),
        ("invitation", "sam@example.com"),
        ("invitation", "sam@example.com"),
    ]
    assert sign_in(password=OTHER)
    assert sign_in("sam@example.com")
    assert "send_reset" in actions(person.id)


@pytest.mark.parametrize("role", [Role.AGENT, Role.CUSTOMER])
def test_only_admins_change_users_or_send_them_links(app, person, role) -> None:
    actor = factories.user(role)
    with pytest.raises(NotAllowed):
        edit(actor, actor, name="New Name")
    with pytest.raises(NotAllowed):
        services.send_reset(user_id=person.id, actor=actor)
    assert mails() == []


def test_only_those_who_can_have_a_book_are_offered_as_agents(app, agent, admin) -> None:
    factories.user(Role.CUSTOMER)
    factories.user(Role.AGENT, active=False)
    assert [user.id for user in queries.agents()] == [agent.id]


def test_an_address_registered_and_invited_at_the_same_time_has_one_user(app, admin) -> None:
    registers = [lambda: services.register(name="Maria", email=EMAIL, password=PASSWORD, browser="her browser")] * 3
    invites = [lambda: services.invite(email=EMAIL, name="Sam Reed", role=Role.AGENT, actor=admin).id]
    outcomes = together(app, registers + invites)
    db.session.remove()
    assert db.session.query(User).filter_by(email=EMAIL).count() == 1
    refused = [outcome for outcome in outcomes if isinstance(outcome, RuleBroken)]
    assert [refusal.field for refusal in refused] in ([], ["email"])


def test_who_confirms_is_called_as_they_registered_and_not_as_somebody_else_did(app) -> None:
    register(name="Rude Name", browser="the attacker's browser")
    user = customers.confirm(link_id=register(), browser="her browser")
    assert user.name == "Maria Lopez"


def test_links_that_were_mailed_before_undo_nothing(app, person, admin) -> None:
    confirm = register("new@example.com")
    new = db.session.query(User).filter_by(email="new@example.com").one()
    services.send_reset(user_id=new.id, actor=admin)
    customers.accept_invitation(link_id=last_link(), password=OTHER)
    with pytest.raises(NotFound):
        customers.confirm(link_id=confirm, browser="her browser")
    services.ask_for_reset(email=EMAIL)
    reset = last_link()
    services.change_password(old=PASSWORD, new=OTHER, token="", actor=person)
    with pytest.raises(NotFound):
        services.reset_password(link_id=reset, password=PASSWORD)


def test_a_customer_who_sets_a_password_by_an_admins_link_is_a_customer_and_an_agent_is_none(app, admin) -> None:
    register()
    services.send_reset(user_id=user_row().id, actor=admin)
    user = customers.accept_invitation(link_id=last_link(), password=OTHER)
    assert db.session.query(Customer).filter_by(user_id=user.id).one().email == EMAIL
    services.invite(email="sam@example.com", name="Sam Reed", role=Role.AGENT, actor=admin)
    customers.accept_invitation(link_id=last_link(), password=OTHER)
    assert db.session.query(Customer).count() == 1


def test_two_admins_who_take_each_others_role_away_leave_one(app, admin) -> None:
    other = factories.user(Role.ADMIN)
    together(app, [lambda: edit(other, admin, role=Role.AGENT), lambda: edit(admin, other, role=Role.AGENT)])
    db.session.remove()
    assert db.session.query(User).filter_by(role=Role.ADMIN, active=True).count() == 1


def test_no_link_is_sent_to_somebody_who_may_not_sign_in(app, admin) -> None:
    user = factories.user(Role.AGENT, active=False)
    with pytest.raises(Conflict):
        services.send_reset(user_id=user.id, actor=admin)
    assert mails() == []

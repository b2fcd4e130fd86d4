"""The second step of signing in: codes, recovery codes, passkeys, who needs it, and what asks for it anew."""

import math
import re
from datetime import timedelta
from html import unescape
from urllib.parse import unquote

import pyotp
import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from insurance.accounts import passkeys, passwords, queries, services, two_step
from insurance.accounts.models import AuthenticatorApp, Passkey, PendingSignIn, RecoveryCode, SignInSession, SignInTry
from insurance.core import clock, encryption
from insurance.core.audit import AuditEntry
from insurance.core.db import db, transaction
from insurance.core.errors import Conflict, NotAllowed, NotFound, NotSignedIn, RuleBroken, TooMany
from insurance.core.outbox import Mail
from insurance.core.permissions import SYSTEM, Actor, Role
from insurance.messages import rendering
from tests import factories
from tests.agents.test_pages import statements
from tests.programs import Program
from tests.races import together
from tests.soft_key import SoftKey, registered

PASSWORD = "four quiet green boats"
HASH = passwords.hash_password(PASSWORD)
HERE = {"address": "192.0.2.1", "browser": "test"}


@pytest.fixture
def agent(app) -> Actor:
    return factories.user(Role.AGENT, email="ann@example.com", password_hash=HASH)


@pytest.fixture
def admin(app) -> Actor:
    return factories.user(Role.ADMIN)


@pytest.fixture
def required(app, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "REQUIRE_TWO_STEP", "staff")


class Phone:
    """An authenticator app that is set up, at a time that stands still until it is moved."""

    def __init__(self, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 1_800_000_000
        monkeypatch.setattr(clock, "unix_time", lambda: float(self.time))
        sealed = two_step.new_secret(actor)
        self.totp = pyotp.TOTP(two_step.read_secret(sealed, actor))
        self.recovery = two_step.set_up_app(sealed=sealed, code=self.code(), actor=actor)
        self.time += 30

    def code(self, steps: int = 0) -> str:
        return self.totp.at(self.time + 30 * steps)


@pytest.fixture
def phone(agent, monkeypatch) -> Phone:
    return Phone(agent, monkeypatch)


def mails() -> list[str]:
    return list(db.session.scalars(select(Mail.template).order_by(Mail.id)))


def give_password(browser: FlaskClient, actor: Actor, then: str = ""):
    data = {"email": actor.email, "password": PASSWORD, "next": then}
    return browser.post("/login", data=data)


def is_in(browser: FlaskClient) -> bool:
    return browser.get("/account").status_code == 200


def make_old(by: timedelta = timedelta(minutes=11)) -> None:
    """Let every sign-in be so long ago."""
    with transaction():
        db.session.execute(update(SignInSession).values(created_at=clock.now() - by))


def options_on(page) -> str:
    found = re.search('data-options="([^"]+)"', page.text)
    assert found
    return unescape(found[1])


# Codes


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_half_a_minute_before_and_after(agent, phone, steps, good) -> None:
    phone.time += 300
    if good:
        two_step.check_code(user_id=agent.id, code=phone.code(steps), address="x")
        return
    with pytest.raises(RuleBroken, match="not right"):
        two_step.check_code(user_id=agent.id, code=phone.code(steps), address="x")


def test_a_code_is_good_once_and_none_before_it_any_more(agent, phone) -> None:
    two_step.check_code(user_id=agent.id, code=phone.code(), address="x")
    for steps in (0, -1):
        with pytest.raises(RuleBroken):
            two_step.check_code(user_id=agent.id, code=phone.code(steps), address="x")
    two_step.check_code(user_id=agent.id, code=phone.code(1), address="x")


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_twenty_who_send_one_code_at_once_one_gets_in(app: Flask, agent, phone, kind) -> None:
    code = phone.code() if kind == "app" else phone.recovery[0].replace(" ", "")
    tokens = [two_step.begin(user_id=agent.id) for _ in range(20)]
    acts = [lambda token=token: two_step.sign_in(pending=token, code=code, **HERE) for token in tokens]
    outcomes = together(app, acts)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert {type(outcome) for outcome in outcomes} == {str, RuleBroken, TooMany}
    assert db.session.scalar(select(func.count()).select_from(SignInSession)) == 1
    assert db.session.scalar(select(func.count()).select_from(SignInTry)) == queries.MOST_TRIES


def test_ten_wrong_codes_close_the_door_for_five_minutes_wherever_they_come_from(agent, phone) -> None:
    for number in range(queries.MOST_TRIES):
        with pytest.raises(RuleBroken):
            two_step.check_code(user_id=agent.id, code="000000", address=f"192.0.2.{number}")
    for code in (phone.code(), phone.recovery[0].replace(" ", "")):
        with pytest.raises(TooMany):
            two_step.check_code(user_id=agent.id, code=code, address="198.51.100.1")
    with transaction():
        db.session.execute(update(SignInTry).values(at=clock.now() - timedelta(minutes=6)))
    two_step.check_code(user_id=agent.id, code=phone.code(), address="198.51.100.1")


def test_wrong_passwords_of_strangers_close_no_door_to_the_right_code(agent, phone) -> None:
    for number in range(queries.MOST_TRIES + 1):
        with pytest.raises((RuleBroken, TooMany)):
            services.authenticate(email=agent.email, password="wrong", address=f"192.0.2.{number}")
    two_step.check_code(user_id=agent.id, code=phone.code(), address="198.51.100.1")


def test_the_secret_is_sealed_and_opens_for_its_user_alone(agent, admin, phone) -> None:
    kept = db.session.get_one(AuthenticatorApp, agent.id).secret
    assert phone.totp.secret not in kept
    assert encryption.unseal(kept, f"authenticator app of {agent.id}") == phone.totp.secret
    with pytest.raises(encryption.Unreadable):
        encryption.unseal(kept, f"authenticator app of {admin.id}")
    with pytest.raises(RuleBroken):
        two_step.set_up_app(sealed=two_step.new_secret(agent), code="000000", actor=admin)


def test_recovery_codes_are_ten_kept_as_fingerprints_and_each_good_once_with_a_mail(agent, phone) -> None:
    assert len(set(phone.recovery)) == 10
    letters = "".join(phone.recovery).replace(" ", "")
    assert len(letters) == 240
    assert len(letters) / 10 * math.log2(len(two_step.LETTERS)) >= 112
    kept = list(db.session.scalars(select(RecoveryCode.fingerprint)))
    assert not any(code in text or code.replace(" ", "") in text for code in phone.recovery for text in kept)
    code = phone.recovery[3].replace(" ", "")
    two_step.check_code(user_id=agent.id, code=code, address="x")
    assert mails() == ["two_step_changed", "recovery_code_used"]
    mail = db.session.scalars(select(Mail).where(Mail.template == "recovery_code_used")).one()
    assert "9 are left" in rendering.render(mail).text
    with pytest.raises(RuleBroken):
        two_step.check_code(user_id=agent.id, code=code, address="x")


def test_new_recovery_codes_end_the_old_ones_and_others_codes_open_nothing(agent, admin, phone) -> None:
    new = two_step.renew_codes(actor=agent)
    for user_id, code in ((agent.id, phone.recovery[0]), (admin.id, new[0])):
        with pytest.raises(RuleBroken):
            two_step.check_code(user_id=user_id, code=code.replace(" ", ""), address="x")
    two_step.check_code(user_id=agent.id, code=new[0].replace(" ", ""), address="x")
    with pytest.raises(Conflict):
        two_step.renew_codes(actor=admin)


def test_the_ring_opens_what_older_keys_have_sealed(app, monkeypatch) -> None:
    old, new = {"2025": b"a" * 32}, {"2026": b"b" * 32}
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", old)
    sealed, known = encryption.seal("words", "here"), encryption.fingerprint("words", "here")
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", new | old)
    assert encryption.unseal(sealed, "here") == "words"
    assert encryption.seal("words", "here").startswith("2026:")
    assert known in encryption.fingerprints("words", "here")
    assert known != encryption.fingerprint("words", "here")
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", new)
    for text in (sealed, "", "2026:", "2026:abc", "2026:é", sealed.replace("2025", "2026")):
        with pytest.raises(encryption.Unreadable):
            encryption.unseal(text, "here")


# Between password and session


@pytest.mark.sqlite_only
def test_the_password_alone_opens_nothing_and_the_code_leads_on(client, agent, phone) -> None:
    answer = give_password(client, agent, then="/customers?q=x")
    assert answer.location == "/two-step?next=/customers?q%3Dx"
    assert not is_in(client)
    page = client.get(answer.location)
    assert "Enter your code" in page.text
    wrong = client.post("/two-step", data={"code": "000000"})
    assert (wrong.status_code, is_in(client)) == (422, False)
    assert client.post("/two-step", data={"code": "12"}).status_code == 422
    done = client.post("/two-step?next=/customers?q%3Dx", data={"code": phone.code()[:3] + " " + phone.code()[3:]})
    assert done.status_code == 303
    assert is_in(client)
    assert client.post("/two-step", data={"code": phone.code(1)}).location == "/login"


@pytest.mark.sqlite_only
def test_a_pending_sign_in_lasts_ten_minutes_serves_once_and_belongs_to_who_may_sign_in(client, agent, phone) -> None:
    token = two_step.begin(user_id=agent.id)
    two_step.sign_in(pending=token, code=phone.code(), **HERE)
    with pytest.raises(NotSignedIn):
        two_step.finish(pending=token, **HERE)
    give_password(client, agent)
    with transaction():
        db.session.execute(update(PendingSignIn).values(expires_at=clock.now()))
    assert client.post("/two-step", data={"code": phone.code(1)}).location == "/login"
    assert not is_in(client)
    give_password(client, agent)
    with transaction():
        services.end_sessions(agent.id)
    assert client.post("/two-step", data={"code": phone.code(1)}).location == "/login"
    give_password(client, agent)
    with transaction():
        services.queries.get_user(agent.id).active = False
    assert client.post("/two-step", data={"code": phone.code(1)}).location == "/login"


@pytest.mark.sqlite_only
def test_a_form_that_was_kept_comes_back_after_the_second_step(client, agent, phone) -> None:
    factories.signed_in(client, agent)
    with transaction():
        db.session.execute(update(SignInSession).values(ended_at=clock.now()))
    kept = client.post("/customers/new", data={"name": "Half Typed"})
    assert kept.location == "/login?next=/customers/new"
    give_password(client, agent, then="/customers/new")
    answer = client.post("/two-step", data={"code": phone.code(), "next": "/customers/new"})
    assert answer.location == "/customers/new"
    assert 'value="Half Typed"' in client.get("/customers/new").text


@pytest.mark.sqlite_only
def test_whether_an_address_has_a_second_step_is_told_to_the_right_password_alone(client, agent, phone) -> None:
    answers = []
    for email in (agent.email, "nobody@example.com"):
        page = client.post("/login", data={"email": email, "password": "not the password"})
        shown = re.sub('value="[^"]*"|data-options="[^"]*"', "", page.text.replace(email, ""))
        answers.append((page.status_code, shown))
    assert answers[0] == answers[1]


@pytest.mark.sqlite_only
def test_programs_send_the_code_with_the_password(agent, phone) -> None:
    def ask(**more: str):
        answer = Program().post("/auth/token", {"email": agent.email, "password": PASSWORD, **more})
        fields = [error["field"] for error in (answer.json or {}).get("errors", [])]
        return answer.status_code, fields

    assert ask() == (401, ["otp"])
    assert ask(otp="000000") == (401, ["otp"])
    assert ask(otp=phone.code(), password="wrong") == (401, ["password"])
    assert ask(otp=phone.code())[0] == 200
    assert ask(otp=phone.code()) == (401, ["otp"])
    assert ask(otp=phone.recovery[0])[0] == 200


# Setting up


@pytest.mark.sqlite_only
def test_an_app_is_set_up_by_its_first_code_and_recovery_codes_are_shown_once(client, agent) -> None:
    factories.signed_in(client, agent)
    page = client.get("/account/two-step/app")
    key = re.search('<code class="secret">([A-Z2-7 ]+)</code>', page.text)
    sealed = re.search('name="secret" value="([^"]+)"', page.text)
    assert key
    assert sealed
    assert 'src="data:image/svg+xml' in page.text
    totp = pyotp.TOTP(key[1].replace(" ", ""))
    again = client.post("/account/two-step/app", data={"secret": sealed[1], "code": "000000"})
    assert again.status_code == 422
    assert key[0] in again.text, "the same key stays on the page"
    changed = client.post("/account/two-step/app", data={"secret": "x", "code": totp.now()})
    assert changed.status_code == 422
    done = client.post("/account/two-step/app", data={"secret": sealed[1], "code": totp.now()})
    assert done.location == "/account/two-step/codes"
    shown = client.get(done.location).text
    codes = re.findall("<li><code>([a-z2-7 ]{29})</code></li>", shown)
    assert len(codes) == 10
    saved = re.search('href="(data:text/plain[^"]+)"', shown)
    assert saved
    assert all(code in unquote(saved[1]) for code in codes)
    assert not re.search("[0-9]{5} [0-9]{5}", client.get(done.location).text), "once"
    with pytest.raises(RuleBroken):
        two_step.check_code(user_id=agent.id, code=totp.now(), address="x")
    assert mails() == ["two_step_changed"]


@pytest.mark.sqlite_only
def test_an_app_can_be_replaced_and_removed_and_with_the_last_step_all_goes(client, agent, phone, monkeypatch) -> None:
    registered(agent)
    second = Phone(agent, monkeypatch)
    assert second.recovery == [], "those from before stay"
    with pytest.raises(RuleBroken):
        two_step.check_code(user_id=agent.id, code=phone.totp.at(second.time), address="x")
    factories.signed_in(client, agent)
    assert client.post("/account/two-step/app/remove").location == "/account/two-step"
    assert queries.get_user(agent.id).two_step_since
    passkey = queries.second_steps_of(agent.id)[1][0]
    client.post(f"/account/two-step/passkeys/{passkey.id}/remove")
    db.session.expire_all()
    assert queries.get_user(agent.id).two_step_since is None
    assert queries.recovery_codes_left(agent.id) == 0
    assert give_password(current_app.test_client(), agent).location == "/agent"


# Passkeys


def test_a_passkey_alone_signs_in_if_it_has_asked_for_its_owner(agent) -> None:
    key = registered(agent)
    token = passkeys.sign_in(credential=key.sign(passkeys.sign_in_options()), **HERE)
    found = queries.find_session(token)
    assert found
    assert found.id == agent.id
    assert queries.second_steps_of(agent.id)[1][0].used_at
    careless = registered(agent, "Old key", verifies=False)
    with pytest.raises(RuleBroken, match="no account"):
        passkeys.sign_in(credential=careless.sign(passkeys.sign_in_options()), **HERE)
    passkeys.check(credential=careless.sign(passkeys.sign_in_options()), user_id=agent.id)


def test_the_answer_of_a_passkey_counts_once_even_in_parallel(app, agent) -> None:
    key = registered(agent, counts=False)
    answer = key.sign(passkeys.sign_in_options())
    outcomes = together(app, [lambda: passkeys.sign_in(credential=answer, **HERE)] * 10)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


@pytest.mark.parametrize(
    "why", ["copied", "unknown", "elsewhere", "old", "other purpose", "changed", "nothing", "not active"]
)
def test_a_passkey_that_is_not_right_opens_nothing(app, agent, why) -> None:
    key = registered(agent)
    key.sign(passkeys.sign_in_options())
    options = passkeys.sign_in_options()
    if why == "copied":
        passkeys.check(credential=key.sign(passkeys.sign_in_options()), user_id=agent.id)
        key.count -= 2
    answer = key.sign(options, "https://evil.example.com" if why == "elsewhere" else "")
    match why:
        case "unknown":
            answer = SoftKey().sign(options)
        case "old":
            answer = key.sign(options)
            with clock.at(clock.today() + timedelta(days=1)), pytest.raises(RuleBroken):
                passkeys.sign_in(credential=answer, **HERE)
            return
        case "other purpose":
            challenge = passkeys.registration_options(agent, "x")
            answer = key.sign(options.replace(_challenge_in(options), _challenge_in(challenge)))
        case "changed":
            answer = answer.replace('"signature": "', '"signature": "AAAA')
        case "nothing":
            answer = ""
        case "not active":
            with transaction():
                queries.get_user(agent.id).active = False
    with pytest.raises(RuleBroken):
        passkeys.sign_in(credential=answer, **HERE)
    assert db.session.scalar(select(func.count()).select_from(SignInSession)) == 0


def _challenge_in(options: str) -> str:
    found = re.search('"challenge": "([^"]+)"', options)
    assert found
    return found[1]


def test_a_passkey_is_kept_once_is_its_users_alone_and_only_they_remove_it(agent, admin) -> None:
    key = registered(agent)
    with pytest.raises(RuleBroken, match="kept already"):
        passkeys.register(credential=key.create(passkeys.registration_options(admin, "x")), name="Mine", actor=admin)
    with pytest.raises(RuleBroken, match="too long"):
        passkeys.register(
            credential=SoftKey().create(passkeys.registration_options(agent, "x")), name="Mine", actor=admin
        )
    with pytest.raises(RuleBroken):
        passkeys.check(credential=key.sign(passkeys.sign_in_options()), user_id=admin.id)
    mine = queries.second_steps_of(agent.id)[1][0]
    with pytest.raises(NotFound):
        passkeys.remove(passkey_id=mine.id, actor=admin)
    passkeys.remove(passkey_id=mine.id, actor=agent)
    assert db.session.scalar(select(func.count()).select_from(Passkey)) == 0


@pytest.mark.sqlite_only
def test_a_passkey_is_a_second_step_after_the_password_and_signs_in_by_itself(client, agent) -> None:
    key = registered(agent, verifies=False)
    page = client.get(give_password(client, agent).location)
    answer = client.post("/two-step", data={"credential": key.sign(options_on(page)), "next": "/customers"})
    assert answer.location == "/customers"
    assert is_in(client)
    other = current_app.test_client()
    strong = registered(agent, "Laptop")
    answer = other.post("/login", data={"credential": strong.sign(options_on(other.get("/login"))), "next": ""})
    assert answer.location == "/agent"
    refused = current_app.test_client().post("/login", data={"credential": "{}", "next": "/agent"})
    assert refused.status_code == 422
    assert "opens no account" in refused.text
    assert "password must" not in refused.text


# Who needs it, and who takes it away


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("who", "asked"), [("everybody", True), ("staff", False), ("nobody", False)])
def test_customers_need_a_second_step_where_everybody_does(app, client, monkeypatch, who, asked) -> None:
    monkeypatch.setitem(app.config, "REQUIRE_TWO_STEP", who)
    factories.signed_in(client, factories.user(Role.CUSTOMER))
    assert (client.get("/portal").location == "/account/two-step") is asked


@pytest.mark.sqlite_only
def test_staff_without_a_second_step_are_led_to_it_and_can_do_nothing_else(
    client, required, agent, monkeypatch
) -> None:
    factories.signed_in(client, agent)
    for path in ("/agent", "/customers", "/account", "/account/keys/new", "/no/such/id"):
        answer = client.get(path)
        assert answer.status_code == 404 if path == "/no/such/id" else answer.location == "/account/two-step"
    assert client.post("/customers/new", data={"name": "X"}).location == "/account/two-step"
    assert client.get("/account/two-step").status_code == 200
    assert client.get("/help").status_code == 200
    access = Program().post("/auth/token", {"email": agent.email, "password": PASSWORD}).json["access_token"]
    refused = Program(secret=access).get("/customers")
    assert refused.status_code == 403
    assert "second step" in refused.json["detail"]
    assert Program(secret=access).post("/auth/revoke", {}).status_code < 300
    Phone(agent, monkeypatch)
    assert client.get("/agent").status_code == 200
    with pytest.raises(Conflict):
        two_step.remove_app(actor=agent)
    page = client.post("/account/two-step/app/remove")
    assert page.status_code == 409
    customer = factories.browser(factories.user(Role.CUSTOMER))
    assert customer.get("/account").status_code == 200


def test_an_admin_resets_it_which_is_noted_and_mailed_and_ends_sessions(agent, admin, phone) -> None:
    registered(agent)
    token = services.open_session(user_id=agent.id, **HERE)
    for actor in (agent, factories.user(Role.AGENT)):
        with pytest.raises(NotAllowed):
            two_step.reset(user_id=agent.id, actor=actor)
    two_step.reset(user_id=agent.id, actor=admin)
    assert queries.find_session(token) is None
    assert queries.second_steps_of(agent.id) == (None, [])
    assert queries.recovery_codes_left(agent.id) == 0
    entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry
    assert (entry.action, entry.actor_id) == ("change_two_step", admin.id)
    assert mails()[-1] == "two_step_changed"
    with pytest.raises(Conflict):
        two_step.reset(user_id=agent.id, actor=SYSTEM)


@pytest.mark.sqlite_only
def test_admins_see_who_has_what_and_reset_it_by_a_page(client, agent, admin, phone) -> None:
    registered(agent, "Ann's phone")
    factories.signed_in(client, admin)
    page = client.get(f"/admin/users/{agent.id}")
    assert "an authenticator app; passkeys: Ann&#39;s phone · 10 of 10 recovery codes left" in page.text
    assert client.post(f"/admin/users/{agent.id}/two-step").status_code == 303
    assert "recovery codes left" not in client.get(f"/admin/users/{agent.id}").text
    assert client.post(f"/admin/users/{agent.id}/two-step").status_code == 409


def test_the_command_for_the_last_admin(app, admin, agent, phone) -> None:
    run = app.test_cli_runner().invoke
    assert "signed out everywhere" in run(args=["users", "reset-two-step", "--email", agent.email]).output
    assert run(args=["users", "reset-two-step", "--email", "nobody@example.com"]).exit_code == 1


# What asks who is sitting here

FRESH = {
    "payouts": {
        "admin.approve_disbursement", "admin.send_disbursement", "admin.replace_disbursement", "claims.approve_payout",
        "claims.settle", "payments.request_refund", "payments.return_suspense", "payments.make_batch",
        "payments.send_batch",
    },
    "bank data": {"admin.disbursement_account", "admin.edit_bank", "payments.batch_file", "payments.bank_line_csv"},
    "roles": {"admin.new_user", "admin.edit_user", "admin.reset_user"},
    "exports of personal data": {
        "admin.user_csv", "admin.audit_csv", "admin.outbox_csv", "admin.disbursement_csv", "feedback.feedback_csv",
        "customers.customer_csv", "policies.policy_csv", "claims.claim_csv", "billing.invoice_csv",
        "payments.payment_csv", "payments.suspense_csv", "privacy.export_customer", "privacy.export_own",
        "privacy.erasure_csv", "privacy.access_csv",
    },
    "erasure": {"privacy.request_erasure", "privacy.erasure", "privacy.decline"},
    "keys": {"accounts.new_key"},
    "sessions": {"accounts.end_session"},
    "two-step": {
        "accounts.set_up_app", "accounts.remove_app", "accounts.new_passkey", "accounts.remove_passkey",
        "accounts.recovery_codes", "admin.reset_two_step",
    },
}  # fmt: skip
NOTHING_PERSONAL = {
    "admin.job_csv", "admin.journal_csv", "admin.books_csv", "admin.usage_csv", "payments.batch_csv",
    "payments.event_csv",
}  # fmt: skip
"""Downloads that name nobody."""


def test_what_few_should_do_asks_for_a_fresh_sign_in(app) -> None:
    listed = set().union(*FRESH.values())
    asks = {name for name, view in app.view_functions.items() if getattr(view, "is_fresh", False)}
    assert listed - asks == set()
    downloads = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.endswith(".csv")}
    assert downloads - asks == NOTHING_PERSONAL, "a new download: does it hold anything personal?"


@pytest.mark.sqlite_only
def test_after_ten_minutes_it_is_asked_again_by_the_second_step_and_what_was_typed_comes_back(
    client, admin, monkeypatch
) -> None:
    factories.signed_in(client, admin)
    phone = Phone(admin, monkeypatch)
    make_old()
    assert client.get("/customers").status_code == 200
    assert client.get("/customers.csv").location == "/login/again?next=/customers.csv"
    sent = client.post("/admin/users/new", data={"name": "Half Typed", "password": "x", "code": "123"})
    assert sent.location == "/login/again?next=/admin/users/new"
    page = client.get(sent.location)
    assert "Confirm that it is you" in page.text
    assert 'name="password"' not in page.text
    assert client.post(sent.location, data={"code": "000000"}).status_code == 422
    done = client.post(sent.location, data={"code": phone.code(), "next": "/admin/users/new"})
    assert done.location == "/admin/users/new"
    assert 'value="Half Typed"' in client.get(done.location).text
    assert client.get("/customers.csv").status_code == 200


@pytest.mark.sqlite_only
def test_a_button_that_asks_again_leads_back_to_its_page(client, agent, admin) -> None:
    factories.signed_in(client, admin)
    make_old()
    where = f"http://localhost/admin/users/{agent.id}"
    answer = client.post(f"/admin/users/{agent.id}/reset", headers={"Referer": where})
    assert answer.location == f"/login/again?next=/admin/users/{agent.id}"
    away = client.post(f"/admin/users/{agent.id}/reset", headers={"Referer": "https://evil.example.com/x"})
    assert away.location == "/login/again"
    assert mails() == []


@pytest.mark.sqlite_only
def test_a_passkey_answers_when_it_is_asked_again(client, agent) -> None:
    key = registered(agent, verifies=False)
    factories.signed_in(client, agent)
    make_old()
    asked = client.get("/account/keys/new").location
    answer = client.post(
        asked, data={"credential": key.sign(options_on(client.get(asked))), "next": "/account/keys/new"}
    )
    assert answer.location == "/account/keys/new"
    assert client.get(answer.location).status_code == 200


@pytest.mark.sqlite_only
def test_pages_ask_the_database_as_often_for_many_passkeys_as_for_one(client, agent, phone) -> None:
    visitor = current_app.test_client()
    factories.signed_in(client, agent)
    counted = []
    for name in ("One", "Two", "Three"):
        registered(agent, name)
        visitor.get(give_password(visitor, agent).location)
        count = []
        for browser, path in ((client, "/account/two-step"), (visitor, "/two-step"), (client, "/login/again")):
            with statements() as asked:
                assert browser.get(path).status_code == 200
            count.append(len(asked))
        counted.append(count)
    assert counted[0] == counted[-1]
    assert max(counted[0]) <= 6, counted[0]

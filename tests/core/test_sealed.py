"""What is personal is sealed in the database, can be erased from it for good, and outlives a change of keys."""

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import JSON, LargeBinary, String, Text, select, text
from sqlalchemy.exc import DBAPIError

from insurance.accounts.models import AuthenticatorApp, KeptForm, RecoveryCode
from insurance.billing.models import Disbursement, Mandate
from insurance.core import audit, clock, person_keys
from insurance.core.audit import AuditEntry
from insurance.core.db import Base, add, db, transaction
from insurance.core.encryption import Unreadable, fingerprint, seal, unseal
from insurance.core.money import Money
from insurance.core.permissions import Role
from insurance.customers import services as customers
from insurance.operations import keys, verify
from insurance.operations.checks import records
from insurance.payments import batches, money_out, statements
from insurance.payments import services as payments
from insurance.payments.bank.models import BankBatch, BankStatement
from insurance.payments.domain import PaymentMethod
from insurance.payments.services import direct_debit
from tests import factories
from tests.payments.test_direct_debit import COMPANY, IBAN, admin, euro, euro_policy, person  # noqa: F401

OTHER = "FR1420041010050500013M02606"
PAYER = "BE68539007547034"
NEW = {"2027": b"n" * 32}


@pytest.fixture
def order(admin, person) -> Disbursement:  # noqa: F811
    """An approved refund to an account, of somebody with a mandate on another, in a file; and a statement came."""
    policy = euro_policy(user=person)
    direct_debit.give(account_id=policy.account_id, holder_name="Maria Lopez", account_number=IBAN, actor=person)
    received = Money.parse("300", "EUR")
    payments.record(account_id=policy.account_id, amount=received, method=PaymentMethod.CHEQUE, actor=admin)
    facts = {"payee_name": "Maria Lopez", "account_number": OTHER}
    money_out.request_refund(account_id=policy.account_id, amount=Money.parse("50", "EUR"), **facts, actor=admin)
    batches.make(currency="EUR", actor=admin)
    content = f"Date;Amount;Text;Name;Account\n24.05.2026;10,00;Gift;Maria;{PAYER}\n".encode()
    statements.upload(name="statement.csv", content=content, actor=admin)
    return db.session.scalars(select(Disbursement)).one()


def stored() -> str:
    """Everything that the database holds as text or bytes."""
    found = []
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            kind = getattr(column.type, "impl", column.type)
            if isinstance(kind, LargeBinary):
                rows = db.session.execute(text(f'SELECT "{column.name}" FROM {table.name}'))
                found += [bytes(value).decode("latin-1") for (value,) in rows if value]
            elif isinstance(kind, (String, Text, JSON)):
                rows = db.session.execute(text(f'SELECT CAST("{column.name}" AS TEXT) FROM {table.name}'))
                found += [value for (value,) in rows if value]
    return "\n".join(found)


def test_no_account_of_anybody_lies_open_in_the_database(app: Flask, order: Disbursement) -> None:
    dump = stored()
    assert COMPANY["account_number"] in dump, "the company's own account is on its letters"
    assert [number for number in (IBAN, OTHER, PAYER) if number in dump] == []
    assert order.account_number == OTHER
    assert db.session.scalars(select(Mandate.account_number)).one() == IBAN
    assert OTHER.encode() in db.session.scalars(select(BankBatch)).one().content
    assert PAYER.encode() in db.session.scalars(select(BankStatement)).one().content


def test_a_frozen_order_refuses_another_account_and_bears_a_change_of_keys(
    app: Flask, order: Disbursement, monkeypatch
) -> None:
    kept, order_id = order.sealed_account, order.id
    with pytest.raises(DBAPIError, match="what was approved"), transaction() as session:
        session.execute(text("UPDATE disbursements SET account_number = 'x'"))
    old = app.config["ENCRYPTION_KEYS"]
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW | old)
    assert keys.rotate() == {"customers' keys": 1, "files for the bank": 1, "statements": 1}
    assert keys.rotate() == {}
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW)
    db.session.rollback()
    db.session.expire_all()
    order = db.session.get_one(Disbursement, order_id)
    assert (order.sealed_account, order.account_number) == (kept, OTHER)
    assert OTHER.encode() in db.session.scalars(select(BankBatch)).one().content
    assert keys.missing() == {}


def test_a_missing_key_is_named_and_a_wrong_one_too(app: Flask, order: Disbursement, monkeypatch) -> None:
    (name,) = app.config["ENCRYPTION_KEYS"]
    assert keys.missing() == {}
    for ring, said in ((NEW, f"'{name}', which is not in"), ({name: b"w" * 32}, f"'{name}': it is another key")):
        monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", ring)
        db.session.rollback()
        db.session.expire_all()
        with pytest.raises(Unreadable, match=said):
            db.session.scalars(select(Disbursement)).one()
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW)
    assert keys.missing() == {name: 3}
    advice = next(check for check in records.CHECKS if check.name == "keys").look(app.config)
    assert advice == f"3 rows hang on the key '{name}': put it back into ENCRYPTION_KEYS."
    listed = app.test_cli_runner().invoke(args=["keys", "list"])
    assert listed.exit_code == 1
    assert f"{name}, which is not in ENCRYPTION_KEYS: 1 customers' keys" in listed.output


def test_the_commands_say_what_hangs_on_which_key(app: Flask, order: Disbursement, monkeypatch) -> None:
    (name,) = app.config["ENCRYPTION_KEYS"]
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW | app.config["ENCRYPTION_KEYS"])
    listed, rotated, again = (app.test_cli_runner().invoke(args=["keys", act]) for act in ("list", "rotate", "list"))
    assert listed.output.splitlines() == [
        "2027: nothing",
        f"{name}: 1 customers' keys, 1 files for the bank, 1 statements",
    ]
    assert "1 customers' keys sealed anew" in rotated.output
    assert again.output.splitlines()[1] == f"{name}: nothing"


def test_second_steps_and_kept_forms_are_sealed_anew_and_recovery_codes_counted(app: Flask, monkeypatch) -> None:
    user_id = factories.user(Role.AGENT).id
    assert user_id
    secret, form = seal("S", AuthenticatorApp.purpose(user_id)), seal('{"name": ["x"]}', KeptForm.purpose(user_id))
    with transaction():
        add(AuthenticatorApp(user_id=user_id, secret=secret, last_step=1, created_at=clock.now(), used_at=clock.now()))
        add(KeptForm(user_id=user_id, path="/", sealed=form, kept_at=clock.now()))
        add(RecoveryCode(user_id=user_id, fingerprint=fingerprint("1", "recovery")))
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW | app.config["ENCRYPTION_KEYS"])
    assert app.test_cli_runner().invoke(args=["keys", "rotate"]).output.splitlines() == [
        "1 authenticator apps sealed anew",
        "1 kept forms sealed anew",
        "1 recovery codes hang on older keys: without these they are good no longer, until made anew",
    ]
    monkeypatch.setitem(app.config, "ENCRYPTION_KEYS", NEW)
    db.session.rollback()
    db.session.expire_all()
    app_ = db.session.get_one(AuthenticatorApp, user_id)
    assert unseal(app_.secret, AuthenticatorApp.purpose(user_id)) == "S"
    assert db.session.scalars(select(KeptForm)).one().fields == {"name": ["x"]}
    assert list(keys.missing().values()) == [1]


def test_what_was_erased_is_read_nowhere_and_the_trail_stays_whole(app: Flask, order: Disbursement) -> None:
    customer_id, order_id = order.customer_id, order.id
    customers.edit(customer_id=customer_id, phone="030 1234567", actor=factories.user(Role.ADMIN))
    noted = select(AuditEntry).filter_by(subject="customers", action="edit")
    assert audit.opened(db.session.scalars(noted).one())[1] == {"phone": "030 1234567"}
    name = "Lopez Romero"
    for said in (name, "030 1234567"):
        assert said not in "\n".join(db.session.scalars(text("SELECT CAST(after AS TEXT) FROM audit_entries")))
    person_keys.destroy(customer_id)
    assert audit.opened(db.session.scalars(noted).one()) == ({"phone": ""}, {"phone": person_keys.ERASED})
    assert db.session.get_one(Disbursement, order_id).account_number == person_keys.ERASED
    assert db.session.scalars(select(Mandate.account_number)).one() == person_keys.ERASED
    assert list(audit.breaks()) == []
    assert [result.violations for result in verify.run() if result.violations] == []
    # A key that comes later opens nothing of what was before.
    customers.edit(customer_id=customer_id, phone="1", actor=factories.user(Role.ADMIN))
    newest = db.session.scalars(noted.order_by(AuditEntry.id.desc())).first()
    assert audit.opened(newest)[1] == {"phone": "1"}
    assert db.session.get_one(Disbursement, order_id).account_number == person_keys.ERASED


def test_the_trail_does_not_say_who_a_customer_is(app: Flask, person) -> None:  # noqa: F811
    customer = factories.customer(user=person, name="Zelda Quirke")
    customers.edit(customer_id=customer.id, email="zelda@example.com", actor=person)
    columns = "actor_name || label || CAST(before AS TEXT) || CAST(after AS TEXT)"
    written = "\n".join(db.session.scalars(text(f"SELECT {columns} FROM audit_entries")))
    assert not any(said in written for said in ("Zelda", "zelda", person.name, person.email))


@pytest.mark.fault
def test_the_migration_opens_and_seals_what_is_there(app: Flask, order: Disbursement) -> None:
    """Down and up again, with an order that is approved and a mandate that is signed."""
    order_id = order.id
    db.session.remove()
    downgrade(revision="0019")
    db.engine.dispose()
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT account_number FROM disbursements")) == OTHER
        assert connection.scalar(text("SELECT account_number FROM mandates")) == IBAN
        assert OTHER.encode() in bytes(connection.scalar(text("SELECT content FROM bank_batches")))
    upgrade()
    db.engine.dispose()
    assert [number for number in (IBAN, OTHER, PAYER) if number in stored()] == []
    assert db.session.get_one(Disbursement, order_id).account_number == OTHER
    assert db.session.scalars(select(Mandate.account_number)).one() == IBAN
    with pytest.raises(DBAPIError, match="what was approved"), transaction() as session:
        session.execute(text("UPDATE mandates SET account_number = 'x'"))

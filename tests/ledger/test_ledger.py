"""The ledger: what is posted moves balances, balances to zero, and stays."""

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.ledger import queries, services
from insurance.ledger.domain import COMPANY, Account, Event
from insurance.ledger.models import Transfer

MAY, JUNE = date(2026, 5, 31), date(2026, 6, 1)


def post(debit: tuple[Account, int], credit: tuple[Account, int], amount: str, *, on: date = JUNE, currency="USD"):
    with transaction():
        services.post(Event.PAYMENT, 1, debit=debit, credit=credit, amount=Money.parse(amount, currency), on=on)


def test_a_transfer_moves_both_accounts(app) -> None:
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "200.00")
    post((Account.CUSTOMER_CREDIT, 7), (Account.BILLED, 7), "150.00")
    assert queries.balance(Account.BANK) == Money(200_00, "USD")
    assert queries.balance(Account.CUSTOMER_CREDIT, 7) == Money(-50_00, "USD")
    assert queries.balance(Account.CUSTOMER_CREDIT, 8) == Money(0, "USD")
    assert queries.balances(Account.CUSTOMER_CREDIT) == {7: -50_00}


def test_a_balance_can_be_asked_for_as_of_a_day(app) -> None:
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "10.00", on=MAY)
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "5.00", on=JUNE)
    assert queries.balance(Account.BANK, as_of=MAY) == Money(10_00, "USD")
    assert [line.debit for line in queries.trial_balance(as_of=MAY) if line.account is Account.BANK] == [
        Money(10_00, "USD")
    ]


def test_currencies_are_never_mixed(app) -> None:
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "10.00")
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 8), "500", currency="JPY")
    assert queries.balance(Account.BANK) == Money(10_00, "USD")
    assert queries.balance(Account.BANK, currency="JPY") == Money(500, "JPY")
    lines = queries.trial_balance()
    for currency in ("USD", "JPY"):
        debits = sum((line.debit for line in lines if line.debit.currency == currency), Money.zero(currency))
        credits_ = sum((line.credit for line in lines if line.credit.currency == currency), Money.zero(currency))
        assert debits == credits_


def test_nothing_posts_nothing(app) -> None:
    assert post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "0") is None
    assert db.session.query(Transfer).count() == 0


def test_an_amount_below_zero_is_refused_by_the_database(app) -> None:
    with pytest.raises(DatabaseError):
        post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "-5.00")


@pytest.mark.parametrize("statement", ["UPDATE transfers SET amount_minor = 1", "DELETE FROM transfers"])
def test_what_is_posted_stays(app, statement: str) -> None:
    post((Account.BANK, COMPANY), (Account.CUSTOMER_CREDIT, 7), "10.00")
    with pytest.raises(DatabaseError), transaction() as session:
        session.execute(text(statement))
    assert queries.balance(Account.BANK) == Money(10_00, "USD")

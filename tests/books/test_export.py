"""The books as a file: Beancount itself finds them in balance, and finds what was changed in them."""

import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask

from insurance.books.export import Format, export
from insurance.core import clock
from insurance.core.db import db, transaction
from insurance.core.money import Money
from insurance.demo import portfolio
from insurance.ledger import services
from insurance.ledger.domain import COMPANY, KINDS, Account, Event
from insurance.ledger.models import Transfer
from tests import factories

BEAN_CHECK = Path(sys.executable).with_name("bean-check")
YEN_AND_DINARS = [("500", "JPY"), ("1.500", "BHD"), ("7.05", "USD")]


def check(folder: Path, book: str) -> str:
    """What bean-check says of a book; nothing, if it is right."""
    path = folder / "ledger.beancount"
    path.write_text(book, encoding="utf-8")
    done = subprocess.run([BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stderr), done.stdout
    return done.stderr


def post(amount: str, currency: str, on: date, credit: Account = Account.CUSTOMER_CREDIT) -> None:
    with transaction():
        services.post(
            Event.PAYMENT,
            1,
            debit=(Account.BANK, COMPANY),
            credit=(credit, 7),
            amount=Money.parse(amount, currency),
            on=on,
        )


def test_every_account_is_of_a_kind() -> None:
    assert set(KINDS) == set(Account)


def test_beancount_finds_the_demo_in_balance_and_any_change_to_it(app: Flask, tmp_path: Path) -> None:
    portfolio.load(policies=30, seed=1, if_empty=False)
    book = "".join(export(Format.BEANCOUNT, clock.today()))
    assert check(tmp_path, book) == ""
    months = {match[:7] for match in re.findall(r"^(.+) balance ", book, re.MULTILINE)}
    assert len(months) > 12
    assert len(re.findall("^  transfer: ", book, re.MULTILINE)) == db.session.query(Transfer).count()
    posting = re.search(r"\n\n\S+ \* .+\n.+\n  Assets:Bank  (.+) USD\n.+\n.+  (-.+) USD\n.+\n", book)
    assert posting
    dearer = posting[0].replace(f"  {posting[1]} ", "  9999.99 ")
    assert "Transaction does not balance" in check(tmp_path, book.replace(posting[0], dearer))
    both = dearer.replace(f"  {posting[2]} ", "  -9999.99 ")
    assert "Balance failed for 'Assets:Bank'" in check(tmp_path, book.replace(posting[0], both))
    assert "Balance failed for 'Assets:Bank'" in check(tmp_path, book.replace(posting[0], "\n"))


def test_each_currency_has_its_own_decimals_in_the_file(app: Flask, tmp_path: Path) -> None:
    for amount, currency in YEN_AND_DINARS:
        post(amount, currency, date(2026, 4, 30))
    book = "".join(export(Format.BEANCOUNT, date(2026, 6, 1)))
    assert check(tmp_path, book) == ""
    for amount, currency in YEN_AND_DINARS:
        assert f"2026-05-01 balance Assets:Bank  {amount} ~ 0 {currency}\n" in book
        assert f"  Liabilities:CustomerCredit  -{amount} {currency}\n" in book
        assert f"{amount},{currency},2026-04-30" in "".join(export(Format.CSV, date(2026, 6, 1)))


def test_accounts_are_balanced_at_each_month_that_moved_them_and_at_the_end(app: Flask, tmp_path: Path) -> None:
    for on in (date(2026, 2, 28), date(2026, 3, 1), date(2026, 5, 10), date(2026, 5, 20)):
        post("10.00", "USD", on)
    book = "".join(export(Format.BEANCOUNT, date(2026, 5, 15)))
    assert check(tmp_path, book) == ""
    assert re.findall(r"^(\S+) balance Assets:Bank  (\S+)", book, re.MULTILINE) == [
        ("2026-03-01", "10.00"),
        ("2026-04-01", "20.00"),
        ("2026-05-16", "30.00"),
    ]


def test_without_postings_the_file_is_right_too(app: Flask, tmp_path: Path) -> None:
    assert check(tmp_path, "".join(export(Format.BEANCOUNT, date(2026, 6, 1)))) == ""
    assert "".join(export(Format.CSV, date(2026, 6, 1))).count("\n") == 1


@pytest.mark.parametrize("format_", [*Format])
def test_what_is_posted_while_the_file_is_written_is_not_in_it(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    monkeypatch.setattr("insurance.books.export.CHUNK", 2)
    for _ in range(5):
        post("10.00", "USD", date(2026, 5, 10))
    parts = export(format_, date(2026, 6, 1))
    begun = [next(parts), next(parts)]

    def post_meanwhile() -> None:
        with app.app_context():
            post("99.00", "USD", date(2026, 5, 11))
            db.session.remove()

    other = Thread(target=post_meanwhile)
    other.start()
    other.join()
    book = "".join([*begun, *parts])
    assert "99.00" not in book
    if format_ is Format.BEANCOUNT:
        assert check(tmp_path, book) == ""


def test_the_command_prints_the_file(app: Flask) -> None:
    factories.bound_policy()
    run = app.test_cli_runner()
    written = run.invoke(args=["export", "ledger", "--format", "csv"])
    assert written.exit_code == 0
    assert written.output.count("\n") == 1 + db.session.query(Transfer).count()
    earlier = clock.today() - timedelta(days=1)
    none = run.invoke(args=["export", "ledger", "--format", "csv", "--as-of", earlier.isoformat()])
    assert none.output.count("\n") == 1
    assert "open Assets:Bank" in run.invoke(args=["export", "ledger", "--format", "beancount"]).output

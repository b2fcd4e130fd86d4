"""Files for banks validate and say what was ordered; statements are read or refused; lines find what they pay."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from insurance.core.errors import RuleBroken
from insurance.core.money import Money
from insurance.payments.bank.matching import OpenInvoice, OpenOrder, propose
from insurance.payments.bank.orders import Order, Party, collection_file, payout_file
from insurance.payments.bank.statements import Line, Mapping, csv_rows, read_camt, read_csv

IBAN = "DE89370400440532013000"
COMPANY = Party("Harbor Mutual", IBAN, "DEUTDEFF", "DE98ZZZ09999999999")
AT, ON = datetime(2026, 6, 1, 9, tzinfo=UTC), date(2026, 6, 1)


def money(text: str, currency: str = "USD") -> Money:
    return Money.parse(text, currency)


def texts(data: bytes, name: str) -> list[str]:
    return [element.text for element in etree.fromstring(data).iter("{*}" + name)]


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "KWD"])
def test_a_payout_file_says_whom_to_pay_how_much_in_any_currency(currency):
    amount = Money(123456, currency)
    orders = [
        Order("D1", Party("Zoë <Li> & Sons", IBAN, "DEUTDEFF"), amount, "Claim CLM-2026-000001"),
        Order("D2", Party("Maria Lopez", "0123456789"), amount, "Refund POL-2026-000001"),
    ]
    data = payout_file("BAT-2026-000001", COMPANY, orders, at=AT, on=ON)
    assert texts(data, "InstdAmt") == [str(amount)] * 2
    assert texts(data, "EndToEndId") == ["D1", "D2"]
    assert texts(data, "Nm")[-2:] == ["Zoë <Li> & Sons", "Maria Lopez"]
    assert texts(data, "CtrlSum") == [str(amount + amount)] * 2
    assert data == payout_file("BAT-2026-000001", COMPANY, orders, at=AT, on=ON)


def test_a_collection_file_names_each_mandate():
    order = Order("P1", Party("Maria Lopez", IBAN), money("20.00", "EUR"), "INV-2026-000001", "M-1", date(2026, 1, 2))
    data = collection_file("BAT-2026-000002", COMPANY, [order], at=AT, on=ON)
    assert (texts(data, "MndtId"), texts(data, "DtOfSgntr")) == (["M-1"], ["2026-01-02"])


@given(name=st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=200))
def test_no_name_makes_a_file_that_its_schema_refuses(name):
    orders = [Order("D1", Party(name, IBAN), money("1.00"), name)]
    assert payout_file("BAT-1", COMPANY, orders, at=AT, on=ON)


# Statements

CSV = """Date;Amount;Text;Name
24.05.2026;1.204,50;INV-2026-000042;Lopez, Maria
25.05.2026;-80,00;D7;Zoe
26.05.2026;5,00;Gift;X
26.05.2026;5,00;Gift;X
"""
MAPPING = Mapping("Date", "Amount", "Text", "Name", "%d.%m.%Y", ",")


def reading(text: str, mapping: Mapping = MAPPING):
    return read_csv(csv_rows(text.encode()), mapping, account_number=IBAN, currency="EUR")


def test_a_csv_statement_is_read_by_its_mapping_and_equal_rows_stay_two():
    lines = reading(CSV).lines
    assert [str(line.amount) for line in lines] == ["1204.50", "-80.00", "5.00", "5.00"]
    assert (lines[0].booked_on, lines[0].reference, lines[0].party) == (
        date(2026, 5, 24),
        "INV-2026-000042",
        "Lopez, Maria",
    )
    assert len({line.key for line in lines}) == 4
    assert [line.key for line in reading(CSV).lines] == [line.key for line in lines]


def test_bad_rows_are_named_as_the_spreadsheet_counts_them():
    bad = CSV + "31.02.2026;1,00;;\n01.06.2026;one;;\n01.06.2026;0,00;;\n01.06.2026;1,001;;\n"
    found = reading(bad)
    assert [error.row for error in found.errors] == [6, 7, 8, 9]
    assert len(found.lines) == 4


@pytest.mark.parametrize("data", [b"", b"a", b"a,b", b"\x00\x01", b"\xff\xfe\x00", b"x" * 100])
def test_what_is_no_csv_is_refused_in_words(data):
    with pytest.raises(RuleBroken):
        csv_rows(data)


ENTRY = """<Ntry><Amt Ccy="USD">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts>{status}</Sts>
<BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>{ref}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{e2e}</EndToEndId>
</Refs><RltdPties><Dbtr><Nm>Maria Lopez</Nm></Dbtr><Cdtr><Nm>Zoe Li</Nm></Cdtr></RltdPties>
<RmtInf><Ustrd>INV-2026-000042</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""


def entry(**facts: str) -> str:
    usual = {
        "amount": "204.00",
        "side": "CRDT",
        "status": "BOOK",
        "day": "2026-05-24",
        "ref": "R1",
        "e2e": "NOTPROVIDED",
    }
    return ENTRY.format(**usual | facts)


def camt(*entries: str, version: str = "02", before: str = "") -> bytes:
    return (
        f'{before}<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt><Stmt>'
        f"<Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct>{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


@pytest.mark.parametrize("version", ["02", "08"])
def test_a_camt_statement_is_read_with_its_account_and_signs(version):
    found = read_camt(camt(entry(), entry(side="DBIT", ref="R2", e2e="D7"), entry(status="PDNG"), version=version))
    assert [(str(line.amount), line.party) for line in found.lines] == [
        ("204.00", "Maria Lopez"),
        ("-204.00", "Zoe Li"),
    ]
    assert found.lines[0].account_number == IBAN
    assert found.lines[1].reference == "D7 INV-2026-000042"
    assert read_camt(camt(entry(day="2026-13-01"), entry())).errors[0].row == 1


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "data",
    [
        camt(entry(e2e="&b;"), before=BOMB),
        camt(entry(e2e="&f;"), before=OUTSIDE),
        camt(),
        camt(entry())[:-5],
        b"<Document/>",
        b"<a",
    ],
)
def test_xml_that_is_broken_or_reaches_outside_itself_is_refused(data):
    with pytest.raises(RuleBroken):
        read_camt(data)


# Proposals

INVOICE = OpenInvoice(7, 1, "INV-2026-000042", "POL-2026-000009", "Maria Lopez", money("204.00"), date(2026, 6, 15))
ORDER = OpenOrder(3, "D3", "Refund POL-2026-000009", "Zoe Li", money("80.00"))


def line(amount: str, reference: str = "", party: str = "") -> Line:
    return Line("k", IBAN, ON, money(amount), reference, party)


@pytest.mark.parametrize(
    ("seen", "act", "score"),
    [
        (line("204.00", "inv2026000042 thanks"), "pay", 90),
        (line("100.00", "INV-2026-000042"), "pay", 60),
        (line("204.00", "pol-2026-000009", "LOPEZ MARIA"), "pay", 100),
        (line("204.00", "", "Lopez, Maria"), "pay", 55),
        (line("-80.00", "D3"), "settle", 90),
        (line("-80.00", "", "Li Zoe"), "settle", 50),
        (line("80.00", "D3 RETURN"), "return", 90),
    ],
)
def test_a_line_finds_what_it_is_about(seen, act, score):
    [best, *_] = propose(seen, [INVOICE], [ORDER])
    assert (best.act, best.score) == (act, score)
    assert best.reason.endswith(".")


@pytest.mark.parametrize(
    "seen",
    [
        line("204.00"),
        line("100.00", "", "Maria Lopez"),
        line("-204.00", "INV-2026-000042"),
        line("80.00", "", "Zoe Li"),
        line("-81.00", "D3"),
        line("-80.00"),
    ],
)
def test_neither_the_amount_nor_the_name_alone_is_enough(seen):
    assert propose(seen, [INVOICE], [ORDER]) == []

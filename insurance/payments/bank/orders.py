"""The files that tell a bank to pay or to collect: pain.001.001.09 and pain.008.001.08 of ISO 20022.

Each is checked against its schema before it leaves. Currencies other than EUR are plain credit transfers; what a
country's banks ask beyond the schema (purpose codes, clearing codes, letters outside Latin) is not covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources

from lxml import etree

from ...billing.domain import is_iban
from ...core.money import Money

PAY, COLLECT = "pain.001.001.09", "pain.008.001.08"


@dataclass(frozen=True)
class Party:
    """Whose bank account it is. `creditor_id` is what a collecting company's bank has given it."""

    name: str
    account_number: str
    bic: str = ""
    creditor_id: str = ""


@dataclass(frozen=True)
class Order:
    """One payment of a file; `id` comes back on the statement. A collection names its mandate."""

    id: str
    party: Party
    amount: Money
    reference: str
    mandate: str = ""
    signed_on: date | None = None


def payout_file(number: str, company: Party, orders: Sequence[Order], *, at: datetime, on: date) -> bytes:
    """The file that lets the company's bank pay."""
    root, block = _begin(PAY, "CstmrCdtTrfInitn", number, company, orders, at)
    _add(block, "PmtInf/PmtInfId", number)
    info = block[-1]
    _add(info, "PmtMtd", "TRF")
    _sums(info, orders)
    if orders[0].amount.currency == "EUR":
        _add(info, "PmtTpInf/SvcLvl/Cd", "SEPA")
    _add(info, "ReqdExctnDt/Dt", on.isoformat())
    _party(info, "Dbtr", company)
    _add(info, "ChrgBr", "SLEV" if orders[0].amount.currency == "EUR" else "SHAR")
    for order in orders:
        entry = etree.SubElement(info, _tag(info, "CdtTrfTxInf"))
        _add(entry, "PmtId/EndToEndId", order.id)
        _amount(_add(entry, "Amt/InstdAmt", ""), order.amount)
        _agent(entry, "Cdtr", order.party, optional=True)
        _add(entry, "Cdtr/Nm", order.party.name[:140])
        _account(entry, "CdtrAcct", order.party)
        _add(entry, "RmtInf/Ustrd", order.reference[:140])
    return _checked(root, PAY)


def collection_file(number: str, company: Party, orders: Sequence[Order], *, at: datetime, on: date) -> bytes:
    """The file that lets the company's bank collect by direct debit, one mandate each."""
    root, block = _begin(COLLECT, "CstmrDrctDbtInitn", number, company, orders, at)
    _add(block, "PmtInf/PmtInfId", number)
    info = block[-1]
    _add(info, "PmtMtd", "DD")
    _sums(info, orders)
    kind = etree.SubElement(info, _tag(info, "PmtTpInf"))
    _add(kind, "SvcLvl/Cd", "SEPA")
    _add(kind, "LclInstrm/Cd", "CORE")
    _add(kind, "SeqTp", "RCUR")
    _add(info, "ReqdColltnDt", on.isoformat())
    _party(info, "Cdtr", company)
    _add(info, "ChrgBr", "SLEV")
    scheme = _add(info, "CdtrSchmeId/Id/PrvtId/Othr/Id", company.creditor_id).getparent()
    _add(scheme, "SchmeNm/Prtry", "SEPA")
    for order in orders:
        entry = etree.SubElement(info, _tag(info, "DrctDbtTxInf"))
        _add(entry, "PmtId/EndToEndId", order.id)
        _amount(_add(entry, "InstdAmt", ""), order.amount)
        mandate = _add(entry, "DrctDbtTx/MndtRltdInf/MndtId", order.mandate).getparent()
        _add(mandate, "DtOfSgntr", order.signed_on.isoformat() if order.signed_on else on.isoformat())
        _agent(entry, "Dbtr", order.party)
        _add(entry, "Dbtr/Nm", order.party.name[:140])
        _account(entry, "DbtrAcct", order.party)
        _add(entry, "RmtInf/Ustrd", order.reference[:140])
    return _checked(root, COLLECT)


def _begin(
    schema: str, body: str, number: str, company: Party, orders: Sequence[Order], at: datetime
) -> tuple[etree._Element, etree._Element]:
    name = f"urn:iso:std:iso:20022:tech:xsd:{schema}"
    root = etree.Element(f"{{{name}}}Document", nsmap={None: name})
    block = etree.SubElement(root, f"{{{name}}}{body}")
    _add(block, "GrpHdr/MsgId", number)
    header = block[0]
    _add(header, "CreDtTm", at.strftime("%Y-%m-%dT%H:%M:%S"))
    _sums(header, orders)
    _add(header, "InitgPty/Nm", company.name[:140])
    return root, block


def _tag(parent: etree._Element, name: str) -> str:
    return f"{{{etree.QName(parent).namespace}}}{name}"


def _add(parent: etree._Element, path: str, text: str) -> etree._Element:
    """Add elements one in the other; the innermost, with its text."""
    for name in path.split("/"):
        parent = etree.SubElement(parent, _tag(parent, name))
    parent.text = text
    return parent


def _sums(parent: etree._Element, orders: Sequence[Order]) -> None:
    _add(parent, "NbOfTxs", str(len(orders)))
    _add(parent, "CtrlSum", str(sum((order.amount for order in orders), Money.zero(orders[0].amount.currency))))


def _amount(element: etree._Element, amount: Money) -> None:
    element.set("Ccy", amount.currency)
    element.text = str(amount)


def _party(info: etree._Element, side: str, party: Party) -> None:
    _add(info, f"{side}/Nm", party.name[:140])
    _account(info, f"{side}Acct", party)
    _agent(info, side, party)


def _account(parent: etree._Element, name: str, party: Party) -> None:
    _add(parent, f"{name}/Id/{'IBAN' if is_iban(party.account_number) else 'Othr/Id'}", party.account_number)


def _agent(parent: etree._Element, side: str, party: Party, *, optional: bool = False) -> None:
    """The bank; the schema wants one even where the IBAN says it all."""
    if party.bic:
        _add(parent, f"{side}Agt/FinInstnId/BICFI", party.bic)
    elif not optional:
        _add(parent, f"{side}Agt/FinInstnId/Othr/Id", "NOTPROVIDED")


@cache
def _schema(name: str) -> etree.XMLSchema:
    with resources.files("sepaxml").joinpath(f"schemas/{name}.xsd").open("rb") as file:
        return etree.XMLSchema(etree.parse(file))


def _checked(root: etree._Element, schema: str) -> bytes:
    _schema(schema).assertValid(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)

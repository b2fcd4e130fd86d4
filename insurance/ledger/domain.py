"""The chart of accounts, and what each event posts."""

from enum import StrEnum


class Account(StrEnum):
    """An account of the books. Its subject says whose: a billing account, a claim, or 0 for the company's own."""

    UNBILLED = "unbilled_receivable"
    BILLED = "billed_receivable"
    WRITTEN_PREMIUM = "written_premium"
    TAX_PAYABLE = "tax_payable"
    FEE_INCOME = "fee_income"
    CUSTOMER_CREDIT = "customer_credit"
    BANK = "bank"
    CHEQUES = "cheques"
    AGENT_CASH = "agent_cash"
    GATEWAY_CLEARING = "gateway_clearing"
    CLAIMS_INCURRED = "claims_incurred"
    CASE_RESERVES = "case_reserves"
    CLAIMS_PAYABLE = "claims_payable"


class Event(StrEnum):
    """What happened; `event_id` names the record that it happened to."""

    BIND = "bind"
    INVOICE_ISSUED = "invoice_issued"
    PAYMENT = "payment"
    ALLOCATION = "allocation"
    RESERVE = "reserve"
    CLAIM_APPROVED = "claim_approved"
    CLAIM_PAID = "claim_paid"


COMPANY = 0
"""The subject of accounts that belong to nobody in particular."""

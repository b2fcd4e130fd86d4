"""The chart of accounts, what happened to them, and which month is closed next."""

from datetime import date
from enum import StrEnum

from ..core.dates import day_after, day_of_month


class Account(StrEnum):
    """An account of the books. Its subject says whose: a billing account, a claim, an agent, or 0 for the company."""

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
    SUSPENSE = "suspense"
    REFUNDS_PAYABLE = "refunds_payable"
    GATEWAY_CHARGES = "gateway_charges"
    BAD_DEBT = "bad_debt"
    UNEARNED_CHANGE = "change_in_unearned"
    UNEARNED_RESERVE = "unearned_premium_reserve"
    COMMISSION_EXPENSE = "commission_expense"
    COMMISSION_PAYABLE = "commission_payable"
    RECOVERIES = "recoveries"
    CLAIMS_INCURRED = "claims_incurred"
    CASE_RESERVES = "case_reserves"
    CLAIMS_PAYABLE = "claims_payable"

    @property
    def label(self) -> str:
        """Its name on pages."""
        return self.value.replace("_", " ").capitalize()


class Event(StrEnum):
    """What happened; `event_id` names the record that it happened to."""

    BIND = "bind"
    INVOICE_ISSUED = "invoice_issued"
    ENDORSEMENT = "endorsement"
    CANCELLATION = "cancellation"
    LAPSE = "lapse"
    CREDIT_NOTE = "credit_note"
    INVOICE_VOIDED = "invoice_voided"
    WRITE_OFF = "write_off"
    WRITE_OFF_REVERSED = "write_off_reversed"
    PAYMENT = "payment"
    ALLOCATION = "allocation"
    DEALLOCATION = "deallocation"
    PAYMENT_RETURNED = "payment_returned"
    CHARGE_BACK = "charge_back"
    CHARGE_BACK_WON = "charge_back_won"
    SUSPENSE = "suspense"
    SUSPENSE_MATCHED = "suspense_matched"
    CLEARED = "cleared"
    GATEWAY_CHARGE = "gateway_charge"
    REFUND_ORDERED = "refund_ordered"
    REFUND_CANCELLED = "refund_cancelled"
    REFUND_SENT = "refund_sent"
    REFUND_RETURNED = "refund_returned"
    UNEARNED = "unearned"
    COMMISSION = "commission"
    COMMISSION_CLAWBACK = "commission_clawback"
    COMMISSION_PAID = "commission_paid"
    RESERVE = "reserve"
    CLAIM_APPROVED = "claim_approved"
    CLAIM_PAID = "claim_paid"
    PAYOUT_RETURNED = "payout_returned"
    RECOVERY = "recovery"

    @property
    def label(self) -> str:
        """Its name on pages."""
        return self.value.replace("_", " ").capitalize()


COMPANY = 0
"""The subject of accounts that belong to nobody in particular."""
OF_CLAIMS = (Account.CASE_RESERVES, Account.CLAIMS_INCURRED, Account.CLAIMS_PAYABLE, Account.RECOVERIES)
"""The accounts whose subject is a claim; the others have a billing account, or the company."""
OF_AGENTS = (Account.AGENT_CASH,)
"""The accounts whose subject is the user who owes the money."""


class Kind(StrEnum):
    """What an account tells: what there is, what is owed, what was earned and what it took."""

    ASSETS = "assets"
    LIABILITIES = "liabilities"
    INCOME = "income"
    EXPENSES = "expenses"


KINDS: dict[Account, Kind] = {
    Account.BANK: Kind.ASSETS,
    Account.CHEQUES: Kind.ASSETS,
    Account.AGENT_CASH: Kind.ASSETS,
    Account.GATEWAY_CLEARING: Kind.ASSETS,
    Account.BILLED: Kind.ASSETS,
    Account.UNBILLED: Kind.ASSETS,
    Account.CUSTOMER_CREDIT: Kind.LIABILITIES,
    Account.SUSPENSE: Kind.LIABILITIES,
    Account.REFUNDS_PAYABLE: Kind.LIABILITIES,
    Account.TAX_PAYABLE: Kind.LIABILITIES,
    Account.COMMISSION_PAYABLE: Kind.LIABILITIES,
    Account.CLAIMS_PAYABLE: Kind.LIABILITIES,
    Account.CASE_RESERVES: Kind.LIABILITIES,
    Account.UNEARNED_RESERVE: Kind.LIABILITIES,
    Account.WRITTEN_PREMIUM: Kind.INCOME,
    Account.UNEARNED_CHANGE: Kind.INCOME,
    Account.FEE_INCOME: Kind.INCOME,
    Account.CLAIMS_INCURRED: Kind.EXPENSES,
    Account.RECOVERIES: Kind.EXPENSES,
    Account.COMMISSION_EXPENSE: Kind.EXPENSES,
    Account.GATEWAY_CHARGES: Kind.EXPENSES,
    Account.BAD_DEBT: Kind.EXPENSES,
}
"""The chart, in the order in which it is shown. Recoveries are claims that cost less."""


def month_end(day: date) -> date:
    """The last day of a day's month."""
    return day_of_month(day, 31)


def to_close(closed_through: date | None, first_posting: date | None, today: date) -> date | None:
    """The last day of the month that is closed next: the one after the last closed one, if it is over."""
    if closed_through:
        next_end = month_end(day_after(closed_through))
    elif first_posting:
        next_end = month_end(first_posting)
    else:
        return None
    return next_end if next_end < today else None

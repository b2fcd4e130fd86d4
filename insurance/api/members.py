"""What members are called and mean, in whatever they occur; the document says it where a model says nothing closer."""

from typing import Any

ID = "The record's id."
MEANINGS: dict[str, tuple[Any, str]] = {
    "id": (42, ID),
    "version": (3, "Goes up with each change. It is the record's ETag."),
    "currency": ("USD", "ISO 4217 code."),
    "status": ("active", "Where the record stands in its life, as of today."),
    "reason": ("Paid twice.", "Why. It is kept with the act."),
    # Records that are named
    "policy_id": (42, "The policy that it belongs to."),
    "customer_id": (42, "The policyholder."),
    "invoice_id": (42, "The invoice that is paid first; null, if none was named."),
    "payment_id": (42, "The payment that the receipt is for."),
    "document_id": (42, "Its PDF is at /documents/{id}/pdf."),
    "receipt_document_id": (42, "The receipt's PDF is at /documents/{id}/pdf."),
    "user_id": (42, "The user that they sign in as; null, if they do not."),
    "agent_id": (7, "The agent in whose book they are; null, if in nobody's."),
    "actor_id": (7, "The user who did it; null, if nobody did."),
    "subject": ("policies", "The collection of the record that it is about."),
    "subject_id": (42, "The id of the record that it is about."),
    "policy_number": ("POL-2026-000042", "The policy's number, as on documents."),
    "claim_number": ("CLM-2026-000042", "The claim's number; a draft has none."),
    "customer_number": ("CUS-2026-000042", "The customer's number."),
    "invoice_number": ("INV-2026-000042", "The invoice's number, as printed."),
    "receipt_number": ("RCT-2026-000042", "The receipt's number; null, until the money has come."),
    "document_number": ("INV-2026-000042", "The number printed on it."),
    # People
    "name": ("Maria Lopez", "Full name."),
    "email": ("maria@example.com", "E-mail address; null, if none is known."),
    "phone_number": ("+1 800 555 0142", "Phone number; null, if none is known."),
    "address": ("12 Harbor Road, Springfield", "Postal address; null, if none is known."),
    "birth_date": ("1986-11-23", "Date of birth. Without one, most products have no price."),
    "kind": ("person", "Which kind it is."),
    "active": (True, "False: they are kept on record and take no part any more."),
    "role": ("agent", "What they may do."),
    "wide_sight": (False, "True: an agent sees all books, not only their own."),
    "authority": ("5000.00", "Up to which amount they may decide claims."),
    "confirmed": (True, "Whether they have shown that the address is theirs."),
    "created_at": ("2026-06-01T12:00:00+00:00", "When it was made."),
    "payee_name": ("Maria Lopez", "Whom the money is paid to."),
    # Policies
    "product": ("standard", "The product's code."),
    "policy_type": ("comprehensive", "The kind of cover, of those that the product has."),
    "coverage_amount": ("100000.00", "The sum insured."),
    "start_date": ("2026-06-01", "The first day of cover."),
    "end_date": ("2027-05-31", "The last day of cover."),
    "cancelled_on": ("2026-09-01", "The first day without cover after a cancellation; else null."),
    "premium": ("2400.00", "The price without tax and fees."),
    "tax": ("120.00", "Tax on the premium."),
    "fee": ("25.00", "Fees."),
    "payment_plan": ("annual", "In how many instalments it is paid."),
    "quote_valid_until": ("2026-07-01", "The last day on which a quote can be bound."),
    "terms": (None, "The stretches of cover so far, the oldest first; a quote has none."),
    "answers": (None, "Answers to the product's questions, by their codes."),
    # Invoices and payments
    "issue_date": ("2026-06-01", "The day on which it was issued."),
    "due_date": ("2026-06-15", "The day by which it is to be paid."),
    "total": ("2400.00", "What it comes to, with tax and fees."),
    "open": ("2400.00", "What is still to be paid."),
    "overdue": (False, "Whether it is open and its due date has passed."),
    "instalment": (1, "Which instalment of the term it is."),
    "instalments": (4, "How many instalments the term has."),
    "amount": ("2400.00", "The amount of money."),
    "payment_method": ("bank_transfer", "The way in which the money comes."),
    "payment_date": ("2026-06-01", "The day on which the money came: today by default, never later."),
    "reference": ("ACME 7", "What the bank or the cheque says."),
    "note": ("Brought by his brother.", "A note for staff."),
    "checkout_url": ("https://example.com/portal/pay/42", "Where the payer goes on, until they have paid by card."),
    "account_number": ("DE89370400440532013000", "IBAN or account number: that of the last refund, if left out."),
    "bic": ("COBADEFF", "Needed for most accounts without an IBAN."),
    "by_gateway": (True, "To the card, through the gateway; else to a bank account."),
    "refunded_amount": ("0.00", "What was paid back, or is ordered to be."),
    "refunds": (None, "The orders to pay it back, the oldest first."),
    # Claims
    "claim_date": ("2026-06-01", "The day of notice; null for a draft."),
    "loss_date": ("2026-05-30", "The day on which it happened."),
    "claim_amount": ("1850.00", "What is claimed."),
    "approved_amount": ("1850.00", "What is to be paid; 0.00 until it is approved."),
    "cause": ("collision", "What led to the loss."),
    "description": ("Rear-ended at the lights.", "What it is, or what happened."),
    "notes": ("Covered as a collision.", "The reason of the decision; the customer reads it."),
    "draft": (False, "True: it is kept and not filed yet."),
    "question": ("Who drove?", "What the customer is asked."),
    "text": ("I did.", "In words."),
    "on": ("2026-06-01", "The day of it."),
    # Products and rating
    "code": ("standard", "The code that the path names it by."),
    "term_months": (12, "How long a term is."),
    "questions": (None, "What rating asks, with the answers that it takes."),
    "payment_plans": (None, "The payment plans to choose from."),
    "worksheet": (None, "How the premium came about, step by step."),
    "referrals": (None, "Why an underwriter must look at it; empty, if none must."),
    "label": ("POL-2026-000042", "What it is called."),
    "operation": ("multiply", "What was done to the amount."),
    "operand": ("1.25", "With which figure."),
    "source": ("age", "Where the figure comes from."),
    # Events
    "at": ("2026-06-01T12:00:00+00:00", "When it was done."),
    "action": ("bind", "What was done."),
    "event": ("bind", "What moves the money."),
    "debit": ("unbilled_receivable", "The account that is debited."),
    "credit": ("written_premium", "The account that is credited."),
    # Signing in
    "password": ("several words of your own", "Their password."),
    "otp": ("123456", "The code of two-step login, if it is on."),
    "access_token": ("eyJhbGciOi…", "Opens the API for an hour."),
    "refresh_token": ("eyJhbGciOi…", "Gets new tokens, once, within a day."),
    "token_type": ("Bearer", "How the access token is sent."),
    "expires_in": (3600, "For how many seconds the access token is good."),
    # Refusals
    "type": ("about:blank", "Always about:blank: the status says which kind it is."),
    "title": ("Unprocessable Entity", "The status in words."),
    "detail": ("This is required.", "Why it was refused."),
    "errors": (None, "What is wrong with which member or parameter; empty, where it is about none."),
    "request_id": ("5f1d7a84db00d2fc", "The request's id, as in the header X-Request-ID and in the logs."),
    "field": ("amount", "The member or the parameter, as it was sent."),
    "message": ("This is required.", "What is wrong with it."),
}
"""By name: an example, or None where the shape gives one, and what it means."""

CLOSER: dict[str, str] = {
    "Problem.status": "The HTTP status.",
    "TermRecord.premium": "The premium of the term.",
    "NewPolicy.end_date": "The last day of cover: 12 months from the first, if left out.",
    "NewPayment.policy_id": "The policy that is paid for, if no invoice is named.",
    "NewPayment.invoice_id": "The invoice that is paid first.",
    "Approval.amount": "What is paid: all that the cover allows, if left out.",
    "ProductRecord.version": "The version of the product that is sold today.",
    "StepRecord.amount": "The amount after the step.",
    "StepRecord.label": "What the step is.",
    "Rate.on": "The first day of cover: today, if left out.",
    "Settlement.on": "The day on which the payout was made.",
    "Refund.payee_name": "Whose account it is: the policyholder's, if left out.",
    "RefundRecord.status": "Requested: it waits for a second person.",
    "Binding.payment_plan": "As it was quoted, if left out.",
}
"""By schema and name: where a member means something of its own."""


def say(schemas: dict[str, Any]) -> None:
    """Give each member its meaning and an example, where its model gives none."""
    for schema, facts in schemas.items():
        for name, member in facts.get("properties", {}).items():
            shown, meaning = MEANINGS[name]
            member.setdefault("description", CLOSER.get(f"{schema}.{name}", meaning))
            forms = [member, *member.get("anyOf", [])]
            if shown is not None and not any({"$ref", "enum", "examples"} & set(form) for form in forms):
                member["examples"] = [shown]

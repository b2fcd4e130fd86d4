"""Claims by the API."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from flask_login import current_user
from pydantic import AfterValidator, Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import Amount, Body, Day, Id, Name, Reason, Text, left_out
from ..api.collections import Collection
from ..api.records import AmountText, CurrencyText
from ..core.money import Money
from ..web.guard import requires
from . import queries, services
from .domain import CAUSES, ClaimStatus
from .models import Claim


def _cause(word: str) -> str:
    if word not in CAUSES:
        raise ValueError(f"Send one of {', '.join(CAUSES)}.")
    return word


Cause = Annotated[str, AfterValidator(_cause), Field(json_schema_extra={"enum": list(CAUSES)})]


class ClaimRecord(TypedDict):
    """A claim. A draft has no number yet; `claim_date` is the day of notice, `notes` the reason of the decision."""

    id: int
    policy_id: int
    customer_id: int
    claim_number: Annotated[str | None, Field(examples=["CLM-2026-000042"])]
    claim_date: date | None
    loss_date: date | None
    claim_amount: AmountText
    approved_amount: AmountText
    currency: CurrencyText
    cause: Annotated[str | None, Field(examples=["collision"])]
    description: str
    payee_name: str
    status: ClaimStatus
    notes: str
    version: int


class NewClaim(Body):
    """What happened, when, and what is claimed. It is filed at once, unless it is a draft."""

    policy_id: Id
    loss_on: Day = Field(alias="loss_date")
    claimed: Amount = Field(alias="claim_amount")
    description: Annotated[Reason, Field(examples=["Rear-ended at the lights."])]
    cause: Cause = "other"
    payee_name: Name = left_out(description="The policyholder, if left out.")
    draft: bool = False


class ClaimChanges(Body):
    """Facts to correct, until the claim is decided."""

    loss_on: Day = left_out(alias="loss_date")
    claimed: Amount = left_out(alias="claim_amount")
    description: Reason = left_out()
    cause: Cause = left_out()
    payee_name: Name = left_out()


class Approval(Body):
    """What is paid: all that the cover allows, if left out. The customer reads the notes."""

    amount: Amount | None = None
    notes: Annotated[Reason, Field(examples=["Covered as a collision."])]


class Rejection(Body):
    """Why; the customer reads it."""

    notes: Reason


class Question(Body):
    """What the customer is asked."""

    question: Reason


class Reply(Body):
    """What the customer says."""

    text: Reason


class Settlement(Body):
    """How and when the payout was made."""

    reference: Annotated[Text, Field(max_length=100)] = ""
    on: Day


def _shown(rows: Sequence[Row[Any]]) -> list[ClaimRecord]:
    return [
        {
            "id": row.id,
            "policy_id": row.policy_id,
            "customer_id": row.customer_id,
            "claim_number": row.number,
            "claim_date": row.notified_on,
            "loss_date": row.loss_on,
            "claim_amount": str(Money(row.claimed_minor, row.currency)),
            "approved_amount": str(Money(row.approved_minor, row.currency)),
            "currency": row.currency,
            "cause": row.cause or None,
            "description": row.description,
            "payee_name": row.payee_name,
            "status": row.status,
            "notes": row.notes,
            "version": row.version,
        }
        for row in rows
    ]


CLAIMS = Collection(
    "claims",
    "claim",
    ClaimRecord,
    rows=lambda actor: queries.claim_rows(actor, drafts=True).add_columns(
        Claim.cause, Claim.description, Claim.payee_name, Claim.notes, Claim.version
    ),
    key=Claim.id,
    shown=_shown,
    filters={
        "claim_number": collections.text(Claim.number),
        "policy_id": collections.whole(Claim.policy_id),
        "customer_id": collections.whole(Claim.customer_id),
        "status": collections.one_of(ClaimStatus, lambda status: Claim.status == status),
        "cause": collections.text(Claim.cause),
        "claim_amount": collections.amount(Claim.claimed_minor),
        "approved_amount": collections.amount(Claim.approved_minor),
        "currency": collections.text(Claim.currency),
        "description": collections.text(Claim.description),
        **collections.days("claim_date", Claim.notified_on),
        **collections.days("loss_date", Claim.loss_on),
    },
    sorts={"claim_amount": Claim.claimed_minor},
)
api.collection("claim:read", CLAIMS)


@api.act("/claims", on=CLAIMS, creates=True)
@requires("claim:submit")
def file_claim(body: NewClaim) -> ClaimRecord:
    """File a claim. It is refused where there was no cover on the date of loss, or above the cover that is left."""
    facts = body.given
    write = services.start_with_facts if facts.pop("draft", False) else services.file
    claim = write(**{"cause": body.cause} | facts, actor=current_user)
    return CLAIMS.get(claim.id)


@api.change("/claims/<int:claim_id>", on=CLAIMS)
@requires("claim:edit", "claim:draft")
def edit_claim(claim_id: int, body: ClaimChanges, version: int) -> ClaimRecord:
    """Correct the facts of a draft or, until it is decided, of a filed claim."""
    if queries.get_claim(claim_id, current_user).status is ClaimStatus.DRAFT:
        services.save(claim_id=claim_id, version=version, **body.given, actor=current_user)
    else:
        services.edit(claim_id=claim_id, version=version, **body.given, actor=current_user)
    return CLAIMS.get(claim_id)


@api.remove("/claims/<int:claim_id>", on=CLAIMS)
@requires("claim:delete")
def delete_claim(claim_id: int) -> None:
    """Delete a draft. What was filed is withdrawn or closed instead."""
    services.delete(claim_id=claim_id, actor=current_user)


@api.act("/claims/<int:claim_id>/submit", on=CLAIMS)
@requires("claim:submit")
def submit_claim(claim_id: int) -> ClaimRecord:
    """File a draft."""
    services.submit(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/review", on=CLAIMS)
@requires("claim:review")
def review_claim(claim_id: int) -> ClaimRecord:
    """Take a claim to decide it."""
    services.review(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/ask", on=CLAIMS)
@requires("claim:ask")
def ask_about_claim(claim_id: int, body: Question) -> ClaimRecord:
    """Ask the customer something; the claim waits for the answer."""
    services.ask(claim_id=claim_id, question=body.question, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/answer", on=CLAIMS)
@requires("claim:answer")
def answer_about_claim(claim_id: int, body: Reply) -> ClaimRecord:
    """Answer what was asked; the review goes on."""
    services.answer(claim_id=claim_id, text=body.text, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/approve", on=CLAIMS, moves_money=True)
@requires("claim:approve")
def approve_claim(claim_id: int, body: Approval, version: int) -> ClaimRecord:
    """Approve an amount, and order its payout."""
    services.approve(claim_id=claim_id, amount=body.amount, notes=body.notes, version=version, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/reject", on=CLAIMS)
@requires("claim:reject")
def reject_claim(claim_id: int, body: Rejection, version: int) -> ClaimRecord:
    """Reject a claim, and say why."""
    services.reject(claim_id=claim_id, notes=body.notes, version=version, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/appeal", on=CLAIMS)
@requires("claim:appeal")
def appeal_claim(claim_id: int) -> ClaimRecord:
    """Take a rejected claim up again."""
    services.appeal(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/approve-payout", on=CLAIMS)
@requires("claim:approve_payout")
def approve_claim_payout(claim_id: int) -> ClaimRecord:
    """Approve the payout as the second person."""
    services.approve_payout(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/settle", on=CLAIMS, moves_money=True)
@requires("claim:settle")
def settle_claim(claim_id: int, body: Settlement) -> ClaimRecord:
    """Record that the payout was made."""
    services.settle(claim_id=claim_id, reference=body.reference, on=body.on, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/withdraw", on=CLAIMS)
@requires("claim:withdraw")
def withdraw_claim(claim_id: int) -> ClaimRecord:
    """Take a claim back before it is decided."""
    services.withdraw(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/close", on=CLAIMS)
@requires("claim:close")
def close_claim(claim_id: int) -> ClaimRecord:
    """Close a claim: nothing more is expected of it."""
    services.close(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)


@api.act("/claims/<int:claim_id>/reopen", on=CLAIMS)
@requires("claim:reopen")
def reopen_claim(claim_id: int) -> ClaimRecord:
    """Take a claim up again after its end."""
    services.reopen(claim_id=claim_id, actor=current_user)
    return CLAIMS.get(claim_id)

"""Quotes and policies by the API."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from flask_login import current_user
from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import Amount, Body, Day, Id, Name, left_out
from ..api.collections import Collection
from ..api.records import AmountText, CurrencyText
from ..billing.domain import PaymentPlan
from ..core import clock
from ..core.dates import last_day
from ..core.money import Money
from ..products.models import Product
from ..web.guard import requires
from . import queries, services
from .domain import PolicyStatus
from .models import Policy, has_status


class TermRecord(TypedDict):
    """A stretch of cover, both days in it, and its premium without tax and fees."""

    start_date: date
    end_date: date
    premium: AmountText


class PolicyRecord(TypedDict):
    """A quote until it is bound, a policy from then on. `end_date` is the last day of cover."""

    id: int
    policy_number: Annotated[str, Field(examples=["POL-2026-000042"])]
    customer_id: int
    product: Annotated[str, Field(examples=["standard"])]
    policy_type: Annotated[str, Field(examples=["comprehensive"])]
    coverage_amount: AmountText
    start_date: date
    end_date: Annotated[date, Field(examples=["2027-05-31"])]
    cancelled_on: date | None
    premium: AmountText
    tax: AmountText
    fee: AmountText
    currency: CurrencyText
    status: PolicyStatus
    payment_plan: PaymentPlan
    quote_valid_until: date
    terms: list[TermRecord]
    version: int


Answers = Annotated[dict[str, Any], Field(description="Answers to the product's questions, by their codes.")]


class NewPolicy(Body):
    """What is to be covered. Left out, `end_date` is 12 months after the first day."""

    customer_id: Id
    policy_type: Annotated[Name, Field(max_length=60, examples=["comprehensive"])]
    coverage: Amount = Field(alias="coverage_amount")
    start_on: Day = Field(alias="start_date")
    last_day_on: Day | None = Field(None, alias="end_date", examples=["2027-05-31"])
    product: Annotated[str, Field(max_length=40, examples=["standard"])] = "standard"
    answers: Answers = Field(default_factory=dict)


class PolicyChanges(Body):
    """What is to change about a quote; it is priced anew. What is bound changes by acts only."""

    policy_type: Annotated[Name, Field(max_length=60)] = left_out()
    coverage: Amount = left_out(alias="coverage_amount")
    start_on: Day = left_out(alias="start_date")
    last_day_on: Day | None = left_out(alias="end_date", description="Null: 12 months after the first day.")
    answers: Answers = left_out()


class Binding(Body):
    """How it is paid; as it was quoted, if left out."""

    payment_plan: Annotated[PaymentPlan | None, Field(strict=False)] = None


def _shown(rows: Sequence[Row[Any]]) -> list[PolicyRecord]:
    terms: dict[int, list[TermRecord]] = defaultdict(list)
    for term in queries.terms([row.id for row in rows if row.bound_at]):
        terms[term.policy_id].append(
            {
                "start_date": term.term_start,
                "end_date": last_day(term.term_end),
                "premium": str(Money(int(term.premium_minor), term.currency)),
            }
        )
    return [
        {
            "id": row.id,
            "policy_number": row.number,
            "customer_id": row.customer_id,
            "product": row.product,
            "policy_type": row.policy_type,
            "coverage_amount": str(Money(row.coverage_minor, row.currency)),
            "start_date": row.start_on,
            "end_date": last_day(row.end_on),
            "cancelled_on": row.cancelled_on,
            "premium": str(Money(row.premium_minor, row.currency)),
            "tax": str(Money(row.tax_minor, row.currency)),
            "fee": str(Money(row.fee_minor, row.currency)),
            "currency": row.currency,
            "status": row.status,
            "payment_plan": row.plan,
            "quote_valid_until": row.quote_valid_until,
            "terms": terms[row.id],
            "version": row.version,
        }
        for row in rows
    ]


POLICIES = Collection(
    "policies",
    "policy",
    PolicyRecord,
    rows=lambda actor: queries.policy_rows(actor, clock.today()).add_columns(
        Product.code.label("product"), Policy.cancelled_on, Policy.tax_minor, Policy.fee_minor, Policy.plan,
        Policy.quote_valid_until, Policy.bound_at, Policy.version,
    ),
    key=Policy.id,
    shown=_shown,
    filters={
        "policy_number": collections.text(Policy.number),
        "customer_id": collections.whole(Policy.customer_id),
        "product": collections.text(Product.code),
        "policy_type": collections.text(Policy.policy_type),
        "coverage_amount": collections.amount(Policy.coverage_minor),
        "premium": collections.amount(Policy.premium_minor),
        "currency": collections.text(Policy.currency),
        "status": collections.one_of(PolicyStatus, lambda status: has_status(status, clock.today())),
        "payment_plan": collections.one_of(PaymentPlan, lambda plan: Policy.plan == plan),
        **collections.days("start_date", Policy.start_on),
        **collections.days("end_date", Policy.end_on, end=True),
        **collections.days("cancelled_on", Policy.cancelled_on),
    },
    sorts={"start_date": Policy.start_on, "end_date": Policy.end_on},
)  # fmt: skip
api.collection("policy:read", POLICIES)


@api.act("/policies", on=POLICIES, creates=True)
@requires("policy:quote", "policy:quote_own")
def quote_policy(body: NewPolicy) -> PolicyRecord:
    """Make a quote. It becomes cover when it is bound."""
    policy = services.quote(**body.given, actor=current_user)
    return POLICIES.get(policy.id)


@api.change("/policies/<int:policy_id>", on=POLICIES)
@requires("policy:edit")
def edit_policy(policy_id: int, body: PolicyChanges, version: int) -> PolicyRecord:
    """Change a quote; it is priced anew."""
    policy = queries.get_policy(policy_id, current_user)
    facts = {
        "policy_type": policy.policy_type,
        "coverage": policy.coverage,
        "start_on": policy.start_on,
        "last_day_on": last_day(policy.end_on),
    }
    services.edit(policy_id=policy_id, version=version, **facts | body.given, actor=current_user)
    return POLICIES.get(policy_id)


@api.remove("/policies/<int:policy_id>", on=POLICIES)
@requires("policy:delete")
def delete_policy(policy_id: int) -> None:
    """Delete what was never bound. A policy is cancelled instead."""
    services.delete(policy_id=policy_id, actor=current_user)


@api.act("/policies/<int:policy_id>/bind", on=POLICIES, moves_money=True)
@requires("policy:bind", "policy:bind_own")
def bind_policy(policy_id: int, body: Binding, version: int) -> PolicyRecord:
    """Turn a quote into cover: the premium is charged, and the first invoice is issued."""
    plan = body.payment_plan or queries.get_policy(policy_id, current_user).plan
    services.bind(policy_id=policy_id, plan=plan, version=version, actor=current_user)
    return POLICIES.get(policy_id)


@api.act("/policies/<int:policy_id>/withdraw", on=POLICIES)
@requires("policy:withdraw")
def withdraw_policy(policy_id: int) -> PolicyRecord:
    """Take a quote back."""
    services.withdraw(policy_id=policy_id, actor=current_user)
    return POLICIES.get(policy_id)

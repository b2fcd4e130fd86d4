"""The catalogue and rating by the API."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import Body, Day
from ..api.collections import Collection
from ..api.records import AmountText, CurrencyText
from ..core import clock
from ..web.guard import requires
from . import queries
from .domain import rate
from .models import Product


class ProductRecord(TypedDict):
    """Something that is sold, as it is today. `questions` are what rating asks."""

    id: int
    code: Annotated[str, Field(examples=["standard"])]
    name: str
    description: str
    currency: CurrencyText
    term_months: int
    questions: list[dict[str, Any]]
    payment_plans: list[str]
    version: int


class StepRecord(TypedDict):
    """One line of the worksheet: what was done, and the amount after it."""

    label: str
    operation: str
    operand: str
    source: str
    amount: str
    text: str


class RatingRecord(TypedDict):
    """A premium without tax and fees, these two, what they come to, and how the premium came about."""

    premium: AmountText
    tax: AmountText
    fee: AmountText
    total: AmountText
    currency: CurrencyText
    worksheet: list[StepRecord]
    referrals: list[str]


class Rate(Body):
    """Answers to the product's questions, and the first day of cover: today, if left out."""

    answers: Annotated[
        dict[str, Any],
        Field(examples=[{"age": 40, "policy_type": "comprehensive", "coverage_amount": "100000.00"}]),
    ]
    on: Day | None = None


def _shown(rows: Sequence[Row[Any]]) -> list[ProductRecord]:
    return [
        {
            "id": row.id,
            "code": row.code,
            "name": row.name,
            "description": row.definition.get("description", ""),
            "currency": row.definition["currency"],
            "term_months": row.definition["term_months"],
            "questions": row.definition["questions"],
            "payment_plans": row.definition["payment_plans"],
            "version": row.number,
        }
        for row in rows
    ]


PRODUCTS = Collection(
    "products",
    "product",
    ProductRecord,
    rows=lambda _actor: queries.product_rows(clock.today()),
    key=Product.id,
    by=("code", Product.code),
    shown=_shown,
    filters={"code": collections.text(Product.code), "name": collections.text(Product.name)},
)
api.collection("policy:rate", PRODUCTS)


@api.act("/products/<code>/rate", reads=True)
@requires("policy:rate")
def rate_product(code: str, body: Rate) -> RatingRecord:
    """Work out a premium, with its worksheet. Nothing is kept."""
    day: date = body.on or clock.today()
    rating = rate(queries.version_on(code, day).definition, body.answers, day)
    return {
        "premium": str(rating.premium),
        "tax": str(rating.tax),
        "fee": str(rating.fee),
        "total": str(rating.total),
        "currency": rating.premium.currency,
        "worksheet": rating.worksheet_dicts(),  # type: ignore[typeddict-item]
        "referrals": list(rating.referrals),
    }

"""Customers by the API."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from flask_login import current_user
from pydantic import Field
from sqlalchemy import Row
from typing_extensions import TypedDict

from ..api import api, collections
from ..api.bodies import Body, Day, Email, Name, Nothing, Phone, Story, left_out
from ..api.collections import Collection
from ..web.guard import requires
from . import queries, services
from .models import Customer, CustomerKind


class CustomerRecord(TypedDict):
    """A policyholder. `user_id` is the user that they sign in as."""

    id: int
    customer_number: Annotated[str, Field(examples=["CUS-2026-000042"])]
    user_id: int | None
    kind: CustomerKind
    name: Annotated[str, Field(examples=["Maria Lopez"])]
    email: Annotated[str | None, Field(examples=["maria@example.com"])]
    phone_number: Annotated[str | None, Field(examples=["+1 800 555 0142"])]
    address: str | None
    birth_date: date | None
    agent_id: int | None
    active: bool
    version: int


class _Facts(Body):
    kind: Annotated[CustomerKind, Field(strict=False)] = left_out()
    email: Annotated[Email | None, Nothing] = left_out(examples=["maria@example.com"])
    phone: Annotated[Phone | None, Nothing] = left_out(alias="phone_number", examples=["+1 800 555 0142"])
    address: Annotated[Annotated[Story, Field(max_length=500)] | None, Nothing] = left_out()
    birth_on: Day | None = left_out(alias="birth_date", examples=["1986-11-23"])


class NewCustomer(_Facts):
    """A person or an organisation. Without a date of birth, most products have no price for them."""

    name: Annotated[Name, Field(examples=["Maria Lopez"])]


class CustomerChanges(_Facts):
    """What is to change. A customer changes their own e-mail address, phone number and address only."""

    name: Name = left_out()


def _shown(rows: Sequence[Row[Any]]) -> list[CustomerRecord]:
    return [
        {
            "id": row.id,
            "customer_number": row.number,
            "user_id": row.user_id,
            "kind": row.kind,
            "name": row.name,
            "email": row.email or None,
            "phone_number": row.phone or None,
            "address": row.address or None,
            "birth_date": row.birth_on,
            "agent_id": row.agent_id,
            "active": row.active,
            "version": row.version,
        }
        for row in rows
    ]


CUSTOMERS = Collection(
    "customers",
    "customer",
    CustomerRecord,
    rows=lambda actor: queries.customer_rows(actor).add_columns(
        Customer.user_id, Customer.kind, Customer.address, Customer.birth_on, Customer.agent_id, Customer.version
    ),
    key=Customer.id,
    shown=_shown,
    filters={
        "customer_number": collections.text(Customer.number),
        "name": collections.text(Customer.name),
        "email": collections.text(Customer.email),
        "phone_number": collections.text(Customer.phone),
        "address": collections.text(Customer.address),
        "user_id": collections.whole(Customer.user_id),
        "agent_id": collections.whole(Customer.agent_id),
        "kind": collections.one_of(CustomerKind, lambda kind: Customer.kind == kind),
        "active": collections.flag(lambda: Customer.active),
        **collections.days("birth_date", Customer.birth_on),
    },
)
api.collection("customer:read", CUSTOMERS)


@api.act("/customers", on=CUSTOMERS, creates=True)
@requires("customer:create")
def create_customer(body: NewCustomer) -> CustomerRecord:
    """Enter a customer; an agent's go into their own book."""
    customer = services.create(**body.given, actor=current_user)
    return CUSTOMERS.get(customer.id)


@api.change("/customers/<int:customer_id>", on=CUSTOMERS)
@requires("customer:edit", "customer:edit_contact")
def edit_customer(customer_id: int, body: CustomerChanges, version: int) -> CustomerRecord:
    """Change facts about a customer."""
    services.edit(customer_id=customer_id, version=version, **body.given, actor=current_user)
    return CUSTOMERS.get(customer_id)


@api.remove("/customers/<int:customer_id>", on=CUSTOMERS)
@requires("customer:delete")
def delete_customer(customer_id: int) -> None:
    """Delete a customer on whom nothing hangs. One with a history is deactivated instead."""
    services.delete(customer_id=customer_id, actor=current_user)

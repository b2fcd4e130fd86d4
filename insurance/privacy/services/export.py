"""A copy of everything that is held about a person, for them or for whoever answers them."""

from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any

from ...core import audit, clock, person_keys
from ...core.db import db, lock, transactional
from ...core.money import Money
from ...core.permissions import Actor, Role, check_may
from ...customers import queries as customers
from ...customers.models import Customer
from ..queries import erasure, export

FORMAT, VERSION = "insurance: what is held about a person", 1


@transactional
def export_person(*, customer_id: int, actor: Actor) -> dict[str, Any]:
    """Everything that is held about a person, by section, as JSON can say it. That it was read is noted."""
    check_may(actor, "privacy:export_own" if actor.role is Role.CUSTOMER else "privacy:export")
    customer = lock(Customer, customers.get_customer(customer_id, actor).id)
    selects = export.sections(erasure.person(customer))
    found: dict[str, Any] = {
        name: [_plain(row) for row in db.session.execute(select).mappings()] for name, select in selects.items()
    }
    keys = person_keys.load([customer_id])
    for entry in found["audit"]:
        for side in ("before", "after"):
            entry[side] = {name: audit.read(value, keys) for name, value in entry[side].items()}
    for single in ("person", "user"):
        found[single] = next(iter(found[single]), None)
    audit.record("export", customer, label=customer.number, actor=actor)
    return {"format": FORMAT, "version": VERSION, "made_at": clock.now().isoformat(), **found}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as JSON can say it; amounts are decimals, with their currency beside them."""
    said = {}
    for name, value in row.items():
        if name.endswith("_minor"):
            said[name.removesuffix("_minor")] = str(Money(value, row["currency"]))
        elif isinstance(value, date):  # and datetime
            said[name] = value.isoformat()
        else:
            said[name] = value.value if isinstance(value, Enum) else value
    return said

"""How what is due is taken by itself."""

from collections.abc import Sequence

from sqlalchemy import select

from ...core import settings
from ...core.db import db
from ..domain import CollectionPlan
from ..models import Mandate


def collection_plan() -> CollectionPlan:
    """The days and the limit that admins have set."""
    return CollectionPlan.of(settings.get("collection"))


def creditor() -> dict[str, str] | None:
    """Who collects, as the settings name them; nobody where there is no creditor identifier."""
    bank = settings.get("bank")
    return bank if bank.get("creditor_id") else None


def find_mandate(account_id: int) -> Mandate | None:
    """The mandate in force of an account that is in sight already."""
    return db.session.scalar(select(Mandate).where(Mandate.account_id == account_id, Mandate.revoked_on.is_(None)))


def mandates_of(account_id: int) -> Sequence[Mandate]:
    """Every mandate of an account that is in sight already, the newest first."""
    return db.session.scalars(select(Mandate).where(Mandate.account_id == account_id).order_by(Mandate.id.desc())).all()


def is_any_mandate_in_force() -> bool:
    """Whether there is anything to collect under."""
    return db.session.scalar(select(Mandate.id).where(Mandate.revoked_on.is_(None)).limit(1)) is not None


def mandates_in_force(account_ids: Sequence[int]) -> dict[int, Mandate]:
    """The mandates in force of some accounts, by account."""
    found = select(Mandate).where(Mandate.account_id.in_(account_ids), Mandate.revoked_on.is_(None))
    return {mandate.account_id: mandate for mandate in db.session.scalars(found)}

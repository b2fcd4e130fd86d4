"""What the calendar does to policies, as the nightly run stores it."""

from datetime import date

from sqlalchemy import update

from ...core.db import db, transactional
from ..models import Policy, overtaken, status_on


@transactional
def follow_calendar(*, on: date) -> int:
    """Store what the calendar has made of every policy by a day; how many changed. Twice, nothing changes.

    Only what is due to change is looked at, by the indexes on status and date.
    """
    changed = db.session.execute(
        update(Policy)
        .where(overtaken(on))
        .values(status=status_on(on), version=Policy.version + 1)
        .execution_options(synchronize_session=False)
    )
    return changed.rowcount  # type: ignore[attr-defined]

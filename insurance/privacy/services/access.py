"""Noting that somebody went through who has access."""

from ...core import audit, clock
from ...core.db import add, transactional
from ...core.permissions import Actor, check_may
from ..models import AccessReview
from ..queries import access as queries


@transactional
def review(*, notes: str, actor: Actor) -> AccessReview:
    """Note that the actor has reviewed who has access, and how much there was to look at."""
    check_may(actor, "privacy:review_access")
    staff = queries.staff()
    flagged = sum(bool(one.flags(clock.today())) for one in staff)
    made = add(
        AccessReview(reviewed_at=clock.now(), reviewed_by_id=actor.id, users=len(staff), flagged=flagged, notes=notes)
    )
    audit.record("review", made, label="Access review", actor=actor, users=len(staff), flagged=flagged)
    return made

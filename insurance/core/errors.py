"""The refusals that a person can read. Everything else that is raised is a bug."""


class Refusal(Exception):  # noqa: N818 (a refusal is no error: it says what the system will not do)
    """Something that the system will not do, said in words for the person who asked."""

    status = 400

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class NotSignedIn(Refusal):
    """Nobody is signed in, and the act needs somebody."""

    status = 401


class NotAllowed(Refusal):
    """The actor's role or authority lacks this act."""

    status = 403


class NotFound(Refusal):
    """There is no such record, or it lies outside the actor's sight."""

    status = 404


class Conflict(Refusal):
    """The record has moved on since the actor last saw it."""

    status = 409


class Stale(Conflict):
    """Somebody else changed the record since the actor opened it to edit."""


class IllegalTransition(Conflict):
    """The record's status does not allow this act."""


class RuleBroken(Refusal):
    """A business rule refuses; `field` names the input that broke it, if one did."""

    status = 422


class TooMany(Refusal):
    """Too many tries in too short a time."""

    status = 429

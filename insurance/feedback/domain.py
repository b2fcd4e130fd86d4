"""What feedback is about, and what becomes of it."""

from enum import StrEnum

from ..core.lifecycle import Lifecycle
from ..core.words import Words


class FeedbackKind(StrEnum):
    """What somebody has to say."""

    IDEA = "idea"
    PROBLEM = "problem"
    PRAISE = "praise"
    QUESTION = "question"


class FeedbackStatus(StrEnum):
    """How far feedback has come."""

    NEW = "new"
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


FEEDBACK_LIFECYCLE = Lifecycle(
    "feedback",
    FeedbackStatus.NEW,
    {
        (FeedbackStatus.NEW, "read"): FeedbackStatus.OPEN,
        (FeedbackStatus.NEW, "answer"): FeedbackStatus.ANSWERED,
        (FeedbackStatus.NEW, "close"): FeedbackStatus.CLOSED,
        (FeedbackStatus.OPEN, "answer"): FeedbackStatus.ANSWERED,
        (FeedbackStatus.OPEN, "close"): FeedbackStatus.CLOSED,
        (FeedbackStatus.ANSWERED, "close"): FeedbackStatus.CLOSED,
        (FeedbackStatus.ANSWERED, "reopen"): FeedbackStatus.OPEN,
        (FeedbackStatus.CLOSED, "reopen"): FeedbackStatus.OPEN,
    },
    nouns={status: f"{status} feedback" for status in FeedbackStatus},
    participles={"read": "marked as read"},
)

KIND_WORDS = {
    FeedbackKind.IDEA: "Idea",
    FeedbackKind.PROBLEM: "Problem",
    FeedbackKind.PRAISE: "Praise",
    FeedbackKind.QUESTION: "Question",
}

STATUS_WORDS = {
    FeedbackStatus.NEW: Words("warn", "New", ""),
    FeedbackStatus.OPEN: Words("info", "Open", ""),
    FeedbackStatus.ANSWERED: Words("ok", "Answered", ""),
    FeedbackStatus.CLOSED: Words("neu", "Closed", ""),
}

ACT_WORDS = {
    "send": "Sent",
    "read": "Marked as read",
    "answer": "Answered",
    "close": "Closed",
    "reopen": "Reopened",
}
"""What the steps of its history are called."""

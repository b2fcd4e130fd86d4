"""What becomes of a file for the bank, and of a line on a statement."""

from enum import StrEnum

from ...core.lifecycle import Lifecycle
from ...core.words import Words


class BatchStatus(StrEnum):
    """Whether a file went to the bank."""

    MADE = "made"
    SENT = "sent"
    DISCARDED = "discarded"


BATCH_LIFECYCLE = Lifecycle(
    "batch",
    BatchStatus.MADE,
    {
        (BatchStatus.MADE, "send"): BatchStatus.SENT,
        (BatchStatus.MADE, "discard"): BatchStatus.DISCARDED,
    },
    participles={"send": "sent"},
)

BATCH_WORDS = {
    BatchStatus.MADE: Words("info", "Made", "Being prepared"),
    BatchStatus.SENT: Words("ok", "Sent", "At the bank"),
    BatchStatus.DISCARDED: Words("neu", "Discarded", "Discarded"),
}


class LineStatus(StrEnum):
    """Whether somebody has said what a line is."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    IGNORED = "ignored"


LINE_LIFECYCLE = Lifecycle(
    "line",
    LineStatus.OPEN,
    {
        (LineStatus.OPEN, "confirm"): LineStatus.CONFIRMED,
        (LineStatus.OPEN, "ignore"): LineStatus.IGNORED,
        (LineStatus.IGNORED, "reopen"): LineStatus.OPEN,
    },
    nouns={LineStatus.IGNORED: "a line that was set aside"},
    participles={"ignore": "set aside", "reopen": "taken up again"},
)

LINE_WORDS = {
    LineStatus.OPEN: Words("warn", "Open", ""),
    LineStatus.CONFIRMED: Words("ok", "Confirmed", ""),
    LineStatus.IGNORED: Words("neu", "Set aside", ""),
}

"""A lifecycle moves by its table and in no other way."""

from enum import StrEnum

import pytest

from insurance.core.errors import IllegalTransition
from insurance.core.lifecycle import Lifecycle


class Door(StrEnum):
    """A lifecycle that needs no explaining."""

    OPEN = "open"
    HALF_SHUT = "half_shut"
    LOCKED = "locked"


DOOR = Lifecycle(
    "door",
    Door.OPEN,
    {
        (Door.OPEN, "push"): (Door.HALF_SHUT, Door.LOCKED),
        (Door.HALF_SHUT, "lock"): Door.LOCKED,
        (Door.HALF_SHUT, "close"): Door.LOCKED,
        (Door.LOCKED, "break"): Door.OPEN,
    },
    nouns={Door.HALF_SHUT: "a door that is half shut"},
    participles={"break": "broken"},
)


def test_an_action_leads_to_the_status_of_the_table():
    assert DOOR.next(Door.HALF_SHUT, "lock") is Door.LOCKED
    assert DOOR.next(Door.HALF_SHUT, "lock", to=Door.LOCKED) is Door.LOCKED
    assert DOOR.next(Door.OPEN, "push", to=Door.HALF_SHUT) is Door.HALF_SHUT


def test_what_the_table_does_not_allow_is_refused_in_words():
    for status, action, words in (
        (Door.LOCKED, "lock", "A locked door can't be locked."),
        (Door.OPEN, "close", "An open door can't be closed."),
        (Door.HALF_SHUT, "break", "A door that is half shut can't be broken."),
    ):
        with pytest.raises(IllegalTransition) as refusal:
            DOOR.next(status, action)
        assert refusal.value.message == words


def test_a_target_that_the_table_lacks_or_leaves_open_is_a_bug():
    for to in (None, Door.OPEN):
        with pytest.raises(ValueError, match="leads to"):
            DOOR.next(Door.OPEN, "push", to=to)


def test_the_buttons_come_from_the_table_in_its_order():
    assert DOOR.actions(Door.HALF_SHUT) == ("lock", "close")
    assert DOOR.allows(Door.OPEN, "push")
    assert not DOOR.allows(Door.OPEN, "lock")


def test_the_documentation_comes_from_the_table():
    assert DOOR.markdown().splitlines() == [
        "A door begins as open.",
        "",
        "| from | action | to |",
        "|---|---|---|",
        "| open | push | half_shut or locked |",
        "| half_shut | lock | locked |",
        "| half_shut | close | locked |",
        "| locked | break | open |",
    ]

"""The table of an upload's life: every state and every act is decided, and what follows from it."""

from typing import get_args

import pytest

from sharezync_storage.states import (
    ENDED,
    TABLE,
    TAKES_BYTES,
    UNFINISHED,
    Act,
    UploadState,
    after,
)

STATES = get_args(UploadState)
ACTS = get_args(Act)


def test_the_table_knows_every_state_and_leads_to_no_other() -> None:
    assert set(TABLE) == set(STATES)
    assert {act for acts in TABLE.values() for act in acts} == set(ACTS)
    assert {state for acts in TABLE.values() for state in acts.values()} <= set(STATES)


def test_every_state_can_be_reached() -> None:
    reached, before = {"created"}, set[str]()
    while reached != before:
        before = set(reached)
        reached |= {state for one in before for state in TABLE[one].values()}  # type: ignore[index]  # of the table
    assert reached == set(STATES)


def test_what_has_ended_never_begins_again() -> None:
    for state in ENDED:
        assert set(TABLE[state].values()) <= ENDED  # type: ignore[index]  # of the table
    assert set(TABLE["finished"].values()) == {"finished", "aborted"}


def test_the_sets_follow_from_the_table() -> None:
    assert set(TAKES_BYTES) == {"created", "receiving"}
    assert set(UNFINISHED) == {"created", "receiving", "held", "verifying"}
    assert not ENDED & UNFINISHED


def test_bytes_lead_to_one_state() -> None:
    # Statements that record them set it without asking for the one before (`chunk_rows`, `intake`).
    assert {after(state, "write") for state in TAKES_BYTES} == {"receiving"}


@pytest.mark.parametrize("state", STATES)
def test_giving_up_twice_is_giving_up_once(state: str) -> None:
    given_up = after(state, "abort")
    assert given_up is not None
    assert after(given_up, "abort") == given_up

"""The life of an offer, walked in full: every act in every state."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_transfer import states
from sharezync_transfer.states import ACTS, FINAL, STATES, Act, State, after, overall

# A row for each state, a column for each act, as people read it. `.` stays, `-` is refused.
GRID = """
            accept    reject    pause   resume    cancel     receive    verify     complete   expire   fail
offered     accepted  rejected  -       -         cancelled  -          -          -          expired  failed
accepted    .         -         paused  .         cancelled  receiving  verifying  completed  expired  failed
receiving   .         -         paused  .         cancelled  .          verifying  completed  expired  failed
verifying   .         -         .       .         cancelled  receiving  .          completed  expired  failed
paused      .         -         .       accepted  cancelled  .          verifying  completed  expired  failed
completed   .         -         -       -         -          .          .          .          .        .
failed      -         -         -       -         -          .          .          .          .        .
cancelled   -         -         -       -         .          .          .          .          .        .
expired     -         -         -       -         -          .          .          .          .        .
rejected    -         .         -       -         -          .          .          .          .        .
"""  # noqa: E501 - a table is read across

HEAD, *ROWS = [line.split() for line in GRID.strip().splitlines()]
WALK = [
    (row[0], act, {".": row[0], "-": None}.get(cell, cell))
    for row in ROWS
    for act, cell in zip(HEAD, row[1:], strict=True)
]


def test_the_walk_visits_every_state_and_act() -> None:
    assert {(state, act) for state, act, _ in WALK} == set(itertools.product(STATES, ACTS))


@pytest.mark.parametrize(("state", "act", "expected"), WALK)
def test_each_act_leads_where_the_table_says(
    state: State, act: Act, expected: State | None
) -> None:
    assert after(state, act) == expected


@pytest.mark.parametrize(("state", "act"), [(s, a) for s, a, to in WALK if to is not None])
def test_acts_may_be_repeated(state: State, act: Act) -> None:
    reached = after(state, act)
    assert reached is not None
    # Who rejected or cancelled may say so twice; who accepted finds it accepted.
    assert after(reached, act) in {reached, "receiving"}


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_leads_out_of_the_end(state: State) -> None:
    assert {after(state, act) for act in ACTS} <= {state, None}


@pytest.mark.parametrize("state", sorted(set(STATES) - FINAL))
def test_every_open_life_can_end_in_every_way_that_time_and_people_have(state: State) -> None:
    assert after(state, "cancel") == "cancelled"
    assert after(state, "expire") == "expired"
    assert after(state, "fail") == "failed"


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=6))
def test_the_whole_is_over_when_all_are_and_is_one_of_them(states: list[State]) -> None:
    whole = overall(states)
    assert whole in states
    assert (whole in FINAL) == (set(states) <= FINAL)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["offered", "offered"], "offered"),
        (["rejected", "offered"], "offered"),
        (["offered", "accepted"], "accepted"),
        (["completed", "paused"], "paused"),
        (["verifying", "receiving"], "verifying"),
        (["completed", "rejected", "failed"], "completed"),
        (["rejected", "expired"], "expired"),
        (["rejected", "rejected"], "rejected"),
    ],
)
def test_the_whole_is_what_its_sender_wants_to_know(states: list[State], whole: State) -> None:
    assert overall(states) == whole


def test_chunks_go_only_to_those_who_accepted_and_did_not_pause() -> None:
    assert {"accepted", "receiving", "verifying"} == states.DELIVERING

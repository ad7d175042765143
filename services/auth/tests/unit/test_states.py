"""The plan for signing keys: a table of situations, and a world in which no token is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import (
    ACTIVE,
    CUT_OFF,
    MAX_KEYS,
    NEXT,
    RETIRING,
    SERVICE_LIFETIME,
    SLACK,
    Key,
    KeyRequest,
    Make,
    Move,
    Remove,
    RotationPolicy,
    Step,
    TooMany,
    TooYoung,
    plan,
)
from sharezync_shared.tokens.claims import LEEWAY_SECONDS
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIFESPAN = timedelta(seconds=300)
LIFETIME = timedelta(minutes=10)
LEEWAY = timedelta(seconds=LEEWAY_SECONDS)
TERMS = RotationPolicy.from_settings(
    AuthSettings(
        jwks_lifespan_seconds=LIFESPAN.total_seconds(),
        access_token_expire_minutes=10,
        key_rotation_days=0.125,
    )
)
YOUNG = timedelta(seconds=1)
RIPE = TERMS.publish
DUE = TERMS.rotate
SPENT = TERMS.retire
AHEAD = -timedelta(days=365)
A_LITTLE_AHEAD = -timedelta(seconds=5)


def key(kid: str, state: str, age: timedelta) -> Key:
    return Key(kid, state, NOW - age)


def made(keys: Sequence[Key], steps: Sequence[Step], now: datetime) -> list[Key]:
    """What the keys are after these steps."""
    after = {each.kid: each for each in keys}
    for number, step in enumerate(steps):
        match step:
            case Make(state):
                kid = f"{state} of {now.isoformat()} {number}"
                after[kid] = Key(kid, state, now)
            case Move(kid, state):
                after[kid] = Key(kid, state, now)
            case Remove(kid):
                del after[kid]
    return list(after.values())


def test_the_terms_follow_from_what_others_may_keep() -> None:
    assert TERMS.publish == timedelta(seconds=2 * 300 + 60)
    assert TERMS.retire == timedelta(seconds=600 + 10 + 3600)
    assert TERMS.rotate == timedelta(hours=3)
    shortest = RotationPolicy.from_settings(AuthSettings(access_token_expire_minutes=1))
    assert shortest.retire == SERVICE_LIFETIME + LEEWAY + CUT_OFF
    issuer = TokenIssuer(key=SigningKey.generate())
    assert timedelta(seconds=issuer.service_lifetime_seconds) == SERVICE_LIFETIME


HEALTHY = [key("a", ACTIVE, YOUNG), key("n", NEXT, YOUNG)]

SITUATIONS: dict[str, tuple[list[Key], list[Step]]] = {
    "the first start": ([], [Make(ACTIVE), Make(NEXT)]),
    "an installation of before there were next keys": ([key("a", ACTIVE, DUE)], [Make(NEXT)]),
    "all well": (HEALTHY, []),
    "due, and the next is known": (
        [key("a", ACTIVE, DUE), key("n", NEXT, RIPE)],
        [Move("a", RETIRING), Move("n", ACTIVE), Make(NEXT)],
    ),
    "due, but the next is too young": ([key("a", ACTIVE, DUE), key("n", NEXT, YOUNG)], []),
    "the next is known, but nothing is due": (
        [key("a", ACTIVE, YOUNG), key("n", NEXT, 9 * RIPE)],
        [],
    ),
    "one retires": ([*HEALTHY, key("r", RETIRING, SPENT - YOUNG)], []),
    "one has retired": ([*HEALTHY, key("r", RETIRING, SPENT)], [Remove("r")]),
    "two active": (
        [*HEALTHY, key("b", ACTIVE, RIPE)],
        [Move("a", RETIRING)],
    ),
    "two active, the older due": (
        [key("a", ACTIVE, YOUNG), key("b", ACTIVE, DUE), key("n", NEXT, RIPE)],
        [Move("a", RETIRING), Move("b", RETIRING), Move("n", ACTIVE), Make(NEXT)],
    ),
    "two next": ([*HEALTHY, key("m", NEXT, RIPE)], [Remove("n")]),
    "none active": ([key("n", NEXT, YOUNG)], [Move("n", ACTIVE), Make(NEXT)]),
    "none active, two next": (
        [key("n", NEXT, YOUNG), key("m", NEXT, RIPE)],
        [Remove("n"), Move("m", ACTIVE), Make(NEXT)],
    ),
    "only retiring ones": ([key("r", RETIRING, YOUNG)], [Make(ACTIVE), Make(NEXT)]),
    "the clock was put back": (
        [key("a", ACTIVE, AHEAD), key("n", NEXT, AHEAD), key("r", RETIRING, AHEAD)],
        [Move("a", ACTIVE), Move("n", NEXT), Move("r", RETIRING)],
    ),
    "the clocks of two replicas differ": (
        [key("a", ACTIVE, A_LITTLE_AHEAD), key("n", NEXT, A_LITTLE_AHEAD)],
        [],
    ),
    "due, but there are too many": (
        [
            key("a", ACTIVE, DUE),
            key("n", NEXT, RIPE),
            *(key(f"r{number}", RETIRING, YOUNG) for number in range(MAX_KEYS - 2)),
        ],
        [],
    ),
    "a state of a version to come": ([*HEALTHY, key("x", "suspended", SPENT)], []),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_upkeep_does_what_the_situation_asks_and_then_rests(name: str) -> None:
    keys, steps = SITUATIONS[name]
    assert plan(keys, NOW, TERMS) == steps

    after = made(keys, steps, NOW)
    assert plan(after, NOW, TERMS) == []
    assert [each.state for each in after].count(ACTIVE) == 1
    assert [each.state for each in after].count(NEXT) == 1


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("order", KeyRequest)
def test_every_order_in_every_situation_leaves_one_active_and_one_next_or_changes_nothing(
    name: str, order: KeyRequest
) -> None:
    keys, _ = SITUATIONS[name]
    try:
        steps = plan(keys, NOW, TERMS, order)
    except (TooYoung, TooMany):
        assert order in {KeyRequest.ROTATE, KeyRequest.ROTATE_NOW}
        return
    after = made(keys, steps, NOW)
    assert [each.state for each in after].count(ACTIVE) == 1
    assert [each.state for each in after].count(NEXT) == 1
    if order is not KeyRequest.UPKEEP:
        before = min(
            (each for each in keys if each.state == ACTIVE),
            key=lambda each: each.since,
            default=None,
        )
        assert before is None or (before.kid, ACTIVE) not in {(k.kid, k.state) for k in after}


def test_an_order_to_rotate_waits_until_the_next_is_known() -> None:
    keys = [key("a", ACTIVE, YOUNG), key("n", NEXT, RIPE - YOUNG)]
    with pytest.raises(TooYoung) as refused:
        plan(keys, NOW, TERMS, KeyRequest.ROTATE)
    assert refused.value.since == NOW - (RIPE - YOUNG)
    assert refused.value.signs_from == NOW + YOUNG

    known = [keys[0], key("n", NEXT, RIPE)]
    rotated = [Move("a", RETIRING), Move("n", ACTIVE), Make(NEXT)]
    assert plan(known, NOW, TERMS, KeyRequest.ROTATE) == rotated
    assert plan(keys, NOW, TERMS, KeyRequest.ROTATE_NOW) == rotated


def test_without_a_next_key_only_rotation_at_once_is_possible() -> None:
    keys = [key("a", ACTIVE, DUE)]
    with pytest.raises(TooYoung) as refused:
        plan(keys, NOW, TERMS, KeyRequest.ROTATE)
    assert refused.value.since is None
    at_once = [Move("a", RETIRING), Make(ACTIVE), Make(NEXT)]
    assert plan(keys, NOW, TERMS, KeyRequest.ROTATE_NOW) == at_once


def test_known_keys_go_all_and_at_once() -> None:
    keys = [*HEALTHY, key("r", RETIRING, YOUNG)]
    assert plan(keys, NOW, TERMS, KeyRequest.REPLACE_ALL) == [
        Remove("a"),
        Remove("n"),
        Remove("r"),
        Make(ACTIVE),
        Make(NEXT),
    ]


def test_too_many_keys_stop_every_rotation_but_the_one_that_clears_them() -> None:
    keys, _ = SITUATIONS["due, but there are too many"]
    for order in (KeyRequest.ROTATE, KeyRequest.ROTATE_NOW):
        with pytest.raises(TooMany):
            plan(keys, NOW, TERMS, order)
    assert len(made(keys, plan(keys, NOW, TERMS, KeyRequest.REPLACE_ALL), NOW)) == 2


# ------------------------------------------------------------------------- a world of replicas


@dataclass
class Replica:
    """An auth process: what it saw of the keys, and when."""

    view: list[Key] = field(default_factory=list)
    seen_at: datetime = NOW

    def look(self, keys: list[Key], now: datetime) -> None:
        self.view, self.seen_at = keys, now


@dataclass
class World:
    """The stored keys, the processes, every token that was signed, every set that was fetched."""

    keys: list[Key]
    replicas: list[Replica]
    now: datetime = NOW
    signed: list[tuple[datetime, str]] = field(default_factory=list)
    fetched: list[tuple[datetime, frozenset[str]]] = field(default_factory=list)

    def order(self, order: KeyRequest) -> None:
        try:
            steps = plan(self.keys, self.now, TERMS, order)
        except (TooYoung, TooMany):
            return
        self.keys = made(self.keys, steps, self.now)

    def wait(self, edge: str, replica: int, offset: timedelta) -> None:
        """Let time go on until shortly before, or after, something begins or ends."""
        replica_seen_at = self.replicas[replica].seen_at
        edges = {
            "soon": [self.now],
            "is published": [k.since + TERMS.publish for k in self.keys if k.state == NEXT],
            "is due": [k.since + TERMS.rotate for k in self.keys if k.state == ACTIVE],
            "has retired": [k.since + TERMS.retire for k in self.keys if k.state == RETIRING],
            "looks late": [replica_seen_at + SLACK],
            "is cut off": [replica_seen_at + CUT_OFF],
        }
        self.now = max(self.now, min(edges[edge], default=self.now) + offset)

    def live(self) -> None:
        """Every process signs, and somebody fetches its keys, as far as it still may."""
        for replica in self.replicas:
            ago = self.now - replica.seen_at
            if ago <= CUT_OFF:
                active = min((k for k in replica.view if k.state == ACTIVE), key=lambda k: k.since)
                self.signed.append((self.now, active.kid))
            if ago <= SLACK:
                self.fetched.append((self.now, frozenset(k.kid for k in replica.view)))

    def refused(self) -> list[tuple[datetime, datetime, str]]:
        """The tokens that somebody would refuse: when signed, with the set of when, by whom."""
        return [
            (signed_at, fetched_at, kid)
            for signed_at, kid in self.signed
            for fetched_at, kids in self.fetched
            if signed_at < fetched_at + 2 * LIFESPAN
            and fetched_at < signed_at + LIFETIME + LEEWAY
            and kid not in kids
        ]


EDGES = ["soon", "is published", "is due", "has retired", "looks late", "is cut off"]
OFFSETS = [timedelta(seconds=seconds) for seconds in (0, -1, 1, 17)]
STEPS = st.tuples(
    st.sampled_from(EDGES),
    st.sampled_from(OFFSETS),
    st.integers(0, 1),  # the replica that waits
    st.sampled_from(["looks", "rotates", "only waits"]),
)


AT = timedelta()
# The latest that a set without the next key can be in use, and the latest that a token of a retired
# key can be: chance seldom meets every edge in turn.
HEARS_A_MINUTE_LATE = [
    ("is published", AT, 1, "looks"),
    ("soon", AT, 0, "rotates"),
    ("looks late", AT, 1, "only waits"),
    ("is published", AT, 0, "rotates"),
]
SIGNS_ON_FOR_AN_HOUR = [
    ("is published", AT, 0, "looks"),
    ("soon", AT, 1, "looks"),
    ("soon", AT, 0, "rotates"),
    ("is cut off", AT, 1, "only waits"),
    ("has retired", AT, 0, "looks"),
]


@given(st.lists(STEPS, max_size=25))
@example(HEARS_A_MINUTE_LATE)
@example(SIGNS_ON_FOR_AN_HOUR)
@settings(max_examples=500, deadline=None)
def test_no_token_is_refused_whenever_keys_rotate(
    story: list[tuple[str, timedelta, int, str]],
) -> None:
    first = made([], plan([], NOW, TERMS), NOW)
    world = World(first, [Replica(first), Replica(first)])
    for edge, offset, replica, act in story:
        world.wait(edge, replica, offset)
        world.live()
        if act == "rotates":
            world.order(KeyRequest.ROTATE)
        if act != "only waits":
            world.order(KeyRequest.UPKEEP)
            world.replicas[replica].look(world.keys, world.now)
        world.live()
    assert world.refused() == []

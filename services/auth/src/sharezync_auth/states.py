"""The states of a signing key, and what is to be done about the keys at any moment. Pure.

`next` (published, signs nothing yet) → `active` (the one that signs) → `retiring` (published until
its last token has run out) → gone. There is always one `next`; carried out in `key_store.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final, Self

from sharezync_auth.settings import AuthSettings
from sharezync_shared.tokens.claims import LEEWAY_SECONDS

NEXT: Final = "next"
ACTIVE: Final = "active"
RETIRING: Final = "retiring"

LOOK_SECONDS: Final = 30.0
"""How often each auth process looks at the keys: so late it may publish a new one, at most."""
SLACK: Final = timedelta(seconds=2 * LOOK_SECONDS)
"""One look that failed, or clocks that differ a little, must cost nobody anything."""
CUT_OFF: Final = timedelta(hours=1)
"""How long an auth process goes on to sign without having looked."""
SERVICE_LIFETIME: Final = timedelta(minutes=5)
"""Of service tokens, as TokenIssuer has it."""
MAX_KEYS: Final = 100
"""Rotations wait at this number. Verifiers read no document above 64 KiB: that is some 280 keys."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the plan sees it: its name, its state, and since when it is in it."""

    kid: str
    state: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    publish: timedelta
    """`next`, at least: until no copy of the published set can be without it."""
    rotate: timedelta
    """`active`, at least: then it is due."""
    retire: timedelta
    """`retiring`: until no token can be around that it signed."""

    @classmethod
    def from_settings(cls, settings: AuthSettings) -> Self:
        lifespan = timedelta(seconds=settings.jwks_lifespan_seconds)
        lifetime = timedelta(minutes=settings.access_token_expire_minutes)
        return cls(
            # A verifier keeps the set for a lifespan, and may have had it from an HTTP cache that
            # kept it for another.
            publish=2 * lifespan + SLACK,
            rotate=timedelta(days=settings.key_rotation_days),
            retire=max(lifetime, SERVICE_LIFETIME) + timedelta(seconds=LEEWAY_SECONDS) + CUT_OFF,
        )


class KeyRequest(Enum):
    UPKEEP = auto()
    """Whatever is due; rotation too, as soon as it harms nobody."""
    ROTATE = auto()
    """Rotate if it harms nobody."""
    ROTATE_NOW = auto()
    """Rotate, although verifiers may not know the new key yet."""
    REPLACE_ALL = auto()
    """Somebody else knows the keys: all go. The waiting one lay beside the others, sealed alike."""


@dataclass(frozen=True, slots=True)
class Make:
    state: str


@dataclass(frozen=True, slots=True)
class Move:
    """Put a key in this state, as of now."""

    kid: str
    state: str


@dataclass(frozen=True, slots=True)
class Remove:
    kid: str


Step = Make | Move | Remove


class TooYoung(Exception):
    """The next key is not published for long enough; `since` None: there is none yet."""

    def __init__(self, since: datetime | None, signs_from: datetime | None) -> None:
        super().__init__()
        self.since = since
        self.signs_from = signs_from


class TooMany(Exception):
    """So many keys are retiring that the published set would become too large."""


def plan(
    keys: Sequence[Key],
    now: datetime,
    policy: RotationPolicy,
    order: KeyRequest = KeyRequest.UPKEEP,
) -> list[Step]:
    """Return what to do at the time `now`, in this order; nothing where all is well.

    Repairs what should not be: no active key or several, no next one or several, moments in the
    future. Raises TooYoung and TooMany where ROTATE or ROTATE_NOW can't be followed.
    """
    if order is KeyRequest.REPLACE_ALL:
        return [*(Remove(key.kid) for key in keys), Make(ACTIVE), Make(NEXT)]
    # A moment that lies ahead counts as now: every term begins anew, which harms nobody.
    steps: list[Step] = [Move(key.kid, key.state) for key in keys if key.since > now + SLACK]
    actives, followings = _oldest_first(keys, ACTIVE), _oldest_first(keys, NEXT)
    active = actives[0] if actives else None
    following = followings[0] if followings else None
    steps += [Move(key.kid, RETIRING) for key in actives[1:]]
    steps += [Remove(key.kid) for key in followings[1:]]

    if active is None or _is_wanted(active, following, len(keys), now, policy, order):
        if active:
            steps.append(Move(active.kid, RETIRING))
        steps.append(Move(following.kid, ACTIVE) if following else Make(ACTIVE))
        following = None
    if following is None:
        steps.append(Make(NEXT))
    return steps + [
        Remove(key.kid)
        for key in keys
        if key.state == RETIRING and now - key.since >= policy.retire
    ]


def _is_wanted(
    active: Key,
    following: Key | None,
    count: int,
    now: datetime,
    policy: RotationPolicy,
    order: KeyRequest,
) -> bool:
    """Whether to rotate. Raises TooYoung and TooMany unless for UPKEEP."""
    if order is KeyRequest.UPKEEP:
        due = now - active.since >= policy.rotate
        return due and count < MAX_KEYS and _is_known(following, now, policy)
    if count >= MAX_KEYS:
        raise TooMany
    if order is KeyRequest.ROTATE and not _is_known(following, now, policy):
        since = min(following.since, now) if following else None
        raise TooYoung(since, since + policy.publish if since else None)
    return True


def _is_known(following: Key | None, now: datetime, policy: RotationPolicy) -> bool:
    return following is not None and now - following.since >= policy.publish


def _oldest_first(keys: Iterable[Key], state: str) -> list[Key]:
    return sorted((key for key in keys if key.state == state), key=lambda key: (key.since, key.kid))

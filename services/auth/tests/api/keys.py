"""What the tests of signing keys share: keys of their own, made older at will."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
from prometheus_client import CollectorRegistry

from sharezync_auth.commands import work_for
from sharezync_auth.key_store import KeyStore, PrivateKey
from sharezync_auth.keyring import Keyring
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import KeyRequest, RotationPolicy


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def forget_keys(settings: AuthSettings) -> None:
    """Have the installation be one that never started."""
    await _execute(settings, "DELETE FROM auth.signing_keys")


async def make_older(settings: AuthSettings, state: str, by: timedelta) -> None:
    """Have all keys of this state be in it for longer than they are."""
    statement = (
        "UPDATE auth.signing_keys SET state_since = state_since - $2::interval WHERE state = $1"
    )
    await _execute(settings, statement, state, by)


async def _execute(settings: AuthSettings, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(settings.require_database_url())
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


@asynccontextmanager
async def kept_keyring(
    settings: AuthSettings, clock: Clock | None = None
) -> AsyncGenerator[Keyring]:
    """The keys, as one more auth process sees them."""
    clock = clock or Clock()
    keyring = Keyring(settings, registry=CollectorRegistry(), monotonic=clock)
    async with work_for(settings) as work, keyring.kept(work):
        yield keyring


async def follow(settings: AuthSettings, order: KeyRequest) -> list[PrivateKey]:
    """Do with the keys what an operator can; return what they are then."""
    async with work_for(settings) as work:
        store = KeyStore(work, settings.require_secret_key())
        return await store.follow(order, RotationPolicy.from_settings(settings))


def states(held: list[PrivateKey]) -> dict[str, str]:
    """The state of each key, by its name."""
    return {each.key.kid: each.key.state for each in held}

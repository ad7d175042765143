"""How long a wrong password takes tells nothing about whose it was. By statistics, not by a clock.

Tries of several kinds come in random order, so that whatever else the machine does falls on all
alike; then the times of two kinds are compared by rank (Mann-Whitney U). Where the kind makes no
difference, z is a standard normal variable whatever the distribution of times: it leaves ±LIMIT
once in two million comparisons.
"""

import math
import random
import time
from collections.abc import Sequence
from itertools import combinations
from uuid import UUID

import bcrypt
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.errors import InvalidGrant
from sharezync_auth.passwords import _MEMORY_KIB, Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import grants
from sharezync_auth.usecases.grants import LoginOrigin
from sharezync_auth.usecases.sweeping import bcrypt_costs

LIMIT = 5.0
TRIES = 32
COST = 4
"""Cheap: what an account with such a hash must cost as well is argon2's 25 ms."""


def z_of(first: Sequence[float], second: Sequence[float]) -> float:
    """Return by how many standard deviations the ranks of two samples differ (no ties)."""
    n, m = len(first), len(second)
    u = sum(a > b for a in first for b in second)
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


@pytest.fixture
def memory_of_a_hash_kib() -> int:
    return _MEMORY_KIB


@pytest.fixture
def settings(settings: AuthSettings) -> AuthSettings:
    never = {"login_free_failures": 10**6, "login_free_failures_per_address": 10**6}
    return settings.model_copy(update=never)


@pytest.fixture
async def names(auth: Auth, ada: Account, bob: Account) -> dict[str, str]:
    """A name of each kind."""
    await auth.rows(
        "UPDATE auth.users SET password_hash = $1 WHERE id = $2",
        bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(COST)).decode(),
        UUID(bob.id),
    )
    auth.app.state.context.passwords.expect_bcrypt(await bcrypt_costs(auth.app.state.work))
    return {"argon2id": ada.username, "bcrypt": bob.username, "unknown": "nobody-at-all"}


async def timed(auth: Auth, names: dict[str, str], *, tries: int) -> dict[str, list[float]]:
    """Return how long failing took, by kind, the tries in random order."""
    context = auth.app.state.context
    order = [kind for kind in names for _ in range(tries)]
    random.shuffle(order)
    seconds: dict[str, list[float]] = {kind: [] for kind in names}
    for kind in order:
        began = time.perf_counter()
        with pytest.raises(InvalidGrant):
            await grants.log_in(
                context,
                username=names[kind],
                password="wrong one",
                device_id=None,
                origin=LoginOrigin("192.0.2.1", ""),
            )
        seconds[kind].append(time.perf_counter() - began)
    return seconds


async def test_the_time_of_a_failure_tells_neither_who_exists_nor_how_it_is_hashed(
    auth: Auth, names: dict[str, str]
) -> None:
    await timed(auth, names, tries=1)  # what is done once is done
    seconds = await timed(auth, names, tries=TRIES)
    scores = {
        (one, other): z_of(seconds[one], seconds[other]) for one, other in combinations(names, 2)
    }
    assert all(abs(z) < LIMIT for z in scores.values()), scores


async def test_without_the_dummies_the_same_statistic_would_tell(
    auth: Auth, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords: Passwords = auth.app.state.context.passwords

    def own_hash_only(password: str, stored: str | None) -> tuple[bool, str | None]:
        return stored is not None and passwords._matches(password, stored), None

    monkeypatch.setattr(passwords, "_verify", own_hash_only)
    del names["bcrypt"]
    seconds = await timed(auth, names, tries=2 * TRIES)
    assert z_of(seconds["argon2id"], seconds["unknown"]) > LIMIT

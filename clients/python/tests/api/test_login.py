"""Logging in, and staying logged in."""

import asyncio
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from clients.python.tests.support.people import PASSWORD, Login
from sharezync import Client, FileTokens, MemoryTokens, NotLoggedIn, Problem, Tokens, Unreachable

LogIn = Callable[..., Awaitable[Login]]


class CountingTokens(MemoryTokens):
    """Counts how often tokens were renewed."""

    saves = 0

    def save(self, tokens: Tokens) -> None:
        self.saves += 1
        super().save(tokens)


def aged(tokens: Tokens) -> Tokens:
    """The same tokens, when their time is nearly over."""
    return msgspec.structs.replace(tokens, expires_at=time.time() + 1)


def kept(store: MemoryTokens | FileTokens) -> Tokens:
    tokens = store.load()
    assert tokens is not None
    return tokens


async def test_requests_at_the_end_of_a_token_renew_it_once_for_all(
    base_url: str, log_in: LogIn
) -> None:
    ada = await log_in("ada")
    store = CountingTokens()
    async with Client(base_url, tokens=store) as client:
        session = await client.login(ada.username, PASSWORD)
        store.save(aged(kept(store)))
        old, store.saves = kept(store), 0

        answers = await asyncio.gather(*(session.people.me() for _ in range(20)))

        assert {user.id for user in answers} == {ada.id}
        assert store.saves == 1
        assert kept(store).access_token != old.access_token
        assert kept(store).refresh_token != old.refresh_token


async def test_a_token_that_is_refused_before_its_time_is_renewed(
    base_url: str, log_in: LogIn
) -> None:
    ada = await log_in("ada")
    store = CountingTokens()
    async with Client(base_url, tokens=store) as client:
        session = await client.login(ada.username, PASSWORD)
        store.save(msgspec.structs.replace(kept(store), access_token="e30.e30.e30"))
        assert (await session.people.me()).id == ada.id


async def test_two_who_share_a_login_renew_it_without_looking_like_thieves(
    base_url: str, log_in: LogIn, tmp_path: Path
) -> None:
    ada = await log_in("ada")
    path = tmp_path / "login.json"
    async with (
        Client(base_url, tokens=FileTokens(path)) as one,
        Client(base_url, tokens=FileTokens(path)) as other,
    ):
        await one.login(ada.username, PASSWORD)
        for _ in range(3):
            FileTokens(path).save(aged(kept(FileTokens(path))))
            sessions = one.session(), other.session()
            users = await asyncio.gather(*(s.people.me() for s in sessions for _ in range(5)))
            assert {user.id for user in users} == {ada.id}


async def test_a_kept_login_goes_on_in_a_new_process_and_is_nobody_elses_to_read(
    base_url: str, log_in: LogIn, tmp_path: Path
) -> None:
    ada = await log_in("ada")
    store = FileTokens(tmp_path / "deep" / "login.json")
    async with Client(base_url, tokens=store) as client:
        await client.login(ada.username, PASSWORD)
    async with Client(base_url, tokens=FileTokens(store.path)) as client:
        assert (await client.session().people.me()).id == ada.id
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


async def test_a_login_that_was_ended_is_forgotten_and_says_so(
    base_url: str, log_in: LogIn
) -> None:
    ada = await log_in("ada")
    store = MemoryTokens()
    async with Client(base_url, tokens=store) as client:
        session = await client.login(ada.username, PASSWORD)
        await ada.session.http.request("POST", "/v1/auth/logout", json={"scope": "others"})
        store.save(aged(kept(store)))
        with pytest.raises(NotLoggedIn):
            await session.people.me()
    assert store.load() is None


async def test_a_login_of_a_device_is_listed_with_it_and_only_once(
    base_url: str, log_in: LogIn
) -> None:
    ada = await log_in("ada")
    async with Client(base_url) as client:
        session = await client.login(ada.username, PASSWORD, device="laptop")
        found = (await session.http.document("/v1/auth/sessions"))["items"]
        device = (await session.people.devices())[0]
        again = await client.login(ada.username, PASSWORD, device="laptop", device_id=device.id)
        assert (await again.people.devices()) == [device]
    by_device = [s["device"]["client_id"] if s["device"] else None for s in found]
    assert sorted(map(str, by_device)) == ["None", "laptop"]  # log_in's own, and this


async def test_a_device_that_was_removed_is_registered_anew(base_url: str, log_in: LogIn) -> None:
    ada = await log_in("ada")
    gone = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
    async with Client(base_url) as client:
        session = await client.login(ada.username, PASSWORD, device="laptop", device_id=gone)
        assert [each.client_id for each in await session.people.devices()] == ["laptop"]


async def test_a_wrong_password_is_a_problem_with_a_name(base_url: str, log_in: LogIn) -> None:
    ada = await log_in("ada")
    async with Client(base_url) as client:
        with pytest.raises(Problem) as refused:
            await client.login(ada.username, "wrong")
        with pytest.raises(NotLoggedIn):
            client.session()
    assert refused.value.extras["error"] == "invalid_grant"


async def test_nobody_there_is_told_as_that() -> None:
    async with Client("http://127.0.0.1:9", patience_seconds=0.5) as client:
        with pytest.raises(Unreachable):
            await client.login("ada", PASSWORD)

"""Transfers that outlive the logins that began them."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import jwt
import pytest

from clients.python.tests.conftest import GENEROUS
from clients.python.tests.support.people import Login
from sharezync import Client, MemoryTokens, NotLoggedIn, Problem, Progress, Tokens, TransferEnded
from sharezync.transfer.chunks import Ranges
from sharezync.transfer.transfers import Over
from sharezync_shared.tokens.claims import LEEWAY_SECONDS
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.one_process import OneProcess

LogIn = Callable[..., Awaitable[Login]]
MIB = 1024 * 1024
SECRET_KEY = "Hn5tRv8KpXw2zLc9QmYb4Js7DgFe3Ua6"
LIVES_SECONDS = 2
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose tokens we can make: by settings they live a minute at least."""
    environment = {**GENEROUS, "ALGORITHM": "HS256", "SECRET_KEY": SECRET_KEY}
    product = OneProcess(tmp_path_factory.mktemp("hs256"), environment=environment)
    product.start()
    try:
        yield product.url
    finally:
        product.stop()


def short_lived(login: Login) -> Tokens:
    """The login's token, good for some seconds from now, and nothing to renew it with."""
    token = login.session.renewal.tokens.access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    claims["exp"] = int(time.time()) + LIVES_SECONDS - LEEWAY_SECONDS
    claims["iat"] = claims["nbf"] = claims["exp"] - 60
    header = jwt.get_unverified_header(token)
    access = jwt.encode(claims, SECRET_KEY, algorithm="HS256", headers=header)
    return Tokens(access, "", time.time() + 3600, 3600)


async def until_refused(url: str, tokens: Tokens) -> None:
    """Wait until the server takes an access token no more."""
    async with asyncio.timeout(30), Client(url, tokens=MemoryTokens(tokens)) as client:
        while True:
            try:
                await client.session().people.me()
            except NotLoggedIn:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("over", ["auto", "http"])
async def test_a_login_that_ends_in_the_midst_of_it_stops_nothing(
    log_in: LogIn, base_url: str, line: ChaosProxy, tmp_path: Path, over: Over
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(16 * MIB + 3))
    arriving, stopped = asyncio.Event(), asyncio.Event()
    host, port = base_url.removeprefix("http://").split(":")

    def stop(progress: Progress) -> None:
        if progress.stored_bytes >= 2 * MIB and not stopped.is_set():
            stopped.set()
            line.black_hole()  # nothing more is sent until the tokens are good for nothing

    def note(progress: Progress) -> None:
        if progress.received_bytes >= MIB:
            arriving.set()

    adas, bobs = (MemoryTokens(each.session.renewal.tokens) for each in (ada, bob))
    async with (
        ChaosProxy((host, int(port))) as other_line,
        Client(f"http://{line.host}:{line.port}", tokens=adas) as sender,
        Client(f"http://{other_line.host}:{other_line.port}", tokens=bobs) as receiver,
    ):
        sending = asyncio.create_task(
            sender.session().transfers.send(
                [film], to=[bob.username], device="laptop", over=over, wait="nobody",
                on_progress=stop,
            )
        )  # fmt: skip
        async with asyncio.timeout(30):
            while not (found := await bob.session.transfers.all(role="recipient")):  # noqa: ASYNC110 - it asks
                await asyncio.sleep(0.02)
        receiving = asyncio.create_task(
            receiver.session().transfers.receive(
                found[0], tmp_path / "in", device="phone", over=over, on_progress=note
            )
        )
        async with asyncio.timeout(30):
            await arriving.wait()
            await stopped.wait()
        for login, store in ((ada, adas), (bob, bobs)):
            store.save(short_lived(login))
            await until_refused(base_url, short_lived(login))
        assert not sending.done()
        assert not receiving.done()
        line.heal()
        for each in (line, other_line):
            each.reset()  # no socket lives on by a token from before
        async with asyncio.timeout(60):
            sent, files = await sending, await receiving
    assert files[0].read_bytes() == film.read_bytes()
    assert sent.transfer.id == found[0].id
    after = await ada.session.transfers.get(sent.transfer.id)
    assert after.state == "completed"
    if over == "auto":
        assert adas.load() is None, "its socket could not come back"
        assert bobs.load() is None


async def offered(sender: Login, recipient: Login, content: bytes) -> str:
    """Offer a file in chunks of 1 MiB, and have it accepted; return the transfer's id."""
    offer = {
        "recipients": [{"user_id": recipient.id}],
        "files": [{"name": "notes.bin", "size": len(content)}],
        "chunk_size": MIB,
    }
    answer = await sender.session.http.request("POST", "/v1/transfers", json=offer)
    transfer_id = str(answer.json()["id"])
    await recipient.session.transfers.accept(transfer_id)
    return transfer_id


async def test_the_token_of_a_side_is_enough_without_a_login(log_in: LogIn, base_url: str) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    content = os.urandom(MIB + 5)
    transfer_id = await offered(ada, bob, content)
    sends = await ada.session.transfers.capability(transfer_id)
    reads = await bob.session.transfers.capability(transfer_id)
    assert (sends.role, reads.role) == ("sender", "recipient")
    assert sends.token not in repr(sends), "nothing is logged by mistake"

    async with Client(base_url) as nobody:
        sender = nobody.transfer_http(transfer_id, sends.token)
        receiver = nobody.transfer_http(transfer_id, reads.token)
        assert [ranges.pairs() for ranges in (await sender.missing()).values()] == [[(0, 1)]]
        assert await receiver.root(0) is None
        await sender.put_chunk(0, 1, content[MIB:])
        await sender.put_chunk(0, 0, content[:MIB])
        assert await sender.missing() == {}
        await sender.complete()
        async with receiver.content(0, 0, len(content) - 1) as answer:
            assert await answer.aread() == content
        assert await receiver.root(0) is not None
        with pytest.raises(Problem) as refused:
            await sender.confirm(0, Ranges.whole(2))
        assert refused.value.status == 403
        assert (await receiver.confirm(0, Ranges.whole(2))).state == "completed"


async def test_a_door_that_closed_says_why_to_who_has_a_login(log_in: LogIn, base_url: str) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    transfer_id = await offered(ada, bob, b"never sent")
    side = await ada.session.transfers.transfer_http(transfer_id)
    await bob.session.transfers.act(transfer_id, "cancel")
    async with Client(base_url) as nobody:
        with pytest.raises(Problem) as refused:
            await nobody.transfer_http(transfer_id, side.token).missing()
    with pytest.raises(TransferEnded) as ended:
        await side.missing()
    assert refused.value.status == 401
    assert ended.value.state == "cancelled"

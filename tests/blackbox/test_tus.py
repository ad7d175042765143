"""The rules of tus 1.0.0 through the gateway, and what a proxy must not spoil; see `testkit`."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from sharezync_testkit.tus.client import OFFSET_STREAM, UPLOADS, Tus, code_of
from sharezync_testkit.tus.creation import (  # noqa: F401 - run here
    TestCreation,
    TestCreationWithUpload,
    TestDeferredLength,
    TestExpiration,
    TestTheMetadata,
)
from sharezync_testkit.tus.extensions import (  # noqa: F401 - run here
    TestChecksums,
    TestConcatenation,
    TestStrangers,
    TestTermination,
    TestTheDocument,
)
from sharezync_testkit.tus.protocol import (  # noqa: F401 - run here
    TestHead,
    TestOptions,
    TestPatch,
    TestTheMethodOverride,
    TestTheVersion,
)
from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Person, registered

DATA = os.urandom(4 * 1024 * 1024)


@pytest.fixture(scope="module")
def regulars(base_url: str) -> tuple[Person, Person]:
    """Two people for all of these tests: to register costs more than most of them."""
    return asyncio.run(registered(base_url, "ada")), asyncio.run(registered(base_url, "eve"))


@pytest.fixture
async def tus(regulars: tuple[Person, Person]) -> AsyncIterator[Tus]:
    async with Tus.at(regulars[0].base_url, regulars[0].token) as client:
        yield client


@pytest.fixture
async def stranger(regulars: tuple[Person, Person]) -> AsyncIterator[Tus]:
    async with Tus.at(regulars[1].base_url, regulars[1].token) as client:
        yield client


@pytest.fixture
async def newcomer(alice: Person) -> AsyncIterator[Tus]:
    """Somebody who has nothing yet."""
    async with Tus.at(alice.base_url, alice.token) as client:
        yield client


class TestNothingIsBufferedOnTheWay:
    """A proxy that waits for the whole body makes resuming worthless, and nobody notices."""

    async def test_what_a_slow_patch_sent_counts_though_its_connection_died(self, tus: Tus) -> None:
        url = await tus.new(len(DATA))
        sent = 0
        async with tus.patching(url, 0, len(DATA)) as wire:
            while sent < len(DATA) // 4:  # 1 MiB at some 2 MiB/s: a line that is capped
                await wire.send(DATA[sent : sent + 32 * 1024])
                sent += 32 * 1024
                await asyncio.sleep(0.016)
            wire.hang_up()
            await tus.stands_at(url, sent)
        assert (await tus.patch(url, sent, DATA[sent:])).status_code == 204
        await tus.became(url, DATA)

    async def test_what_arrived_counts_when_the_connection_is_reset(self, tus: Tus) -> None:
        """As when a phone loses its network: what was on the way is lost, and no more."""
        url = await tus.new(len(DATA))
        async with tus.patching(url, 0, len(DATA)) as wire:
            await wire.send(DATA[: len(DATA) // 2])
            await tus_has_begun(tus, url)
        offset = await tus.offset(url)
        answer = await tus.patch(url, offset, DATA[offset:])
        while answer.status_code in {409, 423}:  # the last bytes were still on their way
            offset = await tus.offset(url)
            answer = await tus.patch(url, offset, DATA[offset:])
        assert answer.status_code == 204
        await tus.became(url, DATA)

    async def test_head_tells_the_offset_of_a_patch_that_stalled_and_takes_its_place(
        self, tus: Tus
    ) -> None:
        url = await tus.new(len(DATA))
        async with tus.patching(url, 0, len(DATA)) as stalled:
            await stalled.send(DATA[:1_000_000])
            await tus.stands_at(url, 1_000_000)  # the connection is still open
            answer = await tus.patch(url, 1_000_000, DATA[1_000_000:])
            while answer.status_code == 423:
                answer = await tus.patch(url, 1_000_000, DATA[1_000_000:])
            assert answer.status_code == 204
        await tus.became(url, DATA)

    async def test_a_refusal_comes_before_the_body_is_asked_for(self, tus: Tus) -> None:
        url = await tus.new(len(DATA))
        said = {
            "content_type": OFFSET_STREAM,
            "content_length": len(DATA),
            "expect": "100-continue",
        }
        async with tus.wire("PATCH", url, upload_offset=7, **said) as wire:
            assert await wire.status() == 409
        async with tus.wire("PATCH", url, upload_offset=0, **said) as wire:
            assert await wire.status() == 100
            await wire.send(DATA)
            assert await wire.status() == 204


class TestTheDoor:
    async def test_without_a_token_only_options_is_answered(self, tus: Tus) -> None:
        url = await tus.new(3)
        del tus.http.headers["authorization"]
        for method in ("POST", "GET", "PATCH", "DELETE"):
            answer = await tus.ask(method, UPLOADS if method == "POST" else url)
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
            assert answer.headers["tus-resumable"] == "1.0.0"
        assert (await tus.head(url)).status_code == 401
        assert (await tus.ask("OPTIONS", tus_resumable=None)).status_code == 204

    async def test_a_file_that_came_by_tus_is_a_file_like_any_other(
        self, alice: Person, bob: Person, newcomer: Tus
    ) -> None:
        url = await newcomer.new(len(DATA), DATA)
        file_id = url.rpartition("/")[2]
        channel_id = await alice.channel()
        await alice.add(channel_id, bob)
        message = await alice.say(channel_id, "look", attachments=[file_id])
        path = f"/v1/messages/{message['id']}/attachments/{file_id}"
        redirect = await bob.http.get(path)
        assert redirect.status_code == 307, redirect.text
        assert (await bob.http.get(redirect.headers["location"])).content == DATA


async def tus_has_begun(tus: Tus, url: str) -> None:
    """Wait until some of a body is on record."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await tus.offset(url):
            pass

"""Files that are read while they arrive, and afterwards."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from services.gateway.tests.api.transfers.house import CHUNK, House, Offer, content_of, until
from services.gateway.tests.api.transfers.test_putting import code
from sharezync_testkit.waiting import GIVE_UP_SECONDS


class Reader:
    """Reads an answer piece by piece."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.got = b""
        self._pieces = answer.aiter_raw()

    async def until(self, size: int) -> bytes:
        """Read until so many bytes are there."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while len(self.got) < size:
                self.got += await anext(self._pieces)
        return self.got


@asynccontextmanager
async def reading(http: httpx.AsyncClient, offer: Offer, **how: object) -> AsyncGenerator[Reader]:
    async with http.stream("GET", offer.content_path, **how) as answer:  # type: ignore[arg-type]
        yield Reader(answer)


async def stored(house: House, offer: Offer) -> None:
    for index in range(offer.count):
        await house.store_chunk(offer, index)


async def test_a_stored_file_is_given_out_whole(house: House, recipient: httpx.AsyncClient) -> None:
    offer = house.offer(5 * CHUNK + 77, root="ab" * 32, name='fil"m ä.mkv')
    await stored(house, offer)
    answer = await recipient.get(offer.content_path)
    assert answer.status_code == 200
    assert answer.content == content_of(offer.size)
    assert answer.headers["content-length"] == str(offer.size)
    assert answer.headers["etag"] == f'"{offer.root}"'
    assert answer.headers["content-type"] == "video/x-matroska"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"fil_m _.mkv\"; filename*=UTF-8''fil%22m%20%C3%A4.mkv"
    )


async def test_head_says_the_same_without_the_bytes(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(3 * CHUNK)
    answer = await recipient.head(offer.content_path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(offer.size)
    assert "etag" not in answer.headers
    offer.root = "cd" * 32
    await house.change(offer, "completed")
    answer = await recipient.head(offer.content_path)
    assert answer.headers["etag"] == f'"{offer.root}"'


async def test_a_file_is_followed_as_it_grows(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(4 * CHUNK)
    await house.put(sender, offer, 0)
    async with reading(recipient, offer) as reader:
        assert reader.answer.headers["content-length"] == str(offer.size)
        await reader.until(CHUNK)
        await house.put(sender, offer, 2)  # not its turn yet
        await house.put(sender, offer, 1)
        await reader.until(3 * CHUNK)
        gets = house.store.gets
        await house.put(sender, offer, 3)
        assert await reader.until(offer.size) == content_of(offer.size)
        assert house.store.gets == gets  # from memory


async def test_chunks_that_nobody_announced_are_found(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    await house.store_chunk(offer, 0)
    async with reading(recipient, offer) as reader:
        await reader.until(CHUNK)
        await house.store_chunk(offer, 1)
        assert await reader.until(offer.size) == content_of(offer.size)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("text/html", "text/html"),
        ("Text/Plain; charset=utf-7", "text/plain; charset=utf-8"),
        ("image/png", "image/png"),
        ("nonsense", "application/octet-stream"),
    ],
)
async def test_nothing_is_shown_in_place_whatever_it_is_said_to_be(
    house: House, recipient: httpx.AsyncClient, said: str, told: str
) -> None:
    offer = house.offer(0, mime=said)
    answer = await recipient.get(offer.content_path)
    assert answer.headers["content-type"] == told
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_an_empty_file_is_whole_at_once(house: House, recipient: httpx.AsyncClient) -> None:
    answer = await recipient.get(house.offer(0).content_path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("state", ["cancelled", "failed", "expired"])
async def test_an_answer_breaks_off_when_its_file_can_not_become_whole(
    house: House, recipient: httpx.AsyncClient, state: str
) -> None:
    offer = house.offer(3 * CHUNK)
    await house.store_chunk(offer, 0)
    async with reading(recipient, offer) as reader:
        await reader.until(CHUNK)
        await house.change(offer, state)
        with pytest.raises(httpx.RemoteProtocolError):
            await reader.until(offer.size)
        assert len(reader.got) == CHUNK


async def test_a_transfer_that_rests_sends_nothing_until_it_goes_on(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    await house.store_chunk(offer, 0)
    async with reading(recipient, offer) as reader:
        await reader.until(CHUNK)
        asked = offer.attached
        await house.change(offer, "paused")
        await until(lambda: offer.attached > asked)
        await house.put(sender, offer, 1)
        rest = asyncio.create_task(reader.until(offer.size))
        await asyncio.wait([rest], timeout=0.1)
        assert not rest.done()
        await house.change(offer, "accepted")
        assert await rest == content_of(offer.size)


async def test_completion_in_between_changes_nothing_for_the_reader(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    await house.put(sender, offer, 0)
    async with reading(recipient, offer) as reader:
        await reader.until(CHUNK)
        await house.put(sender, offer, 1)
        await house.change(offer, "completed")
        assert await reader.until(offer.size) == content_of(offer.size)


async def test_what_was_sent_is_confirmed_only_on_request(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(3 * CHUNK)
    await stored(house, offer)
    await recipient.get(offer.content_path)
    assert not offer.reports
    headers = {"range": f"bytes=5-{2 * CHUNK - 1}"}
    await recipient.get(offer.content_path, params={"confirm": "true"}, headers=headers)
    await until(lambda: offer.reports)
    assert offer.reports[-1]["received"] == {"0": [[1, 1]]}  # of the first it got a part
    assert offer.reports[-1]["user_id"] == str(house.recipient)


async def test_only_a_recipient_who_accepted_reads(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    assert code(await sender.get(offer.content_path)) == (403, "forbidden")
    path = offer.content_path.replace("files/0", "files/1")
    assert code(await recipient.get(path)) == (404, "not-found")
    for state, expected in [
        ("offered", "wrong-state"),
        ("paused", "wrong-state"),
        ("cancelled", "transfer-over"),
    ]:
        await house.change(offer, state)
        answer = await recipient.get(offer.content_path)
        assert code(answer) == (409, expected)
        assert answer.json()["state"] == state


async def test_a_client_that_leaves_is_waited_for_no_longer(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    await house.store_chunk(offer, 0)
    async with reading(recipient, offer) as reader:
        await reader.until(CHUNK)
        name = "fetch-chunk"
        assert any(task.get_name() == name for task in asyncio.all_tasks())
    await until(lambda: not any(task.get_name() == name for task in asyncio.all_tasks()))


async def test_patience_ends_where_nothing_more_comes() -> None:
    house = House()
    offer = house.offer(2 * CHUNK)
    await house.store_chunk(offer, 0)
    async with (
        house.open(upstream_follow_timeout_seconds=0.3),
        house.client(house.recipient) as recipient,
        reading(recipient, offer) as reader,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await reader.until(offer.size)

"""Chunks that are read one by one, each with its digest."""

import hashlib

import httpx
import pytest

from services.gateway.tests.api.transfers.house import CHUNK, House
from services.gateway.tests.api.transfers.test_putting import code


async def test_a_chunk_is_given_out_with_its_digest_whatever_else_is_stored(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK + 77)
    await house.put(sender, offer, 2)
    answer = await recipient.get(offer.put_path(2))
    assert (answer.status_code, answer.content) == (200, offer.chunk(2))
    assert answer.headers["x-chunk-sha256"] == hashlib.sha256(offer.chunk(2)).hexdigest()
    assert answer.headers["content-length"] == "77"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert code(await recipient.get(offer.put_path(1))) == (404, "chunk-missing")


async def test_head_says_the_same_without_the_chunk(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    assert (await recipient.head(offer.put_path(0))).status_code == 404
    await house.put(sender, offer, 0)
    got, told = await recipient.get(offer.put_path(0)), await recipient.head(offer.put_path(0))
    assert (told.status_code, told.content) == (200, b"")
    for name in ("x-chunk-sha256", "content-length", "content-type"):
        assert told.headers[name] == got.headers[name]


async def test_a_chunk_for_somebody_else_stays_in_memory_for_them(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    async with recipient.stream("GET", offer.content_path) as following:
        pieces = following.aiter_raw()
        await house.put(sender, offer, 0)
        got = await anext(pieces)
        assert (await recipient.get(offer.put_path(0))).content == offer.chunk(0)
        await house.put(sender, offer, 1)
        while len(got) < offer.size:
            got += await anext(pieces)
    assert got == offer.chunk(0) + offer.chunk(1)


async def test_a_capability_opens_it_and_nothing_else_does(house: House) -> None:
    offer = house.offer(CHUNK, root="ab" * 32, state="completed")
    await house.store_chunk(offer, 0)
    async with house.client_with(f"Transfer {house.capability(house.recipient)}") as http:
        assert (await http.get(offer.put_path(0))).content == offer.chunk(0)
    async with house.client_with("Transfer szt1.made.up") as http:
        assert code(await http.get(offer.put_path(0))) == (401, "unauthenticated")


async def test_only_a_recipient_who_accepted_reads(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK, state="offered")
    await house.store_chunk(offer, 0)
    assert code(await sender.get(offer.put_path(0))) == (403, "forbidden")
    assert code(await recipient.get(offer.put_path(0))) == (409, "wrong-state")
    await house.change(offer, "accepted")
    assert (await recipient.get(offer.put_path(0))).status_code == 200
    await house.change(offer, "cancelled")
    assert code(await recipient.get(offer.put_path(0))) == (409, "transfer-over")


@pytest.mark.parametrize(("file", "index"), [(0, 1), (1, 0), (0, 2**31 - 1)])
async def test_what_the_transfer_does_not_have_is_not_found(
    house: House, recipient: httpx.AsyncClient, file: int, index: int
) -> None:
    offer = house.offer(CHUNK)
    assert code(await recipient.get(offer.put_path(index, file))) == (404, "not-found")
    nothing = house.offer(0)
    assert code(await recipient.get(nothing.put_path(0))) == (404, "not-found")


async def test_storage_that_is_away_is_said_to_be(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    await house.store_chunk(offer, 0)
    house.store.away = 1
    assert code(await recipient.get(offer.put_path(0))) == (503, "unavailable")
    assert (await recipient.get(offer.put_path(0))).content == offer.chunk(0)

"""Chunks that come up in requests."""

import asyncio
import hashlib
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from services.gateway.tests.api.transfers.house import CHUNK, House, Offer, until
from sharezync_gateway.transfers.core.chunks import decode_frame
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_a_chunk_is_stored_and_its_sender_told_how_far_the_file_is(
    house: House, sender: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK + 100)
    answer = await house.put(sender, offer, 1)
    assert answer.status_code == 200
    assert answer.json() == {"stored_bytes": 100, "next": 0, "complete": False}
    answer = await house.put(sender, offer, 0)
    assert answer.json()["next"] == 2
    stored = [house.store.chunks[offer.upload_id, index].payload for index in range(2)]
    assert stored == [offer.chunk(0), offer.chunk(1)]


async def test_progress_is_reported_and_transfer_asked_once(
    house: House, sender: httpx.AsyncClient
) -> None:
    offer = house.offer(10 * CHUNK)
    await asyncio.gather(*(house.put(sender, offer, index) for index in range(10)))
    await until(lambda: offer.reports and offer.reports[-1]["stored"] == {"0": offer.size})
    assert {report["user_id"] for report in offer.reports} == {str(house.sender)}
    assert len(offer.reports) < 10
    assert offer.attached == 1


async def test_who_receives_on_a_socket_gets_it_from_memory(
    house: House, sender: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    token = house.issuer.access_token(user_id=house.recipient, session_id=SessionId(uuid7())).token
    async with connect(
        f"{house.url.replace('http', 'ws')}/ws/phone",
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("sharezync.v1")],
    ) as socket:
        accept = f'{{"type":"transfer_accept","id":1,"transfer_id":"{offer.id}"}}'
        await socket.send(accept)
        await until(lambda: offer.attached)
        await house.put(sender, offer, 0)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while isinstance(message := await socket.recv(), str):
                pass
    chunk = decode_frame(message)
    assert (chunk.file, chunk.index, bytes(chunk.payload)) == (0, 0, offer.chunk(0))
    assert house.store.gets <= 1


async def test_a_capability_token_opens_the_door_in_its_role(house: House) -> None:
    offer = house.offer(CHUNK)
    async with house.client_with(f"Transfer {house.capability(house.recipient)}") as http:
        assert code(await house.put(http, offer, 0)) == (403, "forbidden")
    async with house.client_with(f"Transfer {house.capability(house.sender)}") as http:
        assert (await house.put(http, offer, 0)).status_code == 200
    await until(lambda: offer.reports)
    assert offer.reports[0]["user_id"] == str(house.sender)


@pytest.mark.parametrize(
    ("shown", "challenge"),
    [
        ("Transfer szt1.made.up", "Transfer"),
        ("Transfer", "Bearer"),
        ("Bearer nonsense", "Bearer"),
        ("Basic x", "Bearer"),
    ],
)
async def test_nothing_else_does(house: House, shown: str, challenge: str) -> None:
    offer = house.offer(CHUNK)
    async with house.client_with(shown) as http:
        answer = await house.put(http, offer, 0)
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith(challenge)
    assert not house.store.puts


async def test_guessing_capabilities_is_counted_by_address() -> None:
    house = House()
    offer = house.offer(CHUNK)
    async with (
        house.open(rate_limit_public="3/minute"),
        house.client_with("Transfer szt1.a.guess") as http,
    ):
        codes = [(await house.put(http, offer, 0)).status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]


async def test_who_has_a_proven_capability_is_not_held_up_by_it() -> None:
    house = House()
    offer = house.offer(6 * CHUNK)
    async with (
        house.open(rate_limit_public="3/minute"),
        house.client_with(f"Transfer {house.capability(house.sender)}") as http,
    ):
        codes = [(await house.put(http, offer, index)).status_code for index in range(6)]
    assert codes == [200] * 6


async def test_strangers_find_nothing(house: House) -> None:
    offer = house.offer(CHUNK)
    async with house.client(UserId(uuid7())) as stranger:
        assert code(await house.put(stranger, offer, 0)) == (404, "not-found")
        unknown = Offer(CHUNK)
        assert code(await house.put(stranger, unknown, 0)) == (404, "not-found")


async def test_what_can_not_be_stored_is_refused_as_on_a_socket(
    house: House, sender: httpx.AsyncClient, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK + 100)
    body = offer.chunk(0)
    other = hashlib.sha256(b"another").hexdigest()
    assert code(await house.put(recipient, offer, 0)) == (403, "forbidden")
    assert code(await house.put(sender, offer, 2, body=b"x")) == (422, "chunk-outside")
    assert code(await house.put(sender, offer, 0, body=body[1:])) == (422, "chunk-length")
    assert code(await house.put(sender, offer, 1, body=body)) == (422, "chunk-length")
    assert code(await house.put(sender, offer, 0, digest=other)) == (422, "chunk-corrupt")
    assert code(await house.put(sender, offer, 0, digest="short")) == (422, "invalid")
    assert code(await house.put(sender, offer, 0, path=offer.put_path(0, 7))) == (
        422,
        "chunk-outside",
    )
    for wrong in (f"/v1/transfers/{uuid4().hex}/files/0/chunks/0", f"{offer.put_path(0)}x"):
        assert code(await house.put(sender, offer, 0, path=wrong)) == (422, "invalid")
    assert not house.store.chunks


async def test_a_transfer_that_is_over_takes_no_more_as_soon_as_that_is_known(
    house: House, sender: httpx.AsyncClient
) -> None:
    offer = house.offer(2 * CHUNK)
    assert (await house.put(sender, offer, 0)).status_code == 200
    await house.change(offer, "cancelled")
    answer = await house.put(sender, offer, 1)
    assert code(answer) == (409, "transfer-over")
    assert answer.json()["state"] == "cancelled"


async def test_a_body_of_unknown_length_is_read_no_further_than_the_chunk(
    house: House, sender: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    digest = {"x-chunk-sha256": hashlib.sha256(offer.chunk(0)).hexdigest()}

    async def pieces(*given: bytes):  # type: ignore[no-untyped-def]
        for piece in given:
            yield piece

    path = offer.put_path(0)
    answer = await sender.put(path, content=pieces(offer.chunk(0), b"more"), headers=digest)
    assert code(answer) == (422, "chunk-length")
    answer = await sender.put(path, content=pieces(offer.chunk(0)[:50]), headers=digest)
    assert code(answer) == (422, "chunk-length")
    answer = await sender.put(path, content=pieces(*[offer.chunk(0)]), headers=digest)
    assert answer.status_code == 200


async def test_chunks_in_memory_are_bounded_by_bytes(
    house: House, sender: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.http.http_context.CALLER_BYTES", 3 * CHUNK)
    offer = house.offer(12 * CHUNK)
    house.store.gate.clear()
    puts = [asyncio.create_task(house.put(sender, offer, index)) for index in range(12)]
    await until(lambda: house.store.puts == 3)
    house.store.gate.set()
    answers = await asyncio.gather(*puts)
    assert [answer.status_code for answer in answers] == [200] * 12
    assert house.store.most_bytes == 3 * CHUNK


async def test_storage_that_stays_away_is_told(
    house: House, sender: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.context._PAUSES_SECONDS", (0.0,))
    offer = house.offer(CHUNK)
    house.store.away = 2
    answer = await house.put(sender, offer, 0)
    assert code(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert (await house.put(sender, offer, 0)).status_code == 200

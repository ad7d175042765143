"""Bad input at every door is told clearly, changes nothing, and the process lives."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets

from tests.blackbox.people import CHUNK_HEADER, Chunk, Person, registered


@pytest.fixture(scope="module")
def regular(base_url: str) -> Person:
    return asyncio.run(registered(base_url, "alice"))


@pytest.fixture
async def alice(regular: Person) -> AsyncIterator[Person]:
    """The same person for all of these tests, of which none changes anything."""
    alice = regular.at(regular.base_url)
    yield alice
    await alice.aclose()


def assert_problem(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"].startswith("application/problem+json")
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"].startswith("urn:sharezync:problem:")
    assert document["code"]
    assert document["request_id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/register", b"{not json"),
        ("/v1/auth/register", b'{"username": 7}'),
        ("/v1/auth/register", b"[]"),
        ("/v1/channels", b'{"name": "x", "kind": "nonsense"}'),
        ("/v1/channels", json.dumps({"name": "x" * 10_000, "kind": "public"}).encode()),
        ("/v1/transfers", b'{"recipients": [], "files": []}'),
        ("/v1/channels", b"\xff\xfe"),
    ],
)
async def test_bad_bodies_are_refused(alice: Person, path: str, body: bytes) -> None:
    answer = await alice.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, 422)


async def test_too_much_is_refused(alice: Person) -> None:
    channel_id = await alice.channel()
    long_text = await alice.http.post(
        f"/v1/channels/{channel_id}/messages", json={"text": "x" * 200_000}
    )
    huge = await alice.http.post("/v1/channels", content=b"x" * 2_000_000)
    assert_problem(long_text, 413, 422)
    assert_problem(huge, 413)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "", "x" * 20_000])
async def test_wrong_tokens_are_refused(alice: Person, token: str) -> None:
    answer = await alice.http.get(
        "/v1/users/me", headers={"Authorization": f"Bearer {token}".strip()}
    )
    assert_problem(answer, 400, 401, 431)


async def test_unknown_ids_paths_and_methods_are_refused(alice: Person) -> None:
    nobody = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
    for path in ("channels", "messages", "files", "transfers", "users"):
        assert_problem(await alice.http.get(f"/v1/{path}/{nobody}"), 404)
        assert_problem(await alice.http.get(f"/v1/{path}/not-an-id"), 404, 422)
    assert_problem(await alice.http.get("/v1/nothing/here"), 404)
    assert_problem(await alice.http.get("/internal/users"), 404)
    assert_problem(await alice.http.get("/v1/../internal/users"), 400, 404)
    assert_problem(await alice.http.put("/v1/channels"), 405)


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        "{}",
        '{"type": 7}',
        '{"type": "no_such_type", "id": 1}',
        '{"type": "send_message", "id": 1}',
        '{"type": "send_message", "id": 1, "channel_id": "nonsense", "text": 9}',
        '{"type": "resume", "cursors": {"channel:x": "y"}}',
        '{"type": "file_chunk", "transfer_id": "x", "file": -1, "index": 0, "data": "!"}',
        '{"type": "chunk_ack"}',
        b"",
        b"\x01",
        b"\x07" * 200,
    ],
)
async def test_bad_frames_are_answered_and_the_socket_lives(
    alice: Person, frame: str | bytes
) -> None:
    async with alice.connected() as socket:
        await socket.say(frame)
        error = await socket.of_type("error")
        await socket.send({"type": "ping"})
        await socket.of_type("pong")
    assert error["code"]
    assert error["message"]
    assert isinstance(error["retryable"], bool)


async def test_a_binary_frame_that_lies_about_its_length_is_refused(alice: Person) -> None:
    honest = Chunk("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", 0, 0, b"payload").encode()
    lying = bytearray(honest)
    struct.pack_into(">I", lying, CHUNK_HEADER.size - 36, 1_000_000)
    async with alice.connected() as socket:
        await socket.say(bytes(lying))
        await socket.of_type("error")
        await socket.send({"type": "ping"})
        await socket.of_type("pong")


async def test_an_overlong_frame_closes_with_1009_and_others_live(
    alice: Person, bob: Person
) -> None:
    async with alice.connected() as alices, bob.connected() as bobs:
        await alices.say(json.dumps({"type": "ping", "pad": "x" * 100_000}))
        await alices.closed.wait()
        assert alices.connection.close_code == 1009
        await bobs.send({"type": "ping"})
        await bobs.of_type("pong")


async def test_a_socket_without_a_valid_token_is_closed(base_url: str) -> None:
    url = base_url.replace("http", "ws", 1) + "/ws/laptop"
    async with websockets.connect(
        url, subprotocols=[websockets.Subprotocol("sharezync.v1")]
    ) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": "nonsense"}))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4501


async def test_the_process_lives(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url) as http:
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/ready")).status_code == 200

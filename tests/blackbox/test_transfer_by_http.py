"""Files from person to person without a socket: chunks put in, files read out, over HTTP."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sharezync import Client, MemoryTokens, Tokens
from sharezync.transfer.transfers import Over
from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Person

CHUNK = 64 * 1024


@dataclass
class Sent:
    """A file that somebody offers in chunks of 64 KiB, and has accepted by another."""

    id: str
    content: bytes
    sends: str
    """The capability token of who sends."""
    reads: str
    """That of who receives."""

    @classmethod
    async def offer(cls, sender: Person, recipient: Person, content: bytes) -> "Sent":
        offered = await sender.post(
            "/v1/transfers",
            {
                "recipients": [{"user_id": recipient.id}],
                "files": [{"name": "film.mkv", "size": len(content), "mime": "video/x-matroska"}],
                "chunk_size": CHUNK,
            },
        )
        accepted = await recipient.post(f"/v1/transfers/{offered['id']}/accept", expect=200)
        return cls(offered["id"], content, offered["token"], accepted["token"])

    @property
    def path(self) -> str:
        return f"/v1/transfers/{self.id}"

    @property
    def content_path(self) -> str:
        return f"{self.path}/files/0/content"

    @property
    def count(self) -> int:
        return -(-len(self.content) // CHUNK)

    @property
    def root(self) -> str:
        pieces = (self.chunk(index) for index in range(self.count))
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in pieces)).hexdigest()

    def chunk(self, index: int) -> bytes:
        return self.content[index * CHUNK : (index + 1) * CHUNK]

    async def put(
        self,
        http: httpx.AsyncClient,
        index: int,
        payload: bytes | None = None,
        *,
        said: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Put a chunk, or something else in its place; `said` is what its digest is made of."""
        payload = self.chunk(index) if payload is None else payload
        digest = hashlib.sha256(payload if said is None else said).hexdigest()
        return await http.put(
            f"{self.path}/files/0/chunks/{index}",
            content=payload,
            headers={"X-Chunk-Sha256": digest, **(headers or {})},
        )


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def capability(token: str) -> dict[str, str]:
    return {"Authorization": f"Transfer {token}"}


class Reader:
    """Reads an answer that is still being written."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.got = b""
        self._pieces = answer.aiter_raw()

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.got) < size:
                self.got += await anext(self._pieces)
        return self.got


@asynccontextmanager
async def reading(
    person: Person, sent: Sent, headers: dict[str, str] | None = None
) -> AsyncGenerator[Reader]:
    async with person.http.stream("GET", sent.content_path, headers=headers) as answer:
        yield Reader(answer)


@pytest.fixture
async def sent(alice: Person, bob: Person) -> Sent:
    return await Sent.offer(alice, bob, os.urandom(5 * CHUNK + 77))


async def test_chunks_in_any_order_and_more_than_once_become_the_file(
    alice: Person, bob: Person, sent: Sent
) -> None:
    for index in (4, 0, 5, 2):
        assert (await sent.put(alice.http, index)).status_code == 200
    again = await sent.put(alice.http, 2)
    assert again.json() == {"stored_bytes": 3 * CHUNK + 77, "next": 1, "complete": False}
    missing = await alice.get(f"{sent.path}/missing")
    assert missing["files"][0]["missing"] == [[1, 1], [3, 3]]
    too_soon = await alice.http.post(f"{sent.path}/complete")
    assert code(too_soon) == (409, "upload-incomplete")

    answers = await asyncio.gather(*(sent.put(alice.http, index) for index in (3, 1)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await sent.put(alice.http, 0)).json()["complete"]
    await alice.post(f"{sent.path}/complete", expect=200)

    got = await bob.http.get(sent.content_path)
    assert got.content == sent.content
    assert got.headers["etag"] == f'"{sent.root}"'
    assert got.headers["content-type"] == "video/x-matroska"
    assert (await bob.get(sent.path))["state"] != "completed", "reading is not confirming"
    held = {"file": 0, "ranges": [[0, sent.count - 1]]}
    await bob.post(f"{sent.path}/receipts", held, expect=200)
    for end in (alice, bob):
        assert (await end.get(sent.path))["state"] == "completed"


async def test_what_is_no_chunk_of_the_file_is_refused_and_stops_nothing(
    alice: Person, sent: Sent
) -> None:
    damaged = await sent.put(alice.http, 0, b"x" * CHUNK, said=sent.chunk(0))
    short = await sent.put(alice.http, 0, sent.chunk(0)[:-1])
    long = await sent.put(alice.http, sent.count - 1, sent.chunk(0))
    outside = await sent.put(alice.http, sent.count, b"")
    unnamed = await alice.http.put(f"{sent.path}/files/0/chunks/0", content=sent.chunk(0))
    assert [code(each) for each in (damaged, short, long, outside, unnamed)] == [
        (422, "chunk-corrupt"),
        (422, "chunk-length"),
        (422, "chunk-length"),
        (422, "chunk-outside"),
        (422, "invalid"),
    ]
    assert (await sent.put(alice.http, 0)).status_code == 200
    another = await sent.put(alice.http, 0, b"y" * CHUNK)
    assert code(another) == (409, "chunk-conflict"), "what is stored stays"


async def test_a_reader_gets_what_is_stored_while_the_rest_is_still_sent(
    alice: Person, bob: Person, sent: Sent
) -> None:
    await sent.put(alice.http, 0)
    async with reading(bob, sent) as reader:
        assert reader.answer.status_code == 200
        assert int(reader.answer.headers["content-length"]) == len(sent.content)
        assert "etag" not in reader.answer.headers, "nobody knows yet what it will be"
        assert await reader.until(CHUNK) == sent.chunk(0)
        await sent.put(alice.http, 2)
        await sent.put(alice.http, 1)
        assert await reader.until(3 * CHUNK) == sent.content[: 3 * CHUNK]
    # The reader's line broke; it comes back for the rest, which is not all there yet.
    rest = {"Range": f"bytes={3 * CHUNK}-"}
    async with reading(bob, sent, rest) as reader:
        assert reader.answer.status_code == 206
        for index in range(3, sent.count):
            await sent.put(alice.http, index)
        await alice.post(f"{sent.path}/complete", expect=200)
        assert await reader.until(len(sent.content) - 3 * CHUNK) == sent.content[3 * CHUNK :]


async def test_a_stored_chunk_is_read_by_itself_and_checked_before_and_after_the_end(
    alice: Person, bob: Person, sent: Sent
) -> None:
    path = f"{sent.path}/files/0/chunks/2"
    assert code(await bob.http.get(path)) == (404, "chunk-missing")
    await sent.put(alice.http, 2)
    early = await bob.http.get(path)
    for index in range(sent.count):
        await sent.put(alice.http, index)
    await alice.post(f"{sent.path}/complete", expect=200)
    late, told = await bob.http.get(path), await bob.http.head(path)
    assert early.content == late.content == sent.chunk(2)
    digest = hashlib.sha256(sent.chunk(2)).hexdigest()
    assert {each.headers["x-chunk-sha256"] for each in (early, late, told)} == {digest}
    assert code(await alice.http.get(path)) == (403, "forbidden")


async def test_ranges_and_conditions_are_as_of_any_file(
    alice: Person, bob: Person, sent: Sent
) -> None:
    for index in range(sent.count):
        await sent.put(alice.http, index)
    early = await bob.http.head(sent.content_path)
    await alice.post(f"{sent.path}/complete", expect=200)

    size = len(sent.content)
    etag = f'"{sent.root}"'
    async with asyncio.timeout(DEADLINE_SECONDS):  # storage tells of the root a moment later
        head = await bob.http.head(sent.content_path)
        while "etag" not in head.headers:
            await asyncio.sleep(0.05)
            head = await bob.http.head(sent.content_path)
    assert (head.status_code, head.content) == (200, b"")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(size), etag)
    assert "etag" not in early.headers

    async def get(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await bob.http.get(sent.content_path, headers=named)

    part = await get(Range=f"bytes={CHUNK - 1}-{CHUNK}")
    assert (part.status_code, part.content) == (206, sent.content[CHUNK - 1 : CHUNK + 1])
    assert part.headers["content-range"] == f"bytes {CHUNK - 1}-{CHUNK}/{size}"
    assert (await get(Range="bytes=-10")).content == sent.content[-10:]
    assert (await get(Range="bytes=0-4", If_Range=etag)).status_code == 206
    changed = await get(Range="bytes=0-4", If_Range='"another"')
    assert (changed.status_code, changed.content) == (200, sent.content)
    assert (await get(If_None_Match=etag)).status_code == 304
    beyond = await get(Range=f"bytes={size}-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"


async def test_nobody_else_finds_a_door(
    alice: Person, bob: Person, carol: Person, sent: Sent
) -> None:
    held = {"file": 0, "ranges": [[0, 0]]}
    answers = [
        await sent.put(carol.http, 0),
        await carol.http.get(sent.content_path),
        await carol.http.get(f"{sent.path}/missing"),
        await carol.http.post(f"{sent.path}/complete"),
        await carol.http.post(f"{sent.path}/receipts", json=held),
        await carol.http.post(f"{sent.path}/token"),
    ]
    assert [code(each) for each in answers] == [(404, "not-found")] * len(answers)
    assert code(await sent.put(bob.http, 0)) == (403, "forbidden"), "who receives sends nothing"
    assert code(await alice.http.get(sent.content_path)) == (403, "forbidden")


async def test_a_token_opens_its_own_end_of_its_own_transfer(
    base_url: str, alice: Person, bob: Person, sent: Sent
) -> None:
    other = await Sent.offer(alice, bob, os.urandom(CHUNK))
    held = {"file": 0, "ranges": [[0, sent.count - 1]]}
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as nobody:

        async def tried(token: str) -> list[int]:
            """What a token opens: put, missing, complete; content, receipts; and the rest."""
            shown = capability(token)
            answers = [
                await sent.put(nobody, 0, headers=shown),
                await nobody.get(f"{sent.path}/missing", headers=shown),
                await nobody.post(f"{sent.path}/complete", headers=shown),
                await nobody.head(sent.content_path, headers=shown),
                await nobody.post(f"{sent.path}/receipts", headers=shown, json=held),
                await nobody.get(sent.path, headers=shown),
                await nobody.post(f"{sent.path}/cancel", headers=shown),
            ]
            return [answer.status_code for answer in answers]

        for index in range(1, sent.count):
            put = await sent.put(nobody, index, headers=capability(sent.sends))
            assert put.status_code == 200
        assert await tried(other.sends) == [401] * 7, "of another transfer"
        assert await tried(other.reads) == [401] * 7
        assert await tried(sent.sends[:-2] + "AA") == [401] * 7, "made up"
        assert await tried(sent.reads) == [403, 200, 403, 200, 200, 401, 401]
        assert await tried(sent.sends) == [200, 200, 200, 403, 403, 401, 401]
        got = await nobody.get(sent.content_path, headers=capability(sent.reads))
    assert got.content == sent.content
    for end in (alice, bob):
        assert (await end.get(sent.path))["state"] == "completed"


async def test_what_is_cancelled_opens_to_nobody_and_breaks_off_whoever_reads(
    base_url: str, alice: Person, bob: Person, sent: Sent
) -> None:
    await sent.put(alice.http, 0)
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=30) as nobody,
        reading(bob, sent) as reader,
    ):
        await reader.until(CHUNK)
        await alice.post(f"{sent.path}/cancel", expect=200)
        with pytest.raises(httpx.RemoteProtocolError):
            await reader.until(2 * CHUNK)
        put = await sent.put(nobody, 1, headers=capability(sent.sends))
        got = await nobody.get(sent.content_path, headers=capability(sent.reads))
    assert (put.status_code, got.status_code) == (401, 401)
    assert code(await sent.put(alice.http, 1)) == (409, "transfer-over")
    assert code(await bob.http.get(sent.content_path)) == (409, "transfer-over")
    assert code(await alice.http.post(f"{sent.path}/token")) == (409, "transfer-over")


async def test_one_end_may_have_a_socket_and_the_other_none(
    alice: Person, bob: Person, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(48 * CHUNK + 1))

    def client_of(person: Person) -> Client:
        return Client(person.base_url, tokens=MemoryTokens(Tokens.granted(person.tokens)))

    async def moved(sender: Client, receiver: Client, *, sender_has_one: bool) -> str:
        """Move the film one way; return its state at the end."""
        to = bob if sender is alices else alice
        ways: tuple[Over, Over] = ("socket", "http") if sender_has_one else ("http", "socket")
        sending = asyncio.create_task(
            sender.session().transfers.send(
                [film], to=[to.username], device="laptop", over=ways[0], wait="all"
            )
        )
        transfers = receiver.session().transfers
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (found := await transfers.all(role="recipient", state="offered")):  # noqa: ASYNC110 - it asks
                await asyncio.sleep(0.05)
        into = tmp_path / to.username
        files = await transfers.receive(
            found[0], into, device="laptop", over=ways[1], record_in=tmp_path / "records"
        )
        assert [file.read_bytes() for file in files] == [film.read_bytes()]
        return (await sending).transfer.state

    async with client_of(alice) as alices, client_of(bob) as bobs:
        there = await moved(alices, bobs, sender_has_one=True)
        back = await moved(bobs, alices, sender_has_one=False)
    assert [there, back] == ["completed"] * 2


async def test_an_offer_whose_time_is_over_takes_nothing_more(alice: Person, bob: Person) -> None:
    offered = await alice.post(
        "/v1/transfers",
        {
            "recipients": [{"user_id": bob.id}],
            "files": [{"name": "late.bin", "size": 2 * CHUNK}],
            "chunk_size": CHUNK,
            "expires_in_s": 1,
        },
    )
    late = Sent(offered["id"], os.urandom(2 * CHUNK), offered["token"], "")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await alice.get(late.path))["state"] != "expired":  # noqa: ASYNC110 - it asks
            await asyncio.sleep(0.1)
    by_token = await late.put(alice.http, 0, headers=capability(late.sends))
    assert by_token.status_code == 401
    assert code(await late.put(alice.http, 0)) == (409, "transfer-over")
    accepted = await bob.http.post(f"{late.path}/accept")
    assert code(accepted) == (409, "transfer-over")

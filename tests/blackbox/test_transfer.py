"""A file from one person's device to another's, over the socket, in verified chunks."""

import asyncio
import hashlib
import os

from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Chunk, Json, Person, Socket

MIB = 1024 * 1024


async def offer(sender: Socket, recipient: Person, name: str, content: bytes) -> Json:
    reply = await sender.command(
        "file_transfer_start",
        recipients=[{"user_id": recipient.id}],
        files=[
            {
                "name": name,
                "size": len(content),
                "mime": "application/octet-stream",
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
        chunk_size=MIB,
    )
    assert reply["type"] == "reply", reply
    return dict(reply["data"])


def chunks_of(transfer: Json, content: bytes) -> list[Chunk]:
    size = transfer["chunk_size_bytes"]
    return [
        Chunk(transfer["id"], 0, index, content[start : start + size])
        for index, start in enumerate(range(0, len(content), size))
    ]


async def acknowledged(sender: Socket, next_index: int) -> None:
    """Wait until the chunks before `next_index` are stored."""
    await sender.frame(lambda f: f["type"] == "chunk_ack" and f["next"] >= next_index)


async def send_all(sender: Socket, transfer: Json, content: bytes, window_bytes: int) -> None:
    """Send as a client does: never more unacknowledged bytes than the window."""
    chunks = chunks_of(transfer, content)
    for number, chunk in enumerate(chunks):
        behind = number - window_bytes // len(chunk.payload)
        if behind >= 0:
            await acknowledged(sender, behind + 1)
        await sender.say(chunk.encode())


async def receive_all(receiver: Socket, transfer: Json, size: int) -> bytes:
    """Receive, check and acknowledge chunk by chunk; return the file."""
    received: dict[int, bytes] = {}
    total = 0
    while total < size:
        async with asyncio.timeout(60):
            chunk = await receiver.chunks.get()
        assert chunk.transfer_id == transfer["id"]
        assert hashlib.sha256(chunk.payload).digest() == chunk.sha256
        if chunk.index not in received:
            total += len(chunk.payload)
        received[chunk.index] = chunk.payload
        first_missing = 0
        while first_missing in received:
            first_missing += 1
        await receiver.send(
            {"type": "chunk_ack", "transfer_id": transfer["id"], "file": 0, "next": first_missing}
        )
    return b"".join(received[index] for index in sorted(received))


async def test_a_64_mib_file_arrives_identical_with_progress_on_both_ends(
    alice: Person, bob: Person
) -> None:
    content = os.urandom(64 * MIB)
    async with alice.connected("laptop") as alices, bob.connected("phone") as bobs:
        transfer = await offer(alices, bob, "film.mkv", content)
        incoming = await bobs.event("incoming_transfer", id=transfer["id"])
        accepted = await bobs.command("transfer_accept", transfer_id=transfer["id"])
        assert accepted["type"] == "reply", accepted

        _, received = await asyncio.gather(
            send_all(alices, transfer, content, transfer["window_bytes"]),
            receive_all(bobs, transfer, len(content)),
        )
        done = await alices.command("transfer_complete", transfer_id=transfer["id"])
        assert done["type"] == "reply", done
        completed = [
            await end.event("transfer_completed", id=transfer["id"]) for end in (alices, bobs)
        ]
        progress = [
            [frame for frame in end.frames if frame["type"] == "progress_update"]
            for end in (alices, bobs)
        ]

    assert incoming["data"]["files"][0]["name"] == "film.mkv"
    assert received == content
    assert all(progress), "both ends see the progress"
    assert completed[0]["data"]["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()


async def test_the_receiver_gets_chunks_before_the_sender_has_finished(
    alice: Person, bob: Person
) -> None:
    content = os.urandom(3 * MIB)
    async with alice.connected("laptop") as alices, bob.connected("phone") as bobs:
        transfer = await offer(alices, bob, "a.bin", content)
        await bobs.event("incoming_transfer", id=transfer["id"])
        await bobs.command("transfer_accept", transfer_id=transfer["id"])
        chunks = chunks_of(transfer, content)
        await alices.say(chunks[0].encode())
        async with asyncio.timeout(DEADLINE_SECONDS):
            first = await bobs.chunks.get()
    assert first.payload == chunks[0].payload


async def test_a_chunk_in_json_is_as_good_as_a_binary_one(alice: Person, bob: Person) -> None:
    content = os.urandom(100_000)
    async with alice.connected("laptop") as alices, bob.connected("phone") as bobs:
        transfer = await offer(alices, bob, "small.bin", content)
        await bobs.event("incoming_transfer", id=transfer["id"])
        await bobs.command("transfer_accept", transfer_id=transfer["id"])
        await alices.say(chunks_of(transfer, content)[0].encode_json())
        assert await receive_all(bobs, transfer, len(content)) == content
        await alices.command("transfer_complete", transfer_id=transfer["id"])
        await bobs.event("transfer_completed", id=transfer["id"])


async def test_a_corrupt_chunk_is_refused_and_only_that_one(alice: Person, bob: Person) -> None:
    content = os.urandom(2 * MIB)
    async with alice.connected("laptop") as alices:
        transfer = await offer(alices, bob, "b.bin", content)
        good, other = chunks_of(transfer, content)
        bad = Chunk(transfer["id"], 0, 0, b"x" * len(good.payload), good.sha256)
        await alices.say(bad.encode())
        error = await alices.of_type("error")
        await alices.say(good.encode())
        await alices.say(other.encode())
        await acknowledged(alices, 2)
    assert error["code"] == "chunk-corrupt"


async def test_what_was_stored_waits_for_a_recipient_who_was_away(
    alice: Person, bob: Person
) -> None:
    content = os.urandom(2 * MIB + 17)
    async with alice.connected("laptop") as alices:
        transfer = await offer(alices, bob, "later.bin", content)
        await send_all(alices, transfer, content, transfer["window_bytes"])
        await acknowledged(alices, 3)
        await alices.command("transfer_complete", transfer_id=transfer["id"])

    waiting = (await bob.get("/v1/transfers"))["items"]
    assert [item["id"] for item in waiting] == [transfer["id"]]
    async with bob.connected("phone") as bobs:
        await bobs.command("transfer_accept", transfer_id=transfer["id"])
        assert await receive_all(bobs, transfer, len(content)) == content
        await bobs.event("transfer_completed", id=transfer["id"])


async def test_a_stranger_can_neither_see_nor_feed_a_transfer(
    alice: Person, bob: Person, carol: Person
) -> None:
    content = os.urandom(1000)
    async with alice.connected("laptop") as alices, carol.connected("spy") as carols:
        transfer = await offer(alices, bob, "c.bin", content)
        await carol.get(f"/v1/transfers/{transfer['id']}", expect=404)
        await carols.say(chunks_of(transfer, content)[0].encode())
        refused = await carols.of_type("error")
        accept = await carols.command("transfer_accept", transfer_id=transfer["id"])
    assert refused["code"] == "not-found"
    assert accept["type"] == "error"
    assert accept["code"] == "not-found"


async def test_what_one_chooses_on_one_device_the_others_hear(alice: Person, bob: Person) -> None:
    stream, account = f"transfers:{bob.id}", f"account:{bob.id}"
    async with bob.connected("phone") as phone, bob.connected("laptop") as laptop:
        policy = f"/v1/transfers/policies/{(await phone.of_type('ready'))['device']}"
        chosen = await bob.http.put(policy, json={"policy": "accept_known"})
        await bob.http.put(f"/v1/blocks/{alice.id}")
        last = await bob.http.delete(f"/v1/blocks/{alice.id}")
        for socket in (phone, laptop):
            await socket.of_type("user_unblocked")
            await socket.of_type("policy_updated")
            told = {s: [e["type"] for e in socket.events(s)] for s in (account, stream)}
            assert told[account] == ["user_blocked", "user_unblocked"]
            assert told[stream] == ["policy_updated"]
            assert socket.events(stream)[0]["data"] == chosen.json()
            end = socket.events(account)[-1]
            place = f"{account} {end['epoch']} {end['seq']}"
            assert last.headers["stream-position"] == place

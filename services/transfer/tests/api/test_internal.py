"""What gateways may call, and nobody else."""

import pytest

from services.transfer.tests.support.world import MIB, World, state_of
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until
from sharezync_transfer.models import chunks_stream


async def test_a_transfer_runs_on_commands_alone(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    started = await world.command(
        ada,
        "file_transfer_start",
        recipients=[{"user_id": bob.id}],
        files=[{"name": "a", "size": MIB}],
        chunk_size=65536,
    )
    transfer = started["data"]
    assert (transfer["chunk_size_bytes"], transfer["window_bytes"]) == (65536, 4 * MIB)
    named = {"transfer_id": transfer["id"]}
    assert (await world.command(phone, "transfer_accept", **named))["data"]["state"] == "accepted"
    assert (await world.command(phone, "transfer_pause", **named))["data"]["state"] == "paused"
    resumed = await world.command(phone, "transfer_resume", **named, have={"0": [[0, 3]]})
    assert resumed["data"]["recipients"][0]["received_bytes"] == 4 * 65536
    await world.report(phone, transfer, received={"0": [[4, 15]]})
    world.peers.store_everything()
    done = await world.command(ada, "transfer_complete", **named)
    assert done["data"] == await ada.sees(transfer)
    assert done["data"]["state"] == "completed"


@pytest.mark.parametrize(("command", "state"), [("reject", "rejected"), ("cancel", "cancelled")])
async def test_a_transfer_ends_on_a_command(world: World, command: str, state: str) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    result = await world.command(bob, f"transfer_{command}", transfer_id=offered["id"])
    assert result["data"]["state"] == state


async def test_what_is_wrong_with_a_command_is_a_problem_in_its_place(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    commands = [
        ("transfer_accept", {"transfer_id": str(uuid7())}, "not-found"),
        ("transfer_accept", {"transfer_id": 7}, "invalid"),
        ("transfer_accept", {"transfer_id": offered["id"], "files": [5]}, "invalid"),
        ("transfer_pause", {}, "invalid"),
        ("send_message", {}, "invalid"),
        ("file_transfer_start", {"recipients": [], "files": []}, "invalid"),
    ]
    body = [{"user_id": bob.id, "kind": kind, "data": data} for kind, data, _ in commands]
    answer = await world.gateway.post("/internal/commands", json={"commands": body})
    problems = [result["problem"] for result in answer.json()["results"]]
    assert [problem["code"] for problem in problems] == [code for _, _, code in commands]
    assert problems[1]["errors"][0]["field"] == "data.transfer_id"


async def test_a_problem_that_passes_says_when_to_come_again(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.away.add("storage")
    result = await world.command(ada, "transfer_complete", transfer_id=offered["id"])
    assert result["problem"]["code"] == "unavailable"
    assert result["problem"]["retry_after_seconds"] == 1


async def test_a_gateway_learns_where_chunks_go(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 2 * MIB + 1, "b": 0})
    attached = await world.attach(ada, offered)
    assert attached["role"] == "sender"
    assert attached["window_bytes"] == 4 * MIB
    assert attached["transfer"] == state_of(await ada.sees(offered))
    assert attached["received"] == {}
    (upload_id,) = (i for i, u in world.peers.uploads.items() if u.body["name"] == "a")
    assert attached["files"][0] == {
        "index": 0,
        "upload_id": upload_id,
        "size_bytes": 2 * MIB + 1,
        "chunk_size_bytes": MIB,
        "chunk_count": 3,
        "accepted": True,
    }
    assert [file["accepted"] for file in (await world.attach(bob, offered))["files"]] == [False] * 2


async def test_with_the_answer_comes_what_a_gateway_would_ask_next(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    started = await world.command(
        ada,
        "file_transfer_start",
        recipients=[{"user_id": bob.id}],
        files=[{"name": "a", "size": 2 * MIB}, {"name": "b", "size": 1}],
    )
    transfer = started["data"]
    named = {"transfer_id": transfer["id"]}
    assert started["end"] == await world.attach(ada, transfer)
    for files in ([0], [0], None):  # the same again changes nothing, and is answered alike
        accepted = await world.command(phone, "transfer_accept", **named, files=files)
        assert accepted["end"] == await world.attach(phone, transfer)
        assert accepted["end"]["received"] == {"0": []}
    resumed = await world.command(phone, "transfer_resume", **named, have={"0": [[1, 1]]})
    assert resumed["end"] == await world.attach(phone, transfer)
    assert resumed["end"]["received"] == {"0": [[1, 1]]}
    paused = await world.command(phone, "transfer_pause", **named)
    assert "end" not in paused
    for person in (ada, phone):
        resumed = await world.command(person, "transfer_resume", **named)
        assert resumed["end"] == await world.attach(person, transfer)
        await world.command(phone, "transfer_pause", **named)


async def test_who_sends_to_themselves_is_told_of_the_end_that_spoke(world: World) -> None:
    (ada,) = await world.people(1)
    laptop, phone = await world.on_device(ada), await world.on_device(ada)
    started = await world.command(
        laptop,
        "file_transfer_start",
        recipients=[{"user_id": ada.id, "device_id": phone.device_id}],
        files=[{"name": "a", "size": 1}],
    )
    assert started["end"]["role"] == "sender"
    named = {"transfer_id": started["data"]["id"]}
    accepted = await world.command(phone, "transfer_accept", **named)
    assert accepted["end"] == await world.attach(phone, started["data"])
    assert accepted["end"]["role"] == "recipient"


async def test_strangers_are_attached_to_nothing(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob)
    assert (await world.attach(eve, offered, 404))["code"] == "not-found"
    assert (await world.attach(ada, {"id": uuid7()}, 404))["code"] == "not-found"


async def test_gateways_are_told_when_a_transfer_changes(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "accept")
    stream = chunks_stream(offered["id"])
    await wait_until(lambda: [frame for frame in world.sent if frame.stream == stream])
    (frame,) = (frame for frame in world.sent if frame.stream == stream)
    assert (frame.seq, frame.text) == (0, b"")
    assert frame.control is not None
    assert frame.control.chunk == ["changed"]


async def test_everybody_is_on_their_own_stream(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob)
    answer = await world.gateway.get("/internal/streams/heads", params={"user_id": bob.id})
    assert answer.json()["streams"].keys() == {bob.stream}
    assert answer.json()["streams"][bob.stream][1] == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/internal/commands"),
        ("POST", "/internal/transfers/01a1ffa4-5d08-7bcf-a402-c19586e1e98a/attach"),
        ("POST", "/internal/transfers/01a1ffa4-5d08-7bcf-a402-c19586e1e98a/progress"),
        ("GET", "/internal/streams/heads"),
    ],
)
async def test_people_can_not_call_what_is_for_services(
    world: World, method: str, path: str
) -> None:
    ada = await world.person()
    await ada.call(method, path, 401, json={})

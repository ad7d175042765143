"""What gateways ask for: commands of sockets, heads and replays of streams."""

import httpx
import msgspec

from services.chat.tests.support.world import Json, World, channel_stream
from sharezync_shared.sizes import (
    MAX_COMMANDS,
    MAX_JSON_BODY_BYTES,
    MAX_TEXT_CHARACTERS,
    MAX_TEXT_FRAME_BYTES,
)


async def run(world: World, *commands: Json, status: int = 200) -> list[Json]:
    gateway = await world.service()
    answer = await gateway.post("/internal/commands", json={"commands": list(commands)})
    assert answer.status_code == status, answer.text
    results: list[Json] = answer.json().get("results", [])
    return results


def send(user_id: str, path: str, text: str = "hello", **more: object) -> Json:
    data = {"channel_id": path.rpartition("/")[2], "text": text, **more}
    return {"user_id": user_id, "kind": "send_message", "data": data}


async def test_a_socket_posts_by_the_same_rules_as_rest(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("private", bob)
    by_rest = await ada.say(path, "by rest", client_message_id="k")
    nowhere = "/v1/channels/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
    results = await run(
        world,
        send(bob.id, path, "by socket", client_message_id="k"),
        send(ada.id, path, "by rest", client_message_id="k"),
        send(eve.id, path),
        send(ada.id, nowhere),
        send(ada.id, path, ""),
        send(ada.id, path, "a\0b"),
        send(ada.id, path, reply_to=by_rest["id"]),
    )
    assert results[0]["data"]["text"] == "by socket"
    assert results[1]["data"] == by_rest
    assert [result.get("problem", {}).get("code") for result in results[2:6]] == [
        "not-found",
        "not-found",
        "invalid",
        "invalid",
    ]
    assert results[4]["problem"]["status"] == 422
    assert results[5]["problem"]["errors"][0]["field"] == "data.text"
    assert results[6]["data"]["reply_to"] == by_rest["id"]
    history = (await ada.get(f"{path}/messages"))["items"]
    assert history == [results[6]["data"], results[0]["data"], by_rest]


async def test_one_users_messages_stand_in_the_order_they_were_sent(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    files = [world.peers.add_file(ada.id) for _ in range(3)]
    commands = []
    for n in range(12):
        attached = {"attachments": [files[n // 4]]} if n % 4 == 0 else {}
        commands += [send(ada.id, path, f"ada {n}", **attached), send(bob.id, path, f"bob {n}")]
    results = await run(world, *commands)
    for start, who in enumerate(("ada", "bob")):
        mine = [result["data"] for result in results[start::2]]
        assert [message["text"] for message in mine] == [f"{who} {n}" for n in range(12)]
        assert [m["seq"] for m in mine] == sorted(m["seq"] for m in mine)


async def test_as_many_of_the_longest_messages_as_a_batch_holds_are_posted(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    count = MAX_JSON_BODY_BYTES // MAX_TEXT_FRAME_BYTES
    longest = [send(ada.id, path, "🙂" * MAX_TEXT_CHARACTERS) for _ in range(count)]
    gateway = await world.service()
    answer = await gateway.post(
        "/internal/commands", content=msgspec.json.encode({"commands": longest})
    )
    assert answer.status_code == 200, answer.text[:200]
    assert [len(r["data"]["text"]) for r in answer.json()["results"]] == [
        MAX_TEXT_CHARACTERS
    ] * count


async def test_a_socket_marks_as_read(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await ada.say(path)
    channel_id = path.rpartition("/")[2]
    mark: Json = {"channel_id": channel_id, "seq": message["seq"]}
    results = await run(
        world,
        {"user_id": bob.id, "device_id": bob.id, "kind": "mark_read", "data": mark},
        {"user_id": bob.id, "kind": "mark_read", "data": {**mark, "seq": -1}},
        {"user_id": bob.id, "kind": "mark_read", "data": {}},
    )
    assert results[0]["data"]["unread_count"] == 0
    assert results[1]["problem"]["errors"][0]["field"] == "data.seq"
    assert results[2]["problem"]["errors"][0]["field"] == "data.channel_id"
    assert (await world.events(f"inbox:{bob.id}"))[-1]["type"] == "read.updated"


async def test_commands_that_make_no_sense_are_refused(world: World) -> None:
    ada = await world.person()
    (result,) = await run(world, {"user_id": ada.id, "kind": "dance", "data": {}})
    assert result["problem"]["code"] == "invalid"
    await run(world, status=422)
    await run(world, {"user_id": "nobody", "kind": "mark_read", "data": {}}, status=422)
    await run(world, {"user_id": ada.id, "kind": "mark_read"}, status=422)
    await run(world, *[send(ada.id, "/x")] * (MAX_COMMANDS + 1), status=422)


async def test_a_body_that_is_no_list_of_commands_is_refused_as_everywhere(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    gateway = await world.service()
    command = {"commands": [send(ada.id, path)]}

    async def refused(body: bytes, status: int, client: httpx.AsyncClient = gateway) -> Json:
        answer = await client.post("/internal/commands", content=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: Json = answer.json()
        return problem

    assert (await refused(b"{", 400))["code"] == "malformed"
    assert (await refused(b"", 400))["code"] == "malformed"
    problem = await refused(b'{"commands":[{"user_id":7,"kind":"x","data":{}}]}', 422)
    assert problem["errors"][0]["field"] == "body.commands.0.user_id"
    assert (await refused(b" " * (MAX_JSON_BODY_BYTES + 1), 413))["code"] == "too-large"
    whole = msgspec.json.encode(command)
    assert (await refused(whole, 401, world.stranger()))["code"] == "unauthenticated"
    await refused(whole, 401, ada.http)
    answer = await gateway.get("/internal/commands")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert len(await world.events(channel_stream(path))) == 1, "nothing was posted"
    answer = await gateway.post(
        "/internal/commands", content=whole, headers={"x-request-id": "0123456789"}
    )
    assert answer.headers["x-request-id"] == "0123456789"


async def test_heads_are_those_of_every_stream_the_user_is_on(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path, other = await ada.channel("private", bob), await ada.channel("private")
    message = await ada.say(path)
    gateway = await world.service()
    heads = (await gateway.get(f"/internal/streams/heads?user_id={bob.id}")).json()["streams"]
    assert heads == {
        f"inbox:{bob.id}": [message["epoch"], 1],
        channel_stream(path): [message["epoch"], message["seq"]],
    }
    assert channel_stream(other) not in heads
    heads = (await gateway.get(f"/internal/streams/heads?user_id={eve.id}")).json()["streams"]
    assert heads == {f"inbox:{eve.id}": [message["epoch"], 0]}
    assert (await bob.get("/v1/sync"))["heads"].keys() == {f"inbox:{bob.id}", channel_stream(path)}


async def test_a_replay_is_the_frames_of_the_log(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    await ada.say(path)
    await ada.delete(f"{path}/members/{bob.id}")
    gateway = await world.service()
    stream = channel_stream(path)
    query: dict[str, str | int] = {"stream": stream, "after": 1, "limit": 500}
    replay = (await gateway.get("/internal/streams/replay", params=query)).json()
    events = await world.events(stream, after=1)
    assert (replay["head"], replay["reset"]) == (4, False)
    assert replay["seqs"] == [2, 3, 4]
    assert [msgspec.json.decode(frame)["data"] for frame in replay["frames"]] == [
        event["data"] for event in events
    ]
    assert replay["controls"] == [{"join": [bob.id]}, None, {"leave": [bob.id]}]
    query["epoch"] = "another"
    assert (await gateway.get("/internal/streams/replay", params=query)).json()["reset"]

"""Read marks that gateways pass on together: one write, and an answer for each."""

from services.chat.tests.support.world import Json, World
from sharezync_shared.ids import uuid7


def mark(user_id: str, path: str, **place: object) -> Json:
    data = {"channel_id": path.rpartition("/")[2], **place}
    return {"user_id": user_id, "kind": "mark_read", "data": data}


async def run(world: World, *commands: Json) -> list[Json]:
    gateway = await world.service()
    answer = await gateway.post("/internal/commands", json={"commands": list(commands)})
    assert answer.status_code == 200, answer.text
    results: list[Json] = answer.json()["results"]
    return results


async def test_of_several_marks_the_furthest_is_written_and_answers_all(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path, other = await ada.channel("private", bob, cleo), await ada.channel("private", bob)
    said = [await ada.say(path, f"@{bob.username} {n}") for n in range(5)]
    await ada.say(other)
    before = {who.id: len(await world.events(f"inbox:{who.id}")) for who in (bob, cleo)}
    file_id = world.peers.add_file(bob.id)
    results = await run(
        world,
        mark(bob.id, path, seq=said[0]["seq"]),
        mark(bob.id, path, message_id=said[3]["id"]),
        mark(cleo.id, path, seq=said[1]["seq"]),
        # What takes a while to begin doesn't part the marks before it from those after it.
        {
            "user_id": bob.id,
            "kind": "send_message",
            "data": {"channel_id": other.rpartition("/")[2], "attachments": [file_id]},
        },
        mark(bob.id, path, seq=said[2]["seq"]),
        mark(bob.id, path, seq=said[2]["seq"]),
        mark(bob.id, path, seq=0),
        mark(bob.id, other),
    )
    bobs = results[1]["data"]
    assert bobs["last_read_seq"] == said[3]["seq"]
    assert (bobs["unread_count"], bobs["mention_count"]) == (1, 1)
    assert [results[n]["data"] for n in (0, 1, 4, 5, 6)] == [bobs] * 5
    assert results[2]["data"]["last_read_seq"] == said[1]["seq"], "another's mark is another's"
    assert results[7]["data"]["unread_count"] == 0, "another channel's mark is another"
    told = [e["data"] for e in await world.events(f"inbox:{bob.id}", before[bob.id])]
    assert [each for each in told if each["channel_id"] == bobs["channel_id"]] == [bobs]
    assert len(await world.events(f"inbox:{cleo.id}", before[cleo.id])) == 1


async def test_a_mark_that_makes_no_sense_costs_the_others_nothing(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await ada.say(path)
    results = await run(
        world,
        mark(bob.id, path, message_id=str(uuid7())),
        mark(bob.id, path, seq=-1),
        mark(bob.id, path, message_id=message["id"]),
        mark(ada.id, path, message_id=str(uuid7())),
    )
    assert [result.get("problem", {}).get("code") for result in results] == [
        "not-found",
        "invalid",
        None,
        "not-found",
    ]
    assert results[2]["data"]["unread_count"] == 0


async def test_marks_of_who_may_not_read_are_all_refused(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    path, public = await ada.channel("private"), await ada.channel("public")
    marks = [mark(eve.id, each, seq=seq) for each in (path, public) for seq in (1, 2)]
    results = await run(world, *marks)
    codes = [result["problem"]["code"] for result in results]
    assert codes == ["not-found", "not-found", "not-a-member", "not-a-member"]
    assert await world.events(f"inbox:{eve.id}") == []

"""What transfer knows of people, and what is left when they go."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.transfer.tests.support.world import Person, World
from sharezync_shared.events.contracts import UserDeleted, UserRegistered, UserUpdated


async def names(world: World, person: Person) -> tuple[str, bool]:
    (row,) = await world.rows(
        "SELECT username, deleted FROM transfer.users WHERE id = $1", person.id
    )
    return row["username"], row["deleted"]


async def test_names_follow_the_latest_news(world: World) -> None:
    person = await world.person()
    user_id = UUID(person.id)
    now = datetime.now(UTC)
    told = UserUpdated(user_id=user_id, username="second", display_name="Second")
    await world.publish(told, time=now)
    late = UserRegistered(user_id=user_id, username="first", display_name="First")
    await world.publish(late, time=now - timedelta(seconds=5))
    assert await names(world, person) == ("second", False)


async def test_who_was_told_of_needs_no_asking(world: World) -> None:
    ada, bob = await world.people(2)
    for person in (ada, bob):
        event = UserRegistered(user_id=UUID(person.id), username="x", display_name="X")
        await world.publish(event)
    world.peers.away.add("auth")
    await ada.offer(bob)


async def test_what_a_deleted_person_had_under_way_ends(world: World) -> None:
    ada, bob, eve = await world.people(3)
    sent = await ada.offer(bob, note="private", files={"diary.txt": 5})
    got = await eve.offer(ada, bob)
    await world.publish(UserDeleted(user_id=UUID(ada.id)))
    seen = await bob.sees(sent)
    assert seen["state"] == "cancelled"
    assert seen["note"] == ""
    assert [file["name"] for file in seen["files"]] == ["file"]
    assert (await world.events(bob))[-1]["data"] == seen
    states = {each["user_id"]: each["state"] for each in (await eve.sees(got))["recipients"]}
    assert states == {ada.id: "cancelled", bob.id: "offered"}


async def test_nothing_of_a_deleted_person_is_kept(world: World) -> None:
    ada, bob = await world.people(2)
    done = await ada.offer(bob, note="private", files={"diary.txt": 0})
    await bob.act(done, "accept")
    await ada.act(done, "complete")
    await world.publish(UserDeleted(user_id=UUID(ada.id)))
    assert await names(world, ada) == ("deleted", True)
    assert await world.events(ada) == []
    kept = await bob.sees(done)
    assert (kept["state"], kept["note"], kept["files"][0]["name"]) == ("completed", "", "file")


async def test_no_log_tells_of_what_a_deleted_person_sent(world: World) -> None:
    ada, bob, eve = await world.people(3)
    await ada.offer(bob, note="private", files={"diary.txt": 5})
    other = await eve.offer(bob, files={"kept.txt": 5})
    await world.publish(UserDeleted(user_id=UUID(ada.id)))
    first, cancelled = await world.events(bob)
    assert first["data"]["id"] == other["id"]
    assert (cancelled["data"]["state"], cancelled["data"]["note"]) == ("cancelled", "")
    assert "diary" not in str(await world.rows("SELECT text FROM transfer.stream_log"))


async def test_nobody_can_send_to_a_deleted_person_or_as_one(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob)
    await world.publish(UserDeleted(user_id=UUID(bob.id)))
    assert (await ada.offer(bob, status=404))["code"] == "user-not-found"
    assert (await bob.offer(ada, status=401))["code"] == "unauthenticated"


async def test_late_news_bring_nobody_back(world: World) -> None:
    ada = await world.person()
    user_id = UUID(ada.id)
    await world.publish(UserDeleted(user_id=user_id))
    news = UserRegistered(user_id=user_id, username="ada", display_name="Ada")
    await world.publish(news, time=datetime.now(UTC) + timedelta(hours=1))
    assert await names(world, ada) == ("deleted", True)

"""What a deleted channel leaves behind."""

from uuid import UUID

from services.chat.tests.support.world import World, channel_stream
from sharezync_chat.usecases.purge import purge_some


async def test_a_deleted_channel_leaves_nothing_and_the_others_stay(world: World) -> None:
    ada = await world.person()
    path, other = await ada.channel(), await ada.channel()
    file_id = world.peers.add_file(ada.id)
    for where in (path, other):
        message = await ada.say(where, attachments=[file_id])
        await ada.patch(f"/v1/messages/{message['id']}", {"text": "edited"})
    await ada.delete(path)
    while await purge_some(world.core.database):
        pass
    channel_id = UUID(path.rpartition("/")[2])
    for table in ("messages", "members"):
        assert (
            await world.rows(f"SELECT 1 FROM chat.{table} WHERE channel_id = $1", channel_id) == []
        )
    assert await world.rows("SELECT 1 FROM chat.channels WHERE id = $1", channel_id) == []
    for table in ("attachments", "message_edits"):
        rows = await world.rows(
            f"SELECT 1 FROM chat.{table} AS t WHERE NOT EXISTS "
            "(SELECT FROM chat.messages AS m WHERE m.id = t.message_id)"
        )
        assert rows == []
    assert len((await ada.get(f"{other}/messages"))["items"]) == 1
    assert (await world.events(channel_stream(path)))[-1]["type"] == "channel.deleted"


async def test_no_log_tells_of_a_deleted_channel_but_of_its_end(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path, other = await ada.channel("private", bob), await ada.channel("private", bob)
    await ada.delete(path)
    while await purge_some(world.core.database):
        pass
    assert [e["type"] for e in await world.events(channel_stream(path))] == ["channel.deleted"]
    (told,) = await world.events(f"inbox:{bob.id}")
    assert told["data"]["channel_id"] == other.rpartition("/")[2]

"""Messages and descriptions that are older than their policies are cleaned, in the background."""

from uuid import UUID

import pytest

from services.chat.tests.support.world import World
from sharezync_chat.usecases import older_texts


async def clean(world: World) -> None:
    await world.rows("DELETE FROM chat.backfills WHERE name = 'older-texts'")
    await older_texts.clean(world.core.work)


async def put_older(world: World, message_id: str, text: str) -> None:
    """Have a message say what the version before would have kept."""
    await world.rows("UPDATE chat.messages SET text = $2 WHERE id = $1", UUID(message_id), text)


async def test_what_deceived_before_there_were_policies_is_cleaned(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    clean_one = "  as it is\n\tقهوة می\u200cخواهم 👨\u200d👩\u200d👧 "
    older = {
        "see \u202egpj.exe\x1b[2J": "see gpj.exe[2J",
        "one\r\ntwo\u2028three": "one\ntwo\nthree",
        "a" + "\u0300" * 100: "a" + "\u0300" * 4,
        "\u200b\u3164": "",
        " \n": "",
        clean_one: clean_one,
        "nothing but ASCII": "nothing but ASCII",
    }
    said = [await ada.say(path, f"message {n}") for n in range(len(older))]
    edited = await ada.patch(f"/v1/messages/{said[0]['id']}", {"text": "anew"})
    for message, text in zip(said, older, strict=True):
        await put_older(world, message["id"], text)
    edit = "UPDATE chat.message_edits SET text = $2 WHERE message_id = $1"
    await world.rows(edit, UUID(edited["id"]), "was \u202eforged")
    channel_id = UUID(path.rpartition("/")[2])
    described = "UPDATE chat.channels SET description = $2 WHERE id = $1"
    await world.rows(described, channel_id, "all\r\n\u202dabout it ")
    await clean(world)
    shown = [await ada.get(f"/v1/messages/{message['id']}") for message in said]
    assert [message["text"] for message in shown] == list(older.values())
    assert [message["edited_at"] for message in shown[1:]] == [None] * (len(older) - 1)
    (was,) = (await ada.get(f"/v1/messages/{edited['id']}/edits"))["items"]
    assert was["text"] == "was forged"
    assert (await ada.get(path))["description"] == "all\nabout it"


async def test_what_was_cleaned_is_found_as_it_is_now(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    kept, gone = await ada.say(path, "first"), await ada.say(path, "second")
    await world.app.state.context.indexer.catch_up()
    await put_older(world, kept["id"], "turb\u202dine")
    await put_older(world, gone["id"], "\u202e")
    await clean(world)
    for query, found in (("turbine", [kept["id"]]), ("first", []), ("second", [])):
        hits = (await ada.get("/v1/search", q=query))["items"]
        assert [hit["message"]["id"] for hit in hits] == found, query


async def test_all_batches_are_walked_and_only_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(older_texts, "_BATCH", 2)
    monkeypatch.setattr(older_texts, "_BETWEEN_BATCHES_SECONDS", 0)
    ada = await world.person()
    path = await ada.channel()
    said = [await ada.say(path, f"message {n}") for n in range(5)]
    for message in said:
        await put_older(world, message["id"], "\u202eforged")
    await clean(world)
    texts = [(await ada.get(f"/v1/messages/{message['id']}"))["text"] for message in said]
    assert texts == ["forged"] * 5
    await put_older(world, said[0]["id"], "\u202eforged")
    await older_texts.clean(world.core.work)  # it is done, for the life of the database
    assert (await ada.get(f"/v1/messages/{said[0]['id']}"))["text"] == "\u202eforged"

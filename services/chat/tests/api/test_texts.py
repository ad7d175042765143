"""What looks empty is empty, and what would deceive is taken out: by every way in."""

import pytest

from services.chat.tests.support.world import Json, World
from sharezync_shared.ids import uuid7

BLANKS = (
    " ",
    "\n\t",
    "\u200b",
    "\u2800",
    "\u3164",
    "\u2060\ufeff\u00ad",
    "\u202e",
    "\ufe0f\U000e0041",
)


async def by_socket(world: World, person_id: str, path: str, **data: object) -> Json:
    gateway = await world.service()
    data["channel_id"] = path.rpartition("/")[2]
    command = {"user_id": person_id, "kind": "send_message", "data": data}
    answer = await gateway.post("/internal/commands", json={"commands": [command]})
    (result,) = answer.json()["results"]
    return dict(result)


async def test_a_message_that_looks_empty_is_refused_like_an_empty_one(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    empty = await ada.post(f"{path}/messages", {"text": ""}, 422)
    kept = await ada.say(path, "hello")
    empty_edit = await ada.patch(f"/v1/messages/{kept['id']}", {"text": ""}, 422)
    empty_command = await by_socket(world, ada.id, path, text="")
    for blank in BLANKS:
        told = await ada.post(f"{path}/messages", {"text": blank}, 422)
        assert told["errors"] == empty["errors"], ascii(blank)
        told = await ada.patch(f"/v1/messages/{kept['id']}", {"text": blank}, 422)
        assert told["errors"] == empty_edit["errors"], ascii(blank)
        told = await by_socket(world, ada.id, path, text=blank)
        assert told["problem"]["errors"] == empty_command["problem"]["errors"], ascii(blank)
    assert empty["errors"][0]["message"] == "A message needs text or an attachment"
    assert (await ada.get(f"{path}/messages"))["items"] == [kept]


async def test_a_message_with_a_file_needs_no_text(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    for blank in ("", "\u200b"):
        file_id = world.peers.add_file(ada.id)
        posted = await ada.say(path, blank, attachments=[file_id])
        assert posted["text"] == ""
        edited = await ada.patch(f"/v1/messages/{posted['id']}", {"text": "words"})
        assert edited["text"] == "words"
        again = await ada.patch(f"/v1/messages/{posted['id']}", {"text": "\u3164"})
        assert again["text"] == ""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one\r\ntwo\rthree\u2028four\n\tfive", "one\ntwo\nthree\nfour\n\tfive"),
        ("see \u202egpj.exe\x1b[2J", "see gpj.exe[2J"),
        ("a" + "\u0300\u0316" * 100, "a" + "\u0300\u0316" * 4),
        (
            "👨\u200d👩\u200d👧 می\u200cخواهم \u200fשלום\u200e",
            "👨\u200d👩\u200d👧 می\u200cخواهم \u200fשלום\u200e",
        ),
        ("  indented, क्याााााा  ", "  indented, क्याााााा  "),
    ],
)
async def test_a_message_stays_as_written_less_what_no_text_needs(
    world: World, text: str, kept: str
) -> None:
    ada = await world.person()
    path = await ada.channel()
    posted = await ada.say(path, text)
    assert posted["text"] == kept
    edited = await ada.patch(f"/v1/messages/{posted['id']}", {"text": f"anew {text}"})
    assert edited["text"] == f"anew {kept}"
    assert (await by_socket(world, ada.id, path, text=text))["data"]["text"] == kept


async def test_a_retry_of_a_cleaned_message_finds_it(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    first = await ada.say(path, "a\r\nb", client_message_id="k")
    again = await ada.call(
        "POST", f"{path}/messages", 200, json={"text": "a\r\nb", "client_message_id": "k"}
    )
    assert again == first


async def test_names_topics_and_descriptions_of_channels_are_what_is_seen(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    forged = "engines\n12:00 Ada (admin): \u202eyes\u200b"
    line = "engines 12:00 Ada (admin): yes"
    body = {"name": forged, "kind": "public", "topic": forged, "description": forged}
    made = await ada.post("/v1/channels", body)
    assert (made["name"], made["topic"]) == (line, line)
    assert made["description"] == "engines\n12:00 Ada (admin): yes\u200b"
    channel = f"/v1/channels/{made['id']}"
    changed = await ada.patch(channel, {"name": f"{forged}2", "topic": "\u3164"})
    assert (changed["name"], changed["topic"]) == (f"{line}2", "")
    group = await ada.post("/v1/conversations", {"user_ids": [bob.id, eve.id], "name": forged})
    assert group["name"] == line
    for blank in BLANKS:
        refused = await ada.patch(channel, {"name": blank}, 422)
        assert refused["errors"][0]["field"] == "body.name"
        await ada.post("/v1/channels", {"name": blank, "kind": "public"}, 422)


@pytest.mark.parametrize("name", ["प्रिया", "நிலாவன்", "สุดารัตน์", "می\u200cخواهم", "straße"])
async def test_every_name_is_called_behind_an_at(world: World, name: str) -> None:
    ada = await world.person()
    called = await world.person(name)
    path = await ada.channel("private", called)
    username = called.read["username"]
    posted = await ada.say(path, f"hello @{username}, are you there, @nobody{uuid7().hex[:8]}?")
    assert posted["mentions"] == [called.id]

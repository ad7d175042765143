"""Folders: files that carry the path they have below one."""

import pytest

from services.transfer.tests.support.world import World
from sharezync_shared.events.contracts import UserDeleted


async def test_files_of_a_folder_keep_their_places(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"photos/2026/a.jpg": 1, "photos\\b.jpg": 1, "c.jpg": 1})
    places = [(file["name"], file["path"]) for file in offered["files"]]
    assert places == [
        ("a.jpg", "photos/2026/a.jpg"),
        ("b.jpg", "photos/b.jpg"),
        ("c.jpg", None),
    ]
    assert (await bob.sees(offered))["files"] == offered["files"]
    assert world.peers.named("a.jpg").body["size_bytes"] == 1  # storage learns no folders


async def test_paths_stay_below_the_folder(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"C:\\..\\x\\con": 1, "/etc/./passwd": 1})
    assert [file["path"] for file in offered["files"]] == ["x/_con", "etc/passwd"]


@pytest.mark.parametrize(
    "names",
    [["a", "a"], ["a/b", "A/B"], ["a", "a/b"], ["É", "e\u0301"], ["../a", "b", "/a"]],
)
async def test_files_that_can_not_both_be_made_are_refused(world: World, names: list[str]) -> None:
    ada, bob = await world.people(2)
    files = [{"name": name, "size": 1} for name in names]
    body = {"recipients": [{"user_id": bob.id}], "files": files}
    refused = await ada.post("/v1/transfers", body, 422)
    assert refused["code"] == "invalid"
    assert refused["files"] == [0, len(names) - 1]
    assert world.peers.uploads == {}


async def test_a_path_that_is_too_deep_is_refused(world: World) -> None:
    ada, bob = await world.people(2)
    refused = await ada.offer(bob, files={"ok": 1, "/".join("a" * 33): 1}, status=422)
    assert (refused["code"], refused["file"]) == ("invalid", 1)


async def test_paths_go_with_the_account_of_who_sent_them(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"secret plans/a.txt": 1})
    await world.publish(UserDeleted(user_id=ada.uuid))
    (file,) = (await bob.sees(offered))["files"]
    assert (file["name"], file["path"]) == ("file", None)

"""What there is to be asked for at each of storage's operations."""

from functools import partial

from services.storage.tests.support import CHUNKS, World
from sharezync_shared.testing.documented import Arrange, Scene


def scenes(world: World, **known: object) -> Arrange:
    """Return what arranges a scene: somebody with a file, and an upload that is complete."""
    return partial(_arrange, world, known)


async def _arrange(world: World, more: dict[str, object], _: str) -> Scene:
    person = await world.person()
    file = await person.upload(b"note")
    upload = await world.begin(person, len(CHUNKS[0]))
    await world.put(upload, 0, CHUNKS[0])
    known = {
        "file_id": file["id"],
        "ids": file["id"],
        "upload_id": upload["id"],
        "index": 0,
        "owner_id": str(person.id),
        "user_id": str(person.id),
        **more,
    }
    return Scene(person.http, world.inside, known)

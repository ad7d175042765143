"""What there is to be asked for at each of storage's operations."""

from functools import partial

from services.storage.tests.direct_client import DirectClient
from services.storage.tests.support import CHUNKS, World
from sharezync_testkit.documented import Arrange, Scene
from sharezync_testkit.forger import ABSENT
from sharezync_testkit.tus.client import Tus, metadata

_OF_UPLOADS = {f"POST /internal/uploads/{act}" for act in ("status", "finish", "abort")}


def scenes(world: World, **known: object) -> Arrange:
    """Return what arranges a scene: somebody with a file, and an upload that is complete."""
    return partial(_arrange, world, known)


async def _arrange(world: World, more: dict[str, object], operation: str) -> Scene:
    person = await world.person()
    file = await person.upload(b"note")
    upload = await world.begin(person, len(CHUNKS[0]))
    await world.put(upload, 0, CHUNKS[0])
    link = (await person.http.post(f"/v1/files/{file['id']}/links")).json()
    direct = DirectClient(person.http, person.http, b"note")
    presigned = await direct.begin()
    await direct.send(presigned)
    resumable = await Tus(person.http).new(upload_defer_length=1)
    known = {
        "file_id": file["id"],
        "ids": [upload["id"]] if operation in _OF_UPLOADS else file["id"],
        "upload_id": upload["id"] if "/internal/" in operation else resumable.rpartition("/")[2],
        "index": 0,
        "owner_id": str(person.id),
        "user_id": str(person.id),
        "link_id": link["id"],
        "token": link["token"],
        "presigned_id": presigned["id"],
        "number": 1,
        "parts": [{"number": number, "etag": etag} for number, etag in direct.etags.items()],
        # Of the header fields of tus those that go together.
        "upload-length": "100000",
        "upload-offset": "0",
        "upload-metadata": metadata(filename="note.txt"),
        "upload-defer-length": ABSENT,
        "upload-concat": ABSENT,
        "upload-checksum": ABSENT,
        "x-http-method-override": "HEAD",
        **more,
    }
    return Scene(person.http, world.inside, known)

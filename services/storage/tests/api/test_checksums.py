"""Bodies with a checksum: all of one counts, or nothing."""

import asyncio
import base64
import hashlib
import os
import zlib
from collections.abc import Callable

import pytest

from services.storage.tests.lines import Line, Sender, broken, whole
from services.storage.tests.support import Person, World
from sharezync_storage.errors import BodyBroken, ChecksumMismatch, ChecksumUnsupported, UploadBusy
from sharezync_storage.settings import MIB
from sharezync_storage.usecases.checksums import ALGORITHMS, Checksum

DATA = os.urandom(3 * MIB)

DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "md5": lambda data: hashlib.md5(data).digest(),
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}


def checksum(algorithm: str, data: bytes) -> Checksum:
    return Checksum.from_header(
        f"{algorithm} {base64.b64encode(DIGESTS[algorithm](data)).decode()}"
    )


def test_every_algorithm_is_tested() -> None:
    assert set(DIGESTS) == set(ALGORITHMS)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha1",
        "sha1 ",
        "sha1 !!!!",
        "sha1 AAAA",
        "sha512 " + base64.b64encode(bytes(64)).decode(),
        "SHA1 " + base64.b64encode(bytes(20)).decode(),
        "crc32 " + base64.b64encode(bytes(20)).decode(),
        "sha1 " + base64.b64encode(bytes(20)).decode() + " more",
        base64.b64encode(bytes(20)).decode(),
    ],
)
def test_what_is_no_checksum_is_refused(header: str) -> None:
    with pytest.raises(ChecksumUnsupported) as refusal:
        Checksum.from_header(header)
    assert refusal.value.extras["algorithms"] == list(ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_one_that_matches_counts_and_one_that_does_not_changes_nothing(
    world: World, alice: Person, algorithm: str
) -> None:
    sender = await Sender.begin(world, alice, len(DATA))
    half = len(DATA) // 2
    await sender.append(0, DATA[:half], checksum=checksum(algorithm, DATA[:half]))
    wrong = DATA[half:-1] + bytes([DATA[-1] ^ 1])
    with pytest.raises(ChecksumMismatch):
        await sender.append(half, wrong, checksum=checksum(algorithm, DATA[half:]))
    upload = await sender.look()
    assert (upload.stored_bytes, upload.state) == (half, "receiving")
    await sender.append(half, DATA[half:], checksum=checksum(algorithm, DATA[half:]))
    assert await sender.content() == DATA
    file = (await alice.http.get(f"/v1/files/{sender.id}")).json()
    assert file["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_a_body_that_breaks_off_keeps_nothing(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, len(DATA))
    await sender.append(0, b"")
    with pytest.raises(BodyBroken):
        await sender.append(0, broken(DATA[:-1]), checksum=checksum("sha1", DATA))
    assert await sender.offset() == 0
    # Not even where all bytes had come: nobody said that these are all.
    with pytest.raises(BodyBroken):
        await sender.append(0, broken(DATA), checksum=checksum("sha1", DATA))
    assert await sender.offset() == 0
    await sender.append(0, whole(DATA[:MIB], DATA[MIB:]), checksum=checksum("sha1", DATA))
    assert await sender.content() == DATA


async def test_one_that_stalls_and_is_seen_off_keeps_nothing(world: World, alice: Person) -> None:
    sender, line = await Sender.begin(world, alice, len(DATA)), Line(DATA[:MIB])
    await sender.append(0, DATA[:10])
    writing = asyncio.create_task(sender.append(10, line, checksum=checksum("md5", DATA[10:])))
    await line.arrived()
    await sender.stalled()
    assert await sender.offset() == 10
    with pytest.raises(UploadBusy):
        await writing
    await sender.append(10, DATA[10:])
    assert await sender.content() == DATA


async def test_an_empty_body_has_a_checksum_too(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, 3)
    await sender.append(0, b"", checksum=checksum("sha1", b""))
    with pytest.raises(ChecksumMismatch):
        await sender.append(0, b"", checksum=checksum("sha1", b"x"))
    await sender.append(0, b"abc", checksum=checksum("crc32", b"abc"))
    assert await sender.content() == b"abc"

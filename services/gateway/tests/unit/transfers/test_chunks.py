"""Chunks in both forms: what goes in comes out, and lies are named."""

import base64
import hashlib
import json
import struct
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.tests.unit.transfers.fakes import encode_json, make_chunk
from sharezync_gateway.realtime.protocol import CHUNK_HEADER_BYTES, BadFrame
from sharezync_gateway.transfers.core.chunks import chunk_header, decode_frame, decode_json
from sharezync_shared.sizes import MAX_CHUNK_BYTES

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")
# As the protocol has it, written down a second time.
LAYOUT = struct.Struct(">BBH16sIII32s")
NUMBERS = st.integers(0, 2**32 - 1)
DIGESTS = st.binary(min_size=32, max_size=32)


def frame(
    payload: bytes = b"abc",
    *,
    version: int = 1,
    kind: int = 1,
    flags: int = 0,
    length: int | None = None,
) -> bytes:
    said = len(payload) if length is None else length
    return LAYOUT.pack(version, kind, flags, TRANSFER.bytes, 2, 7, said, b"d" * 32) + payload


@given(st.uuids(), NUMBERS, NUMBERS, DIGESTS, st.binary(max_size=300))
def test_a_binary_frame_is_read_as_it_was_written(
    transfer_id: UUID, file: int, index: int, sha256: bytes, payload: bytes
) -> None:
    written = LAYOUT.pack(1, 1, 0, transfer_id.bytes, file, index, len(payload), sha256) + payload
    chunk = decode_frame(written)
    assert (chunk.transfer_id, chunk.place, chunk.sha256) == (transfer_id, (file, index), sha256)
    assert bytes(chunk.payload) == payload
    assert chunk.frame is written
    assert chunk_header(transfer_id, file, index, len(payload), sha256) + payload == written


@given(st.uuids(), NUMBERS, NUMBERS, DIGESTS, st.binary(max_size=300))
def test_both_forms_say_the_same(
    transfer_id: UUID, file: int, index: int, sha256: bytes, payload: bytes
) -> None:
    chunk = make_chunk(transfer_id, file, index, payload, sha256)
    said = json.loads(encode_json(chunk))
    assert said == {
        "type": "file_chunk",
        "transfer_id": str(transfer_id),
        "file": file,
        "index": index,
        "sha256": sha256.hex(),
        "data": base64.b64encode(payload).decode(),
    }
    again = decode_json(json.dumps(said))
    assert again.frame == chunk.frame
    assert decode_frame(again.frame).place == chunk.place


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chunk_or_refused(anything: bytes) -> None:
    whole = len(anything) >= CHUNK_HEADER_BYTES and LAYOUT.unpack_from(anything)
    if whole and (*whole[:3], whole[6]) == (1, 1, 0, len(anything) - CHUNK_HEADER_BYTES):
        assert decode_frame(anything).frame == anything
        return
    with pytest.raises(BadFrame) as refused:
        decode_frame(anything)
    assert refused.value.code.startswith("chunk-")


@given(st.text(max_size=200) | st.dictionaries(st.text(), st.integers()).map(json.dumps))
def test_any_text_is_a_chunk_or_refused(anything: str) -> None:
    with pytest.raises(BadFrame):
        decode_json(anything)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"", "chunk-header"),
        (frame()[: CHUNK_HEADER_BYTES - 1], "chunk-header"),
        (frame(version=2), "chunk-version"),
        (frame(kind=0), "chunk-kind"),
        (frame(kind=9), "chunk-kind"),
        (frame(flags=1), "chunk-flags"),
        (frame(length=2), "chunk-length"),
        (frame(length=4), "chunk-length"),
        (frame(length=2**32 - 1), "chunk-too-large"),
        (frame(bytes(MAX_CHUNK_BYTES + 1)), "chunk-too-large"),
    ],
)
def test_what_is_wrong_with_a_frame_is_named(bad: bytes, code: str) -> None:
    with pytest.raises(BadFrame) as refused:
        decode_frame(bad)
    assert refused.value.code == code


def test_a_chunk_of_the_full_size_is_taken_in_both_forms() -> None:
    payload = bytes(MAX_CHUNK_BYTES)
    assert len(decode_frame(frame(payload)).payload) == MAX_CHUNK_BYTES
    chunk = make_chunk(TRANSFER, 0, 0, payload, hashlib.sha256(payload).digest())
    assert len(decode_json(encode_json(chunk).decode()).payload) == MAX_CHUNK_BYTES


GOOD = {
    "type": "file_chunk",
    "transfer_id": str(uuid4()),
    "file": 0,
    "index": 0,
    "sha256": "0" * 64,
    "data": "YWJj",
}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"transfer_id": "x"}, "invalid"),
        ({"file": -1}, "invalid"),
        ({"index": 2**32}, "invalid"),
        ({"index": "0"}, "invalid"),
        ({"sha256": "0" * 63}, "invalid"),
        ({"sha256": "g" * 64}, "invalid"),
        ({"data": "not base64!"}, "invalid"),
        ({"data": None}, "invalid"),
        ({"data": base64.b64encode(bytes(MAX_CHUNK_BYTES + 1)).decode()}, "chunk-too-large"),
    ],
)
def test_what_is_wrong_with_json_is_named(change: dict[str, object], code: str) -> None:
    decode_json(json.dumps(GOOD))
    with pytest.raises(BadFrame) as refused:
        decode_json(json.dumps({**GOOD, **change}))
    assert refused.value.code == code


def test_fields_that_we_do_not_know_are_ignored() -> None:
    assert bytes(decode_json(json.dumps({**GOOD, "id": 3, "later": {}})).payload) == b"abc"

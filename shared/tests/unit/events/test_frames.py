import msgspec
import pytest

from sharezync_shared.streams.frames import (
    SHARDS,
    Control,
    Frame,
    decode_frames,
    encode_frames,
    shard_of,
)


def test_frames_survive_the_wire_in_order() -> None:
    frames = [
        Frame("channel:1", "e1", 7, b'{"a":1}', Control(join=["u1"], leave=["u2"], end=True)),
        Frame("inbox:2", "", 0, b""),
        Frame("transfer:3", "", 0, b"", Control(chunk=[0, "x", b"\x00"], revoke_user="u")),
    ]
    assert decode_frames(encode_frames(frames)) == frames
    assert decode_frames(encode_frames([])) == []


def test_fields_of_a_newer_sender_are_ignored() -> None:
    newer = msgspec.msgpack.encode([["s", "e", 1, b"x", {"join": ["u"], "new": 1}, "new"]])
    assert decode_frames(newer) == [Frame("s", "e", 1, b"x", Control(join=["u"]))]


@pytest.mark.parametrize("body", [b"", b"{}", b"\xc1", msgspec.msgpack.encode([["s", "e", "1"]])])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_frames(body)


def test_a_streams_shard_never_changes() -> None:
    # Publishers and receivers of different versions meet on one broker.
    assert shard_of("channel:0190163d-8694-739b-aea5-966c26f8ad91") == 7
    assert shard_of("inbox:é") == 120


def test_streams_spread_over_all_shards() -> None:
    used = {shard_of(f"channel:{number}") for number in range(20_000)}
    assert used == set(range(SHARDS))

"""Frames as values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_gateway.realtime.protocol import (
    AnnouncedLimits,
    Authenticate,
    BadFrame,
    Bye,
    CloseCode,
    Error,
    Hello,
    MarkRead,
    Ping,
    Pong,
    Ready,
    Replay,
    Reset,
    Resume,
    Resumed,
    ResumeOutcome,
    SendMessage,
    ServerFrame,
    check_cursors,
    encode,
    encode_reply,
    read_body,
    read_head,
)
from sharezync_shared.sizes import MAX_TEXT_FRAME_BYTES

ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
BODIES: list[type[Any]] = [Authenticate, Resume, Replay, Ping, SendMessage, MarkRead]


@pytest.mark.parametrize("frame_id", [None, 0, 17, -3, "", "a7", "x" * 128])
def test_a_head_has_a_type_and_perhaps_an_id(frame_id: int | str | None) -> None:
    head = read_head(json.dumps({"type": "ping", "id": frame_id, "more": [1, {}]}))
    assert (head.type, head.id) == ("ping", frame_id)


@pytest.mark.parametrize("text", ["", "x", "{", '{"type":"ping"} {}', "\ud800", '{"type":"\x00"}'])
def test_what_is_no_json_is_malformed(text: str) -> None:
    with pytest.raises(BadFrame) as bad:
        read_head(text)
    assert bad.value.code == "malformed"


@pytest.mark.parametrize("text", ["1", "[]", "{}", '{"type":null}', '{"type":"x","id":[]}'])
def test_what_is_no_frame_is_invalid(text: str) -> None:
    with pytest.raises(BadFrame) as bad:
        read_head(text)
    assert bad.value.code == "invalid"


def test_unknown_fields_are_ignored() -> None:
    text = '{"type":"replay","stream":"channel:x","after":4,"later":{"a":1},"id":2}'
    assert read_body(text, Replay) == Replay("channel:x", 4)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = ["type", "id", "token", "cursors", "stream", "after", "epoch", "channel_id", "text", "seq"]


@given(
    st.text()
    | json_values.map(json.dumps)
    | st.dictionaries(st.sampled_from(FIELDS), json_values).map(json.dumps)
)
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    for body in BODIES:
        try:
            head = read_head(text)
            frame = read_body(text, body, head.id)
            if isinstance(frame, Resume | Authenticate):
                check_cursors(frame.cursors)
        except BadFrame as error:
            refused = (error.code in {"malformed", "invalid"}, bool(error.message))
            assert refused == (True, True)


def test_cursors_have_bounds() -> None:
    check_cursors({f"channel:{n}": ("e", 0) for n in range(2000)})
    with pytest.raises(BadFrame):
        check_cursors({f"channel:{n}": ("e", 0) for n in range(2001)})
    for epoch in ("e" * 65, "a\n", "\0", "é"):
        with pytest.raises(BadFrame):
            check_cursors({"channel:x": (epoch, 0)})


@pytest.mark.parametrize(
    ("body", "field"),
    [(Replay, '"stream":"channel:x","after":%s'), (MarkRead, '"channel_id":"' + ID + '","seq":%s'),
     (Resume, '"cursors":{"channel:x":["e",%s]}'),
     (Authenticate, '"token":"t","cursors":{"channel:x":["e",%s]}')],
)  # fmt: skip
def test_numbers_in_streams_have_64_bits(body: type[Any], field: str) -> None:
    read_body("{%s}" % (field % (2**63 - 1)), body)
    for number in ("-1", str(2**63), str(2**64), "9" * 400, "9" * 5000, "1.0", "1e3", "true"):
        with pytest.raises(BadFrame) as bad:
            read_body("{%s}" % (field % number), body, 7)
        assert (bad.value.code, bad.value.frame_id) == ("invalid", 7)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, "9" * 400, "1e400"])
def test_an_id_has_64_bits(number: object) -> None:
    with pytest.raises(BadFrame) as bad:
        read_head(f'{{"type":"ping","id":{number}}}')
    assert bad.value.code == "invalid"


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (
            Hello("c1", 20.0, AnnouncedLimits(commands_per_second=5)),
            {
                "type": "hello",
                "conn_id": "c1",
                "ping_interval_s": 20.0,
                "limits": {
                    "text_bytes": MAX_TEXT_FRAME_BYTES,
                    "chunk_bytes": 1048576,
                    "commands_per_second": 5.0,
                },
                "protocol": "sharezync.v1",
                "version": 1,
            },
        ),
        (
            Ready("u1", None, {"inbox:u1": ("e", 3)}),
            {"type": "ready", "user": "u1", "device": None, "heads": {"inbox:u1": ["e", 3]}},
        ),
        (
            Resumed({"a": ResumeOutcome("replayed", 3), "b": ResumeOutcome("current")}, 4),
            {
                "type": "resumed",
                "streams": {
                    "a": {"result": "replayed", "events": 3},
                    "b": {"result": "current"},
                },
                "id": 4,
            },
        ),
        (Reset("a", "e", 7), {"type": "reset", "stream": "a", "epoch": "e", "seq": 7}),
        (
            Error("x", "rate-limited", "Slow down", retryable=True, retry_after_ms=5),
            {
                "type": "error",
                "id": "x",
                "code": "rate-limited",
                "message": "Slow down",
                "retryable": True,
                "retry_after_ms": 5,
            },
        ),
        (Pong(1), {"type": "pong", "id": 1}),
        (Pong(None, {}), {"type": "pong", "heads": {}}),
        (
            Bye(4001, resume=True, after_ms=7),
            {"type": "bye", "code": 4001, "resume": True, "after_ms": 7},
        ),
    ],
)
def test_server_frames_look_as_promised(frame: ServerFrame, wire: dict[str, Any]) -> None:
    assert json.loads(encode(frame)) == wire
    assert next(iter(json.loads(encode(frame)))) == "type"


def test_replies_carry_finished_json_or_a_dict() -> None:
    assert encode_reply(17, b'{"a":1}') == b'{"type":"reply","id":17,"data":{"a":1}}'
    assert encode_reply("x", {"a": 1}) == b'{"type":"reply","id":"x","data":{"a":1}}'
    assert json.loads(encode_reply(None, b"null")) == {"type": "reply", "id": None, "data": None}


def test_close_codes_say_whether_to_come_back() -> None:
    come_back = {code.name for code in CloseCode if 4000 <= code < 4500}
    assert come_back == {"GOING_AWAY", "TOO_SLOW", "IDLE", "TRY_LATER", "FLOODING"}
    stay_away = {code.name for code in CloseCode if 4500 <= code < 5000}
    assert stay_away == {
        "BAD_TOKEN",
        "REVOKED",
        "TOO_MANY_CONNECTIONS",
        "NOT_ON_CHANNEL",
        "WRONG_VERSION",
    }

"""The AsyncAPI document: whole, true to AsyncAPI's own rules, and of all that there is."""

import json
from collections.abc import Iterator
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from jsonschema_rs import Draft7Validator, meta

from services.gateway.tests.api.realtime.overhearing import stand_in_protocol
from services.gateway.tests.unit.transfers.fakes import make_chunk
from sharezync_gateway.asyncapi.compose import compose
from sharezync_gateway.asyncapi.facts import contracts
from sharezync_gateway.asyncapi.frames import SERVER
from sharezync_gateway.realtime import protocol
from sharezync_gateway.realtime.protocol import CloseCode
from sharezync_gateway.routes import SOCKET_ROUTES
from sharezync_gateway.transfers.core.chunks import JsonChunkDown
from sharezync_gateway.transfers.socket import frames as transfer_frames
from sharezync_shared.events.amqp.wire import pack
from sharezync_shared.events.contracts import Event
from sharezync_shared.ids import uuid7
from sharezync_testkit.frames import Conversation, Protocol, valid_frame

Json = dict[str, Any]

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
HELLO: Json = msgspec.to_builtins(protocol.Hello("c1", 20.0, protocol.AnnouncedLimits()))


@pytest.fixture(scope="module")
def spoken() -> Protocol:
    return stand_in_protocol()


@pytest.fixture
def document(spoken: Protocol) -> Json:
    copy: Json = json.loads(json.dumps(spoken.document))
    return copy


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)


def look_up(document: Json, reference: str) -> Any:
    found: Any = document
    assert reference.startswith("#/"), reference
    for part in reference[2:].split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


# ---------------------------------------------------------------------------- AsyncAPI's own rules

# Members that AsyncAPI 3.0.0 allows, extensions apart (its sections on each object).
ALLOWED = {
    "document": "asyncapi id info servers defaultContentType channels operations components",
    "server": "host protocol protocolVersion pathname description title summary variables security "
    "tags externalDocs bindings",
    "channel": "address messages title summary description servers parameters tags externalDocs "
    "bindings",
    "operation": "action channel title summary description security tags externalDocs bindings "
    "traits messages reply",
    "message": "headers payload correlationId contentType name title summary description tags "
    "externalDocs bindings examples traits",
}


def test_objects_have_no_members_but_those_of_asyncapi(document: Json) -> None:
    objects = [
        ("document", document),
        *(("server", each) for each in document["servers"].values()),
        *(("channel", each) for each in document["channels"].values()),
        *(("operation", each) for each in document["operations"].values()),
        *(("message", each) for each in document["components"]["messages"].values()),
    ]
    for kind, each in objects:
        members = {name for name in each if not name.startswith("x-")}
        assert members <= set(ALLOWED[kind].split()), (kind, members)
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert all({"host", "protocol"} <= server.keys() for server in document["servers"].values())


def test_every_reference_leads_somewhere(document: Json) -> None:
    assert list(references(document))
    for reference in references(document):
        assert look_up(document, reference), reference


def test_operations_name_messages_of_their_own_channel(document: Json) -> None:
    for name, operation in document["operations"].items():
        channel = operation["channel"]["$ref"]
        answers = operation.get("reply", {"channel": {"$ref": channel}, "messages": []})
        assert operation["action"] in {"send", "receive"}, name
        assert answers["channel"]["$ref"] == channel, name
        for each in [*operation["messages"], *answers["messages"]]:
            assert each["$ref"].startswith(f"{channel}/messages/"), name
        assert operation["messages"], name


def test_no_message_is_left_over(document: Json) -> None:
    used = {
        look_up(document, each["$ref"])["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        for each in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
    }
    assert used == document["components"]["messages"].keys()


def test_components_have_names_that_asyncapi_allows(document: Json) -> None:
    for section in document["components"].values():
        for name in section:
            assert name.replace(".", "").replace("-", "").replace("_", "").isalnum(), name


def test_schemas_are_those_of_draft_7(document: Json) -> None:
    schemas = list(document["components"]["schemas"].values())
    for message in document["components"]["messages"].values():
        schemas += [message["payload"], *([message["headers"]] if "headers" in message else [])]
    for schema in schemas:
        meta.validate({"$schema": DRAFT_7, **schema})
        assert "prefixItems" not in json.dumps(schema)


# ------------------------------------------------------------------------------- all that there is


def test_every_frame_of_ours_is_in_it_and_no_other(spoken: Protocol) -> None:
    of_transfers = {transfer_frames.SenderAck, transfer_frames.ChunkError, JsonChunkDown}
    ours = {*get_args(protocol.ServerFrame), *of_transfers}
    assert {frame.body for frame in SERVER.values()} == ours
    tags = {str(body.__struct_config__.tag) for body in ours}
    assert spoken.types("server") - {"reply", "said", "session.revoked"} == tags


def test_every_close_code_is_in_it(document: Json) -> None:
    for name in ("device", "channel"):
        codes = document["channels"][name]["x-close-codes"]
        assert {int(code) for code in codes} == set(CloseCode)
        assert codes["4013"]["reconnect"]
        assert not codes["4505"]["reconnect"]
        assert all(code["meaning"] for code in codes.values())


def test_every_socket_route_is_in_it(document: Json) -> None:
    addresses = {document["channels"][name]["address"] for name in ("device", "channel")}
    assert addresses == {route.path for route in SOCKET_ROUTES}


def test_every_fact_is_in_it(document: Json) -> None:
    facts = {each.type: each for each in Event.__subclasses__() if "contracts" in each.__module__}
    channels = document["channels"]
    addresses = {each["address"] for name, each in channels.items() if name.startswith("fact.")}
    assert addresses == facts.keys() == {each.type for each in contracts()}
    assert channels["fact.auth.user.deleted.v1"]["bindings"]["amqp"]["exchange"] == {
        "name": "sharezync.events",
        "type": "topic",
        "durable": True,
        "autoDelete": False,
        "vhost": "/",
    }


@pytest.mark.parametrize("fact", list(contracts()), ids=lambda fact: str(fact.type))
def test_a_fact_on_the_broker_is_as_its_message_says(document: Json, fact: type[Event]) -> None:
    made = fact(**{name: _value(kind) for name, kind in _fields(fact)})
    packed = pack(made.envelope(traceparent="00-1-2-01"), attempt=2)
    message = document["components"]["messages"][f"fact.{fact.type}"]
    Draft7Validator(message["headers"]).validate(dict(packed.headers))
    Draft7Validator(message["payload"]).validate(json.loads(packed.body))
    assert not Draft7Validator(message["payload"]).is_valid({"more": 1, **json.loads(packed.body)})


def _fields(fact: type[Event]) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(fact):
        yield field.name, field.type


def _value(kind: Any) -> Any:
    known: dict[Any, Any] = {UUID: uuid7(), str: "text", int: 7, tuple[UUID, ...]: (uuid7(),)}
    return known.get(kind, "text")


# --------------------------------------------------------------------- what the validation is worth


def test_a_good_frame_is_good_and_any_change_of_it_is_not(document: Json) -> None:
    assert valid_frame(document, "server", HELLO)
    assert not valid_frame(document, "server", {**HELLO, "more": 1})
    assert not valid_frame(document, "server", {**HELLO, "type": "salute"})
    assert not valid_frame(document, "client", HELLO)
    for name in HELLO:
        assert not valid_frame(document, "server", {k: v for k, v in HELLO.items() if k != name})
        assert not valid_frame(document, "server", {**HELLO, name: None})


def test_members_within_are_looked_at_too(document: Json) -> None:
    assert not valid_frame(document, "server", {**HELLO, "limits": {**HELLO["limits"], "x": 1}})
    stream = f"inbox:{uuid7()}"
    event = {"type": "said", "stream": stream, "epoch": "e", "seq": 1, "at": "2026-11-21T17:00:00Z"}
    assert valid_frame(document, "server", {**event, "data": {}})
    assert not valid_frame(document, "server", {**event, "data": {}, "seq": 0})
    assert not valid_frame(document, "server", {**event, "data": {}, "at": "today"})
    assert not valid_frame(document, "server", {**event, "data": {}, "stream": "inbox:me"})
    assert not valid_frame(document, "server", {**event, "data": []})


def test_clients_may_say_only_what_is_in_it(spoken: Protocol) -> None:
    said = {"type": "replay", "id": 1, "stream": "channel:x", "after": 3}
    assert spoken.fault("client", said) is None
    assert spoken.fault("client", {**said, "before": 9})
    assert spoken.fault("client", {**said, "before": 9}, strictly=False) is None
    assert spoken.fault("client", {**said, "after": "3"})


def test_one_channel_has_no_transfers(spoken: Protocol) -> None:
    accept = {"type": "transfer_accept", "transfer_id": str(uuid7())}
    assert spoken.fault("client", accept) is None
    assert spoken.fault("client", accept, channel="channel")
    chunk = make_chunk(uuid7(), 0, 7, b"payload", bytes(32)).frame
    assert spoken.chunk_fault(chunk) is None
    assert spoken.chunk_fault(chunk, channel="channel")
    assert spoken.chunk_fault(chunk[:-1])
    assert spoken.chunk_fault(b"\x02" + chunk[1:])
    assert spoken.chunk_fault(chunk[:40])


def test_to_obey_what_is_not_in_it_is_a_fault_and_to_refuse_it_is_none(spoken: Protocol) -> None:
    refusal = {"code": "invalid", "message": "No", "retryable": False, "retry_after_ms": None}
    talk = Conversation(spoken)
    talk.says('{"type": "ping", "id": 1, "loudly": true}')
    talk.hears(json.dumps({"type": "error", "id": 1, **refusal}))
    talk.check()
    talk.hears('{"type": "pong", "id": 1}')
    with pytest.raises(AssertionError, match="obeyed"):
        talk.check()


def test_a_reply_is_held_against_its_own_command(spoken: Protocol) -> None:
    talk = Conversation(spoken)
    talk.says('{"type": "unsubscribe", "id": 5, "users": []}')
    talk.hears('{"type":"reply","id":5,"data":{"expires_at":7}}')
    with pytest.raises(AssertionError, match="unsubscribe"):
        talk.check()


def test_what_cannot_be_read_of_a_service_is_named() -> None:
    documents: dict[str, Json] = {"chat": {"x-realtime": {"events": 7}}, "storage": {}}
    made = compose(documents, version="1", missing=["auth"])
    assert made["info"]["x-unavailable"] == ["auth", "chat"]
    assert "client.send_message" not in made["components"]["messages"]
    assert "storage" not in made["info"]["x-unavailable"]

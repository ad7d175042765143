import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from sharezync_shared.events import contracts
from sharezync_shared.events.bus import PermanentError
from sharezync_shared.events.contracts import Event, MessageSent, UserDeleted, UserRegistered
from sharezync_shared.ids import uuid7
from sharezync_shared.settings import SERVICES

EVENTS: list[type[Event]] = [
    event
    for event in vars(contracts).values()
    if isinstance(event, type) and issubclass(event, Event) and event is not Event
]


def example(event: type[Event]) -> Event:
    values: dict[Any, Any] = {UUID: uuid7(), str: "text", int: 3}
    fields = msgspec.structs.fields(event)
    return event(
        **{each.name: values[each.type] for each in fields if each.type in values} | many(event)
    )


def many(event: type[Event]) -> dict[str, Any]:
    return {
        each.name: (uuid7(), uuid7())
        for each in msgspec.structs.fields(event)
        if each.type == tuple[UUID, ...]
    }


def test_wire_names_are_unique() -> None:
    assert len({event.type for event in EVENTS}) == len(EVENTS) >= 13


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_contract_keeps_the_rules(event: type[Event]) -> None:
    service = event.type.partition(".")[0]
    assert service in SERVICES
    assert re.fullmatch(rf"{service}\.[a-z]+\.[a-z]+\.v[1-9]", event.type)
    assert event.source == f"/{service}"
    assert event.about in event.__struct_fields__


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_contract_survives_the_wire(event: type[Event]) -> None:
    said = example(event)
    envelope = said.envelope()
    assert event.decode(envelope) == said
    assert envelope.subject == str(getattr(said, event.about))
    assert envelope.time.tzinfo is UTC


def test_fields_of_a_newer_sender_are_ignored() -> None:
    said = UserDeleted(user_id=uuid7())
    newer = msgspec.structs.replace(
        said.envelope(), data=msgspec.json.encode({"user_id": said.user_id, "why": "asked"})
    )
    assert UserDeleted.decode(newer) == said


def test_fields_that_an_older_sender_did_not_know_have_defaults() -> None:
    said = MessageSent(message_id=uuid7(), channel_id=uuid7(), author_id=uuid7(), seq=1)
    body = msgspec.json.decode(said.envelope().data)
    del body["attachments"]
    older = msgspec.structs.replace(said.envelope(), data=msgspec.json.encode(body))
    assert MessageSent.decode(older).attachments == ()


@pytest.mark.parametrize("data", [b"", b"[]", b'{"user_id":7}', b"{}"])
def test_a_broken_contract_is_for_the_dead_letters(data: bytes) -> None:
    broken = msgspec.structs.replace(UserDeleted(user_id=uuid7()).envelope(), data=data)
    with pytest.raises(PermanentError, match=r"auth\.user\.deleted\.v1"):
        UserDeleted.decode(broken)


def test_one_fact_is_not_read_as_another() -> None:
    with pytest.raises(PermanentError):
        UserRegistered.decode(UserDeleted(user_id=uuid7()).envelope())


def test_an_envelope_keeps_the_identity_it_is_given() -> None:
    event_id, at = uuid7(), datetime(2026, 11, 21, tzinfo=UTC)
    envelope = UserDeleted(user_id=uuid7()).envelope(event_id=event_id, time=at, traceparent="t")
    assert (envelope.id, envelope.time, envelope.traceparent) == (event_id, at, "t")

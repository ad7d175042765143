"""What a service declares of sockets."""

import pytest
from pydantic import BaseModel, Field

from sharezync_shared.streams.declared import Realtime, SocketCommand, StreamEvent


class Person(BaseModel):
    name: str = "nobody"


class Said(BaseModel):
    by: Person
    text: str = ""
    secret: str = Field("", exclude=True)


class Heard(BaseModel):
    """It has another shape."""

    by: Person


@pytest.fixture
def realtime() -> Realtime:
    return Realtime(
        [
            StreamEvent("said", "channel", Said, "Somebody said something"),
            StreamEvent("noise", "inbox", Said | Heard, "One or the other", signal=True),
        ],
        [SocketCommand("say", Person, Said, "Say something")],
    )


def test_what_is_sent_has_all_its_members_and_no_others(realtime: Realtime) -> None:
    document = realtime.document()
    said, noise = document["events"]
    assert said == {
        "type": "said",
        "stream": "channel",
        "summary": "Somebody said something",
        "signal": False,
        "data": {"$ref": "#/schemas/Said"},
    }
    assert noise["signal"]
    assert noise["data"]["anyOf"] == [{"$ref": "#/schemas/Said"}, {"$ref": "#/schemas/Heard"}]
    schema = document["schemas"]["Said"]
    assert schema["properties"].keys() == set(schema["required"]) == {"by", "text"}
    assert schema["additionalProperties"] is False
    assert document["schemas"]["Person-Output"]["additionalProperties"] is False


def test_what_is_received_is_described_as_it_is_accepted(realtime: Realtime) -> None:
    document = realtime.document()
    (command,) = document["commands"]
    assert command["request"] == {"$ref": "#/schemas/Person-Input"}
    schema = document["schemas"]["Person-Input"]
    assert "additionalProperties" not in schema
    assert "required" not in schema

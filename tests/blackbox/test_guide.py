"""The guide to the socket is true: each frame on the page is one of the product's document."""

import json
import re
from pathlib import Path

import pytest

from sharezync_testkit.frames import Protocol
from tests.blackbox.people import Json, protocol_at

TEXT = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text()
BLOCK = re.compile(r"^ *```json\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`(\{\"type\".*?\})`")


@pytest.fixture
async def spoken(base_url: str) -> Protocol:
    return await protocol_at(base_url)


def frames() -> list[Json]:
    """Return every frame on the page; a block may have several, one after the other."""
    found: list[Json] = [json.loads(text) for text in IN_LINE.findall(TEXT)]
    decoder = json.JSONDecoder()
    for block in BLOCK.findall(TEXT):
        rest = block.strip()
        while rest:
            frame, end = decoder.raw_decode(rest)
            found.append(frame)
            rest = rest[end:].strip()
    return found


async def test_every_frame_on_the_page_may_be_sent(spoken: Protocol) -> None:
    for frame in frames():
        faults = {by: spoken.fault(by, frame) for by in ("client", "server")}
        assert None in faults.values(), (frame, faults)


async def test_there_is_an_example_of_every_frame_of_clients(spoken: Protocol) -> None:
    shown = {frame["type"] for frame in frames() if spoken.fault("client", frame) is None}
    assert shown == spoken.types("client") - {"pong"}  # which nobody heeds


async def test_there_is_an_example_of_every_frame_of_the_sockets_own(spoken: Protocol) -> None:
    shown = {frame["type"] for frame in frames() if spoken.fault("server", frame) is None}
    own = {
        spoken.document["components"]["messages"][name]["name"]
        for name in spoken.document["components"]["messages"]
        if name.startswith("server.")
    }
    assert own <= shown


async def test_every_type_of_frame_is_named(spoken: Protocol) -> None:
    named = set(re.findall(r"`([\w.]+)`", TEXT)) | {frame["type"] for frame in frames()}
    prefixes = {name.partition(".")[0] for name in named if not name.startswith(".")}
    named |= {prefix + name for name in named if name.startswith(".") for prefix in prefixes}
    assert spoken.types("server") | spoken.types("client") <= named


async def test_every_outcome_of_a_resume_is_explained(spoken: Protocol) -> None:
    outcome = spoken.document["components"]["schemas"]["gateway.ResumeOutcome"]
    table = TEXT.partition("| `result` | |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE)
    assert set(outcome["properties"]["result"]["enum"]) == set(told)

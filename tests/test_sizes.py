"""Sizes that depend on each other: what one lets in, the next can carry, in every service.

These hold of any length of a message: `tests/test_raising_limits.py` has them tried with another.
"""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from sharezync_auth.schemas import PublicUser
from sharezync_chat.api.messages import MAX_ATTACHMENTS, MessageCreate
from sharezync_chat.schemas import MessageRead
from sharezync_gateway.realtime.protocol import MAX_ID_CHARACTERS
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared import sizes
from sharezync_shared.ids import uuid7
from sharezync_shared.names.filenames import MAX_NAME_BYTES
from sharezync_shared.names.policies import BIO, DISPLAY_NAME, MEDIA_TYPE, Policy
from sharezync_storage.schemas import FileRead
from sharezync_transfer.schemas import TransferOffer
from sharezync_transfer.settings import MAX_FILES, MAX_OFFER_BYTES

ID = str(uuid7())
NOW = datetime.now(UTC)
GATEWAY_BYTES = GatewaySettings.model_fields["max_json_body_bytes"].default

LONGEST = {
    "ASCII": "x",
    "quotes": '"',
    "Hindi": "ह",
    "Chinese": "請",
    "emoji": "🙂",
    "control characters": "\x01",
}


def message(character: str) -> dict[str, object]:
    """Return the largest message that chat takes, of one character over and over."""
    said: dict[str, object] = {
        "text": character * sizes.MAX_TEXT_CHARACTERS,
        "attachments": [str(uuid7()) for _ in range(MAX_ATTACHMENTS)],
        "reply_to": ID,
        "client_message_id": "k" * 200,
    }
    MessageCreate.model_validate(said)
    return said


def longest(policy: Policy, character: str) -> str:
    """Return the longest text that a policy lets in, of one character over and over."""
    assert policy.max_characters is not None
    return character * policy.max_characters


@pytest.mark.parametrize("name", [n for n in LONGEST if n != "control characters"])
def test_the_longest_message_fits_into_a_frame_as_browsers_write_it(name: str) -> None:
    frame = {
        "type": "send_message",
        "id": "i" * MAX_ID_CHARACTERS,
        "channel_id": ID,
        **message(LONGEST[name]),
    }
    written = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    assert len(written.encode()) <= sizes.MAX_TEXT_FRAME_BYTES


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_message_fits_into_a_json_request_however_it_is_written(name: str) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in LONGEST[name] if ord(c) < 0x10000)
    in_escapes = escaped or json.dumps(LONGEST[name])[1:-1]
    said = {**message(LONGEST[name]), "text": "", "client_message_id": ""}
    around = len(json.dumps(said)) + 200 * sizes.ESCAPED_BYTES
    whole = around + len(in_escapes) * sizes.MAX_TEXT_CHARACTERS
    assert len(in_escapes) <= sizes.ESCAPED_BYTES
    assert whole <= sizes.MAX_JSON_BODY_BYTES


def test_a_request_that_a_service_takes_comes_through_the_gateway() -> None:
    assert sizes.MAX_JSON_BODY_BYTES <= GATEWAY_BYTES
    assert MAX_OFFER_BYTES <= GATEWAY_BYTES


def test_the_largest_frame_is_a_command_that_a_batch_holds() -> None:
    assert sizes.MAX_TEXT_FRAME_BYTES + sizes.COMMAND_BYTES <= sizes.MAX_COMMANDS_BYTES
    assert sizes.MAX_COMMANDS_BYTES < sizes.MAX_JSON_BODY_BYTES
    assert sizes.COMMANDS_AT_ONCE <= sizes.MAX_COMMANDS


def test_the_longest_message_is_a_commit_of_its_own_and_its_event_fits_the_broker() -> None:
    assert sizes.MAX_TEXT_CHARACTERS <= sizes.MAX_COMMIT_CHARACTERS
    control = json.dumps("\x01" * sizes.MAX_TEXT_CHARACTERS)  # the longest that we ever write
    assert len(TypeAdapter(str).dump_json("\x01")) == len(json.dumps("\x01"))
    around = len(MessageRead.model_json_schema()) + 100 * 1024  # mentions, attachments: generously
    assert len(control) + around <= sizes.MAX_FRAMES_BYTES
    # One more frame may be in a message that was nearly full.
    assert sizes.MAX_FRAMES_BYTES + len(control) + around <= sizes.BROKER_BYTES


def test_a_page_holds_some_of_the_longest_messages() -> None:
    # Twice: what is around a message has half of a page on each side.
    assert 2 * sizes.MAX_TEXT_FRAME_BYTES < sizes.MAX_PAGE_BYTES // 2


@pytest.mark.parametrize(
    ("items", "document"),
    [
        (
            100,
            PublicUser(
                id=UUID(ID),
                username="i" * 32,
                display_name=longest(DISPLAY_NAME, "🙂"),
                bio=longest(BIO, "🙂"),
                created_at=NOW,
            ),
        ),
        (
            200,
            FileRead(
                id=UUID(ID),
                name='"' * MAX_NAME_BYTES,
                size_bytes=10**12,
                mime=longest(MEDIA_TYPE, '"'),
                sha256="a" * 64,
                owner_id=UUID(ID),
                created_at=NOW,
            ),
        ),
    ],
)
def test_lists_that_only_count_their_items_are_no_larger_than_a_page(
    items: int, document: BaseModel
) -> None:
    assert items * len(document.model_dump_json().encode()) <= sizes.MAX_PAGE_BYTES


def test_a_transaction_of_messages_is_told_in_one_message() -> None:
    assert len(json.dumps("\x01")[1:-1]) == sizes.WRITTEN_BYTES
    told = sizes.MAX_COMMIT_CHARACTERS * sizes.WRITTEN_BYTES
    assert told <= sizes.MAX_FRAMES_BYTES
    assert told <= sizes.MAX_REPLAY_BYTES


def test_an_offer_of_as_many_files_as_there_may_be_fits_into_its_request() -> None:
    file = {
        "name": f"photos of the journey/{'x' * 200}/{'y' * 200}.jpeg",
        "size": 10**12,
        "mime": "application/vnd.oasis.opendocument.text",
        "sha256": "a" * 64,
    }
    offer = {"recipients": [{"user_id": ID}], "files": [file] * MAX_FILES}
    TransferOffer.model_validate(offer)
    assert len(json.dumps(offer)) <= MAX_OFFER_BYTES

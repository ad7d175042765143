"""The client has its own numbers, since it imports none of ours: they are those of the server."""

import json
from typing import get_args

from sharezync import documents, http, names
from sharezync.realtime import opening
from sharezync.transfer import offer, socket_sender
from sharezync_gateway.realtime.protocol import MAX_MESSAGE_BYTES, SUBPROTOCOL
from sharezync_shared.ids import uuid7
from sharezync_shared.names import filenames
from sharezync_shared.sizes import MAX_CHUNK_BYTES, MAX_PAGE_BYTES, MAX_TEXT_FRAME_BYTES
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_transfer.settings import MAX_FILES, TransferSettings


def test_what_the_client_holds_to_is_what_the_server_holds_to() -> None:
    assert opening.SUBPROTOCOL == SUBPROTOCOL
    assert offer.MAX_FILES == MAX_FILES
    assert names.MAX_NAME_BYTES == filenames.MAX_NAME_BYTES
    assert names.MAX_DEPTH == filenames.MAX_PATH_SEGMENTS
    assert names.MAX_PATH_BYTES == filenames.MAX_PATH_BYTES
    window = TransferSettings.model_fields["transfer_window_bytes"].default
    assert window == socket_sender._FIRST_WINDOW_BYTES


def test_the_client_takes_what_the_server_may_send() -> None:
    assert opening._MOST_FRAME_BYTES >= MAX_MESSAGE_BYTES
    assert http.MOST_BYTES >= 2 * MAX_PAGE_BYTES
    _, bounds = get_args(documents._ChunkSize)
    assert bounds.le >= MAX_CHUNK_BYTES
    assert documents._MOST_CHUNKS >= MAX_CHUNKS


def test_a_frame_of_cursors_is_one_that_the_server_takes() -> None:
    cursors = {f"transfers:{uuid7()}": ["e" * 16, 2**53] for _ in range(opening._CURSORS_AT_ONCE)}
    frame = {"type": "resume", "id": 2**31, "cursors": cursors}
    assert len(json.dumps(frame)) <= MAX_TEXT_FRAME_BYTES

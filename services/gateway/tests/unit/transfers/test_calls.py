"""The calls to transfer and storage, as they look on the wire."""

import json
from uuid import UUID

import httpx
import pytest

from services.gateway.tests.unit.realtime.wire import Wire
from sharezync_gateway.transfers.core.calls import Caller, TransferCalls
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Refusal
from sharezync_shared.contracts.services import Services
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")
UPLOAD = UUID("01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77")


ADA, PHONE = str(UUID(int=1)), str(UUID(int=2))
ON_PHONE = Caller(ADA, PHONE)
ATTACH = f"transfer/internal/transfers/{TRANSFER}/attach"
PROGRESS = f"transfer/internal/transfers/{TRANSFER}/progress"
COMMANDS = "transfer/internal/commands"
RECORD = f"storage/internal/uploads/{UPLOAD}"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def calls(wire: Wire) -> TransferCalls:
    return TransferCalls(Services.from_platform(wire))


ATTACHMENT = {
    "user_id": ADA,
    "device_id": PHONE,
    "role": "recipient",
    "transfer": {
        "id": str(TRANSFER),
        "state": "receiving",
        "files": [
            {"index": 0, "name": "a", "stored_bytes": 7, "root": None},
            {"index": 1, "name": "b", "stored_bytes": 0, "root": None},
        ],
        "recipients": [],
    },
    "window_bytes": 4194304,
    "files": [
        {
            "index": index,
            "upload_id": str(UPLOAD),
            "size_bytes": 25,
            "chunk_size_bytes": 10,
            "chunk_count": 3,
            "accepted": index == 0,
        }
        for index in range(2)
    ],
    "received": {"0": [[0, 0], [2, 2]]},
}


async def test_attaching_tells_who_somebody_is_and_where_chunks_go(
    wire: Wire, calls: TransferCalls
) -> None:
    wire.answers[ATTACH] = ATTACHMENT
    attached = await calls.attach(TRANSFER, ON_PHONE)
    assert wire.asked == [
        (
            "transfer",
            "POST",
            f"/internal/transfers/{TRANSFER}/attach",
            {},
            {"user_id": ADA, "device_id": PHONE, "token": None},
        )
    ]
    assert (attached.role, attached.state, attached.window_bytes) == (
        "recipient",
        "receiving",
        4194304,
    )
    assert attached.confirmed == {0: Ranges([(0, 0), (2, 2)])}
    assert list(attached.shapes) == [0]
    assert attached.shapes[0].upload_id == UPLOAD
    assert [attached.shapes[0].length(index) for index in range(3)] == [10, 10, 5]
    assert [attached.stored_bytes(file) for file in range(3)] == [7, 0, 0]


async def test_progress_is_reported_for_whom_it_is(wire: Wire, calls: TransferCalls) -> None:
    wire.answers[PROGRESS] = {"state": "receiving", "recipient_state": None}
    standing = await calls.report(
        TRANSFER, Caller(ADA), stored={0: 5}, received={1: Ranges([(0, 3)])}
    )
    assert standing.state == "receiving"
    assert wire.asked[0][2:] == (
        f"/internal/transfers/{TRANSFER}/progress",
        {},
        {
            "user_id": ADA,
            "device_id": None,
            "stored": {"0": 5},
            "received": {"1": [[0, 3]]},
        },
    )


async def test_a_command_is_carried_out_for_its_user(wire: Wire, calls: TransferCalls) -> None:
    wire.answers[COMMANDS] = {"results": [{"data": {"id": "t"}}]}
    outcome = await calls.command(ON_PHONE, "transfer_accept", {"transfer_id": "t"})
    assert json.loads(bytes(outcome.data)) == {"id": "t"}
    assert wire.asked == [
        (
            "transfer",
            "POST",
            "/internal/commands",
            {},
            {
                "commands": [
                    {
                        "user_id": ADA,
                        "device_id": PHONE,
                        "traceparent": None,
                        "kind": "transfer_accept",
                        "data": {"transfer_id": "t"},
                    }
                ]
            },
        )
    ]
    assert wire.timeouts[0] > 25, "longer than transfer may need to have files verified"


async def test_a_refused_command_brings_its_problem(wire: Wire, calls: TransferCalls) -> None:
    problem = {
        "type": "urn:sharezync:problem:unavailable",
        "code": "unavailable",
        "detail": "later",
        "status": 503,
        "retry_after_seconds": 1,
    }
    wire.answers[COMMANDS] = {"results": [{"problem": problem}]}
    outcome = await calls.command(Caller(ADA), "transfer_complete", {})
    assert outcome.problem == Refusal("unavailable", "later", 503, 1)


async def test_the_record_of_an_upload_is_storages(wire: Wire, calls: TransferCalls) -> None:
    wire.answers[RECORD] = {
        "id": str(UPLOAD),
        "size_bytes": 100,
        "chunk_size_bytes": 10,
        "chunk_count": 10,
        "stored_bytes": 50,
        "stored": [[0, 3], [5, 5]],
        "state": "receiving",
        "root": None,
        "sha256": None,
        "file_id": None,
    }
    assert await calls.stored(UPLOAD) == Ranges([(0, 3), (5, 5)])
    assert wire.asked == [("storage", "GET", f"/internal/uploads/{UPLOAD}", {}, None)]


async def test_what_is_not_there_is_not_found(wire: Wire, calls: TransferCalls) -> None:
    for call in (calls.attach(TRANSFER, Caller(ADA)), calls.stored(UPLOAD)):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(401),
        httpx.Response(200, content=b"oops"),
        httpx.Response(200, json={"results": []}),
        httpx.ConnectError("away"),
        httpx.ReadTimeout("slow"),
    ],
    ids=["500", "401", "no json", "another shape", "away", "slow"],
)
async def test_no_useful_answer_is_no_answer(
    wire: Wire, calls: TransferCalls, answer: httpx.Response | Exception
) -> None:
    wire.answers |= dict.fromkeys((ATTACH, PROGRESS, COMMANDS, RECORD), answer)
    for call in (
        calls.attach(TRANSFER, Caller(ADA)),
        calls.command(Caller(ADA), "transfer_accept", {}),
        calls.report(TRANSFER, Caller(ADA), stored={}, received={}),
        calls.stored(UPLOAD),
    ):
        with pytest.raises(ServiceUnavailable):
            await call


async def test_what_is_looked_up_for_each_chunk_is_made_once(
    wire: Wire, calls: TransferCalls
) -> None:
    """Else a chunk of one file among a thousand costs as much as a thousand."""
    wire.answers[ATTACH] = ATTACHMENT
    attachment = await calls.attach(TRANSFER, Caller(ADA))
    assert attachment.shapes is attachment.shapes
    for state in attachment.transfer.files:
        assert attachment.file(state.index) is state
    assert attachment.file(999).stored_bytes == 0

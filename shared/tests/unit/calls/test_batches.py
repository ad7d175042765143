"""What becomes of many uploads at once, as storage tells it in one answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest

from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.calls.transports import HttpxTransport
from sharezync_shared.contracts.storage import (
    FileComing,
    StorageClient,
    UploadClosed,
    UploadFinished,
    UploadFinishing,
    UploadIncomplete,
)
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound, refusal_document

FIRST, SECOND = UUID(int=1), UUID(int=2)


class Credentials:
    async def token(self) -> str:
        return "token"

    async def token_instead_of(self, refused: str) -> str:
        return refused


def client_of(answer: Mapping[str, Any]) -> StorageClient:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    return StorageClient(HttpxTransport("http://storage", transport), Credentials())


async def test_each_upload_has_what_became_of_it_in_order() -> None:
    refusals = [
        UploadIncomplete(missing=[[0, 3]]),
        UploadFinishing(retry_after_seconds=0.25),
        UploadClosed(state="aborted"),
        NotFound("No such upload"),
    ]
    finished = {"file_id": str(FIRST), "root": "00", "sha256": None}
    results = [
        {"finished": finished},
        *({"problem": refusal_document(each)} for each in refusals),
        {"finished": None, "problem": {"code": "of-another-release"}},
    ]
    client = client_of({"results": results})
    found = await client.finish_uploads([UUID(int=number) for number in range(6)])
    assert found[0] == UploadFinished(FIRST, "00")
    kinds = [UploadIncomplete, UploadFinishing, UploadClosed, NotFound, ServiceUnavailable]
    assert [type(each) for each in found[1:]] == kinds
    incomplete, finishing = found[1:3]
    assert isinstance(incomplete, UploadIncomplete)
    assert incomplete.extras == {"missing": [[0, 3]]}
    assert isinstance(finishing, UploadFinishing)
    assert finishing.retry_after_seconds == 0.25


async def test_another_number_of_answers_than_was_asked_for_is_no_answer() -> None:
    uploads = {"uploads": [{"id": str(FIRST), "chunk_count": 1}]}
    files = [FileComing(name=name, size_bytes=1) for name in ("a", "b")]
    with pytest.raises(ServiceUnavailable, match="1 answers for 2"):
        await client_of(uploads).begin_uploads(UserId(FIRST), files, 1)
    with pytest.raises(ServiceUnavailable, match="0 answers for 2"):
        await client_of({"results": []}).finish_uploads([FIRST, SECOND])

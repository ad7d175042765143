"""Files that a service of our own process sends without reading them: passed on as they are."""

from collections.abc import AsyncGenerator
from io import FileIO
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import Puppet
from services.gateway.tests.api.proxy.upstream_ends import Collected, request
from sharezync_gateway.errors import BrokenAnswer
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_shared.server import ZERO_COPY


class Files(Puppet):
    """Sends a file, with or without its last byte."""

    def __init__(self, file: FileIO) -> None:
        super().__init__(self.send_file)
        self.file = file
        self.more = False

    async def send_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send(
            {"type": ZERO_COPY, "file": self.file, "offset": 0, "count": 4, "more_body": self.more}
        )


@pytest.fixture
async def files(tmp_path: Path) -> AsyncGenerator[Files]:
    (tmp_path / "file").write_bytes(b"data")
    with FileIO(tmp_path / "file") as file:
        yield Files(file)


@pytest.mark.parametrize("takes_files", [True, False])
async def test_files_are_offered_where_the_door_takes_them(
    files: Files, *, takes_files: bool
) -> None:
    await AsgiUpstream(files).forward(request(takes_files=takes_files), Collected())
    assert (ZERO_COPY in files.seen[0]["extensions"]) is takes_files


async def test_a_file_is_passed_on_and_ends_the_answer(files: Files) -> None:
    collected = Collected()
    await AsgiUpstream(files).forward(request(takes_files=True), collected)
    assert collected.messages[1]["file"] is files.file
    assert collected.whole


async def test_an_answer_that_ends_before_its_file_is_broken(files: Files) -> None:
    files.more = True
    with pytest.raises(BrokenAnswer):
        await AsgiUpstream(files).forward(request(takes_files=True), Collected())

"""Servers that answer what no server of ours does: told in a sentence, and nothing is kept."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sharezync import Client, MemoryTokens, NotUnderstood, Problem, Tokens
from sharezync.cli.output import outcome_of
from sharezync.documents import StoredFile, Transfer
from sharezync.problems import Corrupt, Unreachable

ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
Answer = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """Answers what `answer` returns for a path."""

    daemon_threads = True
    answer: Callable[[str], Answer]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, body: bytes | object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = lambda _: (status, headers, content)


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        status, headers, body = self.server.answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()  # the body ends with the connection
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def client(server: Server) -> Client:
    tokens = MemoryTokens(Tokens("a", "r", math.inf, 900))
    return Client(server.url, tokens=tokens, patience_seconds=0)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b"null", b'"x"', b"[" * 200_000, b'{"id":' + b"9" * 5000]
)
async def test_an_answer_of_something_else_is_told_in_a_sentence(
    running: Server, body: bytes
) -> None:
    running.says(body)
    async with client(running) as opened:
        with pytest.raises(NotUnderstood, match="no ShareZync server") as raised:
            await opened.session().people.me()
    assert outcome_of(raised.value).code == "failed"


async def test_nobody_is_followed_elsewhere(running: Server) -> None:
    running.says(b"", 302, Location="http://127.0.0.1:1/")
    async with client(running) as opened:
        with pytest.raises(NotUnderstood, match="elsewhere"):
            await opened.session().people.me()


async def test_a_list_whose_pages_have_no_end_has_one(running: Server) -> None:
    running.says({"items": [], "next": "x"})
    async with client(running) as opened:
        assert await opened.session().chat.memberships() == []


@pytest.mark.parametrize(
    "errors", [5, "x", {"a": 1}, [1], [{}], [{"field": 1, "message": None}], [{"field": "body.x"}]]
)
async def test_problems_of_any_shape_can_be_told(running: Server, errors: object) -> None:
    running.says({"code": "invalid", "detail": "no", "errors": errors}, 422)
    async with client(running) as opened:
        with pytest.raises(Problem) as raised:
            await opened.session().people.me()
    assert outcome_of(raised.value).message.startswith("no")


async def test_a_problem_that_is_nested_without_end_is_one(running: Server) -> None:
    running.says(b"[" * 200_000, 422)
    async with client(running) as opened:
        with pytest.raises(Problem) as raised:
            await opened.session().people.me()
    assert raised.value.code == "http-422"


@pytest.mark.parametrize("after", ["nan", "inf", "-inf", "1e999", "soon", None, [], {}, 10**400])
def test_what_is_no_time_is_not_waited_for(after: object) -> None:
    assert Problem.of_frame({"code": "x", "retry_after_ms": after}).retry_after_seconds is None


async def test_a_download_that_is_longer_than_it_was_said_is_not_kept(
    running: Server, tmp_path: Path
) -> None:
    document = {"id": ID, "name": "x.txt", "size_bytes": 4}
    running.answer = lambda path: (
        200, {}, b"x" * 100_000 if path.endswith("content") else json.dumps(document).encode()
    )  # fmt: skip
    async with client(running) as opened:
        with pytest.raises(Corrupt, match="longer"):
            await opened.session().downloads.download(
                ID, tmp_path / "in.txt", record_in=tmp_path / "records"
            )
    assert [path.name for path in tmp_path.rglob("*")] == ["records"]


async def test_a_download_that_does_not_begin_ends(
    running: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync.files.downloads.jittered", lambda _: 0)
    document = {"id": ID, "name": "x.txt", "size_bytes": 4}
    running.answer = lambda path: (
        200, {}, b"" if path.endswith("content") else json.dumps(document).encode()
    )  # fmt: skip
    async with client(running) as opened:
        with pytest.raises(Unreachable, match="too soon"):
            await opened.session().downloads.download(
                ID, tmp_path / "in.txt", record_in=tmp_path / "records"
            )


@pytest.mark.parametrize("size", [-1, 2**53, 1.5, "5", None, 10**400])
def test_no_file_has_a_size_that_is_none(size: object) -> None:
    with pytest.raises(NotUnderstood):
        StoredFile.of({"id": ID, "name": "x", "size_bytes": size})


@pytest.mark.parametrize(("size", "chunk"), [(1, 0), (1, -1), (1, 0.5), (2**50, 1), (1, None)])
def test_no_file_is_cut_into_what_no_memory_holds(size: int, chunk: object) -> None:
    with pytest.raises(NotUnderstood):
        Transfer.of(
            {
                "id": ID, "sender_id": ID, "state": "offered", "recipients": [],
                "chunk_size_bytes": chunk,
                "files": [{"index": 0, "name": "x", "size_bytes": size}],
            }
        )  # fmt: skip


def test_the_size_that_is_told_is_that_of_the_files() -> None:
    offered = Transfer.of(
        {
            "id": ID, "sender_id": ID, "state": "offered", "recipients": [], "size_bytes": 1,
            "chunk_size_bytes": 1024,
            "files": [{"index": 0, "name": "x", "size_bytes": 10**9}],
        }
    )  # fmt: skip
    assert offered.size_bytes == 10**9

"""What a server's bytes are, read as a strict client reads them: h11's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import h11

from tests.edge.reference import Seen


@dataclass(frozen=True)
class Answer:
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    continues: int
    """How many `100 Continue` came before it."""

    def field(self, name: str) -> str:
        return next((value for known, value in self.fields if known == name), "")

    @property
    def mark(self) -> str:
        """Of the request that it answers; empty where the server refused before there was one."""
        return self.field("x-request-id")

    @property
    def closes(self) -> bool:
        return "close" in self.field("connection").lower()


@dataclass(frozen=True)
class Answers:
    whole: tuple[Answer, ...]
    rest: bytes
    """What came after them and is no whole answer."""
    broken: str = ""
    """Why the rest is none, where it could never become one."""


def read(came: bytes, asked: Sequence[Seen], *, ended: bool) -> Answers:
    """Read what came in answer to these requests; `ended`: the server has closed.

    Answers beyond the last request are read as if GET had asked for them.
    """
    whole: list[Answer] = []
    while came:
        method = asked[len(whole)].method if len(whole) < len(asked) else "GET"
        client = h11.Connection(h11.CLIENT)
        target = "x:1" if method == "CONNECT" else "/"
        client.send(h11.Request(method=method, target=target, headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(came)
        if ended:
            client.receive_data(b"")
        try:
            answer = _answer(client)
        except h11.RemoteProtocolError as broken:
            return Answers(tuple(whole), came, str(broken))
        if answer is None:
            break
        whole.append(answer)
        came = client.trailing_data[0]
    return Answers(tuple(whole), came)


def _answer(client: h11.Connection) -> Answer | None:
    head: h11.Response | None = None
    body = bytearray()
    continues = 0
    while True:
        event = client.next_event()
        match event:
            case h11.InformationalResponse():
                continues += 1
            case h11.Response():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                fields = tuple(
                    (name.decode(), value.decode("latin-1")) for name, value in head.headers
                )
                return Answer(head.status_code, fields, bytes(body), continues)
            case _:
                return None

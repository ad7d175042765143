"""The judge itself: it sees what a server does wrong, and nothing in what is right."""

import pytest

from tests.edge.echo import described, difference
from tests.edge.streams import Message, Sent, Stream, head
from tests.edge.verdict import Outcome, complaint

CLOSE = ((b"Connection", b"close"),)
ODD = b"POST /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: odd\r\nContent-Length: five\r\n\r\n"


def answer(mark: str, body: bytes = b"", method: str = "POST", more: str = "") -> bytes:
    text = described(body)
    return (
        f"HTTP/1.1 200 OK\r\nX-Request-Id: {mark}\r\nX-Method: {method}\r\n"
        f"Content-Length: {len(text)}\r\n{more}\r\n{text}"
    ).encode()


def posted(mark: str, body: bytes, *more: tuple[bytes, bytes]) -> Sent:
    message = Message(b"POST", b"/echo/x", body)
    return Sent((head(mark, message, (*more, (b"Content-Length", b"%d" % len(body)))), body))


def stream(*sent: Sent) -> Stream:
    return Stream(sent, tuple(one.wire for one in sent), half_closes=False)


TWO = stream(posted("one", b"x"), posted("two", b"yy", *CLOSE))
BROKEN = stream(posted("one", b"x"), Sent((ODD,), odd=True), posted("last", b"", *CLOSE))
ONE, OTHER = answer("one", b"x"), answer("two", b"yy")
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("given", "came"), [(TWO, ONE + OTHER), (BROKEN, ONE + REFUSED)], ids=["answered", "refused"]
)
def test_what_is_right_is_left_alone(given: Stream, came: bytes) -> None:
    assert complaint(given, Outcome(came, closed=True), difference) == ""


@pytest.mark.parametrize(
    ("given", "came", "said"),
    [
        (TWO, OTHER + ONE, "instead of"),
        (TWO, ONE, "closed without a word"),
        (TWO, ONE + OTHER + answer("hidden"), "nobody asked"),
        (TWO, answer("one") + OTHER, "instead of"),
        (TWO, answer("one", b"x", "GET") + OTHER, "taken for GET"),
        (TWO, ONE + REFUSED, "instead of"),
        (TWO, ONE + OTHER[:-2], "is none"),
        (TWO, ONE[:-5] + REFUSED, "is none"),
        (TWO, CONTINUE + ONE + OTHER, "100 Continue"),
        (TWO, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "is none"),
        (BROKEN, REFUSED, "instead of"),
        (BROKEN, ONE + answer("odd"), "nobody asked"),
        (BROKEN, ONE + REFUSED + answer("last"), "1 answers follow"),
    ],
)
def test_what_is_wrong_is_seen(given: Stream, came: bytes, said: str) -> None:
    assert said in complaint(given, Outcome(came, closed=True), difference)


def test_a_connection_that_stays_open_is_seen() -> None:
    assert "stayed open" in complaint(TWO, Outcome(ONE + OTHER, closed=False), difference)


def test_who_took_longer_than_a_head_may_need_not_be_answered() -> None:
    assert "without a word" in complaint(TWO, Outcome(ONE, closed=True), difference)
    assert complaint(TWO, Outcome(ONE, closed=True, seconds=11), difference) == ""

"""Requests to real routes, and how their answers show whose they are and what they carried."""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from hypothesis import strategies as st

from tests.blackbox.people import Person
from tests.edge.answers import Answer
from tests.edge.reference import Seen
from tests.edge.streams import Message, spelled

UPLOADS = b"/v1/uploads"
_BYTES = (b"Content-Type", b"application/offset+octet-stream")
_JSON = (b"Content-Type", b"application/json")
_FORM = (b"Content-Type", b"application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Asker:
    """Somebody who is logged in, and two channels of theirs."""

    user_id: str
    token: str
    channel_id: str
    """In which they write."""
    followed_id: str
    """In which others have written, and they only read: writing would move their mark."""
    followed_seq: int
    """Of an event there that is not the last."""
    name: str
    """What all their marks begin with."""

    @property
    def bearer(self) -> tuple[bytes, bytes]:
        return b"Authorization", f"Bearer {self.token}".encode()

    def posting(self, text: str) -> Message:
        body = json.dumps({"text": text}).encode()
        target = f"/v1/channels/{self.channel_id}/messages".encode()
        return Message(b"POST", target, body, (self.bearer, _JSON))

    def reading(self) -> Message:
        """Mark up to `followed_seq` as read; with its body lost, it would mark everything."""
        target = f"/v1/channels/{self.followed_id}/read".encode()
        body = json.dumps({"seq": self.followed_seq}).encode()
        return Message(b"PUT", target, body, (self.bearer, _JSON))

    def asking_who_one_is(self, body: bytes = b"", method: bytes = b"GET") -> Message:
        return Message(method, b"/v1/users/me", body, (self.bearer,))

    def renaming(self, name: str) -> Message:
        body = json.dumps({"display_name": name}).encode()
        return Message(b"PATCH", b"/v1/users/me", body, (self.bearer, _JSON))

    def uploading(self, body: bytes) -> Message:
        fields = ((b"Tus-Resumable", b"1.0.0"), (b"Upload-Length", b"%d" % len(body)), _BYTES)
        return Message(b"POST", UPLOADS, body, (self.bearer, *fields))

    def asking_for_tokens(self, body: bytes) -> Message:
        """Ask for tokens without any right to them."""
        return Message(b"POST", b"/token", body, (_FORM,))

    def without_a_token(self, body: bytes) -> Message:
        """Refused without a look at the body."""
        return Message(b"POST", b"/v1/channels", body, (_JSON,))

    @property
    def _bodies(self) -> st.SearchStrategy[bytes]:
        wrong = urlencode({"grant_type": "refresh_token", "refresh_token": "x" * 50}).encode()
        return st.sampled_from((wrong, spelled("body"), b"0\r\n\r\n", b"x")) | st.binary(
            max_size=60
        )

    def messages(self) -> st.SearchStrategy[Message]:
        """Any of these requests."""
        text = st.text(st.characters(min_codepoint=33, max_codepoint=0x7E), min_size=1, max_size=60)
        return st.one_of(
            text.map(self.posting),
            st.just(self.reading()),
            st.builds(self.asking_who_one_is, st.sampled_from((b"", b"x", spelled("get")))),
            st.just(self.asking_who_one_is(method=b"HEAD")),
            text.filter(str.strip).map(self.renaming),
            self._bodies.filter(bool).map(self.uploading),
            self._bodies.map(self.asking_for_tokens),
            self._bodies.map(self.without_a_token),
        )

    def difference(self, seen: Seen, answer: Answer) -> str:
        """Return in which way this is not the answer of this request of ours."""
        if answer.mark != seen.mark:
            return f"{answer.status} for {answer.mark!r} instead of one for {seen.mark!r}"
        if not self._fits(seen, answer):
            return f"{seen.method} {seen.target}: {answer.status} {answer.body[:200]!r}"
        return ""

    def _fits(self, seen: Seen, answer: Answer) -> bool:
        said, told, status = _object(seen.body), _object(answer.body), answer.status
        named = seen.field("authorization") == self.bearer[1].decode()
        match seen.method, seen.target.rpartition("/")[2]:
            case "POST", "messages" if named and "text" in said:
                return status == 201 and told["text"] == said["text"]
            case "PUT", "read" if named:
                return status == 200 and told["last_read_seq"] == self.followed_seq
            case "GET", "me" if named:
                return status == 200 and told["id"] == self.user_id
            case "PATCH", "me" if named:
                return status == 200 and told["display_name"] == said["display_name"]
            case "POST", "uploads" if named:
                return status == 201 and answer.field("upload-offset") == str(len(seen.body))
            case _:
                return 400 <= status < 500


async def asker_of(person: Person, other: Person) -> Asker:
    """Make a person's channels, with what `other` says in one of them."""
    channel_id, followed_id = await person.channel(), await person.channel()
    await person.add(followed_id, other)
    told = [await other.say(followed_id, f"message {number}") for number in range(4)]
    seq = int(told[1]["seq"])
    return Asker(person.id, person.token, channel_id, followed_id, seq, name=f"{person.username}-")


def _object(text: bytes) -> dict[str, object]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}

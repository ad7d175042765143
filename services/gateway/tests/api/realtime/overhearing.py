"""Everything that goes over the sockets of these tests, held against the AsyncAPI document.

What is the gateway's own is described as clients get it; in the place of the services' part stands
what the stand-ins say.
"""

from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Data

from sharezync_gateway.asyncapi.compose import compose
from sharezync_gateway.realtime.protocol import TypingSignal, Typist, encode, now_text
from sharezync_gateway.transfers.socket.frames import COMMANDS
from sharezync_shared.ids import uuid7
from sharezync_testkit.frames import Conversation, Protocol

Json = dict[str, Any]

_ANYTHING: Final[Json] = {"type": "object"}
_NO_CODES: Final = {None, 1000, 1005, 1006}  # open; closed by us; gone without a word


def _events(*kinds: str, stream: str) -> list[Json]:
    return [
        {"type": kind, "stream": stream, "summary": kind, "signal": False, "data": _ANYTHING}
        for kind in kinds
    ]


def _command(kind: str, *members: str) -> Json:
    request = {"type": "object", "properties": {member: {} for member in members}}
    return {"type": kind, "summary": kind, "request": request, "reply": _ANYTHING}


_MESSAGE: Final = ("channel_id", "text", "attachments", "reply_to", "client_message_id")
_CHAT: Final = {
    "events": [*_events("said", stream="channel"), *_events("said", stream="inbox")],
    "commands": [
        _command("send_message", *_MESSAGE),
        _command("mark_read", "channel_id", "seq", "message_id"),
    ],
}
_TRANSFER: Final = {
    "events": _events("said", stream="transfers"),
    "commands": [
        _command("file_transfer_start", "recipients", "files", "note"),
        *(_command(kind, "transfer_id", "files", "have") for kind in COMMANDS[1:]),
    ],
}
_AUTH: Final = {"events": _events("said", "session.revoked", stream="account")}


def stand_in_protocol() -> Protocol:
    """Return what clients of these tests may rely on."""
    declared = {"chat": _CHAT, "transfer": _TRANSFER, "auth": _AUTH}
    documents = {service: {"x-realtime": said} for service, said in declared.items()}
    return Protocol(compose(documents, version="0", missing=[]))


class Overheard(ClientConnection):
    """A client's connection, all of which its `conversation` hears."""

    conversation: Conversation

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        self.conversation.says(message)
        await super().send(message, text=text)

    async def recv(self, decode: bool | None = None) -> Data:  # type: ignore[override]  # its overloads tell str from bytes by `decode`
        try:
            message = await super().recv(decode)
        except ConnectionClosed:
            if self.close_code not in _NO_CODES:
                self.conversation.closes(self.close_code)
            raise
        self.conversation.hears(message)
        return message


def typing_in(channel: str) -> bytes:
    """Return a signal of a channel, as a gateway would."""
    who = Typist(channel.removeprefix("channel:"), str(uuid7()))
    return encode(TypingSignal(channel, now_text(), who))

"""What the codes mean that the gateway closes sockets with."""

from typing import Any, Final

from sharezync_gateway.realtime.protocol import CloseCode

_MEANINGS: Final[dict[CloseCode, str]] = {
    CloseCode.PROTOCOL_ERROR: "Invalid WebSocket framing (RFC 6455)",
    CloseCode.INVALID_TEXT: "A text frame wasn't valid UTF-8",
    CloseCode.POLICY_VIOLATION: "A message had more than 1,024 fragments, or was slower than "
    "4 KiB/s after its first 15 s",
    CloseCode.TOO_BIG: "A frame exceeded the size limit; don't send it again",
    CloseCode.GOING_AWAY: "The server is shutting down; `bye` was sent before if there was time",
    CloseCode.TOO_SLOW: "The client reads too slowly; reconnect and resume",
    CloseCode.IDLE: "No answer to WebSocket pings",
    CloseCode.TRY_LATER: "The server can't accept connections at the moment",
    CloseCode.FLOODING: "The client sent far more frames than `hello` allows",
    CloseCode.BAD_TOKEN: "The token is missing, invalid or expired; get a fresh one first",
    CloseCode.REVOKED: "The session has ended, or the account was deleted",
    CloseCode.TOO_MANY_CONNECTIONS: "The limit of connections of the user is reached",
    CloseCode.NOT_ON_CHANNEL: "The channel doesn't exist, or the user isn't a member",
    CloseCode.WRONG_VERSION: "The subprotocol isn't supported",
}


def close_codes() -> dict[str, Any]:
    """Return every code with its name, its meaning, and whether to reconnect and resume."""
    return {
        str(int(code)): {
            "name": code.name.lower(),
            "meaning": _MEANINGS[code],
            "reconnect": 4000 <= code < 4500,
        }
        for code in sorted(CloseCode)
    }

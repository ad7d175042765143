"""What the codes mean that the gateway closes sockets with."""

from typing import Any, Final

from sharezync_gateway.realtime.protocol import CloseCode

_MEANINGS: Final[dict[CloseCode, str]] = {
    CloseCode.PROTOCOL_ERROR: "Not WebSocket's framing (RFC 6455)",
    CloseCode.INVALID_TEXT: "A text frame that is not UTF-8",
    CloseCode.POLICY_VIOLATION: "A message in over 1,024 fragments, or that came too slowly: under "
    "4 KiB/s after its first 15 s",
    CloseCode.TOO_BIG: "A frame was over the limit; the same frame will fail again",
    CloseCode.GOING_AWAY: "This replica stops; a `bye` came before where there was time",
    CloseCode.TOO_SLOW: "More waits to be sent than is kept: read faster, and resume",
    CloseCode.IDLE: "No answer to WebSocket pings",
    CloseCode.TRY_LATER: "What is needed to begin can't be had at this moment",
    CloseCode.FLOODING: "Far more frames than `hello` allowed",
    CloseCode.BAD_TOKEN: "No valid token, none in time, or it has run out: get a fresh one first",
    CloseCode.REVOKED: "The login has ended, or the account is gone",
    CloseCode.TOO_MANY_CONNECTIONS: "This user has as many sockets as are allowed",
    CloseCode.NOT_ON_CHANNEL: "There is no such channel, or the user is not on it (any more)",
    CloseCode.WRONG_VERSION: "The subprotocol offered is not spoken here",
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

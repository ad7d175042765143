"""Access that ends now: sessions and users whose sockets close and whose tokens are refused."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.protocol import CloseCode
from sharezync_gateway.realtime.service_calls import Revoked
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.revocations import Revocations

log = structlog.get_logger()


class Revoker:
    """Closes the sockets of what was revoked on this node, and has its tokens refused."""

    def __init__(self, hub: Hub, revocations: Revocations) -> None:
        self._hub = hub
        self._revocations = revocations

    def handle_frames(self, frames: Sequence[Frame]) -> None:
        """Do what frames say about revocation, be they of any stream, in order or not."""
        for frame in frames:
            control = frame.control
            if control is not None and (control.revoke_sessions or control.revoke_user):
                users = [control.revoke_user] if control.revoke_user else []
                self.revoke(Revoked(control.revoke_sessions, users))

    def revoke(self, revoked: Revoked) -> None:
        """Refuse tokens of these sessions and users, and close their sockets. Safe to repeat."""
        for session_id in revoked.sessions:
            if (known := _uuid(session_id)) is not None:
                self._revocations.revoke_session(SessionId(known))
                self._close(self._hub.sessions.get(session_id, ()))
        for user_id in revoked.users:
            if (known := _uuid(user_id)) is not None:
                self._revocations.revoke_user(UserId(known))
                self._close(self._hub.users.get(user_id, ()))

    def _close(self, connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            connection.close(CloseCode.REVOKED, "access has ended")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        log.warning("revocation_without_id", text=text[:40])
        return None

"""Sessions and users whose access tokens are refused although they have not run out."""

import time

from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.tokens.claims import LEEWAY_SECONDS, Clock, Identity


class Revocations:
    """What was revoked during the last lifetime of an access token, in memory.

    A process that starts, or was cut off from the broker, has missed some: it asks auth for those
    of the last `lifetime_seconds` first. An entry is dropped once every token it could concern has
    run out, so the size is bounded by what auth revokes in that time.
    """

    def __init__(
        self,
        *,
        access_lifetime_seconds: float = 600,
        leeway_seconds: float = LEEWAY_SECONDS,
        clock: Clock = time.time,
    ) -> None:
        self.lifetime_seconds = access_lifetime_seconds
        self._leeway_seconds = leeway_seconds
        # Twice: auth's clock may be ahead of ours, and an ended token is honoured a little longer.
        self._keep_seconds = access_lifetime_seconds + 2 * leeway_seconds
        self._clock = clock
        # Both in the order in which entries end, as all live equally long: pruning is popping.
        self._sessions: dict[SessionId, float] = {}
        self._users: dict[UserId, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._sessions) + len(self._users)

    def revoke_session(self, session_id: SessionId) -> None:
        """Refuse every token of this session from now on. Safe to repeat."""
        now = self._clock()
        self._prune(now)
        self._sessions.pop(session_id, None)
        self._sessions[session_id] = now + self._keep_seconds

    def revoke_user(self, user_id: UserId, *, not_before: float | None = None) -> None:
        """Refuse every token issued to this user up to `not_before`, in seconds since the epoch.

        None stands for now and the leeway on top, as auth's clock may be ahead: that suits a user
        who is gone or banned. One who may log in again at once (a global logout) is better served
        by revoking the sessions by name. Safe to repeat: the latest time holds.
        """
        now = self._clock()
        self._prune(now)
        refused_until = now + self._leeway_seconds if not_before is None else not_before
        before, _ = self._users.pop(user_id, (refused_until, 0))
        self._users[user_id] = (max(before, refused_until), now + self._keep_seconds)

    def covers(self, identity: Identity) -> bool:
        """Whether tokens with this identity are refused. Two dictionary look-ups."""
        if identity.session_id in self._sessions:
            return True
        revoked = self._users.get(identity.user_id)
        # `iat` is in whole seconds: one of the same second may be from before, so it is refused.
        return revoked is not None and identity.issued_at <= revoked[0]

    def _prune(self, now: float) -> None:
        while self._sessions and self._sessions[oldest := next(iter(self._sessions))] <= now:
            del self._sessions[oldest]
        while self._users and self._users[eldest := next(iter(self._users))][1] <= now:
            del self._users[eldest]

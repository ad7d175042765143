"""What one wants to be sent, and by whom one can be reached: policies, blocks, who may add one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from sharezync.http import document_of
from sharezync.shapes import Answered, understood

if TYPE_CHECKING:
    from sharezync.session import Session

Policy = Literal["ask", "accept_known", "block"]
"""What becomes of offers to a device. `ask`: they wait for an answer. `accept_known`: those of
people in whose company one joined a channel or wrote there, or whose transfer one accepted before,
are accepted at once, on this device where they are for no other. `block`: those for this very
device are rejected at once."""

WhoMayAdd = Literal["everybody", "known", "nobody"]
"""Who may add one to channels and open conversations with one. `known`: in whose company one has
joined a channel, written, or accepted a conversation."""


@dataclass(frozen=True, slots=True)
class ReceivingPolicy(Answered):
    """What was said of a device; `updated_at` is None where nothing ever was."""

    device_id: str
    policy: Policy
    updated_at: str | None


@dataclass(frozen=True, slots=True)
class Blocked(Answered):
    """Somebody whom one has blocked."""

    user_id: str
    blocked_at: str


class Preferences:
    """Says and tells what one wants to be sent, and by whom one can be reached."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def policies(self) -> list[ReceivingPolicy]:
        """Return what was said of one's devices; of the others `ask` holds."""
        found = self._session.items("/v1/transfers/policies")
        return [ReceivingPolicy.of(each) async for each in found]

    async def policy(self, device_id: str) -> ReceivingPolicy:
        """Return what becomes of offers to a device. Raises Problem (`not-found`)."""
        return ReceivingPolicy.of(
            await self._session.document(f"/v1/transfers/policies/{device_id}")
        )

    async def set_policy(self, device_id: str, policy: Policy) -> ReceivingPolicy:
        """Say what becomes of offers to a device of one's own. Raises Problem (`not-found`)."""
        path = f"/v1/transfers/policies/{device_id}"
        answer = await self._session.request("PUT", path, json={"policy": policy})
        return ReceivingPolicy.of(document_of(answer))

    async def who_may_add(self) -> WhoMayAdd:
        """Return who may add one to channels and open conversations with one."""
        return _who_may_add_in(await self._session.document("/v1/users/me"))

    async def set_who_may_add(self, who: WhoMayAdd) -> WhoMayAdd:
        """Say who may add one. Conversations in which one has spoken go on whatever is said."""
        answer = await self._session.request("PATCH", "/v1/users/me", json={"who_may_add": who})
        return _who_may_add_in(document_of(answer))

    async def blocked(self) -> list[Blocked]:
        """Return whom one has blocked, by id."""
        found = self._session.items("/v1/blocks")
        return [Blocked.of(each) async for each in found]

    async def block(self, user_id: str) -> Blocked:
        """Block somebody, who isn't told. May be repeated.

        Neither can write directly to the other, add the other to anything, see their devices or
        presence, or offer them files. What was there before stays. Raises Problem
        (`user-not-found`, `invalid`, `too-many-blocks`).
        """
        path = f"/v1/blocks/{user_id}"
        return Blocked.of(document_of(await self._session.request("PUT", path)))

    async def unblock(self, user_id: str) -> None:
        """Take a block back. What they offered meanwhile stays unseen."""
        await self._session.request("DELETE", f"/v1/blocks/{user_id}")


def _who_may_add_in(document: Mapping[str, Any]) -> WhoMayAdd:
    with understood(document):
        who: WhoMayAdd = document["who_may_add"]
        if who not in get_args(WhoMayAdd):
            raise ValueError(who)
        return who

"""What one wants to be sent, and by whom one can be reached: policies, blocks, who may add one."""

from sharezync.documents import Blocked, OwnUser, Policy, ReceivingPolicy, WhoMayAdd
from sharezync.http import Http

_POLICIES = "/v1/transfers/policies"


class Preferences:
    """Sets and returns what one wants to be sent, and by whom one can be reached."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def policies(self) -> list[ReceivingPolicy]:
        """Return the policies that were set of one's devices; of the others `ask` holds."""
        return await self._http.items(ReceivingPolicy, _POLICIES)

    async def policy(self, device_id: str) -> ReceivingPolicy:
        """Return what becomes of offers to a device. Raises Problem (`not-found`)."""
        return await self._http.get(ReceivingPolicy, f"{_POLICIES}/{device_id}")

    async def set_policy(self, device_id: str, policy: Policy) -> ReceivingPolicy:
        """Set what becomes of offers to a device of one's own. Raises Problem (`not-found`)."""
        path = f"{_POLICIES}/{device_id}"
        return await self._http.send(ReceivingPolicy, "PUT", path, json={"policy": policy})

    async def who_may_add(self) -> WhoMayAdd:
        """Return who may add one to channels and open conversations with one."""
        return (await self._http.get(OwnUser, "/v1/users/me")).who_may_add

    async def set_who_may_add(self, who: WhoMayAdd) -> WhoMayAdd:
        """Set who may add one. Conversations in which one has spoken go on all the same."""
        body = {"who_may_add": who}
        return (await self._http.send(OwnUser, "PATCH", "/v1/users/me", json=body)).who_may_add

    async def blocked(self) -> list[Blocked]:
        """Return whom one has blocked, by id."""
        return await self._http.items(Blocked, "/v1/blocks")

    async def block(self, user_id: str) -> Blocked:
        """Block somebody, who isn't notified. May be repeated.

        Neither can write directly to the other, add the other to anything, see their devices or
        presence, or offer them files. What was there before stays. Raises Problem
        (`user-not-found`, `invalid`, `too-many-blocks`).
        """
        return await self._http.send(Blocked, "PUT", f"/v1/blocks/{user_id}")

    async def unblock(self, user_id: str) -> None:
        """Take a block back. What they offered meanwhile stays unseen."""
        await self._http.request("DELETE", f"/v1/blocks/{user_id}")

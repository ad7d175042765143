"""People, their devices, and by whom one can be reached."""

import unicodedata
from typing import Final
from uuid import UUID

import httpx

from sharezync.documents import Blocked, Device, OwnUser, Policy, ReceivingPolicy, User, WhoMayAdd
from sharezync.http import Http
from sharezync.problems import Problem, SharezyncError
from sharezync.shapes import member

GONE: Final = "(gone)"

_POLICIES = "/v1/transfers/policies"


class NoSuchUser(SharezyncError):
    """There is nobody of that name, or no such device of theirs."""


class People:
    """Finds people by name or id, and their devices."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._users: dict[str, User] = {}

    async def me(self) -> User:
        """Return oneself."""
        return await self._http.get(User, "/v1/users/me")

    async def get(self, user_id: str) -> User:
        """Return somebody by id; looked up once. Raises Problem (`not-found`)."""
        if user_id not in self._users:
            self._users[user_id] = await self._http.get(User, f"/v1/users/{user_id}")
        return self._users[user_id]

    async def name_of(self, user_id: str) -> str:
        """Return what somebody is called; `(gone)` for an account that was deleted."""
        try:
            return (await self.get(user_id)).username
        except Problem as problem:
            if problem.status != httpx.codes.NOT_FOUND:
                raise
            return GONE

    async def find(self, name: str) -> User:
        """Return who has this username, in any case, or this id. Raises NoSuchUser."""
        wanted = name.strip().removeprefix("@")
        if is_id(wanted):
            try:
                return await self.get(wanted)
            except Problem as problem:
                if problem.status != httpx.codes.NOT_FOUND:
                    raise
                raise NoSuchUser(f"Nobody has the id {wanted}") from problem
        page = await self._http.document("/v1/users", q=wanted[:32], limit=100)
        found = member(page, "items", list[User])
        for user in found:
            if _key(user.username) == _key(wanted):
                return user
        near = ", ".join(user.username for user in found[:5])
        hint = f" Did you mean {near}?" if near else ""
        raise NoSuchUser(f"There is nobody called {wanted!r}.{hint}")

    async def devices(self, user_id: str | None = None) -> list[Device]:
        """Return one's own devices, or those of somebody one knows.

        Raises Problem (`not-found`) for a stranger's: one must share a channel or a past transfer.
        """
        path = "/v1/devices" if user_id is None else f"/v1/users/{user_id}/devices"
        return member(await self._http.document(path), "items", list[Device])

    async def find_device(self, user: User, name: str) -> Device:
        """Return a device of somebody's by its id, `client_id` or name. Raises NoSuchUser."""
        own = (await self.me()).id == user.id
        try:
            devices = await self.devices(None if own else user.id)
        except Problem as problem:
            if problem.status != httpx.codes.NOT_FOUND:
                raise
            raise NoSuchUser(
                f"The devices of {user.username} are not shown to you. Send to {user.username} "
                "without a device; after a first transfer you can choose one."
            ) from problem
        for field in ("id", "client_id", "name"):
            found = [each for each in devices if _key(getattr(each, field)) == _key(name)]
            if len(found) == 1:
                return found[0]
        known = ", ".join(each.client_id for each in devices) or "none"
        raise NoSuchUser(f"{user.username} has no device {name!r}; there is: {known}")


def is_id(text: str) -> bool:
    """Return whether this is an id and no name."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _key(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


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

"""People and their devices."""

import unicodedata
from typing import Final
from uuid import UUID

import httpx

from sharezync.documents import Device, User
from sharezync.http import Http
from sharezync.problems import Problem, SharezyncError
from sharezync.shapes import member

GONE: Final = "(gone)"


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

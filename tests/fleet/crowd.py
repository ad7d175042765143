"""People with several logins, each at one of the fleet's gateways."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Json, Person, Socket

REVOKED = 4503


class Crowd:
    """Makes people, and logs them in at the gateway of this number; closes them all in the end."""

    def __init__(self, gateways: Sequence[str]) -> None:
        self._gateways = gateways
        self._everyone: list[Person] = []

    async def register(self, name: str, *, gateway: int = 0) -> Person:
        """Make somebody with an account and a first login."""
        return self._keep(await Person.register(self._gateways[gateway], name))

    async def log_in(self, person: Person, *, gateway: int = 0) -> Person:
        """Log the same person in once more, as on another device."""
        other = self.by_way_of(person, gateway)
        await other.log_in()
        return other

    def by_way_of(self, person: Person, gateway: int) -> Person:
        """Return the very same login, speaking to this gateway."""
        return self._keep(person.at(self._gateways[gateway]))

    def everywhere(self, login: Person) -> list[Person]:
        """Return the very same login at each gateway."""
        return [self.by_way_of(login, gateway) for gateway in range(len(self._gateways))]

    async def aclose(self) -> None:
        """Hang up."""
        for person in self._everyone:
            await person.aclose()

    def _keep(self, person: Person) -> Person:
        self._everyone.append(person)
        return person


async def session_of(login: Person) -> str:
    """Return the id of this login's session."""
    sessions = (await login.get("/v1/auth/sessions"))["items"]
    (own,) = [session["id"] for session in sessions if session["current"]]
    return str(own)


async def refresh(login: Person) -> Json:
    """Return what the refresh token of a login is worth: tokens, or an error."""
    form = {"grant_type": "refresh_token", "refresh_token": login.tokens["refresh_token"]}
    return dict((await login.http.post("/token", data=form)).json())


async def refused(ways: Sequence[Person]) -> float:
    """Return after how many seconds this login's access token was refused at all of these gateways.

    Fails where that takes long.
    """

    async def is_refused(way: Person) -> bool:
        return (await way.http.get("/v1/devices")).status_code == 401

    return max(await asyncio.gather(*(until(is_refused, way) for way in ways)))


async def closed(socket: Socket) -> float:
    """Return after how many seconds a socket was closed because access has ended.

    Fails where that takes long, and for any other reason.
    """
    began = time.monotonic()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await socket.closed.wait()
    assert socket.connection.close_code == REVOKED
    return time.monotonic() - began


async def until(
    look: Callable[..., Awaitable[bool]], *args: object, seconds: float = DEADLINE_SECONDS
) -> float:
    """Look until it is so, and return after how many seconds it was; fails after `seconds`."""
    began = time.monotonic()
    while not await look(*args):
        passed = time.monotonic() - began
        assert passed < seconds, f"{look.__name__} not within {seconds:g} s"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def tell(what: str, seconds: Sequence[float]) -> None:
    """Show what was measured, where pytest runs with `-s`."""
    each = " ".join(f"{value:.3f}" for value in sorted(seconds))
    sys.stdout.write(f"\n  {what} {each} s (median {median(seconds):.3f})")

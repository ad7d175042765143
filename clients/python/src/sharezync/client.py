"""The way in: one server, one login."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from sharezync.documents import Device, User
from sharezync.http import Http, document_of
from sharezync.problems import Problem
from sharezync.renewing import Renewal
from sharezync.session import Session
from sharezync.tokens import MemoryTokens, Tokens, TokenStore
from sharezync.transfer.transfer_http import TransferHttp

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class Client:
    """A ShareZync server at `base_url`, and the login that `tokens` keeps (memory by default).

    Use it as an async context manager::

        async with Client("http://127.0.0.1:8000") as client:
            session = await client.login("ada", "correct horse battery staple")
            await session.chat.send(channel_id, "Good morning!")
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: TokenStore | None = None,
        patience_seconds: float = 30.0,
        verify: bool = True,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._tokens = tokens or MemoryTokens()
        self._httpx = httpx.AsyncClient(
            base_url=self.base_url, timeout=_TIMEOUT, verify=verify, follow_redirects=False
        )
        self._http = Http(self._httpx, patience_seconds=patience_seconds)
        self._renewal = Renewal(self._http, self._tokens)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of all connections. The login stays."""
        await self._httpx.aclose()

    async def register(
        self, username: str, email: str, password: str, *, display_name: str | None = None
    ) -> User:
        """Make an account; log in afterwards. Raises Problem (`username-taken`, `invalid` …)."""
        body = {"username": username, "email": email, "password": password}
        if display_name is not None:
            body["display_name"] = display_name
        return User.of(
            document_of(await self._http.request("POST", "/v1/auth/register", json=body))
        )

    async def login(
        self,
        username: str,
        password: str,
        *,
        device: str | None = None,
        device_id: str | None = None,
        device_name: str | None = None,
    ) -> Session:
        """Log in, `username` may be the e-mail address; the tokens are kept in the store.

        With `device` (a `client_id`) the login belongs to that device of the user's, registered if
        need be, and ends with it; `device_id` saves looking it up. Raises Problem: `invalid-grant`
        for a wrong name or password, `too-many-tries` with `retry_after_seconds`.
        """
        grant = {"grant_type": "password", "username": username, "password": password}
        if device_id is not None:
            with suppress(_NoSuchDevice):
                return self._begin(await self._of_device(grant, device_id))
        session = self._begin(await self._grant(grant))
        if device is not None:
            own = await _registered(session, device, device_name or platform.node() or device)
            of_device = await self._of_device(grant, own.id)
            with suppress(Problem):  # then it runs out by itself
                await session.request("POST", "/v1/auth/logout", json={"scope": "local"})
            session = self._begin(of_device)
        return session

    def session(self) -> Session:
        """Go on with the login that is kept. Raises NotLoggedIn where there is none."""
        _ = self._renewal.tokens
        return Session(self.base_url, self._http, self._renewal)

    def doors(self, transfer_id: str, token: str) -> TransferHttp:
        """Return the doors of one end of a transfer that somebody gave us a token for: no login."""
        return TransferHttp(self._http, transfer_id, token)

    async def logout(self) -> None:
        """End the login, here and at the server, where it can be reached."""
        session = self.session()
        try:
            await session.request("POST", "/v1/auth/logout", json={"scope": "local"})
        except Problem as problem:
            if problem.status != httpx.codes.UNAUTHORIZED:
                raise
        self._tokens.clear()

    async def _grant(self, grant: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._http.request("POST", "/token", data=dict(grant))
        return document_of(answer)

    async def _of_device(self, grant: Mapping[str, str], device_id: str) -> dict[str, Any]:
        try:
            return await self._grant({**grant, "device_id": device_id})
        except Problem as problem:
            if problem.extras.get("error") == "invalid_request":
                raise _NoSuchDevice from problem
            raise

    def _begin(self, answer: dict[str, Any]) -> Session:
        self._tokens.save(Tokens.of(answer))
        return self.session()


class _NoSuchDevice(Exception):
    """The device was removed since it was known here."""


async def _registered(session: Session, client_id: str, name: str) -> Device:
    """Return the device of this user's, made if there is none."""
    body = {"client_id": client_id, "name": name[:100], "platform": platform.system().lower()}
    try:
        return Device.of(document_of(await session.request("POST", "/v1/devices", json=body)))
    except Problem as problem:
        if problem.status != httpx.codes.CONFLICT:
            raise
    return next(each for each in await session.people.devices() if each.client_id == client_id)

"""One server, one login there, and everything that can be done with it."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import httpx

from sharezync.chat import Chat
from sharezync.documents import Device, User
from sharezync.files.downloads import Downloads
from sharezync.files.uploads import Uploads
from sharezync.http import Http, document_of
from sharezync.people import People, Preferences
from sharezync.problems import Problem
from sharezync.realtime.cursors import Cursor
from sharezync.realtime.socket import Socket
from sharezync.tokens import MemoryTokens, Renewal, Tokens, TokenStore
from sharezync.transfer.transfer_http import TransferHttp
from sharezync.transfer.transfers import Transfers

_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_LOCAL: Final = {"scope": "local"}


class Session:
    """What a login can do, by topic. `http` makes requests on its behalf, for all else."""

    def __init__(self, http: Http, renewal: Renewal) -> None:
        self.renewal = renewal
        self.http = http.on_behalf_of(renewal.authorize)
        self.people = People(self.http)
        self.chat = Chat(self.http, self.people)
        self.transfers = Transfers(self.http, renewal, self.people)
        self.preferences = Preferences(self.http)
        self.uploads = Uploads(self.http)
        self.downloads = Downloads(self.http)

    def socket(
        self,
        device: str,
        *,
        cursors: Mapping[str, Cursor] | None = None,
        events: bool = True,
        opening_seconds: float | None = None,
    ) -> Socket:
        """Return the socket of a device, to be entered: `async with session.socket("laptop")`.

        With `cursors` (`Socket.cursors` of an earlier one) it goes on from there: what was missed
        comes first. With `events=False` nothing is kept for `async for`: for who only moves files.
        `opening_seconds` is for how long it is tried at first: a minute, if nothing is said.
        """
        return Socket(
            self.http.base_url,
            self.renewal,
            device,
            cursors=cursors,
            events=events,
            opening_seconds=opening_seconds,
        )


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
        self._http = Http(self._httpx, self.base_url, patience_seconds=patience_seconds)
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
        """Close all connections. The login stays."""
        await self._httpx.aclose()

    async def register(
        self, username: str, email: str, password: str, *, display_name: str | None = None
    ) -> User:
        """Make an account; log in afterwards. Raises Problem (`username-taken`, `invalid` …)."""
        body = {"username": username, "email": email, "password": password}
        if display_name is not None:
            body["display_name"] = display_name
        return await self._http.send(User, "POST", "/v1/auth/register", json=body)

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
            try:
                return self._begin(await self._granted({**grant, "device_id": device_id}))
            except Problem as problem:
                if problem.extras.get("error") != "invalid_request":
                    raise  # else the device was removed since
        session = self._begin(await self._granted(grant))
        if device is not None:
            own = await _registered(session, device, device_name or platform.node() or device)
            of_device = await self._granted({**grant, "device_id": own.id})
            with suppress(Problem):  # then it runs out by itself
                await session.http.request("POST", "/v1/auth/logout", json=_LOCAL)
            session = self._begin(of_device)
        return session

    def session(self) -> Session:
        """Go on with the login that is kept. Raises NotLoggedIn where there is none."""
        _ = self._renewal.tokens
        return Session(self._http, self._renewal)

    def transfer_http(self, transfer_id: str, token: str) -> TransferHttp:
        """Return one side of a transfer, by a capability token: no login is needed."""
        return TransferHttp(self._http, transfer_id, token)

    async def logout(self) -> None:
        """End the login, here and at the server, where it can be reached."""
        session = self.session()
        try:
            await session.http.request("POST", "/v1/auth/logout", json=_LOCAL)
        except Problem as problem:
            if problem.status != httpx.codes.UNAUTHORIZED:
                raise
        self._tokens.clear()

    async def _granted(self, grant: dict[str, str]) -> Tokens:
        return Tokens.granted(document_of(await self._http.request("POST", "/token", data=grant)))

    def _begin(self, tokens: Tokens) -> Session:
        self._tokens.save(tokens)
        return self.session()


async def _registered(session: Session, client_id: str, name: str) -> Device:
    """Return the device of this user's, made if there is none."""
    body = {"client_id": client_id, "name": name[:100], "platform": platform.system().lower()}
    try:
        return await session.http.send(Device, "POST", "/v1/devices", json=body)
    except Problem as problem:
        if problem.status != httpx.codes.CONFLICT:
            raise
    return next(each for each in await session.people.devices() if each.client_id == client_id)

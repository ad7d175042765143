"""One login: requests on its behalf, and everything that can be done with it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx

from sharezync.chat import Chat
from sharezync.files.downloads import Downloads
from sharezync.files.uploads import Uploads
from sharezync.http import Http, document_of
from sharezync.people import People
from sharezync.preferences import Preferences
from sharezync.realtime.cursors import Cursor
from sharezync.realtime.socket import Socket
from sharezync.renewing import Renewal
from sharezync.shapes import Document, Json, rows_of
from sharezync.transfer.transfers import Transfers


class Session:
    """What a login can do, by topic: `people`, `chat`, `transfers`, `choices` (what one wants to be
    sent), `uploads`, `downloads`.
    """

    def __init__(self, base_url: str, http: Http, renewal: Renewal) -> None:
        self.base_url = base_url
        self.renewal = renewal
        self.http = http
        self.people = People(self)
        self.chat = Chat(self)
        self.transfers = Transfers(self)
        self.choices = Preferences(self)
        self.uploads = Uploads(self)
        self.downloads = Downloads(self)

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
            self.base_url,
            self.renewal,
            device,
            cursors=cursors,
            events=events,
            opening_seconds=opening_seconds,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        """Make a request as this user; see `Http.request` for what is tried again."""
        return await self.http.request(
            method,
            path,
            authorize=self.renewal.authorize,
            repeatable=repeatable,
            headers=headers,
            **options,
        )

    def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Open an answer as this user, to be read in pieces; see `Http.stream`."""
        return self.http.stream(
            method, path, authorize=self.renewal.authorize, headers=headers, **options
        )

    async def document(self, path: str, **parameters: object) -> Document:
        """Return what `GET` answers; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return document_of(await self.request("GET", path, params=given))

    async def items(
        self, path: str, *, next_is: str = "cursor", most: int | None = None, **parameters: object
    ) -> AsyncGenerator[Json]:
        """Yield what a list holds, page by page; `next_is` names the parameter for the next."""
        found = 0
        cursor: str | None = None
        while True:
            page = await self.document(path, **parameters, **{next_is: cursor})
            for item in rows_of(page, "items"):
                if most is not None and found >= most:
                    return
                found += 1
                yield item
            cursor, before = page.get("next"), cursor
            if cursor is None or cursor == before:
                return

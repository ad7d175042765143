"""Transfers over HTTP: one side by its capability token, and what a login may ask."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import httpx

from sharezync.documents import Capability, Recipient, Statistics, Transfer
from sharezync.http import Http, address_of, document_of
from sharezync.problems import Problem, TransferEnded
from sharezync.shapes import understood
from sharezync.transfer.chunks import Ranges

RenewToken = Callable[[], Awaitable[str]]
"""Returns another token for the same side of the same transfer, by a login."""


class TransferHttp:
    """One side of one transfer: what its token allows to anybody who has it.

    The token lives as long as that side of the transfer, whatever becomes of the login that got it:
    keep it like a password. A sender's allows `missing`, `put_chunk` and `complete`; a recipient's
    `missing`, `root`, `digest`, `content` and `confirm`. Everything may be repeated, and is tried
    again as `Http` says. Raises TransferEnded where it is over, and Problem: 401 for a token that
    isn't valid (any more), `forbidden` for what only the other side may do.
    """

    def __init__(
        self, http: Http, transfer_id: str, token: str, *, renew: RenewToken | None = None
    ) -> None:
        self.transfer_id = transfer_id
        self.token = token
        self._http = http.on_behalf_of(self._authorize)
        self._renew = renew
        self._path = f"/v1/transfers/{transfer_id}"

    @property
    def patience_seconds(self) -> float:
        """For how long requests are tried again."""
        return self._http.patience_seconds

    async def missing(self) -> dict[int, Ranges]:
        """Return which chunks of which files are still to come, by the server's own record.

        To a sender those that are not stored; to a recipient those they have not confirmed.
        """
        document = document_of(await self._request("GET", "/missing"))
        with understood(document):
            found = {int(file["index"]): Ranges(file["missing"]) for file in document["files"]}
        return {file: ranges for file, ranges in found.items() if ranges}

    async def put_chunk(
        self, file: int, index: int, payload: bytes, *, digest: bytes | None = None
    ) -> None:
        """Have a chunk stored for good, in any order. Raises Problem (`chunk-corrupt` …)."""
        digest = digest or hashlib.sha256(payload).digest()
        await self._request(
            "PUT",
            f"/files/{file}/chunks/{index}",
            headers={"X-Chunk-Sha256": digest.hex()},
            content=payload,
        )

    async def complete(self) -> Transfer:
        """Say that everything was sent. Raises Problem (`upload-incomplete`, `digest-mismatch`)."""
        return Transfer.of(document_of(await self._request("POST", "/complete")))

    async def root(self, file: int) -> str | None:
        """Return the root of a file; None while the sender has not completed."""
        answer = await self._head(f"/files/{file}/content")
        return answer.headers.get("etag", "").strip('"') or None

    async def digest(self, file: int, index: int) -> bytes:
        """Return the SHA-256 of a stored chunk, by the server's own record."""
        answer = await self._head(f"/files/{file}/chunks/{index}")
        with understood(address_of(answer)):
            return bytes.fromhex(answer.headers["x-chunk-sha256"])

    @asynccontextmanager
    async def content(
        self, file: int, first_byte: int, last_byte: int
    ) -> AsyncGenerator[httpx.Response]:
        """Open these bytes of a file, both inclusive; those not stored yet come later.

        To be read with `aiter_raw`. Tried once. Raises Problem, TransferEnded, and Unreachable also
        in the midst of it: it is broken off where the rest can't be had now.
        """
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={first_byte}-{last_byte}"}
        path = f"{self._path}/files/{file}/content"
        with noticing_the_end():
            async with self._http.stream("GET", path, headers=headers) as answer:
                yield answer

    async def confirm(self, file: int, kept: Ranges) -> Recipient:
        """Say which chunks of a file are verified and kept here; return how far one is then."""
        ranges = {"file": file, "ranges": kept.pairs()}
        return Recipient.of(document_of(await self._request("POST", "/receipts", json=ranges)))

    async def _authorize(self, refused: bool) -> str:  # noqa: FBT001 - an `Authorize`
        if refused and self._renew is not None:
            # Where the transfer is over, this is refused and says how: the token ended with it.
            self.token = await self._renew()
        return f"Transfer {self.token}"

    async def _head(self, path: str) -> httpx.Response:
        try:
            return await self._request("HEAD", path)
        except Problem as problem:
            if problem.status != httpx.codes.CONFLICT:
                raise
            # An answer to HEAD has no body that would say why.
            return await self._request("GET", path, headers={"Range": "bytes=0-0"})

    async def _request(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        with noticing_the_end():
            return await self._http.request(method, self._path + path, repeatable=True, **options)


@contextmanager
def noticing_the_end() -> Iterator[None]:
    """Raise TransferEnded for a refusal that says that the transfer is over."""
    try:
        yield
    except Problem as problem:
        if problem.code != "transfer-over":
            raise
        raise TransferEnded(str(problem.extras.get("state", "over"))) from problem


class TransferApi:
    """Transfers that one sends and is sent: returned, accepted, rejected, paused, cancelled."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def get(self, transfer_id: str) -> Transfer:
        """Return a transfer. Raises Problem (`not-found`)."""
        return await self._http.get(Transfer, f"/v1/transfers/{transfer_id}")

    async def all(
        self,
        *,
        role: Literal["sender", "recipient"] | None = None,
        state: str | None = None,
        most: int | None = None,
    ) -> list[Transfer]:
        """Return what one sends and is sent, newest first."""
        return await self._http.items(Transfer, "/v1/transfers", role=role, state=state, most=most)

    async def create(self, offer: Mapping[str, Any]) -> Transfer:
        """Offer a transfer, once for each `client_transfer_id` in the offer."""
        return await self._http.send(Transfer, "POST", "/v1/transfers", json=offer, repeatable=True)

    async def act(
        self, transfer_id: str, act: Literal["reject", "pause", "resume", "cancel"]
    ) -> Transfer:
        """Do something to a transfer, as its sender or a recipient. Safe to repeat."""
        return await self._act(transfer_id, act)

    async def accept(self, transfer_id: str, *, files: Collection[int] | None = None) -> Transfer:
        """Accept all files or some, on the device that the login names. Safe to repeat."""
        return await self._act(
            transfer_id, "accept", None if files is None else {"files": sorted(files)}
        )

    async def resume(self, transfer_id: str, have: Mapping[int, Ranges]) -> Transfer:
        """Go on with a transfer that was accepted; `have` is what is here of each file."""
        ranges = {str(index): each.pairs() for index, each in have.items()}
        return await self._act(transfer_id, "resume", {"have": ranges})

    async def capability(self, transfer_id: str) -> Capability:
        """Return a capability token for one's own side of a transfer, valid as long as that.

        Raises Problem: `wrong-state` before a recipient accepts, `transfer-over`.
        """
        path = f"/v1/transfers/{transfer_id}/token"
        return await self._http.send(Capability, "POST", path, repeatable=True)

    async def transfer_http(self, transfer_id: str, token: str | None = None) -> TransferHttp:
        """Return one's own side of a transfer over HTTP; raises as `capability`.

        With `token` that is used first; another is asked for where it is refused.
        """

        async def renew() -> str:
            return (await self.capability(transfer_id)).token

        return TransferHttp(self._http, transfer_id, token or await renew(), renew=renew)

    async def statistics(self, *, days: int = 30) -> Statistics:
        """Return sums of all time, of the last `days`, and by person."""
        return await self._http.get(Statistics, "/v1/transfers/stats", days=days)

    async def _act(
        self, transfer_id: str, act: str, body: Mapping[str, Any] | None = None
    ) -> Transfer:
        path = f"/v1/transfers/{transfer_id}/{act}"
        return await self._http.send(Transfer, "POST", path, repeatable=True, json=body)

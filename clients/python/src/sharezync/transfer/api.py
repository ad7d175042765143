"""What the server is asked about transfers, over HTTP."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from sharezync.documents import Capability, Statistics, Transfer
from sharezync.http import Http
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.transfer_http import TransferHttp


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

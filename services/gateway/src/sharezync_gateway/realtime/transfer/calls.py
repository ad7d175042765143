"""The calls that transfers on sockets make to the services, typed, behind one small protocol.

Short JSON calls with the gateway's own credential; the acting user is named in the call. The bytes
of chunks go another way (`chunk_store`).
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol
from uuid import UUID

from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts import transfer
from sharezync_shared.contracts.commands import Command, Commands
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.transfer import ParticipationRead, Standing, TransferResult
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.ranges import Ranges

DELIVERING: Final = frozenset({"accepted", "receiving", "verifying"})
"""States of a recipient in which chunks go to them."""
OVER: Final = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen."""


class TokenRefused(Unauthenticated):
    """Told with the scheme that was used (RFC 9110 §11.6.1)."""

    def __init__(self) -> None:
        super().__init__(
            "The token isn't valid for this transfer",
            headers={"WWW-Authenticate": 'Transfer error="invalid_token"'},
        )


class ProgressCalls(Protocol):
    """What the parts that move chunks need of the services. Each call raises ServiceUnavailable."""

    async def report(
        self,
        transfer_id: UUID,
        user_id: str,
        device_id: str | None,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        """Say how far it is: bytes stored of the sender's files, chunks that a recipient holds.

        May be repeated. Raises NotFound where there is nothing to report to any more.
        """
        ...

    async def stored(self, upload_id: UUID) -> Ranges:
        """Return which chunks of an upload are stored. Raises NotFound for one that is gone."""
        ...


class TransferCalls(ProgressCalls, Protocol):
    """What sockets need of transfer and storage. Each call raises ServiceUnavailable."""

    async def attach(
        self, transfer_id: UUID, user_id: str, device_id: str | None
    ) -> ParticipationRead:
        """Return what the user is to a transfer. Raises NotFound for strangers."""
        ...

    async def attach_with(self, transfer_id: UUID, token: str) -> ParticipationRead:
        """Return what a capability token opens, and to whom.

        Raises Unauthenticated where it opens nothing (any more), and NotFound.
        """
        ...

    async def command(
        self, user_id: str, device_id: str | None, kind: str, data: Mapping[str, Any]
    ) -> TransferResult:
        """Have transfer carry out a frame. When this raises, it may have been done all the same.

        But for Invalid: what the frame says is nothing that transfer can read.
        """
        ...


class HttpTransferCalls:
    """`TransferCalls` over what transfer and storage serve."""

    def __init__(self, services: Services) -> None:
        self._transfer = services.transfer
        self._storage = services.storage

    async def attach(
        self, transfer_id: UUID, user_id: str, device_id: str | None
    ) -> ParticipationRead:
        body = transfer.Attach(_user(user_id), _device(device_id))
        return await self._transfer.call(transfer.ATTACH, body, transfer_id=transfer_id)

    async def attach_with(self, transfer_id: UUID, token: str) -> ParticipationRead:
        try:
            body = transfer.Attach(token=token)
            return await self._transfer.call(transfer.ATTACH, body, transfer_id=transfer_id)
        except transfer.CapabilityRefused as refused:
            raise TokenRefused from refused

    async def report(
        self,
        transfer_id: UUID,
        user_id: str,
        device_id: str | None,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        body = transfer.Report(
            _user(user_id),
            _device(device_id),
            dict(stored),
            {file: ranges.pairs() for file, ranges in received.items()},
        )
        return await self._transfer.call(transfer.REPORT_PROGRESS, body, transfer_id=transfer_id)

    async def command(
        self, user_id: str, device_id: str | None, kind: str, data: Mapping[str, Any]
    ) -> TransferResult:
        command = Command(_user(user_id), kind, data, _device(device_id))
        read = await self._transfer.call(transfer.RUN_COMMANDS, Commands([command]))
        if len(read.results) != 1:
            raise ServiceUnavailable("transfer", "one result for one command was promised")
        return read.results[0]

    async def stored(self, upload_id: UUID) -> Ranges:
        return (await self._storage.upload(upload_id)).ranges


def _user(user_id: str) -> UserId:
    return UserId(UUID(user_id))


def _device(device_id: str | None) -> DeviceId | None:
    return None if device_id is None else DeviceId(UUID(device_id))

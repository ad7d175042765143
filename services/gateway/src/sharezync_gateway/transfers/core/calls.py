"""Short calls about transfers to transfer and storage, and what the answer lets somebody do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sharezync_gateway.errors import TokenRefused
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts import transfer
from sharezync_shared.contracts.commands import Command, Commands
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.transfer import ParticipationRead, Standing, TransferResult
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.ranges import Ranges

DELIVERING: Final = frozenset({"accepted", "receiving", "verifying"})
"""States of a recipient in which chunks go to them."""
OVER: Final = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen."""

Refusal = tuple[str, str]
"""Code and message."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Either a user, verified, or the `token` of a transfer, which transfer itself verifies."""

    user_id: str = ""
    device_id: str | None = None
    token: str | None = None

    @property
    def ids(self) -> tuple[UserId, DeviceId | None]:
        """The ids of a user and of their device."""
        device_id = None if self.device_id is None else DeviceId(UUID(self.device_id))
        return UserId(UUID(self.user_id)), device_id


class TransferCalls:
    """What is asked of transfer and storage. Each call raises ServiceUnavailable."""

    def __init__(self, services: Services) -> None:
        self._transfer = services.transfer
        self._storage = services.storage

    async def attach(self, transfer_id: UUID, caller: Caller) -> ParticipationRead:
        """Return what a caller is to a transfer.

        Raises NotFound for strangers, and Unauthenticated for a token that opens nothing.
        """
        asked = (
            transfer.Attach(*caller.ids)
            if caller.token is None
            else transfer.Attach(token=caller.token)
        )
        try:
            return await self._transfer.call(transfer.ATTACH, asked, transfer_id=transfer_id)
        except transfer.CapabilityRefused as refused:
            raise TokenRefused from refused

    async def report(
        self,
        transfer_id: UUID,
        caller: Caller,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        """Report bytes stored of the sender's files, and chunks that a recipient has.

        May be repeated. Raises NotFound where there is nothing to report to any more.
        """
        pairs = {file: ranges.pairs() for file, ranges in received.items()}
        report = transfer.Report(*caller.ids, dict(stored), pairs)
        return await self._transfer.call(transfer.REPORT_PROGRESS, report, transfer_id=transfer_id)

    async def command(self, caller: Caller, kind: str, data: Mapping[str, Any]) -> TransferResult:
        """Have transfer carry out a frame. When this raises, it may have been done all the same.

        But for Invalid: what the frame says is nothing that transfer can read.
        """
        user_id, device_id = caller.ids
        command = Command(user_id, kind, data, device_id)
        read = await self._transfer.call(transfer.RUN_COMMANDS, Commands([command]))
        if len(read.results) != 1:
            raise ServiceUnavailable("transfer", "one result for one command was promised")
        return read.results[0]

    async def stored(self, upload_id: UUID) -> Ranges:
        """Return which chunks of an upload are stored. Raises NotFound for one that is gone."""
        return (await self._storage.upload(upload_id)).ranges


def refusal_of(
    participation: ParticipationRead, file: int, index: int, length_bytes: int
) -> Refusal | None:
    """Return why it is certain that storage would refuse a chunk; None where it is not."""
    if participation.role != "sender":
        return "forbidden", "Only the sender of a transfer sends its chunks"
    if participation.state in OVER:
        return "transfer-over", f"The transfer is {participation.state}"
    shape = participation.shapes.get(file)
    if shape is None or index >= shape.chunk_count:
        return "chunk-outside", "The transfer has no chunk with this index"
    expected = shape.length(index)
    if length_bytes != expected:
        return "chunk-length", f"The chunk has {length_bytes} bytes instead of {expected}"
    return None

"""The parts of transfer, as its use cases and routes are given them."""

from dataclasses import dataclass

from sharezync_shared.contracts.services import Services
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases.capabilities import CapabilityIssuer
from sharezync_transfer.usecases.progress_broadcast import ProgressBroadcast


@dataclass(frozen=True, slots=True)
class TransferServiceContext:
    """What transfer is made of."""

    work: UnitsOfWork
    settings: TransferSettings
    services: Services
    capabilities: CapabilityIssuer
    progress: ProgressBroadcast

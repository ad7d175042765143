"""The parts of storage that live as long as the process: what use cases work with."""

from dataclasses import dataclass

from sharezync_shared.contracts.auth import AuthClient
from sharezync_shared.work import UnitsOfWork
from sharezync_storage.auditing import StoreAudit
from sharezync_storage.metrics import StorageMetrics
from sharezync_storage.passwords import LinkPasswords
from sharezync_storage.settings import StorageSettings
from sharezync_storage.signatures import Signer
from sharezync_storage.stores.port import UploadStore
from sharezync_storage.usecases.assembler import Assembler
from sharezync_storage.usecases.checksums import WholeDigests
from sharezync_storage.usecases.chunks import Chunks
from sharezync_storage.usecases.sweeping import Sweeper
from sharezync_storage.usecases.writers import Writers, WriterSlots


@dataclass(frozen=True, slots=True)
class StorageContext:
    """What storage is made of."""

    work: UnitsOfWork
    settings: StorageSettings
    store: UploadStore
    slots: WriterSlots
    writers: Writers
    wholes: WholeDigests
    chunks: Chunks
    assembler: Assembler
    passwords: LinkPasswords
    sweeper: Sweeper
    signer: Signer
    metrics: StorageMetrics
    audit: StoreAudit
    auth: AuthClient

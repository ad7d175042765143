"""What every store promises, held against each of them: see `stores/port.py`.

By noun in `blob_contract.py`, `chunk_contract.py`, `extent_contract.py` and
`interruption_contract.py`; what only a store has that clients can reach is in `direct_contract.py`.
"""

from services.storage.tests.blob_contract import BlobContract
from services.storage.tests.chunk_contract import ChunkContract
from services.storage.tests.extent_contract import ExtentContract
from services.storage.tests.interruption_contract import InterruptionContract
from services.storage.tests.store_support import (
    Interrupted,
    cut,
    interrupted,
    pieces_of,
    plan_for,
    read,
    sha256,
    write,
)
from sharezync_storage.stores.port import UploadStore

__all__ = [
    "Interrupted",
    "StoreContract",
    "cut",
    "interrupted",
    "pieces_of",
    "plan_for",
    "read",
    "sha256",
    "write",
]


class StoreContract(BlobContract, ChunkContract, ExtentContract, InterruptionContract):
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_it_is_ready(self, store: UploadStore) -> None:
        assert await store.ready()

"""The smallest adapter keeps the whole contract: uploads come with `ObjectUploads`."""

from collections.abc import AsyncGenerator

import pytest

from services.storage.tests.memory_store import MemoryStore
from services.storage.tests.store_contract import StoreContract
from sharezync_storage.stores.port import DirectUploads, LocalFiles, UploadStore


@pytest.fixture
async def store() -> AsyncGenerator[MemoryStore]:
    store = MemoryStore()
    await store.start()
    yield store
    await store.aclose()


class TestContract(StoreContract):
    """All of it."""


def test_it_has_no_more_than_it_must(store: MemoryStore) -> None:
    plain: UploadStore = store
    assert not isinstance(plain, DirectUploads | LocalFiles)

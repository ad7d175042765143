"""The service as a process, for clients that others have written."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.storage.tests.storage_process import StorageProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_storage(
    storage_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StorageProcess]:
    """One for all tests of a module, which share an event loop (`OF_THIS_MODULE`)."""
    process = StorageProcess(storage_database_url, tmp_path_factory.mktemp("storage"))
    try:
        await process.start()
        yield process
    finally:
        await process.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def storage(running_storage: StorageProcess) -> StorageProcess:
    """The same, running, whatever a test before has done to it."""
    await running_storage.start()
    return running_storage

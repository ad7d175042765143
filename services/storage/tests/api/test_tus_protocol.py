"""The rules of tus 1.0.0, over the service on a folder; see `tests/tus`."""

import pytest

from services.storage.tests.tus_service import (  # noqa: F401 - fixtures
    OF_THIS_MODULE,
    served,
    stranger,
    tus,
)
from sharezync_storage.settings import StorageSettings
from tests.tus import creation, extensions, large, protocol

pytestmark = OF_THIS_MODULE


@pytest.fixture(scope="module")
def service_settings(
    storage_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> StorageSettings:
    return StorageSettings(
        _env_file=None,
        database_url=storage_database_url,
        data_dir=tmp_path_factory.mktemp("tus"),
        secret_key="a secret of these tests, long enough",
    )


class TestTheVersion(protocol.TheVersion):
    pass


class TestOptions(protocol.Options):
    pass


class TestTheMethodOverride(protocol.TheMethodOverride):
    pass


class TestHead(protocol.Head):
    pass


class TestPatch(protocol.Patch):
    pass


class TestCreation(creation.Creation):
    pass


class TestTheMetadata(creation.TheMetadata):
    pass


class TestDeferredLength(creation.DeferredLength):
    pass


class TestCreationWithUpload(creation.CreationWithUpload):
    pass


class TestExpiration(creation.Expiration):
    pass


class TestChecksums(extensions.Checksums):
    pass


class TestTermination(extensions.Termination):
    pass


class TestConcatenation(extensions.Concatenation):
    pass


class TestStrangers(extensions.Strangers):
    pass


class TestTheDocument(extensions.TheDocument):
    pass


class TestLargeOnes(large.LargeOnes):
    pass

"""The rules of tus 1.0.0, over the service on a folder; see `tests/tus`."""

import pytest

from services.storage.tests.tus_service import (  # noqa: F401 - fixtures
    OF_THIS_MODULE,
    served,
    stranger,
    tus,
)
from sharezync_storage.settings import StorageSettings
from tests.tus.creation import (  # noqa: F401 - run here
    TestCreation,
    TestCreationWithUpload,
    TestDeferredLength,
    TestExpiration,
    TestTheMetadata,
)
from tests.tus.extensions import (  # noqa: F401 - run here
    TestChecksums,
    TestConcatenation,
    TestStrangers,
    TestTermination,
    TestTheDocument,
)
from tests.tus.large import TestLargeOnes  # noqa: F401 - run here
from tests.tus.protocol import (  # noqa: F401 - run here
    TestHead,
    TestOptions,
    TestPatch,
    TestTheMethodOverride,
    TestTheVersion,
)

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

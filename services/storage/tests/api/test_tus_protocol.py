"""The rules of tus 1.0.0, over the service on a folder; see `testkit`."""

import pytest

from services.storage.tests.tus_service import (  # noqa: F401 - fixtures
    OF_THIS_MODULE,
    newcomer,
    served,
    stranger,
    tus,
)
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.tus.creation import (  # noqa: F401 - run here
    TestCreation,
    TestCreationWithUpload,
    TestDeferredLength,
    TestExpiration,
    TestTheMetadata,
)
from sharezync_testkit.tus.extensions import (  # noqa: F401 - run here
    TestChecksums,
    TestConcatenation,
    TestStrangers,
    TestTermination,
    TestTheDocument,
)
from sharezync_testkit.tus.large import TestLargeOnes  # noqa: F401 - run here
from sharezync_testkit.tus.protocol import (  # noqa: F401 - run here
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

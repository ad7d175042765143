"""The rules of tus 1.0.0 where bytes are kept in a bucket, in segments; see `testkit`."""

import pytest

from services.storage.tests.tus_service import (  # noqa: F401 - fixtures
    OF_THIS_MODULE,
    newcomer,
    served,
    stranger,
    tus,
)
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.servers import S3Server
from sharezync_testkit.tus.creation import (  # noqa: F401 - run here
    TestCreationWithUpload,
    TestDeferredLength,
)
from sharezync_testkit.tus.extensions import (  # noqa: F401 - run here
    TestChecksums,
    TestConcatenation,
    TestTermination,
)
from sharezync_testkit.tus.large import TestLargeOnes  # noqa: F401 - run here
from sharezync_testkit.tus.protocol import TestPatch  # noqa: F401 - run here

pytestmark = OF_THIS_MODULE


@pytest.fixture(scope="module")
def service_settings(
    storage_database_url: str, tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server
) -> StorageSettings:
    return StorageSettings(
        _env_file=None,
        database_url=storage_database_url,
        data_dir=tmp_path_factory.mktemp("tus"),
        secret_key="a secret of these tests, long enough",
        s3_bucket_name=s3_server.bucket(),
        s3_endpoint_url=s3_server.endpoint_url,
        aws_default_region=s3_server.region,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
    )

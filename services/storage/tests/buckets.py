"""How a store is told of a bucket of a server for tests."""

from typing import Any

from sharezync_storage.settings import StorageSettings
from sharezync_testkit.servers import S3Server
from sharezync_testkit.strict_s3 import StrictS3Server


def settings_for(server: S3Server | StrictS3Server, bucket: str, **more: Any) -> StorageSettings:
    return StorageSettings(
        _env_file=None,
        s3_bucket_name=bucket,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        aws_default_region=server.region,
        s3_endpoint_url=server.endpoint_url,
        **more,
    )

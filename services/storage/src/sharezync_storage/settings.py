"""Settings of storage, read from the environment."""

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field, SecretStr

from sharezync_shared.settings import Settings

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

MAX_CHUNKS: Final = 100_000
"""In one upload. Bounds what its digests cost when it is finished: 3 MiB."""
MAX_PART_URL_SECONDS: Final = 15 * 60
"""The same of a URL to which one part of an upload is put: a slow line takes its time."""


class StorageSettings(Settings):
    """Settings of the storage service; field names in upper case are the variables."""

    port: int = Field(8004, ge=0, le=65535)  # 0: any that is free

    # --- how much ---------------------------------------------------------------------------
    quota_bytes: int = Field(10 * GIB, ge=0)  # what one user may keep, unfinished uploads included
    # One file. At most what 10,000 parts of 8 MiB hold: S3 allows no more parts.
    max_file_bytes: int = Field(5 * GIB, ge=1, le=64 * GIB)
    # An upload that has seen no new chunk for so long is given up, and its space with it.
    upload_lifetime_hours: float = Field(7 * 24, gt=0)
    # Uploads of one user that have begun and not ended: each holds rows, and room in the store.
    max_uploads_per_user: int = Field(1000, ge=1)
    # Files of one user, of however few bytes: each is rows here and an object in the store.
    max_files_per_user: int = Field(100_000, ge=1)
    # Each is a way in for strangers that somebody has to keep in mind.
    max_links_per_file: int = Field(100, ge=1)
    max_links_per_user: int = Field(1000, ge=1)
    # Bodies that one process takes at a time. On S3 each holds some 24 MiB while it comes.
    max_writers: int = Field(32, ge=1)
    # On the average of a minute; slower is no line, but somebody who holds us up. 0: no limit.
    min_body_bytes_per_second: int = Field(512, ge=0)

    # --- where: a bucket, or (without S3_BUCKET_NAME) the folder `files` of DATA_DIR ---------
    s3_bucket_name: str | None = None  # absent: the folder
    aws_access_key_id: SecretStr | None = None  # absent: what the AWS SDK finds, such as a role
    aws_secret_access_key: SecretStr | None = None  # the same
    aws_default_region: str = "us-east-1"  # of the bucket
    s3_endpoint_url: str | None = None  # absent: AWS itself
    # Where clients reach the same bucket. With it (or on AWS itself) links lead straight there.
    s3_public_endpoint_url: str | None = None
    # When the SDK adds checksums of its own. Some servers keep such a checksum as part of the
    # file; absent, it is `when_supported` on AWS itself and `when_required` anywhere else.
    s3_checksums: Literal["when_supported", "when_required"] | None = None

    @property
    def upload_lifetime(self) -> timedelta:
        return timedelta(hours=self.upload_lifetime_hours)

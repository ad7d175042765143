"""Where the bytes are kept: a small port (`port.py`), two adapters (a folder, a bucket of S3)."""

from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.disk import LOCK_SECONDS, DiskStore
from sharezync_storage.stores.port import UploadStore


def open_store(settings: StorageSettings, *, lock_seconds: float = LOCK_SECONDS) -> UploadStore:
    """Return the store that the settings ask for, not started yet.

    A folder that another process uses is waited for, for `lock_seconds`.
    """
    if settings.s3_bucket_name:
        # Loading the SDK costs a tenth of a second, which one who keeps a folder need not wait for.
        from sharezync_storage.stores.s3 import S3Store  # noqa: PLC0415 - see above

        return S3Store(settings.s3_bucket_name, settings)
    return DiskStore(settings.data_dir / "files", lock_seconds=lock_seconds)
